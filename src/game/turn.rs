//! Turns: what the ledger says of one, and what becomes of the slots of a schedule.

use jiff::Timestamp;

use super::record::Life;

/// Why a turn is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnCause {
    /// A slot of the schedule.
    Schedule,
    /// Somebody asked for it.
    Forced,
}

impl TurnCause {
    /// As the database has it.
    pub fn as_row(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Forced => "forced",
        }
    }

    /// From what the database has.
    pub fn from_row(text: &str) -> Option<Self> {
        [Self::Schedule, Self::Forced].into_iter().find(|cause| cause.as_row() == text)
    }
}

/// A turn that is not done: a row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTurn {
    /// The number it leads to.
    pub number: i64,
    /// Why it is generated.
    pub cause: TurnCause,
    /// The slot it stands for; none if it took none.
    pub slot: Option<Timestamp>,
    /// How often the engine was asked.
    pub attempts: u32,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How it stands.
    pub state: TurnState,
}

/// How a turn stands that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnState {
    /// On record, not sent.
    Pending,
    /// Sent to this process; what came of it is found out by asking.
    Dispatched {
        /// Which process.
        life: Life,
        /// When.
        at: Timestamp,
        /// When it counts as overdue.
        deadline: Timestamp,
    },
    /// Overdue: tried again only after the process was replaced and asked.
    Failed {
        /// The process that it was sent to.
        life: Life,
        /// Why, in one CamelCase word.
        code: String,
        /// And in a sentence.
        message: String,
    },
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnEnd {
    /// The engine is at its number.
    Done,
    /// It was not sent, or is known not to have been generated, and is not wanted any more.
    Abandoned(CalledOff),
}

/// Why a turn was called off: what its row of the ledger says, and whoever waits for it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledOff {
    /// One CamelCase word.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

impl CalledOff {
    /// The game was paused.
    pub const PAUSED: &str = "Paused";
    /// The game was stopped.
    pub const STOPPED: &str = "Stopped";
    /// The game was deleted.
    pub const DELETED: &str = "Deleted";
    /// An older state was put back.
    pub const PUT_BACK: &str = "PutBack";
    /// Another turn took its place.
    pub const SUPERSEDED: &str = "Superseded";
    /// Why the slots were skipped that the turn was to stand for.
    pub const SLOT_REASON: &str = "TurnCalledOff";
}

/// A row of the ledger as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The turn.
    pub turn: OpenTurn,
    /// How it ended, if it did.
    pub end: Option<TurnEnd>,
}

/// What became of a slot: for good, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedSlot {
    /// When it was due.
    pub slot: Timestamp,
    /// Where the row stands for several slots: the last of them.
    pub until: Option<Timestamp>,
    /// The database's word for what became of it.
    pub decision: &'static str,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The turn that stands for it.
    pub turn: Option<i64>,
}
