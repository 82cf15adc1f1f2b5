//! Whether a turn begins now, and what becomes of every slot that passed.
//!
//! [`decide`] is asked in every round of a game that has an engine or should have one. It knows no
//! ledger and opens nothing; it says what to write down.
//!
//! **The cursor.** Slots up to it are decided, for good. It moves to the last slot that was decided;
//! never back, but for two cases: [`Beginning::ScheduleChanged`], and a cursor so far ahead of now
//! that the clock must have jumped ([`CLOCK_MAY_GO_BACK`]). A cursor ahead of now otherwise means
//! that the next slot is spent on a forced turn, or that the clock went back a little; nothing fires
//! until it is passed. Slots that wait for something are not decided: the cursor stays before them,
//! so that nothing but the cursor has to survive a restart.
//!
//! **At most one turn.** Whatever passed, at most one slot fires: the newest. The others are
//! coalesced into it or skipped. What opens is told to the caller once: after it was written down
//! (cursor, request, ledger row), asking again opens nothing.
//!
//! | situation | slots that pass | a forced turn |
//! |---|---|---|
//! | [`Ready`](Situation::Ready) | the newest fires | begins |
//! | [`TurnOpen`](Situation::TurnOpen) | skipped if on time; if missed, one turn after the open one, or skipped | waits |
//! | [`TurnEnded`](Situation::TurnEnded) | as above | begins, before the next slot: it has waited for a turn |
//! | [`Held`](Situation::Held) | wait to be missed: one turn at the recovery, or skipped once they are late | waits |
//! | [`Paused`](Situation::Paused) | skipped | waits |
//! | [`Off`](Situation::Off) | nothing is told; at the start they are skipped | refused, or waits for the initialisation |
//! | any but paused and off, before `turn_not_before` | wait, become one turn then | as above |
//!
//! **Due or missed.** A slot that is found within its tolerance ([`tolerance`]) is on time: a busy
//! machine, a look that came a moment late, a controller that was replaced by the next. Found later,
//! it was missed, and `missed_turns` decides.

mod decision;
mod judge;
mod outlook;
#[cfg(test)]
mod tests;
mod words;

use jiff::{SignedDuration, Timestamp};

use crate::game::spec::TurnSpec;

use super::schedule::{ScheduleError, Slots};

use judge::Judge;

pub use decision::{Cause, Decision, Fate, Opening, Request, SlotFate};

/// At most so many rows per decision; where more slots passed, the oldest share one.
pub const ROWS: usize = 64;

/// A cursor may be so far ahead of now because the clock went back, and is believed: what is
/// before it has been decided. Further ahead, the clock had jumped forward.
pub const CLOCK_MAY_GO_BACK: SignedDuration = SignedDuration::from_hours(24);

/// Reasons of slots' fates: one CamelCase word each. Those of [`Situation::Held`] are the caller's.
pub mod reason {
    /// It fired when it was due.
    pub const ON_TIME: &str = "OnTime";
    /// It was found too late.
    pub const MISSED: &str = "Missed";
    /// It was before `turn_not_before`.
    pub const NOT_BEFORE: &str = "NotBefore";
    /// Another turn was being generated.
    pub const TURN_IN_PROGRESS: &str = "TurnInProgress";
    /// The game was paused.
    pub const PAUSED: &str = "Paused";
    /// The game was stopped.
    pub const STOPPED: &str = "Stopped";
    /// A forced turn took its place.
    pub const FORCED_TURN: &str = "ForcedTurn";
    /// It waited, and is of no interest any more: another schedule holds, or the game is over.
    pub const DROPPED: &str = "Dropped";
}

/// What a decision is made from, beside the spec.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The present, by the controller's clock.
    pub now: Timestamp,
    /// Slots up to here are decided; none: the game's slots were never looked at, and count from now.
    pub cursor: Option<Timestamp>,
    /// Whether a turn may begin.
    pub situation: Situation<'a>,
    /// A forced turn is asked for that has not begun. Several such requests are one.
    pub forced: bool,
    /// Slots after the cursor that have a turn in the ledger of this timeline already. There are none
    /// but after a clock had jumped forward, or a schedule was changed after a forced turn had taken
    /// the next slot. They are passed over without a word. Where this is left empty, the ledger's
    /// unique slot refuses the double, and the caller has to live with that.
    pub taken: &'a [Timestamp],
}

/// Whether a turn may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation<'a> {
    /// It may: running, initialised, not paused, not finished, no turn open.
    Ready,
    /// A turn is open.
    TurnOpen,
    /// A turn ended, as this round learns, and another may begin. What was due until now was due during
    /// the turn; a forced turn that waited for its end begins before any slot, or a schedule that has a
    /// slot at each end of a turn would keep it waiting for ever.
    TurnEnded,
    /// Not now, but without anybody's doing: the engine is down, unhealthy, being replaced.
    Held {
        /// One CamelCase word.
        reason: &'a str,
        /// A sentence.
        message: &'a str,
    },
    /// The game is paused. Also in the last round of a pause, whoever saw its end: see
    /// [`Beginning::Resumed`].
    Paused,
    /// No slot concerns the game: nothing is decided, the cursor stays.
    Off(Off),
    /// Slots count from now: asked once, in the round that sees it begin.
    Begins(Beginning),
}

/// Why no slot concerns a game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// There is no game in the engine yet.
    NotInitialised,
    /// It should not run.
    Stopped,
    /// The engine said that the game is over.
    Finished,
}

/// From when on slots count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The engine has the game now. No slot before is spoken of.
    Initialised,
    /// The game should run again. The slots while it was stopped are skipped.
    Started,
    /// The pause is over. The slots while it lasted are skipped.
    Resumed,
    /// Schedule or zone changed. Slots of the old schedule that were waiting are forgotten, and a
    /// forced turn no longer stands for the next one; no slot of the new one before now is spoken of.
    ScheduleChanged,
}

/// Decides what the present look calls for.
///
/// # Errors
/// When the spec was not validated with the zones and the grammar of today; nothing is decided then.
pub fn decide(spec: &TurnSpec, look: &Look<'_>) -> Result<Decision, ScheduleError> {
    Ok(match Slots::of(spec)? {
        Some(slots) => Judge::new(spec, &slots, look).decide(),
        None => by_hand(look),
    })
}

/// Without a schedule there are only forced turns.
fn by_hand(look: &Look<'_>) -> Decision {
    let mut decision = Decision::unchanged(look);
    if matches!(look.situation, Situation::Ready | Situation::TurnEnded) && look.forced {
        decision.force(None);
    }
    decision
}

/// How late a slot may be found and still be on time: a tenth of the way to the next one, but five
/// seconds at least and a minute at most.
///
/// Five seconds are what Docker's silence is ridden out for and a replaced controller takes; to a
/// schedule of a turn a day a minute is nothing, while to one of a turn every twenty seconds a slot
/// ten seconds ago is gone.
pub fn tolerance(slots: &Slots, slot: Timestamp) -> SignedDuration {
    let (least, most) = (SignedDuration::from_secs(5), SignedDuration::from_secs(60));
    let pace = slots.next_after(slot).map_or(SignedDuration::MAX, |next| next.duration_since(slot));
    (pace / 10).clamp(least, most)
}
