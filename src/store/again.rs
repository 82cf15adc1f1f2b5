//! Writes that are made again.
//!
//! A database gives up a transaction for another one's sake (a deadlock, a serialization failure), and
//! a connection may be lost in the middle of one. In both cases nothing of it was written, so making it
//! again from the start is safe, whatever it writes. That is not so once the commit was sent and its
//! answer was lost: [`super::connection::Transaction::commit`] then says so, and nothing is made again
//! here.
//!
//! Every write of this module's siblings goes through [`again`], in one transaction that is begun in it.

use std::time::{Duration, Instant};

use sea_orm::DbErr;

use super::StoreError;
use super::desired::WriteError;
use super::fault::{self, Fault};
use super::outbox::OutboxRefusal;
use super::recorder::RecordError;

/// Between the attempts, each shortened by chance, so that those who met once do not meet again. The
/// last is longer than a connection is trusted without being asked: after a restart of the server all
/// of the pool's are dead.
const WAITS: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(160),
    Duration::from_millis(640),
    Duration::from_millis(2_200),
];

/// No attempt begins later than this: whoever asked would not wait for it.
const LONGEST: Duration = Duration::from_secs(20);

/// What may have been the database's, and passing.
pub(super) trait MayPass {
    /// What the database said, if it was the database.
    fn of_database(&self) -> Option<&DbErr>;
}

impl MayPass for DbErr {
    fn of_database(&self) -> Option<&DbErr> {
        Some(self)
    }
}

impl MayPass for StoreError {
    fn of_database(&self) -> Option<&DbErr> {
        Some(&self.0)
    }
}

impl MayPass for WriteError {
    fn of_database(&self) -> Option<&DbErr> {
        match self {
            Self::Store(error) => error.of_database(),
            Self::NotFound | Self::AlreadyExists | Self::Conflict(_) | Self::Refused(_) | Self::Value(_) => {
                None
            }
        }
    }
}

impl MayPass for OutboxRefusal {
    fn of_database(&self) -> Option<&DbErr> {
        match self {
            Self::Store(error) => error.of_database(),
            Self::NotThere(_) | Self::Arrived(_) => None,
        }
    }
}

impl MayPass for RecordError {
    fn of_database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            Self::Deposed
            | Self::DatabaseOlder { .. }
            | Self::SlotTaken(_)
            | Self::Locked(_)
            | Self::Refused(_)
            | Self::Closed => None,
        }
    }
}

/// Makes a write, and makes it again as long as nothing of it was written and that may pass.
pub(super) async fn again<T, E, F>(write: impl Fn() -> F) -> Result<T, E>
where
    E: MayPass,
    F: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    for wait in WAITS {
        match write().await {
            Err(error)
                if began.elapsed() < LONGEST
                    && error.of_database().is_some_and(|error| gave_way(error) || is_lost(error)) =>
            {
                if let Some(why) = error.of_database() {
                    tracing::debug!(error = why as &dyn std::error::Error, "a write is made again");
                }
                tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..=1.0))).await;
            }
            done => return done,
        }
    }
    write().await
}

/// Whether the database gave the transaction up for another one's sake.
fn gave_way(error: &DbErr) -> bool {
    fault::of(error) == Fault::GaveWay
}

/// Whether somebody else's transaction is why this one was given up: after all attempts, or after it
/// has waited for as long as a write waits. Nothing of it was written, and it may be tried again.
pub(super) fn is_contended(error: &DbErr) -> bool {
    matches!(fault::of(error), Fault::GaveWay | Fault::Waited | Fault::Busy)
}

/// Whether the connection was lost, or the server is going down or coming up.
pub(super) fn is_lost(error: &DbErr) -> bool {
    fault::of(error) == Fault::Lost
}

/// Whether the database is in no state to do it, whoever asks for it and whatever it is: it has no
/// connection, memory, room on its disk or time left, or no right to its own tables.
pub(super) fn is_unavailable(error: &DbErr) -> bool {
    matches!(
        fault::of(error),
        Fault::Lost | Fault::ReadOnly | Fault::Unavailable | Fault::TooSlow | Fault::Denied
    )
}
