//! One transaction of the recorder: what it writes, and what becomes of it.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QuerySelect};
use uuid::Uuid;

use super::super::again::{MayPass, again};
use super::super::connection::{BRIEFLY, Transaction, is_unanswered};
use super::super::entity::instance;
use super::super::fault::{self, Fault};
use super::super::{HeldLease, Store, feed, lease, open, outbox};
use super::{LONGEST, RecordError, Recording, locked, write};

/// So soon it is asked once more whether a record was written.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// So long one of many may wait for a row that others have locked, once it is known that one of them waits.
const AT_ONCE: Duration = Duration::from_millis(50);

/// So long a statement may take that took too long before, or is one of several of which one did.
const HURRIED: Duration = Duration::from_millis(2_500);

/// The care that a transaction takes of recordings that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// All of it or nothing: mostly nothing fails.
    Together,
    /// Each by itself: what fails is undone, and the others are written. One of them has failed before.
    Each,
    /// A single one that has failed before, or that ends the life of its game: what hangs on that is others'.
    Alone,
}

impl Care {
    /// Its limits for locks and for statements; the session's where there are none.
    fn limits(self) -> (Option<Duration>, Option<Duration>) {
        match self {
            Self::Together => (None, None),
            Self::Each => (Some(AT_ONCE), Some(HURRIED)),
            Self::Alone => (Some(BRIEFLY), Some(HURRIED)),
        }
    }
}

/// A transaction that was committed.
pub(super) struct Batch {
    /// The high-water counter, if it moved.
    pub(super) high_water: Option<i64>,
    /// The outcome of each recording.
    pub(super) fates: Vec<Fate>,
    /// An event for the lobby that went with it, if any did.
    pub(super) told: Option<Uuid>,
}

/// The outcome of a recording in a transaction that was committed.
#[derive(Debug)]
pub(super) enum Fate {
    Written,
    /// There was no time left for it.
    Waits,
    /// These have locked its rows.
    Locked(String),
    /// Nothing of it was written.
    Failed(DbErr),
}

