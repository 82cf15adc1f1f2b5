//! Writes of observed state: one writer, many games in one transaction.
//!
//! A round asks for its record to be written and waits until it is on disk before it takes its
//! first step. Many rounds ask at the same time; what is there when the last commit ends goes into
//! the next one together, so that a hundred games cost few flushes. Every transaction checks first
//! that the lease is still this leader's.
//!
//! There is one writer, so what it waits for every game waits for. It has a connection of its own, and
//! never waits for a row of a game that others have locked: that game is told who has, and asks again.
//! What is nobody's but the controller's is waited for as long as the session's `lock_timeout` says.
//!
//! *Guarantees.* What fails for one recording is that recording's: the others of its transaction are written,
//! and from then on it goes by itself, with little time, until it is written. A deletion always does.

mod attempt;
mod locked;
mod queue;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use sea_orm::DbErr;
use tokio::sync::{mpsc, oneshot, watch};

use crate::game::operation::{Ending, NewOperation};
use crate::game::player::{Mapping, Report, Standing};
use crate::game::record::Record;
use crate::game::spec::Deletion;
use crate::game::turn::{DecidedSlot, LedgerEntry};
use crate::game::{EngineVersion, GameId, Name, Namespace, OperationId};

use super::fault::{self, Fault};
use super::outbox::NewLobbyEvent;
use super::{HeldLease, Store};

/// How many writes may wait, and how many go into one transaction.
const WAITING: usize = 1_024;
const AT_ONCE: usize = 256;

/// A transaction that took so long takes nothing more in: others get their turn, and the fence is let go of. How
/// long it takes to commit counts for nothing, as on a slow disk that is the same for one recording and for many.
const LONGEST: Duration = Duration::from_secs(2);

/// The longest message of an event and cause of an operation that the schema takes, in bytes.
pub(super) const SHORT_MESSAGE: usize = 1_024;

/// Why nothing was recorded; nothing may be done then.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another leader has taken over.
    #[error("another controller leads now; this one decides nothing more")]
    Deposed,
    /// The database is an older one than was committed to: a replica that lags behind was promoted, or a
    /// backup was put back.
    #[error("the database counts {counts}, though {committed} was committed; it is an older one")]
    DatabaseOlder {
        /// The number that its high-water counter would become.
        counts: i64,
        /// The number that it is known to have been.
        committed: i64,
    },
    /// The slot of a turn that was to begin has one already: a clock had jumped.
    #[error("the slot {0} has a turn already")]
    SlotTaken(jiff::Timestamp),
    /// Somebody else has locked rows of this game.
    #[error("its rows are locked by {0}; it is tried again")]
    Locked(String),
    /// The database refuses this one, and takes others: something of somebody else's is in the way.
    #[error("the database refuses to record it")]
    Refused(#[source] DbErr),
    /// The database failed.
    #[error("the database could not record it")]
    Database(#[from] DbErr),
    /// The recorder has ended: the controller is shutting down.
    #[error("the controller is shutting down")]
    Closed,
}

impl RecordError {
    /// Whether it is this game's record alone that was not written: refused, or behind somebody's lock.
    pub fn is_of_one_game(&self) -> bool {
        matches!(self, Self::Locked(_)) || self.is_refusal()
    }

    /// True if it may be on record all the same: nobody said what became of it.
    pub fn may_be_written(&self) -> bool {
        matches!(self, Self::Database(_)) && !self.is_of_one_game()
    }

    /// Whether the database refuses what there is to record, so that asking again changes nothing.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Database(error) => fault::of(error) == Fault::Refused,
            Self::Deposed
            | Self::DatabaseOlder { .. }
            | Self::SlotTaken(_)
            | Self::Locked(_)
            | Self::Closed => false,
        }
    }
}

/// What one round wants on record before it acts.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Which game.
    pub game: GameId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its handle.
    pub name: Name,
    /// The status.
    pub record: Record,
    /// How an open operation ends.
    pub close: Option<(OperationId, Ending)>,
    /// The operation that begins.
    pub open: Option<(OperationId, NewOperation)>,
    /// One that ends as it begins.
    pub at_once: Vec<(OperationId, NewOperation, Ending)>,
    /// The user behind the present spec.
    pub requested_by: String,
    /// The request behind the present spec.
    pub request_id: String,
    /// Who is which player of the engine, if that changed.
    pub players: Option<Vec<Mapping>>,
    /// How users do of whom that changed.
    pub standings: Vec<Standing>,
    /// What the engine reported, if that is to be kept.
    pub report: Option<Report>,
    /// A change to this version failed.
    pub failed_version: Option<EngineVersion>,
    /// Turns that are no history of the game any more: those of this timeline after this one (none:
    /// of nobody knows which, so none).
    pub rolled_back: Option<(i64, i64)>,
    /// What there is to tell.
    pub event: Option<RecordedEvent>,
    /// What the lobby is told, in this order.
    pub lobby: Vec<NewLobbyEvent>,
    /// What became of turns.
    pub ledger: Vec<LedgerEntry>,
    /// What was decided about slots.
    pub slots: Vec<DecidedSlot>,
    /// The deletion is done: what is left of its row goes too.
    pub deleted: Option<Deletion>,
    /// It tells of something that was done, so the high-water counter moves. What a frozen
    /// controller shows does not count, or an old database would catch up by showing it.
    pub counts: bool,
}

impl Recording {
    /// A life of the game ends with it: whatever is open of that is closed.
    pub(super) fn ends_life(&self) -> bool {
        self.deleted.is_some() || self.record.deleted_at.is_some()
    }

    /// A status alone.
    pub fn of(game: GameId, namespace: Namespace, name: Name, record: Record) -> Self {
        Self {
            game,
            namespace,
            name,
            record,
            close: None,
            open: None,
            at_once: Vec::new(),
            requested_by: String::new(),
            request_id: String::new(),
            players: None,
            standings: Vec::new(),
            report: None,
            failed_version: None,
            rolled_back: None,
            event: None,
            lobby: Vec::new(),
            ledger: Vec::new(),
            slots: Vec::new(),
            deleted: None,
            counts: true,
        }
    }
}

/// An event to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Something is wrong.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

type Asked = (Box<Recording>, oneshot::Sender<Result<(), RecordError>>);

/// Where rounds hand in what they want on record.
#[derive(Debug, Clone)]
pub struct Recorder {
    asked: mpsc::Sender<Asked>,
    high_water: watch::Receiver<i64>,
}

impl Recorder {
    /// How far the high-water counter has come, as it moves; 0 before the first write.
    pub fn high_water(&self) -> watch::Receiver<i64> {
        self.high_water.clone()
    }

    /// Writes it down; on return it is on disk.
    pub async fn record(&self, recording: Recording) -> Result<(), RecordError> {
        let (done, written) = oneshot::channel();
        self.asked.send((Box::new(recording), done)).await.map_err(|_| RecordError::Closed)?;
        written.await.map_err(|_| RecordError::Closed)?
    }
}

impl Store {
    /// Starts the writer of this leadership. It ends when the last [`Recorder`] is dropped.
    pub fn recorder(&self, lease: HeldLease) -> (Recorder, tokio::task::JoinHandle<()>) {
        let (asked, waiting) = mpsc::channel(WAITING);
        let (moved, high_water) = watch::channel(0);
        let store = Self { db: self.recording.clone(), ..self.clone() };
        let writer = tokio::spawn(queue::Queue::new(store, lease, waiting, moved).write_all());
        (Recorder { asked, high_water }, writer)
    }
}
