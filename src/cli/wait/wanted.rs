//! What is waited for: `condition=Ready`, `phase=Stopped`, `delete`.

use std::fmt;
use std::str::FromStr;

use serde_json::json;

use crate::cli::client::Object;
use crate::game::settled::DELETION;
use crate::game::{ConditionType, Phase};

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A condition has this status (`True`, `False`, `Unknown`), computed from the newest spec.
    Condition {
        /// Its type, as the API has it.
        kind: String,
        /// Its status.
        status: String,
    },
    /// The game is in this phase, computed from the newest spec.
    Phase(Phase),
    /// The pause is acknowledged, or there is no engine that could have a turn.
    Paused,
    /// It is no longer paused.
    Resumed,
    /// The controller has looked at the newest spec.
    TakenUp,
    /// The forced turn that was asked for last has begun, or was refused.
    TurnTakenUp,
    /// The restore that was asked for last is done, refused, or can come to no end by itself.
    Restored,
    /// The restart that was asked for last is done or refused, and the game is ready.
    Restarted,
    /// The copy that was asked for last is taken, or refused.
    BackedUp,
    /// The object is gone.
    Deleted,
}

impl Wanted {
    /// `condition=Ready`.
    pub(crate) fn ready() -> Self {
        Self::Condition { kind: "Ready".into(), status: "True".into() }
    }

    /// Whether it is so of an object that is there.
    pub(crate) fn holds(&self, object: &Object, least_generation: i64) -> bool {
        let generation = object.generation().max(least_generation);
        // What was computed from an older spec says nothing about the newest.
        let fresh = |seen: Option<i64>| seen.is_none_or(|seen| seen >= generation);
        match self {
            Self::Deleted => false,
            Self::Phase(phase) => {
                object.text("/status/phase") == Some(&format!("{phase:?}"))
                    && fresh(object.number("/status/observedGeneration"))
            }
            Self::Paused => {
                let idle = matches!(object.text("/status/phase"), Some("Stopped" | "Finished"));
                (idle || object.time("/status/pausedAt").is_some()) && Self::TakenUp.holds(object, generation)
            }
            Self::Resumed => {
                object.time("/status/pausedAt").is_none() && Self::TakenUp.holds(object, generation)
            }
            Self::TakenUp => {
                let seen = object.number("/status/observedGeneration");
                seen.is_some_and(|seen| seen >= generation)
            }
            Self::TurnTakenUp | Self::BackedUp => self.is_answered(object),
            Self::Restored => {
                // An engine that is on its way up is part of it, whatever else a phase says is not.
                let at_rest = !matches!(
                    object.text("/status/phase"),
                    None | Some("Pending" | "Starting" | "Stopping" | "Patching" | "Unknown")
                );
                self.is_answered(object)
                    && object.0.pointer("/status/putBack").is_none()
                    && at_rest
                    && Self::TakenUp.holds(object, generation)
            }
            Self::Restarted => self.is_answered(object) && Self::ready().holds(object, generation),
            Self::Condition { kind, status } => object.condition(kind).is_some_and(|condition| {
                condition.text("/status") == Some(status) && fresh(condition.number("/observedGeneration"))
            }),
        }
    }

    /// True once the request that is waited for, if it is one, was done or refused.
    fn is_answered(&self, object: &Object) -> bool {
        let (asked, answered) = match self {
            Self::TurnTakenUp => ("/spec/forceTurnGeneration", "/status/observedForceTurnGeneration"),
            Self::Restored => ("/spec/restoreGeneration", "/status/observedRestoreGeneration"),
            Self::Restarted => ("/spec/restartGeneration", "/status/observedRestartGeneration"),
            Self::BackedUp => ("/spec/backupGeneration", "/status/observedBackupGeneration"),
            Self::Condition { .. }
            | Self::Phase(_)
            | Self::Paused
            | Self::Resumed
            | Self::TakenUp
            | Self::Deleted => return true,
        };
        let asked = object.number(asked).unwrap_or_default();
        object.number(answered).is_some_and(|answered| answered >= asked)
    }

