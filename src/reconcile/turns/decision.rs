//! What a decision says, as plain data.

use jiff::Timestamp;

use super::{Look, Off, Situation, reason, words};

/// What is to be written down and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The turn that begins, if one does.
    pub open: Option<Opening>,
    /// What became of slots, for good; told once, ascending, at most [`ROWS`].
    pub decided: Vec<SlotFate>,
    /// Slots that wait; told again at every look until they are decided, and the same each time as
    /// long as what they wait for is the same. Ascending, at most [`ROWS`].
    pub deferred: Vec<SlotFate>,
    /// What becomes of the request for a forced turn.
    pub request: Request,
    /// The cursor from now on.
    pub cursor: Option<Timestamp>,
    /// The cursor was far ahead of now and went back: from where.
    pub reset_from: Option<Timestamp>,
    /// When the next turn is due by the schedule. What is deferred without a time (an engine is
    /// down) comes earlier.
    pub next_turn: Option<Timestamp>,
    /// When to look again if nothing happens before.
    pub look_at: Option<Timestamp>,
}

/// A turn that begins now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What brought it about.
    pub cause: Cause,
    /// The same in a sentence.
    pub why: String,
}

/// What brought a turn about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A slot of the schedule.
    Schedule {
        /// Which one: the newest that passed.
        slot: Timestamp,
    },
    /// A request.
    Forced {
        /// The slot whose place it takes: one that is due, or else the next.
        takes: Option<Timestamp>,
    },
}

impl Cause {
    /// The slot that belongs into the turn's ledger row.
    pub fn slot(self) -> Option<Timestamp> {
        match self {
            Self::Schedule { slot } => Some(slot),
            Self::Forced { takes } => takes,
        }
    }
}

/// What became of a slot, and why. Where more than [`ROWS`] passed at once, the first of them
/// stands for several and its message says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFate {
    /// When it was due by the schedule.
    pub slot: Timestamp,
    /// Where the row stands for several: the last of them.
    pub until: Option<Timestamp>,
    /// What became of it.
    pub fate: Fate,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its turn began.
    Fired,
    /// One turn stands for it and others.
    Coalesced,
    /// No turn stands for it, nor will.
    Skipped,
    /// Not decided yet.
    Deferred,
    /// A forced turn took its place.
    Consumed,
}

impl Fate {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Coalesced => "coalesced",
            Self::Skipped => "skipped",
            Self::Deferred => "deferred",
            Self::Consumed => "consumed",
        }
    }
}

/// What becomes of a request for a forced turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// There was none.
    None,
    /// It stays, until a turn may begin.
    Kept,
    /// Its turn begins, and stands for every request so far.
    Granted,
    /// It is used up without a turn.
    Refused {
        /// One CamelCase word.
        reason: &'static str,
        /// A sentence.
        message: &'static str,
    },
}

impl Decision {
    /// Nothing decided, nothing opened.
    pub(super) fn unchanged(look: &Look<'_>) -> Self {
        Self {
            open: None,
            decided: Vec::new(),
            deferred: Vec::new(),
            request: request(look),
            cursor: look.cursor,
            reset_from: None,
            next_turn: None,
            look_at: None,
        }
    }

    /// A forced turn begins.
    pub(super) fn force(&mut self, takes: Option<Timestamp>) {
        self.request = Request::Granted;
        self.open = Some(Opening { cause: Cause::Forced { takes }, why: words::forced(takes) });
    }
}

/// What becomes of the request where no forced turn begins.
fn request(look: &Look<'_>) -> Request {
    if !look.forced {
        return Request::None;
    }
    match look.situation {
        Situation::Off(Off::Stopped) => Request::Refused {
            reason: reason::STOPPED,
            message: "No turn can be forced: the game is stopped.",
        },
        Situation::Off(Off::Finished) => {
            Request::Refused { reason: "Finished", message: "No turn can be forced: the game is finished." }
        }
        Situation::Ready
        | Situation::TurnOpen
        | Situation::TurnEnded
        | Situation::Held { .. }
        | Situation::Paused
        | Situation::Off(Off::NotInitialised)
        | Situation::Begins(_) => Request::Kept,
    }
}
