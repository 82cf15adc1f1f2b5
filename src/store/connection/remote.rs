//! Connections to a server, which may stop answering without a word.
//!
//! *Guarantees.* Whoever asks has an answer or an error within the pool's limit, whatever became of the
//! connection. A connection that did not answer in time is never used again, and neither are the others
//! that were made like it: the whole pool is replaced, so that the next question goes by a new one.
//!
//! *Why the whole pool.* The driver tests each connection as it comes back, without a limit of its own.
//! One that falls silent just then would keep its place for as long as TCP is patient. So places are
//! handed out here, and a pool that has no connection for somebody who has a place has lost one, unless
//! the server makes no new ones: then those that answer are kept.
//!
//! *Assumptions.* The server ends a statement on its own before the limit (`statement_timeout`), and a
//! transaction that nobody goes on with (`idle_in_transaction_session_timeout`): so a limit that passes
//! means that the connection is dead, and what it held is let go by the server.

mod awake;
mod reason;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqlxPostgresConnector, Statement, TransactionTrait,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::blockers;
use super::super::fault::{self, Fault};
use super::super::session::Session;
use super::{Connections, locked};
use reason::{Probe, Reason, explained, is_without_connection, unreachable};

/// A burst waits so long for a connection before it is refused.
const PLACE: Duration = Duration::from_secs(10);

/// An answer is waited for so long once the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A statement that takes so long waits for somebody. Less than anybody waits ([`super::BRIEFLY`]), so that there
/// is time to ask for whom.
const SUSPICIOUS: Duration = Duration::from_millis(200);

/// The witness has so long to say for whom, unless the wait ends before.
const ASKING: Duration = Duration::from_secs(1);

/// So long a pool has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// How a pool's connections are made, and how long their answers may take.
#[derive(Debug, Clone)]
pub(in crate::store) struct RemotePool {
    pub(in crate::store) pool: PgPoolOptions,
    pub(in crate::store) connect: PgConnectOptions,
    /// The settings of each session.
    pub(in crate::store) session: Session,
    /// More than the server gives a statement.
    pub(in crate::store) answer: Duration,
    /// The time of a connection to say that it lives.
    pub(in crate::store) ping: Duration,
}

impl RemotePool {
    fn open(&self) -> DatabaseConnection {
        SqlxPostgresConnector::from_sqlx_postgres_pool(
            self.pool.clone().connect_lazy_with(self.connect.clone()),
        )
    }
}

/// How long an answer is waited for.
#[derive(Debug, Clone)]
pub(super) struct AnswerLimit {
    answer: Duration,
    ending: CancellationToken,
}

impl AnswerLimit {
    /// # Errors
    /// Those of the work; `TimedOut` after the limit, which counts as a lost connection.
    async fn of<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let ending = async {
            self.ending.cancelled().await;
            sleep(LAST_ANSWERS).await;
        };
        tokio::select! {
            biased;
            done = work => done,
            () = sleep(self.answer) => Err(timed_out()),
            // Nothing is tried again by a process that ends.
            () = ending => Err(no_place()),
        }
    }
}

fn timed_out() -> DbErr {
    let error = io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time");
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(SqlxError::Io(error))))
}

