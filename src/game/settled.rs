//! The list of things that are left until a game is as its spec says.
//!
//! One function computes it. The planner keeps it in the record (`left_to_do`), and everybody else reads it
//! there: the view `game_status` (`settled`), the API (`status.leftToDo`), `explain`. A turn of the schedule
//! is no part of a spec's coming true: a game stays settled while one is generated.

use super::record::{AppliedSpec, Record};
use super::spec::{Desired, DesiredStatus, GameSpec, Requests};
use super::turn::TurnCause;
use super::{ConditionStatus, ConditionType, Phase};

/// The list for a game that nobody has looked at.
pub fn unseen() -> Vec<String> {
    vec!["a first look".to_owned()]
}

/// The last thing that is left of a game that is to be deleted, once that was seen.
pub const DELETION: &str = "its deletion";

/// The list, each entry in words that go on after "what is left:"; empty for a game that is settled.
/// A settled game is ready.
pub fn what_is_left(desired: &Desired, record: &Record) -> Vec<String> {
    let mut left = Vec::new();
    if desired.deletion.is_some() {
        left.push(DELETION.to_owned());
    }
    if record.observed_generation != desired.generation {
        left.push(format!("a look at generation {}", desired.generation));
    }
    left.extend(requests(desired, record));
    if record.put_back.is_some() {
        left.push("the copy of the state that is to be put back".to_owned());
    }
    match desired.status {
        DesiredStatus::Stopped if record.phase != Phase::Stopped => left.push("its stop".to_owned()),
        DesiredStatus::Stopped => {}
        DesiredStatus::Running => left.extend(while_it_runs(desired, record)),
    }
    if left.is_empty() && status_of(record, ConditionType::Ready) != Some(ConditionStatus::True) {
        left.push(format!("what keeps it from being ready ({})", record.reason));
    }
    left
}

/// The requests that are neither done nor refused.
fn requests(desired: &Desired, record: &Record) -> impl Iterator<Item = String> {
    let Requests { restart, force_turn, patch, restore, backup, unblock } = desired.requests;
    let seen = record.observed_requests;
    let is_forced = |turn: &super::turn::OpenTurn| turn.cause == TurnCause::Forced;
    let forced = force_turn != seen.force_turn || record.turn.as_ref().is_some_and(is_forced);
    [
        (restart != seen.restart, "the restart that was asked for"),
        (forced, "the turn that was forced"),
        (patch != seen.patch, "the change of version that was asked for"),
        (restore != seen.restore, "the restore that was asked for"),
        (backup != seen.backup, "the copy that was asked for"),
        (unblock != seen.unblock, "the look at what blocks it"),
    ]
    .into_iter()
    .filter(|(is_left, _)| *is_left)
    .map(|(_, what)| what.to_owned())
}

fn while_it_runs(desired: &Desired, record: &Record) -> Vec<String> {
    let mut left = Vec::new();
    let finished = record.phase == Phase::Finished;
    if record.phase != Phase::Running && !finished {
        left.push("an engine that serves it".to_owned());
    }
    match &desired.spec {
        Err(_) => left.push("a spec that is valid".to_owned()),
        Ok(spec) => {
            left.extend(version(spec.engine_version.as_ref(), record));
            left.extend(inputs(desired, spec, record));
        }
    }
    if !finished && desired.paused && record.paused_at.is_none() {
        left.push("the pause, which is not acknowledged yet".to_owned());
    }
    if !finished && !desired.paused && record.paused_at.is_some() {
        left.push("the end of the pause".to_owned());
    }
    let late = record.conditions.iter().find(|known| known.kind == ConditionType::TurnsOnTime);
    if let Some(late) = late.filter(|late| !finished && late.status == ConditionStatus::False) {
        left.push(format!("turns that are on time ({})", late.reason));
    }
    left
}

/// The engine version that is asked for, unless it is the one that serves.
fn version(wish: Option<&super::version::VersionWish>, record: &Record) -> Option<String> {
    let has = record.applied.as_ref().map(|applied| &applied.engine_version);
    match (wish, has) {
        // A requirement that somebody asked to resolve anew.
        (Some(wish), Some(has)) if wish.accepts(has) => {
            let next = record.patch_delay.as_ref().map(|delay| &delay.version);
            next.filter(|next| *next != has).map(|next| format!("engine version {next}"))
        }
        (Some(wish), _) => Some(format!("engine version {wish}")),
        (None, _) => Some("an engine version, which its spec does not name".to_owned()),
    }
}

/// The declared input that the engine was not built from, though the version is the one that serves.
fn inputs(desired: &Desired, spec: &GameSpec, record: &Record) -> Option<String> {
    let (entry, has) = (desired.version.as_ref()?, record.applied.as_ref()?);
    let declared = AppliedSpec::declared(entry, spec.resources);
    let wanted = if entry.version == has.engine_version {
        declared
    } else {
        // A requirement that the present version fulfils; of another one that is asked for it is said above.
        spec.engine_version.as_ref().filter(|wish| wish.accepts(&has.engine_version))?;
        AppliedSpec { resources: declared.resources, ..has.clone() }
    };
    has.drift_to(&wanted).map(|input| format!("a container that is made anew, as its {input} changed"))
}

fn status_of(record: &Record, kind: ConditionType) -> Option<ConditionStatus> {
    record.conditions.iter().find(|known| known.kind == kind).map(|known| known.status)
}
