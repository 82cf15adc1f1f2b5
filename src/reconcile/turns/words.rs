//! The words of a decision.

use jiff::{SignedDuration, Timestamp};

use crate::reconcile::schedule::Earlier;

use super::reason;

pub(super) const PAUSED: &str = "The game was paused.";
pub(super) const STOPPED: &str = "The game was stopped.";
pub(super) const MISSED_AND_SKIPPED: &str = "It was missed, and missed turns are skipped.";
pub(super) const TURN_IN_PROGRESS: &str = "The turn before was still being generated.";
pub(super) const AFTER_THE_OPEN_TURN: &str = "It was missed; its turn comes after the one that is open.";
pub(super) const CONSUMED: &str = "A forced turn took its place.";

pub(super) fn coalesced(into: Timestamp) -> String {
    format!("The turn of {into} stands for it.")
}

pub(super) fn deferred_until(not_before: Timestamp) -> String {
    format!("No turn is due before {not_before}; one turn comes then.")
}

pub(super) fn skipped_because(message: &str) -> String {
    format!("{message} Missed turns are skipped.")
}

pub(super) fn fired(late: SignedDuration) -> String {
    if late < SignedDuration::from_secs(1) {
        return "Its turn began.".to_owned();
    }
    format!("Its turn began, {:#} after the slot.", SignedDuration::from_secs(late.as_secs()))
}

pub(super) fn forced(takes: Option<Timestamp>) -> String {
    match takes {
        Some(slot) => format!("A turn was forced; it takes the place of the one at {slot}."),
        None => "A turn was forced.".to_owned(),
    }
}

/// Why a turn of the schedule begins.
pub(super) fn opened(slot: Timestamp, why_not_then: &str, others: bool) -> String {
    let others = if others { " and stands for those before it" } else { "" };
    match why_not_then {
        reason::MISSED => format!("The turn of {slot} was missed{others}."),
        reason::NOT_BEFORE => format!("The turn of {slot} was held back until now{others}."),
        _ => format!("The turn of {slot} is due{others}."),
    }
}

/// A message for the first of several slots.
pub(super) fn for_several(message: &str, earlier: &Earlier) -> String {
    let Earlier { count, last, more, first: _ } = earlier;
    let more = if *more { "more than " } else { "" };
    format!("{message} So it is with all slots until {last}, {more}{count} in all.")
}
