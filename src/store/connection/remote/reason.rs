//! The reason that no connection comes about.
//!
//! The driver tries again and says nothing while a server refuses, is full or is starting up, and when a
//! session is not what was asked for; in the end there is a timeout without a reason. So whoever had no
//! connection has one made beside the pool, once for all who ask at the same time, and passes on what
//! became of it.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use sea_orm::sqlx::{ConnectOptions, Connection, Error as SqlxError};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::super::super::again::is_lost;
use super::super::super::open::advice;
use super::super::super::session::answered;
use super::RemotePool;

/// A connection beside the pool has so long to come about at least, and what is left of the time for an
/// answer. Refusals take milliseconds.
const PROBED_WITHIN: Duration = Duration::from_millis(500);

/// An answer holds for so long: who asks meanwhile is told the same.
const HOLDS: Duration = Duration::from_secs(1);

/// The reason that no connection comes about.
#[derive(Debug, Clone)]
pub(super) enum Reason {
    /// Somebody says so: in words, with what to do about it.
    Refused(String),
    /// Nobody says anything.
    Silence,
}

/// The outcome of the last connection that was made to find out.
#[derive(Debug, Default)]
pub(super) struct Probe(Mutex<Option<(Instant, Option<Reason>)>>);

impl Probe {
    /// The reason that no connection comes about; none if one does.
    pub(super) async fn reason(&self, how: &RemotePool) -> Option<Reason> {
        let within = how.answer.saturating_sub(how.pool.get_acquire_timeout()).max(PROBED_WITHIN);
        // Those who have to wait for somebody else's are told the same as that one.
        let wait = timeout(within, self.0.lock());
        let Ok(mut last) = wait.await else { return Some(Reason::Silence) };
        if let Some((at, reason)) = &*last
            && at.elapsed() < HOLDS
        {
            return reason.clone();
        }
        let made = answered(within, async {
            let mut connection = how.connect.connect().await?;
            how.session.begin(&mut connection).await?;
            connection.close().await
        });
        let reason = made.await.err().map(|error| match &error {
            SqlxError::Io(why) if why.kind() == ErrorKind::TimedOut => Reason::Silence,
            error => Reason::Refused(in_words(error)),
        });
        *last = Some((Instant::now(), reason.clone()));
        reason
    }
}

/// The error of a connection that was refused for good, with what to do about it.
pub(super) fn explained(error: DbErr) -> DbErr {
    let why = match &error {
        DbErr::Conn(RuntimeErr::SqlxError(why)) if !is_lost(&error) => Some(in_words(why)),
        _ => None,
    };
    why.map_or(error, |why| unreachable(&why))
}

/// Nobody could be asked, and this is why.
pub(super) fn unreachable(reason: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!("no connection to the database comes about: {reason}")))
}

/// The pool had no connection within its time.
pub(super) fn is_without_connection(error: &DbErr) -> bool {
    matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
}

fn in_words(error: &SqlxError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    format!("{words}; {}", advice(error))
}
