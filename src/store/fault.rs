//! The one table of what a database says when something fails, by its codes and never by its words.
//!
//! Everything that decides on an error asks here: whether a write is made again ([`super::again`]), whether
//! it is refused and by which rule ([`super::refusal`]), and whose fault it is ([`super::recorder`]).

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::{PgDatabaseError, PgSeverity};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use super::connection::{is_locked, is_unanswered};
use super::file::is_replaced;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The transaction was given up for another one's sake.
    GaveWay,
    /// Somebody else had locked a row or a table for longer than is waited.
    Waited,
    /// The embedded database was somebody else's for longer than is waited.
    Busy,
    /// The connection was lost, or the server is going down or coming up.
    Lost,
    /// The connection was lost within a commit: nobody knows what became of it.
    Unanswered,
    /// The server takes no writes: it is a standby, or was made one.
    ReadOnly,
    /// No connection, memory or room on the disk, or nobody is let in.
    Unavailable,
    /// The statement took longer than its session may, or was cancelled: what was asked for may be to blame.
    TooSlow,
    /// No right to our own tables, or no such tables.
    Denied,
    /// The data, or a rule that holds for it, whosesoever: it would be refused again.
    Refused,
    /// Anything else.
    Other,
}

impl Fault {
    /// The database's state is at fault, whatever is written; otherwise it may be a single row of what was.
    pub(super) fn is_of_everybody(self) -> bool {
        match self {
            Self::GaveWay
            | Self::Busy
            | Self::Lost
            | Self::Unanswered
            | Self::ReadOnly
            | Self::Unavailable => true,
            Self::Waited | Self::TooSlow | Self::Denied | Self::Refused | Self::Other => false,
        }
    }
}

/// Classifies an error.
pub(super) fn of(error: &DbErr) -> Fault {
    match error {
        DbErr::Custom(_) if is_locked(error) => return Fault::Waited,
        DbErr::Custom(_) if is_unanswered(error) => return Fault::Unanswered,
        DbErr::Custom(_) if is_replaced(error) => return Fault::Unavailable,
        DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => return Fault::Lost,
        // The latter is a reason in words: no connection comes about.
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => return Fault::Unavailable,
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => return Fault::Refused,
        _ => {}
    }
    match sqlx_error(error) {
        Some(SqlxError::Database(error)) => of_database(&**error),
        Some(SqlxError::Io(_) | SqlxError::Protocol(_) | SqlxError::WorkerCrashed) => Fault::Lost,
        Some(SqlxError::Tls(_)) => Fault::Unavailable,
        Some(SqlxError::Encode(_)) => Fault::Refused,
        _ => Fault::Other,
    }
}

/// The database's own answer that this failed. Any other error leaves open whether it was done.
pub(super) fn is_answer(error: &DbErr) -> bool {
    match sqlx_error(error) {
        Some(SqlxError::Database(error)) => !ends_session(&**error),
        _ => false,
    }
}

fn of_database(error: &dyn DatabaseError) -> Fault {
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(postgres) => of_state(postgres.code(), ends_session(error), is_within(postgres)),
        None => error.code().and_then(|code| code.parse().ok()).map_or(Fault::Other, of_code),
    }
}

fn ends_session(error: &dyn DatabaseError) -> bool {
    error
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// Failed within a function, as a trigger is, and not in the statement itself.
fn is_within(error: &PgDatabaseError) -> bool {
    is_raised(error) || error.r#where().is_some_and(|within| !within.is_empty())
}

/// Raised by a function with `RAISE`: its code is whatever its author chose.
pub(super) fn is_raised(error: &PgDatabaseError) -> bool {
    error.routine() == Some("exec_stmt_raise")
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>); whether the session ends
/// with it; and whether it failed within a function.
fn of_state(state: &str, ends_session: bool, within: bool) -> Fault {
    let class = state.get(..2).unwrap_or_default();
    match (state, class) {
        // Among them the end of a session that was idle, or in a transaction, for too long.
        ("25P03" | "25P04" | "57P01" | "57P02" | "57P03" | "57P05", _) | (_, "08") => Fault::Lost,
        (_, "40") => Fault::GaveWay,
        ("55P03", _) => Fault::Waited,
        ("25006", _) => Fault::ReadOnly,
        ("57014", _) => Fault::TooSlow,
        (_, "53" | "57") => Fault::Unavailable,
        _ if ends_session => Fault::Unavailable,
        (_, "22" | "23" | "54" | "P0") => Fault::Refused,
        // A broken file or a bug of the server's is nobody's rule.
        (_, "58" | "F0" | "XX") => Fault::Other,
        // A trigger of somebody else's that cannot do its work refuses the row.
        _ if within => Fault::Refused,
        ("3F000" | "42501" | "42P01", _) => Fault::Denied,
        ("55000", _) | (_, "28" | "3D") => Fault::Unavailable,
        _ => Fault::Other,
    }
}

/// By SQLite's extended code, whose lowest byte is the kind (<https://www.sqlite.org/rescode.html>).
fn of_code(code: u32) -> Fault {
    match code & 0xff {
        // Busy, locked.
        5 | 6 => Fault::Busy,
        // No memory, read-only, an I/O error, full, cannot be opened.
        7 | 8 | 10 | 13 | 14 => Fault::Unavailable,
        // Too big, a constraint, a type that does not fit.
        18..=20 => Fault::Refused,
        _ => Fault::Other,
    }
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
    fn each_state_of_postgresql_means_one_thing() {
        for (states, told) in [
            ("40001 40P01", Fault::GaveWay),
            ("55P03", Fault::Waited),
            ("08006 08P01 25P03 25P04 57P01 57P02 57P03 57P05", Fault::Lost),
            ("25006", Fault::ReadOnly),
            ("53100 53200 53300 57P04 28000 28P01 3D000 55000", Fault::Unavailable),
            ("57014", Fault::TooSlow),
            ("42501 42P01 3F000", Fault::Denied),
            ("22001 22P05 23502 23505 23514 54000 P0001 P0002", Fault::Refused),
            ("42703 XX000 58030 0A000", Fault::Other),
        ] {
            for state in states.split(' ') {
                assert_eq!(of_state(state, false, false), told, "{state}");
            }
        }
        // A trigger that raises an error, or cannot do its work, refuses the row, by whatever code.
        for state in "42501 42P01 3F000 42703 42883 28000 55000 0A000 38000 GK001".split(' ') {
            assert_eq!(of_state(state, false, true), Fault::Refused, "{state}");
        }
        for state in "40001 55P03 57014 25006 53100 XX000".split(' ') {
            assert_eq!(of_state(state, false, true), of_state(state, false, false), "{state}");
        }
        // A login that is refused says nothing of a row.
        for state in "28000 3D000 42501 55000 XX000 22023".split(' ') {
            assert_eq!(of_state(state, true, false), Fault::Unavailable, "{state}");
        }
    }

    #[test]
    fn a_fault_of_the_database_is_nobodys_in_particular() {
        for state in "08006 25006 28P01 3D000 40P01 53100 57P01".split(' ') {
            assert!(of_state(state, false, false).is_of_everybody(), "{state}");
        }
        for state in "23514 42501 42P01 3F000 55P03 57014 P0001 XX000".split(' ') {
            assert!(!of_state(state, false, false).is_of_everybody(), "{state}");
        }
        for code in [5, 6, 10, 13, 517, 522] {
            assert!(of_code(code).is_of_everybody(), "{code}");
        }
        for code in [1, 11, 18, 20, 275, 1811] {
            assert!(!of_code(code).is_of_everybody(), "{code}");
        }
    }
}
