//! Writes of observed state: one writer, many games in one transaction.
//!
//! A round asks for its record to be written and waits until it is on disk before it takes its
//! first step. Many rounds ask at the same time; what is there when the last commit ends goes into
//! the next one together, so that a hundred games cost few flushes. Every transaction checks first
//! that the epoch is still this leader's.
//!
//! There is one writer, so what it waits for every game waits for. It has a connection of its own, and
//! never waits for a row of a game that others have locked: that game is told who has, and asks again.
//! What is nobody's but the controller's is waited for as long as the session's `lock_timeout` says.

mod locked;
#[cfg(test)]
mod tests;
mod write;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sea_orm::{DbErr, EntityTrait, QuerySelect};
use tokio::sync::{mpsc, oneshot, watch};

use crate::game::operation::{Ending, NewOperation};
use crate::game::player::{Mapping, Report, Standing};
use crate::game::record::Record;
use crate::game::spec::Deletion;
use crate::game::turn::{DecidedSlot, LedgerEntry};
use crate::game::{EngineVersion, Epoch, GameId, Name, Namespace, OperationId};

use super::again::{MayPass, again, passes, refuses, waited};
use super::connection::is_unanswered;
use super::entity::instance;
use super::outbox::NewLobbyEvent;
use super::{Store, turns};

/// So soon it is asked once more whether a record was written.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// How many writes may wait, and how many go into one transaction.
const WAITING: usize = 1_024;
const AT_ONCE: usize = 256;

/// A transaction that took so long takes nothing more in.
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
        /// What its high-water counter would become.
        counts: i64,
        /// What it is known to have been.
        committed: i64,
    },
    /// The slot of a turn that was to begin has one already: a clock had jumped.
    #[error("the slot {0} has a turn already")]
    SlotTaken(jiff::Timestamp),
    /// Somebody else has locked rows of this game.
    #[error("its rows are locked by {0}; it is tried again")]
    Locked(String),
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
        match self {
            Self::Database(error) => refuses(error) || waited(error),
            Self::Locked(_) => true,
            Self::Deposed | Self::DatabaseOlder { .. } | Self::SlotTaken(_) | Self::Closed => false,
        }
    }

    /// Whether the database refuses what there is to record, so that asking again changes nothing.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Database(error) => refuses(error),
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
    /// Starts the writer of this epoch. It ends when the last [`Recorder`] is dropped.
    pub fn recorder(&self, epoch: Epoch) -> (Recorder, tokio::task::JoinHandle<()>) {
        let (asked, waiting) = mpsc::channel(WAITING);
        let (moved, high_water) = watch::channel(0);
        let store = Self { db: self.recording.clone(), ..self.clone() };
        let writer = tokio::spawn(write_all(store, epoch, waiting, moved));
        (Recorder { asked, high_water }, writer)
    }

    /// Writes all or nothing of what can be written now.
    async fn write(&self, epoch: Epoch, recordings: &[&Recording]) -> Result<Batch, RecordError> {
        let batch = match again(|| self.try_write(epoch, recordings)).await {
            Err(Attempt::Unanswered(batch, error)) => self.settled(epoch, batch, error).await?,
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(batch) => batch,
        };
        if let Some(committed) = batch.high_water {
            self.lineage.saw(committed);
        }
        if self.tells_lobby && recordings.iter().any(|recording| !recording.lobby.is_empty()) {
            self.outbox_written.notify_one();
        }
        Ok(batch)
    }

    async fn try_write(&self, epoch: Epoch, recordings: &[&Recording]) -> Result<Batch, Attempt> {
        let began = Instant::now();
        let transaction = self.db.begin_writing().await?;
        if !super::lease::holds(&transaction, epoch).await? {
            return Err(Attempt::Failed(RecordError::Deposed));
        }
        let locked = locked::find(&transaction, recordings).await?;
        let number = write::observed_number(&transaction).await?;
        let (mut fates, mut counts) = (Vec::with_capacity(recordings.len()), false);
        for recording in recordings {
            if let Some(who) = locked.get(&recording.game).cloned() {
                fates.push(Fate::Locked(who));
                continue;
            }
            if began.elapsed() > LONGEST && fates.contains(&Fate::Written) {
                fates.push(Fate::Waits);
                continue;
            }
            write::write_one(&transaction, epoch, number, recording).await?;
            if self.tells_lobby {
                write::tell_lobby(&transaction, recording).await?;
            }
            fates.push(Fate::Written);
            counts |= recording.counts;
        }
        let high_water = if counts { Some(write::count_up(&transaction).await?) } else { None };
        // Nobody else moves it in this epoch: what is not above all that was seen is an older database.
        let committed = self.lineage.furthest();
        if let Some(counts) = high_water.filter(|counts| *counts <= committed) {
            return Err(Attempt::Failed(RecordError::DatabaseOlder { counts, committed }));
        }
        let batch = Batch { high_water, fates };
        match transaction.commit().await {
            Err(error) if is_unanswered(&error) => Err(Attempt::Unanswered(batch, error)),
            done => Ok(done.map(|()| batch)?),
        }
    }

    /// The connection was lost while it committed. Whether it did says the counter, which nobody else
    /// moves in this epoch. What does not count, no operation among it, is simply asked for again.
    async fn settled(&self, epoch: Epoch, batch: Batch, error: DbErr) -> Result<Batch, RecordError> {
        let Some(moved) = batch.high_water else { return Err(RecordError::Database(error)) };
        let read = || async {
            let transaction = self.db.begin_writing().await?;
            if !super::lease::holds(&transaction, epoch).await? {
                return Err(RecordError::Deposed);
            }
            // Locked: what became of the transaction is decided when this is answered.
            let row = instance::Entity::find().lock_exclusive().one(&transaction).await?;
            transaction.rollback().await?;
            Ok(row.ok_or_else(super::open::missing("instance"))?.high_water)
        };
        // Until somebody says so: whoever took it for not written would write it a second time.
        let counted = loop {
            match again(read).await {
                Err(RecordError::Database(error)) if passes(&error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "whether a record was written is not known yet"
                    );
                    tokio::time::sleep(ASKED_AGAIN).await;
                }
                told => break told?,
            }
        };
        if counted == moved { Ok(batch) } else { Err(RecordError::Database(error)) }
    }
}