    /// True if it will not come true of an object by itself: the controller has looked at what was asked for
    /// last, and a person is needed, or another spec. A request that is not answered yet will be: it may be the
    /// way out.
    pub(crate) fn is_out_of_reach(&self, object: &Object, least_generation: i64) -> bool {
        let is_seen = match self {
            // That a game is to be deleted is no change of its spec.
            Self::Deleted => object.list("/status/leftToDo").iter().any(|left| left == DELETION),
            Self::Condition { .. }
            | Self::Phase(_)
            | Self::Paused
            | Self::Resumed
            | Self::TakenUp
            | Self::TurnTakenUp
            | Self::Restored
            | Self::Restarted
            | Self::BackedUp => Self::TakenUp.holds(object, object.generation().max(least_generation)),
        };
        // Another putting back than the one that was asked for makes way for that.
        let is_of_another = *self == Self::Restored
            && object.text("/status/putBack/backup") != object.text("/spec/restoreBackupId");
        let is_stuck = !is_of_another && matches!(object.text("/status/phase"), Some("Blocked" | "Invalid"));
        // An engine goes on while its spec is wrong, and does not become what that asks for.
        let is_refused = matches!(self, Self::Condition { .. } | Self::Restarted)
            && object.condition("SpecValid").is_some_and(|valid| valid.text("/status") == Some("False"));
        is_seen
            && self.is_answered(object)
            && (is_stuck || is_refused)
            && !self.holds(object, least_generation)
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let capital = |word: &str| {
            let mut characters = word.chars();
            characters.next().map(|first| first.to_uppercase().collect::<String>() + characters.as_str())
        };
        match text.split_once('=') {
            None if text.eq_ignore_ascii_case("delete") => Ok(Self::Deleted),
            Some(("phase", name)) => {
                let found =
                    Phase::ALL.into_iter().find(|phase| format!("{phase:?}").eq_ignore_ascii_case(name));
                found.map(Self::Phase).ok_or_else(|| {
                    let known: Vec<_> = Phase::ALL.iter().map(|phase| format!("{phase:?}")).collect();
                    format!("`{}` is not a phase; there are {}", name.escape_debug(), known.join(", "))
                })
            }
            Some(("condition", wanted)) => {
                let (kind, status) = wanted.split_once('=').unwrap_or((wanted, "True"));
                let kind = capital(kind).unwrap_or_default();
                serde_json::from_value::<ConditionType>(json!(kind))
                    .map_err(|error| format!("not a condition: {error}"))?;
                let status = capital(&status.to_lowercase()).unwrap_or_default();
                match status.as_str() {
                    "True" | "False" | "Unknown" => Ok(Self::Condition { kind, status }),
                    _ => Err(format!(
                        "`{}` is not a condition's status; write True, False or Unknown",
                        status.escape_debug()
                    )),
                }
            }
            _ => Err("write condition=Ready, condition=Ready=False, phase=Stopped or delete".into()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition { kind, status } if status == "True" => write!(f, "condition={kind}"),
            Self::Condition { kind, status } => write!(f, "condition={kind}={status}"),
            Self::Phase(phase) => write!(f, "phase={phase:?}"),
            Self::Paused => f.write_str("the pause to be acknowledged"),
            Self::Resumed => f.write_str("the pause to end"),
            Self::TakenUp => f.write_str("the controller to take it up"),
            Self::TurnTakenUp => f.write_str("the turn to begin"),
            Self::Restored => f.write_str("the restore to end"),
            Self::Restarted => f.write_str("the restart to end"),
            Self::BackedUp => f.write_str("the copy to be taken"),
            Self::Deleted => f.write_str("delete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_waited_for() {
        for (text, shown) in [
            ("condition=Ready", "condition=Ready"),
            ("condition=ready=true", "condition=Ready"),
            ("condition=Ready=False", "condition=Ready=False"),
            ("condition=engineHealthy=unknown", "condition=EngineHealthy=Unknown"),
            ("phase=Stopped", "phase=Stopped"),
            ("phase=crashloop", "phase=CrashLoop"),
            ("delete", "delete"),
        ] {
            assert_eq!(
                text.parse::<Wanted>().map(|wanted| wanted.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        for (bad, expected) in [
            ("Ready", "write condition=Ready"),
            ("", "write condition=Ready"),
            ("condition=Redy", "unknown variant `Redy`, expected one of `Ready`"),
            ("condition=Ready=Maybe", "write True, False or Unknown"),
            ("phase=Gone", "`Gone` is not a phase; there are Pending, Starting"),
            ("jsonpath={.status}", "write condition=Ready"),
        ] {
            let error = bad.parse::<Wanted>().unwrap_err();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }

    #[test]
    fn only_what_was_computed_from_the_newest_spec_counts() {
        let game = |generation: i64| {
            Object(json!({
                "metadata": { "generation": generation },
                "status": {
                    "phase": "Stopped",
                    "observedGeneration": 2,
                    "conditions": [{ "type": "Ready", "status": "True", "observedGeneration": 2 }],
                },
            }))
        };
        for wanted in [Wanted::ready(), Wanted::Phase(Phase::Stopped)] {
            assert!(wanted.holds(&game(2), 0));
            assert!(!wanted.holds(&game(3), 0));
            assert!(!wanted.holds(&game(2), 3));
        }
        for wanted in [Wanted::Paused, Wanted::TakenUp] {
            assert!(wanted.holds(&game(2), 0) && !wanted.holds(&game(3), 0), "{wanted}");
        }
        assert!(!Wanted::Phase(Phase::Running).holds(&game(2), 0));
        assert!(!Wanted::Deleted.holds(&game(2), 0));
    }

    #[test]
    fn a_pause_is_over_or_not_as_the_controller_says() {
        let game =
            |status: serde_json::Value| Object(json!({ "metadata": { "generation": 2 }, "status": status }));
        let at = "2026-11-23T18:00:00Z";
        let paused = game(json!({ "phase": "Running", "observedGeneration": 2, "pausedAt": at }));
        assert!(Wanted::Paused.holds(&paused, 0) && !Wanted::Resumed.holds(&paused, 0));
        let running = game(json!({ "phase": "Running", "observedGeneration": 2 }));
        assert!(!Wanted::Paused.holds(&running, 0) && Wanted::Resumed.holds(&running, 0));
        let unseen = game(json!({ "phase": "Running", "observedGeneration": 1 }));
        assert!(!Wanted::Resumed.holds(&unseen, 0) && !Wanted::TakenUp.holds(&Object(json!({})), 1));
    }

    #[test]
    fn a_restore_is_over_when_the_copy_is_back_and_the_engine_runs() {
        let game = |mut status: serde_json::Value| {
            status["observedGeneration"] = 0.into();
            Object(json!({ "spec": { "restoreGeneration": 2 }, "status": status }))
        };
        let holds = |status| Wanted::Restored.holds(&game(status), 0);
        for phase in ["Blocked", "CrashLoop", "Invalid", "EngineUnreachable", "Finished"] {
            // The outcome is then asked for.
            assert!(holds(json!({ "phase": phase, "observedRestoreGeneration": 2 })), "{phase}");
        }
        assert!(holds(json!({ "phase": "Running", "observedRestoreGeneration": 2 })));
        assert!(holds(json!({ "phase": "Stopped", "observedRestoreGeneration": 2 })));
        assert!(!holds(json!({ "phase": "Running", "observedRestoreGeneration": 1 })));
        assert!(!holds(json!({ "phase": "Starting", "observedRestoreGeneration": 2 })));
        assert!(!holds(json!({ "phase": "Running", "observedRestoreGeneration": 2, "putBack": {} })));
    }

    #[test]
    fn what_a_person_has_to_mend_is_not_waited_for_once_the_request_was_seen() {
        let game = |status: serde_json::Value| {
            Object(json!({
                "metadata": { "generation": 3 }, "spec": { "restartGeneration": 1 }, "status": status,
            }))
        };
        let verbs = [
            Wanted::ready(),
            Wanted::Phase(Phase::Stopped),
            Wanted::Paused,
            Wanted::Restored,
            Wanted::Restarted,
            Wanted::BackedUp,
            Wanted::TurnTakenUp,
        ];
        for wanted in verbs {
            let is_over = |status| wanted.is_out_of_reach(&game(status), 3);
            assert!(
                !is_over(json!({ "phase": "Blocked", "observedGeneration": 2 })),
                "{wanted}: not seen yet"
            );
            assert!(
                !is_over(json!({ "phase": "CrashLoop", "observedGeneration": 3 })),
                "{wanted}: it may mend"
            );
            // Done is done: a restore that was refused is asked about.
            let is_done = matches!(wanted, Wanted::Restored | Wanted::BackedUp | Wanted::TurnTakenUp);
            for phase in ["Blocked", "Invalid"] {
                let status = json!({
                    "phase": phase, "observedGeneration": 3, "observedRestoreGeneration": 0,
                    "observedBackupGeneration": 0, "observedForceTurnGeneration": 0,
                    "observedRestartGeneration": 1,
                });
                assert_eq!(is_over(status), !is_done, "{wanted} {phase}");
            }
        }
        let invalid = json!({
            "phase": "Running", "observedGeneration": 3,
            "conditions": [{ "type": "SpecValid", "status": "False" }],
        });
        assert!(Wanted::ready().is_out_of_reach(&game(invalid.clone()), 3));
        assert!(!Wanted::Phase(Phase::Stopped).is_out_of_reach(&game(invalid), 3), "it can be stopped");
        let going =
            |left: &str| game(json!({ "phase": "Blocked", "observedGeneration": 3, "leftToDo": [left] }));
        assert!(Wanted::Deleted.is_out_of_reach(&going("its deletion"), 0));
        assert!(!Wanted::Deleted.is_out_of_reach(&going("its stop"), 0), "the deletion was not seen yet");
    }

    #[test]
    fn a_copy_is_taken_up_by_its_count() {
        let game = |taken: i64| {
            Object(json!({
                "spec": { "backupGeneration": 3 }, "status": { "observedBackupGeneration": taken },
            }))
        };
        assert!(Wanted::BackedUp.holds(&game(3), 9) && !Wanted::BackedUp.holds(&game(2), 0));
    }

    #[test]
    fn a_forced_turn_is_taken_up_by_its_count() {
        let game = |taken: i64| {
            Object(json!({
                "spec": { "forceTurnGeneration": 3 }, "status": { "observedForceTurnGeneration": taken },
            }))
        };
        assert!(Wanted::TurnTakenUp.holds(&game(3), 9) && !Wanted::TurnTakenUp.holds(&game(2), 0));
    }
}
