//! What is left until a game is as it should be.
//!
//! One function: `explain` prints what it says, and the view `game_status` says the same in SQL, as
//! `settled`. A test of the store holds the two to one another.

use super::Phase;
use super::record::Record;
use super::spec::{Desired, DesiredStatus, Requests};

/// What is left, each in words that go on after "what is left:"; nothing of a game that is settled.
pub fn what_is_left(desired: &Desired, record: &Record) -> Vec<String> {
    let mut left = Vec::new();
    if desired.deletion.is_some() {
        left.push("its deletion".to_owned());
    }
    if record.observed_generation != desired.generation {
        left.push(format!("a look at generation {}", desired.generation));
    }
    left.extend(requests(desired, record));
    match desired.status {
        DesiredStatus::Stopped if record.phase != Phase::Stopped => left.push("its stop".to_owned()),
        DesiredStatus::Stopped => {}
        DesiredStatus::Running => left.extend(while_it_runs(desired, record)),
    }
    left
}

/// The requests that are neither done nor refused.
fn requests(desired: &Desired, record: &Record) -> impl Iterator<Item = String> {
    let Requests { restart, force_turn, patch, restore, backup, unblock } = desired.requests;
    let seen = record.observed_requests;
    [
        (restart != seen.restart, "the restart that was asked for"),
        (force_turn != seen.force_turn, "the turn that was forced"),
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
    let wish = desired.spec.as_ref().ok().and_then(|spec| spec.engine_version.as_ref());
    let has = record.applied.as_ref().map(|applied| &applied.engine_version);
    match (wish, has) {
        (Some(wish), Some(has)) if wish.accepts(has) => {}
        (Some(wish), _) => left.push(format!("engine version {wish}")),
        (None, _) => left.push("an engine version, which its spec does not name".to_owned()),
    }
    if !finished && desired.paused && record.paused_at.is_none() {
        left.push("the pause, which is not acknowledged yet".to_owned());
    }
    if !finished && !desired.paused && record.paused_at.is_some() {
        left.push("the end of the pause".to_owned());
    }
    left
}