impl Fate {
    pub(super) fn is_written(&self) -> bool {
        matches!(self, Self::Written)
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// The reason that nothing was written.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another leader has taken over.
    Deposed,
    /// The database is an older one: it would come to this number, and to that was committed.
    DatabaseOlder { counts: i64, committed: i64 },
    /// The database is at fault, or what all recordings have in common.
    OfEverybody(DbErr),
    /// One recording is, and which is known: the only one, or that at which it failed.
    OfOne(DbErr),
    /// One recording may be: it failed as all of them were committed.
    OfAny(DbErr),
}

/// A failed attempt to write.
enum Attempt {
    /// Nothing was written.
    Failed(Failure),
    /// Nobody said whether it was written; what would have been is here then.
    Unanswered(Batch, DbErr),
}

impl From<DbErr> for Attempt {
    fn from(error: DbErr) -> Self {
        Self::Failed(Failure::OfEverybody(error))
    }
}

impl MayPass for Attempt {
    fn of_database(&self) -> Option<&DbErr> {
        match self {
            Self::Failed(Failure::OfEverybody(error) | Failure::OfOne(error) | Failure::OfAny(error)) => {
                Some(error)
            }
            Self::Failed(Failure::Deposed | Failure::DatabaseOlder { .. }) | Self::Unanswered(..) => None,
        }
    }
}

impl Store {
    /// Writes all or nothing of what can be written now.
    pub(super) async fn write(
        &self,
        lease: HeldLease,
        recordings: &[&Recording],
        care: Care,
    ) -> Result<Batch, Failure> {
        let batch = match again(|| self.try_write(lease, recordings, care)).await {
            Err(Attempt::Unanswered(batch, error)) => self.settled(lease, batch, error).await?,
            Err(Attempt::Failed(failure)) => return Err(failure),
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

    async fn try_write(
        &self,
        lease: HeldLease,
        recordings: &[&Recording],
        care: Care,
    ) -> Result<Batch, Attempt> {
        let began = Instant::now();
        let transaction = self.db.begin_writing().await?;
        if !lease::holds(&transaction, lease).await? {
            return Err(Attempt::Failed(Failure::Deposed));
        }
        let locked = locked::find(&transaction, recordings).await?;
        // The holder of this keeps everybody waiting, and no single game.
        feed::hold_observed(&transaction).await?;
        let number = write::observed_number(&transaction).await?;
        let (lock, statement) = care.limits();
        for (setting, limit) in [("lock_timeout", lock), ("statement_timeout", statement)] {
            if let Some(limit) = limit {
                transaction.limit(setting, limit).await?;
            }
        }
        let (mut fates, mut counts, mut told) = (Vec::with_capacity(recordings.len()), false, None);
        for recording in recordings {
            if let Some(who) = locked.get(&recording.game).cloned() {
                fates.push(Fate::Locked(who));
                continue;
            }
            let is_late = began.elapsed() > LONGEST;
            if is_late && (fates.iter().any(Fate::is_written) || care == Care::Each && !fates.is_empty()) {
                fates.push(Fate::Waits);
                continue;
            }
            let written = if care == Care::Each {
                apart(&transaction, self.one(&transaction, lease, number, recording)).await
            } else {
                self.one(&transaction, lease, number, recording).await.map(Ok)
            };
            match written {
                Ok(Ok(event)) => {
                    fates.push(Fate::Written);
                    counts |= recording.counts;
                    told = event.or(told);
                }
                Ok(Err(error)) => fates.push(Fate::Failed(error)),
                Err(error) => return Err(Attempt::Failed(whose(error, Failure::OfOne))),
            }
        }
        let high_water = if counts { Some(write::count_up(&transaction).await?) } else { None };
        // Nobody else moves it in this epoch: one that is not above all that was seen is an older database.
        let committed = self.lineage.furthest();
        if let Some(counts) = high_water.filter(|counts| *counts <= committed) {
            return Err(Attempt::Failed(Failure::DatabaseOlder { counts, committed }));
        }
        let batch = Batch { high_water, fates, told };
        match transaction.commit().await {
            Ok(()) => Ok(batch),
            Err(error) if is_unanswered(&error) => Err(Attempt::Unanswered(batch, error)),
            Err(error) => Err(Attempt::Failed(whose(error, Failure::OfAny))),
        }
    }

    /// Writes one recording. Gives an event that the lobby is told by it, if there is one.
    async fn one(
        &self,
        transaction: &Transaction,
        lease: HeldLease,
        number: i64,
        recording: &Recording,
    ) -> Result<Option<Uuid>, DbErr> {
        write::write_one(transaction, lease.epoch, number, recording).await?;
        if self.tells_lobby { write::tell_lobby(transaction, recording).await } else { Ok(None) }
    }

    /// Finds out whether a transaction was committed whose commit had no answer. That says the counter, which
    /// nobody else moves under this lease; or, where it does not move, an event that the lobby was told. What has
    /// neither, no operation among it, is simply asked for again.
    async fn settled(&self, lease: HeldLease, batch: Batch, error: DbErr) -> Result<Batch, Failure> {
        if batch.high_water.is_none() && batch.told.is_none() {
            return Err(Failure::OfEverybody(error));
        }
        let read = || async {
            let transaction = self.db.begin_writing().await?;
            if !lease::holds(&transaction, lease).await? {
                return Err(RecordError::Deposed);
            }
            // Locked, as every such transaction does: what became of it is decided when this is answered.
            feed::hold_observed(&transaction).await?;
            let row = instance::Entity::find().lock_exclusive().one(&transaction).await?;
            let counter = row.ok_or_else(open::missing("instance"))?.high_water;
            let is_committed = match (batch.high_water, batch.told) {
                (None, Some(event)) => outbox::is_written(&transaction, event).await?,
                (moved, _) => moved == Some(counter),
            };
            transaction.rollback().await?;
            Ok(is_committed)
        };
        // Until somebody says so, whatever is in the way: whoever took it for not written would write it a
        // second time.
        let is_committed = loop {
            match again(read).await {
                Ok(is_committed) => break is_committed,
                Err(RecordError::Deposed) => return Err(Failure::Deposed),
                Err(failed) => {
                    tracing::warn!(
                        error = &failed as &dyn std::error::Error,
                        "whether a record was written is not known yet"
                    );
                    if self.ending.is_cancelled() {
                        return Err(Failure::OfEverybody(error));
                    }
                    tokio::time::sleep(ASKED_AGAIN).await;
                }
            }
        };
        if is_committed { Ok(batch) } else { Err(Failure::OfEverybody(error)) }
    }
}

fn whose(error: DbErr, one: impl FnOnce(DbErr) -> Failure) -> Failure {
    if fault::of(&error).is_of_everybody() { Failure::OfEverybody(error) } else { one(error) }
}

/// Does it within the transaction, and undoes it if it fails for what it is. Everything else ends the
/// transaction.
async fn apart<T>(
    transaction: &Transaction,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<Result<T, DbErr>, DbErr> {
    transaction.execute_unprepared("SAVEPOINT recording").await?;
    let done = work.await;
    let ends = match &done {
        Ok(_) => "RELEASE SAVEPOINT recording",
        Err(error) if fault::of(error).is_of_everybody() => return done.map(Ok),
        Err(_) => "ROLLBACK TO SAVEPOINT recording; RELEASE SAVEPOINT recording",
    };
    transaction.execute_unprepared(ends).await?;
    Ok(done)
}

/// Waited for somebody else's lock, for longer than is waited.
pub(super) fn waited(error: &DbErr) -> bool {
    fault::of(error) == Fault::Waited
}
