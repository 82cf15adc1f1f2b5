//! What a game's status can be, and the conditions that carry the detail.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The headline of a game's status. The API shows it in CamelCase, the database in snake_case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Phase {
    /// Seen, nothing done yet.
    Pending,
    /// On its way to `Running`: image, directory, container, health, initialisation.
    Starting,
    /// Healthy and initialised.
    Running,
    /// On its way to `Stopped`.
    Stopping,
    /// No container.
    Stopped,
    /// The engine says the game is over; it stays up for reports.
    Finished,
    /// The process lives, but its health check fails; restarted past a threshold.
    EngineUnreachable,
    /// Died or never got healthy; waiting for its next attempt.
    CrashLoop,
    /// Between two engine versions.
    Patching,
    /// The spec cannot be met and nothing runs; a corrected spec goes on at once.
    Invalid,
    /// Needs a person; the reason says why.
    Blocked,
    /// Docker cannot be asked; the last known facts are kept.
    Unknown,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Finished,
        Self::EngineUnreachable,
        Self::CrashLoop,
        Self::Patching,
        Self::Invalid,
        Self::Blocked,
        Self::Unknown,
    ];

    /// As the database has it.
    pub fn as_row(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::EngineUnreachable => "engine_unreachable",
            Self::CrashLoop => "crash_loop",
            Self::Patching => "patching",
            Self::Invalid => "invalid",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }

    /// From what the database has.
    pub fn from_row(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_row() == text)
    }
}

/// One named truth about a game.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum ConditionType {
    /// Everything that the spec asks for is true (a stopped game that should be stopped is Ready).
    Ready,
    /// The spec can be met.
    SpecValid,
    /// The image that the engine needs is on the host.
    ImageReady,
    /// The engine's container runs.
    ContainerRunning,
    /// The engine answers its health check with the right identity.
    EngineHealthy,
    /// The engine has this game.
    Initialized,
    /// The engine's players are the game's members.
    PlayersInSync,
    /// No turn is overdue.
    TurnsOnTime,
    /// The last change of version worked.
    PatchSucceeded,
    /// Nothing is tried any more until somebody changes something. Made for those who read the API, and
    /// kept nowhere.
    Stalled,
}

/// Three-valued, as in Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can tell.
    Unknown,
}

/// Kubernetes' own shape of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which truth.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One CamelCase word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When `status` last changed.
    #[schemars(with = "String")]
    pub last_transition_time: Timestamp,
    /// The generation it was computed from.
    pub observed_generation: i64,
}

/// Puts `new` in its place, keeping the transition time unless the status changed.
pub fn set_condition(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|c| c.kind == new.kind) {
        Some(old) => {
            let since =
                if old.status == new.status { old.last_transition_time } else { new.last_transition_time };
            *old = Condition { last_transition_time: since, ..new };
        }
        None => {
            conditions.push(new);
            conditions.sort_by_key(|c| c.kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let condition = |status, second| Condition {
            kind: ConditionType::Ready,
            status,
            reason: "R".into(),
            message: String::new(),
            last_transition_time: at(second),
            observed_generation: second,
        };
        let mut conditions = vec![condition(ConditionStatus::False, 1)];
        set_condition(&mut conditions, condition(ConditionStatus::False, 2));
        assert_eq!((conditions[0].last_transition_time, conditions[0].observed_generation), (at(1), 2));
        set_condition(&mut conditions, condition(ConditionStatus::True, 3));
        assert_eq!(conditions[0].last_transition_time, at(3));
        assert_eq!(conditions.len(), 1);
    }
}
