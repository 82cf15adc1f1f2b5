//! The next turn, and the things that stand in its way.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::game::record::Record;
use crate::game::spec::{Desired, DesiredStatus, MissedTurns, TurnSpec};
use crate::game::turn::{OpenTurn, TurnState};
use crate::game::{BackupReason, Phase};
use crate::reconcile::observed::Observation;
use crate::reconcile::plan::INVALID_SCHEDULE;
use crate::reconcile::schedule::Slots;

use super::Guard;

/// The next turn, and the things that stand in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnOutlook {
    /// Cron; absent if turns come by hand only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The schedule's zone.
    pub time_zone: String,
    /// The time of the schedule's next turn, were there nothing in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_slot: Option<Timestamp>,
    /// The number that the next turn gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_turn: Option<i64>,
    /// A turn was asked for, and has not begun.
    pub requested: bool,
    /// The things in its way, each with the way out.
    pub obstacles: Vec<Guard>,
}

/// A turn is under way.
pub(super) const TURN_OPEN: &str = "TurnOpen";

/// The outlook; none of a game that goes.
pub(super) fn outlook(
    desired: &Desired,
    shown: &Record,
    observation: &Observation,
    guard: Option<Guard>,
) -> Option<TurnOutlook> {
    if desired.deletion.is_some() {
        return None;
    }
    let by_hand = TurnSpec::by_hand();
    let turns = desired.turns().unwrap_or(&by_hand);
    let open = shown.turn.as_ref();
    let last = open.map(|turn| turn.number).max(shown.current_turn);
    let over = shown.finished_at.is_some();
    Some(TurnOutlook {
        schedule: turns.schedule.clone(),
        time_zone: turns.time_zone.clone(),
        next_slot: if over { None } else { next_slot(turns, desired, shown, observation.now) },
        next_turn: last.filter(|_| !over).map(|last| last + 1),
        requested: desired.requests.force_turn > shown.observed_requests.force_turn,
        obstacles: guard.into_iter().chain(obstacles(desired, turns, shown, observation.now)).collect(),
    })
}

/// The first slot that is not decided. What passes while the game is paused or stopped never fires.
fn next_slot(spec: &TurnSpec, desired: &Desired, shown: &Record, now: Timestamp) -> Option<Timestamp> {
    let slots = Slots::of(spec).ok()??;
    let decided = shown.slot_cursor.unwrap_or(now);
    let passes = desired.paused || desired.status == DesiredStatus::Stopped;
    // A slot ahead that has a turn already has no other one.
    let next = |mut after: Timestamp| {
        (0..=shown.taken.len()).find_map(|_| {
            after = slots.next_after(after)?;
            (!shown.taken.contains(&after)).then_some(after)
        })
    };
    match spec.not_before.filter(|not_before| *not_before > now) {
        Some(not_before) => {
            let waiting = if passes { decided.max(now) } else { decided };
            Some(next(waiting)?.max(not_before))
        }
        None => next(decided.max(now)),
    }
}

/// The things that stop a turn, the most lasting first.
fn obstacles(desired: &Desired, turns: &TurnSpec, shown: &Record, now: Timestamp) -> Vec<Guard> {
    let mut found = Vec::new();
    let mut add = |reason: &str, message: String, way_out: &str| {
        found.push(Guard { reason: reason.to_owned(), message, way_out: way_out.to_owned() });
    };
    if shown.finished_at.is_some() {
        add("Finished", "The game is over.".into(), "There are no more turns.");
        return found;
    }
    match desired.status {
        DesiredStatus::Stopped => {
            add("Stopped", "A stopped game has no turns.".into(), "`gamekeeper start` has it run.");
        }
        DesiredStatus::Running if !matches!(shown.phase, Phase::Running | Phase::Blocked) => {
            let then = match (&turns.schedule, turns.missed) {
                (None, _) => "A turn that is asked for waits until it runs.",
                (Some(_), MissedTurns::Once) => "What is missed until it runs becomes one turn.",
                (Some(_), MissedTurns::Skip) => "What is missed until it runs is skipped.",
            };
            add("NotRunning", format!("No turn can begin now: {}", shown.message), then);
        }
        DesiredStatus::Running => {}
    }
    if desired.paused {
        let since = match shown.paused_at {
            Some(since) => {
                format!("No turn begins since {since:.0}; what falls due meanwhile never happens.")
            }
            None => "It should be paused; no further turn begins.".to_owned(),
        };
        add("Paused", since, "`gamekeeper resume` lets turns happen again.");
    }
    let held = shown.conditions.iter().find(|known| known.reason == INVALID_SCHEDULE);
    if let Some(held) = held.filter(|_| desired.turns().is_none_or(|turns| Slots::of(turns).is_err())) {
        let way_out = "Correct turn_schedule, time_zone and the columns beside them; `gamekeeper force-turn` needs none.";
        add(INVALID_SCHEDULE, held.message.clone(), way_out);
    }
    if let Some(turn) = &shown.turn {
        let copy = shown.copying.as_ref().filter(|copying| copying.reason == BackupReason::Turn);
        match copy.and_then(|copying| copying.problem.as_ref()) {
            Some(problem) => add(
                &problem.reason,
                format!("Turn {} waits for a copy of the state: {}.", turn.number, problem.message),
                "Mend what the message says: the copy is tried again. `gamekeeper pause` calls the turn off.",
            ),
            None if desired.paused => {
                add(
                    TURN_OPEN,
                    open(turn),
                    "It is not sent again: it ends, or is called off at its deadline.",
                );
            }
            None => add(TURN_OPEN, open(turn), "It ends by itself, or is given up at its deadline."),
        }
    }
    if let Some(not_before) = turns.not_before.filter(|not_before| *not_before > now) {
        let message = format!("No slot fires before {not_before:.0}; those until then become one turn.");
        add("NotBefore", message, "`gamekeeper defer --clear` takes that back.");
    }
    found
}

fn open(turn: &OpenTurn) -> String {
    let OpenTurn { number, attempts, state, .. } = turn;
    match state {
        TurnState::Pending => format!("Turn {number} is about to be sent."),
        TurnState::Dispatched { at, .. } => {
            let again = if *attempts > 1 { format!(" (attempt {attempts})") } else { String::new() };
            format!(
                "Turn {number} is being generated since {at:.0}{again}; what falls due meanwhile is dropped."
            )
        }
        TurnState::Failed { code, message, .. } => format!("Turn {number} failed ({code}): {message}"),
    }
}

#[cfg(test)]
mod tests;
