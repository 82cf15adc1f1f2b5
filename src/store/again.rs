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

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use super::StoreError;
use super::connection::is_locked;
use super::desired::WriteError;
use super::file::is_replaced;
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

/// Whether it is the database's state that is at fault, rather than what was to be written.
pub(super) fn passes(error: &DbErr) -> bool {
    gave_way(error) || is_lost(error) || is_replaced(error) || waited(error) || is_unavailable(error)
}

/// Whether the database refuses what was to be written, and would refuse it again.
pub(super) fn refuses(error: &DbErr) -> bool {
    if let Some(state) = state(error) {
        // What the data is, what holds for it, how large it may be, and what a trigger raises.
        return ["22", "23", "54", "P0"].iter().any(|class| state.starts_with(class));
    }
    match sqlx_error(error) {
        Some(SqlxError::Database(error)) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            // SQLite: too big, constraint, mismatch; in the lowest byte of its codes.
            code.is_some_and(|code| matches!(code & 0xff, 18..=20))
        }
        Some(SqlxError::Encode(_)) => true,
        _ => matches!(error, DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. }),
    }
}

/// Whether the database gave the transaction up for another one's sake.
fn gave_way(error: &DbErr) -> bool {
    state(error).is_some_and(|state| ["40001", "40P01"].contains(&state.as_str()))
}

/// Whether somebody else's transaction is why this one was given up: after all attempts, or after it
/// has waited for as long as a write waits. Nothing of it was written, and it may be tried again.
pub(super) fn is_contended(error: &DbErr) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    if is_locked(error) {
        return true;
    }
    match state(error) {
        Some(state) => ["40001", "40P01", "55P03"].contains(&state.as_str()),
        None => sqlite_code(error).is_some_and(|code| [BUSY, LOCKED].contains(&(code & 0xff))),
    }
}

/// SQLite's extended code.
fn sqlite_code(error: &DbErr) -> Option<u32> {
    sqlx_error(error)?.as_database_error()?.code()?.parse().ok()
}

/// Whether somebody else had locked what was to be written, for longer than the session waits.
pub(super) fn waited(error: &DbErr) -> bool {
    state(error).is_some_and(|state| state == "55P03")
}

/// Whether the connection was lost, or the server is going down or coming up.
pub(super) fn is_lost(error: &DbErr) -> bool {
    if let Some(state) = state(error) {
        return ends_session(&state);
    }
    match error {
        DbErr::ConnectionAcquire(error) => *error == ConnAcquireErr::ConnectionClosed,
        error => sqlx_error(error).is_some_and(|error| {
            matches!(error, SqlxError::Io(_) | SqlxError::Protocol(_) | SqlxError::WorkerCrashed)
        }),
    }
}

/// Whether a session that says so is over. Among them one that was idle for too long, in a transaction or
/// between two, and one whose transaction took too long.
fn ends_session(state: &str) -> bool {
    state.starts_with("08") || ["25P03", "25P04", "57P01", "57P02", "57P03", "57P05"].contains(&state)
}

/// Whether the server takes no writes: it is a standby, or was made one.
pub(super) fn takes_no_writes(error: &DbErr) -> bool {
    state(error).is_some_and(|state| state == "25006")
}

/// The SQLSTATE of a statement that took longer than its session may.
const TOO_SLOW: &str = "57014";

/// Whether it took longer than it may: what was asked for may be to blame.
pub(super) fn was_too_slow(error: &DbErr) -> bool {
    state(error).is_some_and(|state| state == TOO_SLOW)
}

/// Whether the database is in no state to do it, whoever asks for it and whatever it is: it has no
/// connection, memory, room on its disk or time left, or no right to its own tables.
pub(super) fn is_unavailable(error: &DbErr) -> bool {
    let lacks = |state: &str| {
        let is_state = ["53", "57"].iter().any(|class| state.starts_with(class)) && state != TOO_SLOW;
        is_state || ["3F000", "42501", "42P01"].contains(&state)
    };
    is_lost(error)
        || takes_no_writes(error)
        || state(error).is_some_and(|state| lacks(&state))
        || matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)))
}

/// The SQLSTATE of what PostgreSQL says. (SQLite has numbers of other kinds.)
fn state(error: &DbErr) -> Option<String> {
    let code = sqlx_error(error)?.as_database_error()?.code()?;
    Some(code.into_owned()).filter(|code| code.len() == 5)
}

pub(super) fn sqlx_error(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_is_a_lost_connection_and_a_refusal_is_not() {
        for state in ["08006", "25P03", "25P04", "57P01", "57P05"] {
            assert!(ends_session(state), "{state}");
        }
        for state in ["25006", "25P02", "40001", "53300", "57014", "23505"] {
            assert!(!ends_session(state), "{state}");
        }
    }
}