fn is_timed_out(error: &DbErr) -> bool {
    let DbErr::Query(RuntimeErr::SqlxError(error)) = error else { return false };
    matches!(&**error, SqlxError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

fn no_place() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

/// The connections that there are now, and which they are in the row of those that there were.
type Current = (u64, DatabaseConnection);

/// A pool that is replaced when it does not answer.
#[derive(Debug)]
pub(super) struct Remote {
    how: RemotePool,
    limit: AnswerLimit,
    places: Arc<Semaphore>,
    current: Arc<watch::Sender<Current>>,
    /// Others' connections, to find out for whom one of these waits.
    witness: Option<Connections>,
    /// Finds out why no connection comes about.
    probe: Probe,
}

impl Remote {
    pub(super) fn new(how: RemotePool, witness: Option<Connections>, ending: CancellationToken) -> Self {
        let places = how.pool.get_max_connections() as usize;
        let limit = AnswerLimit { answer: how.answer, ending };
        let current = Arc::new(watch::Sender::new((0, how.open())));
        let places = Arc::new(Semaphore::new(places));
        Self { how, limit, places, current, witness, probe: Probe::default() }
    }

    /// Has its connections say something from time to time, for as long as it is there.
    pub(super) fn keep_awake(self: &Arc<Self>) {
        tokio::spawn(awake::keep(Arc::downgrade(self)));
    }

    /// A place, and the pool that has a connection for it.
    async fn place(&self) -> Result<(OwnedSemaphorePermit, Current), DbErr> {
        let place = async {
            match timeout(PLACE, self.places.clone().acquire_owned()).await {
                Ok(Ok(place)) => Ok(place),
                Ok(Err(_)) | Err(_) => Err(no_place()),
            }
        };
        let place = self.limit.of(place).await?;
        let current = self.current.borrow().clone();
        Ok((place, current))
    }

    /// Asks one question.
    pub(super) async fn run<T, F>(&self, work: impl FnOnce(DatabaseConnection) -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let (_place, (number, pool)) = self.place().await?;
        let done = self.limit.of(work(pool)).await;
        self.taken_in(number, done).await
    }

    /// The outcome of the first question to a connection, with the reason if there was none.
    async fn taken_in<T>(&self, number: u64, done: Result<T, DbErr>) -> Result<T, DbErr> {
        let replaces = self.replaces(number);
        let error = match done {
            Err(error) if is_without_connection(&error) && !replaces.ending.is_cancelled() => error,
            Err(error) => return replaces.if_silent(Err(explained(error))),
            Ok(done) => return Ok(done),
        };
        match self.probe.reason(&self.how).await {
            // Those that there are may be all that there will be.
            Some(Reason::Refused(why)) => Err(unreachable(&why)),
            // New ones come about, so one of these has died in its place.
            None => {
                replaces.replace();
                Err(error)
            }
            Some(Reason::Silence) => {
                replaces.replace();
                Err(unreachable("the server does not answer; check that it runs, and the way to it"))
            }
        }
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<(DatabaseTransaction, RemoteTransaction), DbErr> {
        let (place, (number, pool)) = self.place().await?;
        let replaces = self.replaces(number);
        let begun = self.taken_in(number, self.limit.of(pool.begin()).await).await?;
        let limit = self.limit.clone();
        let mut transaction = RemoteTransaction { limit, replaces, witness: None, _place: place };
        if let Some(witness) = &self.witness {
            let process = transaction.run(process(&begun)).await?;
            transaction.witness = Some(Witness { process, others: witness.clone() });
        }
        Ok((begun, transaction))
    }

    fn replaces(&self, number: u64) -> Replaces {
        let (how, ending) = (self.how.clone(), self.limit.ending.clone());
        Replaces { number, how, ending, current: Arc::clone(&self.current) }
    }

    pub(super) async fn close(&self) {
        let (_, pool) = self.current.borrow().clone();
        say_goodbye(pool).await;
    }
}

async fn say_goodbye(pool: DatabaseConnection) {
    if timeout(GOODBYE, pool.close()).await.is_err() {
        tracing::debug!("some connections to the database are left behind without a goodbye");
    }
}

/// Puts another pool in the place of this one.
#[derive(Debug)]
struct Replaces {
    number: u64,
    how: RemotePool,
    ending: CancellationToken,
    current: Arc<watch::Sender<Current>>,
}

impl Replaces {
    /// What came of a question; if there was no answer, the next one has another pool.
    fn if_silent<T>(&self, done: Result<T, DbErr>) -> Result<T, DbErr> {
        let Err(error) = &done else { return done };
        let is_silent = is_timed_out(error);
        // One that was the primary, or stands where it stood, takes no writes: another one may by now.
        let is_silent = is_silent || fault::of(error) == Fault::ReadOnly;
        if is_silent && !self.ending.is_cancelled() {
            self.replace();
        }
        done
    }

    fn replace(&self) {
        let mut old = None;
        self.current.send_if_modified(|(number, pool)| {
            // Others may have found out at the same time.
            if *number == self.number {
                *number += 1;
                old = Some(std::mem::replace(pool, self.how.open()));
            }
            old.is_some()
        });
        if let Some(old) = old {
            tracing::warn!("the database did not answer in time; its connections are made anew");
            tokio::spawn(say_goodbye(old));
        }
    }
}

/// What a transaction with a server has beside it.
#[derive(Debug)]
pub(super) struct RemoteTransaction {
    limit: AnswerLimit,
    replaces: Replaces,
    witness: Option<Witness>,
    _place: OwnedSemaphorePermit,
}

/// The server's process of a transaction.
async fn process(transaction: &DatabaseTransaction) -> Result<i32, DbErr> {
    let asked = Statement::from_string(transaction.get_database_backend(), "SELECT pg_backend_pid()");
    let row = transaction.query_one_raw(asked).await?;
    row.ok_or_else(|| DbErr::Custom("the server does not say which process it is".into()))?
        .try_get_by_index(0)
}

/// Who finds out for whom a transaction waits.
#[derive(Debug)]
struct Witness {
    /// The transaction's own process.
    process: i32,
    others: Connections,
}

impl Witness {
    /// Waits for an answer; for whom it was waited, if that took a while.
    async fn beside<T>(&self, work: impl Future<Output = T>) -> (T, Option<String>) {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return (done, None),
            () = sleep(SUSPICIOUS) => {}
        }
        let found = timeout(ASKING, blockers::of_session(&self.others, self.process));
        tokio::select! {
            biased;
            done = &mut work => (done, None),
            found = found => (work.await, found.ok().and_then(Result::ok).flatten()),
        }
    }
}

impl RemoteTransaction {
    /// Waits for one answer.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let work = self.limit.of(work);
        let Some(witness) = &self.witness else { return self.replaces.if_silent(work.await) };
        let (done, who) = witness.beside(work).await;
        match self.replaces.if_silent(done) {
            Err(error) if fault::of(&error) == Fault::Waited => {
                Err(locked(&who.unwrap_or_else(blockers::nobody_known)))
            }
            done => done,
        }
    }
}