/// What one transaction wrote.
struct Batch {
    /// The high-water counter, if it moved.
    high_water: Option<i64>,
    /// What became of each recording.
    fates: Vec<Fate>,
}

/// What became of a recording in a transaction that was committed.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Written,
    /// There was no time left for it.
    Waits,
    /// These have locked its rows.
    Locked(String),
}

/// How an attempt to write failed.
enum Attempt {
    /// Nothing was written.
    Failed(RecordError),
    /// Nobody said whether it was written; what would have been is here then.
    Unanswered(Batch, DbErr),
}

impl From<DbErr> for Attempt {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl MayPass for Attempt {
    fn of_database(&self) -> Option<&DbErr> {
        match self {
            Self::Failed(error) => error.of_database(),
            Self::Unanswered(..) => None,
        }
    }
}

impl Store {
    /// Whether what failed was a slot that has a turn: then the round has to look for another.
    async fn explained(
        &self,
        result: Result<(), RecordError>,
        recording: &Recording,
    ) -> Result<(), RecordError> {
        if let Err(RecordError::Database(_)) = &result
            && let Ok(Some(slot)) = turns::taken_slot(&self.db, recording).await
        {
            return Err(RecordError::SlotTaken(slot));
        }
        result
    }
}

async fn write_all(
    store: Store,
    epoch: Epoch,
    mut waiting: mpsc::Receiver<Asked>,
    high_water: watch::Sender<i64>,
) {
    let mut records = VecDeque::with_capacity(AT_ONCE);
    let mut deletions = VecDeque::new();
    let mut some = Vec::with_capacity(AT_ONCE);
    let mut most = AT_ONCE;
    loop {
        if records.is_empty() && deletions.is_empty() && waiting.recv_many(&mut some, AT_ONCE).await == 0 {
            return;
        }
        while some.len() < AT_ONCE
            && let Ok(asked) = waiting.try_recv()
        {
            some.push(asked);
        }
        for asked in some.drain(..) {
            if asked.0.deleted.is_some() { deletions.push_back(asked) } else { records.push_back(asked) }
        }
        let batch: Vec<Asked> = records.drain(..records.len().min(most)).collect();
        if !batch.is_empty() {
            let began = Instant::now();
            let later = write_batch(&store, epoch, batch, &high_water).await;
            most = as_many(most, began.elapsed());
            for asked in later.into_iter().rev() {
                records.push_front(asked);
            }
        }
        // By itself, since its row is also others', who may do with it what nobody here foresees; and one at
        // a time between the records, so that those of other games wait for one of them at most.
        if let Some(deletion) = deletions.pop_front() {
            deletions.extend(write_batch(&store, epoch, vec![deletion], &high_water).await);
        }
    }
}

/// How many go into the next transaction, after one that took so long: however slow the disk is, others
/// get their turn within a second or two.
fn as_many(most: usize, took: Duration) -> usize {
    if took > LONGEST {
        (most / 2).max(1)
    } else if took < LONGEST / 4 {
        (most * 2).min(AT_ONCE)
    } else {
        most
    }
}

/// Writes them together, or one by one if the database refuses that. Gives those that have to wait.
async fn write_batch(
    store: &Store,
    epoch: Epoch,
    mut batch: Vec<Asked>,
    high_water: &watch::Sender<i64>,
) -> Vec<Asked> {
    let recordings: Vec<&Recording> = batch.iter().map(|(recording, _)| &**recording).collect();
    match store.write(epoch, &recordings).await {
        Ok(written) => return settle(batch, written, high_water),
        Err(RecordError::Deposed) => answer(&mut batch, || Err(RecordError::Deposed)),
        Err(RecordError::DatabaseOlder { counts, committed }) => {
            answer(&mut batch, || Err(RecordError::DatabaseOlder { counts, committed }));
        }
        // Nobody's fault: each of them asks again.
        Err(RecordError::Database(error)) if passes(&error) || is_unanswered(&error) => {
            answer(&mut batch, || Err(RecordError::Database(error.clone())));
        }
        Err(RecordError::Database(error)) if batch.len() > 1 => {
            // One of them may be what the database refuses: the others must not suffer for it.
            tracing::warn!(error = &error as &dyn std::error::Error, "games are recorded one by one");
            for asked in batch {
                match store.write(epoch, &[&asked.0]).await {
                    Ok(written) => drop(settle(vec![asked], written, high_water)),
                    Err(error) => refuse(store, asked, error).await,
                }
            }
            return Vec::new();
        }
        Err(error) => {
            if let Some(asked) = batch.pop() {
                refuse(store, asked, error).await;
            }
        }
    }
    Vec::new()
}

/// Answers each as it fared. Gives those that have to wait.
fn settle(batch: Vec<Asked>, written: Batch, high_water: &watch::Sender<i64>) -> Vec<Asked> {
    high_water.send_if_modified(|kept| written.high_water.map(|moved| *kept = moved).is_some());
    let mut later = Vec::new();
    for ((recording, done), fate) in batch.into_iter().zip(written.fates) {
        // A round that no longer waits will look again.
        match fate {
            Fate::Written => drop(done.send(Ok(()))),
            Fate::Locked(who) => drop(done.send(Err(RecordError::Locked(who)))),
            Fate::Waits => later.push((recording, done)),
        }
    }
    later
}

async fn refuse(store: &Store, (recording, done): Asked, error: RecordError) {
    let _ = done.send(store.explained(Err(error), &recording).await);
}

fn answer(batch: &mut Vec<Asked>, result: impl Fn() -> Result<(), RecordError>) {
    for (_, done) in batch.drain(..) {
        // A round that no longer waits will look again.
        let _ = done.send(result());
    }
}
