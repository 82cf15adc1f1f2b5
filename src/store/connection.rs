//! Connections and transactions of either dialect.
//!
//! The dialects have one difference that no query builder bridges: a UUID is a `uuid` on PostgreSQL
//! and lower-case text on SQLite, where sea-orm's own sixteen bytes could not be read or written by
//! hand. Every statement passes through here, and its UUIDs are bound as its database has them.
//!
//! A connection to a server may die without a word, and then a statement has no answer for as long as
//! TCP is patient, which is a quarter of an hour. So each answer is waited for no longer than
//! [`remote`] says, here and nowhere else.

mod remote;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::Value;
use sea_orm::sqlx::SqlitePool;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio_util::sync::CancellationToken;

use super::blockers;
use super::fault;
use super::file::DatabaseFile;
pub(super) use remote::RemotePool;
use remote::{Remote, RemoteTransaction};

/// The words of a commit whose outcome is not known.
const UNANSWERED: &str =
    "while the change was committed, so it may have been made; look before you repeat it";

/// Whether it is not known what became of a transaction.
pub(super) fn is_unanswered(error: &DbErr) -> bool {
    matches!(error, DbErr::Custom(said) if said.contains(UNANSWERED))
}

fn unanswered(what: &str, error: &DbErr) -> DbErr {
    DbErr::Custom(format!("{what} {UNANSWERED}: {error}"))
}

/// What is said of a write that somebody else's lock stood in the way of.
const LOCKED: &str = "what is to be changed is locked by";

/// Whether a write was given up because of somebody else's lock, and it is said whose.
pub(super) fn is_locked(error: &DbErr) -> bool {
    matches!(error, DbErr::Custom(said) if said.starts_with(LOCKED))
}

/// The way out of a lock.
const WAY_OUT: &str = "nothing was changed: end that transaction, or try again when it has ended";

fn locked(who: &str) -> DbErr {
    DbErr::Custom(format!("{LOCKED} {who}; {WAY_OUT}"))
}

/// The holder of the lock that stood in the way of a write, as far as it is known.
pub(super) fn holder(error: &DbErr) -> String {
    let known = match error {
        DbErr::Custom(said) => said.strip_prefix(LOCKED).and_then(|said| said.strip_suffix(WAY_OUT)),
        _ => None,
    };
    let who = known.and_then(|said| said.trim_start().strip_suffix("; "));
    who.map_or_else(blockers::nobody_known, str::to_owned)
}

/// So long a row is waited for that others may have locked for as long as they like.
pub(super) const BRIEFLY: Duration = Duration::from_millis(500);

/// The pool of connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(Pool);

#[derive(Debug, Clone)]
enum Pool {
    /// To a file, which is to stay the one that was opened.
    Embedded(DatabaseConnection, Option<Arc<DatabaseFile>>),
    /// To a server.
    Remote(Arc<Remote>),
}

/// A transaction; dropped, it never was.
#[derive(Debug)]
pub(super) struct Transaction {
    inner: DatabaseTransaction,
    /// Only with a server.
    remote: Option<RemoteTransaction>,
    /// Only with a file.
    file: Option<Arc<DatabaseFile>>,
}

impl Connections {
    /// Those to a file.
    pub(super) fn embedded(pool: DatabaseConnection) -> Self {
        Self(Pool::Embedded(pool, None))
    }

    /// The same, on a file that is to stay the one that was opened.
    pub(super) fn on(self, file: DatabaseFile) -> Self {
        match self.0 {
            Pool::Embedded(pool, _) => Self(Pool::Embedded(pool, Some(Arc::new(file)))),
            Pool::Remote(_) => self,
        }
    }

    /// The embedded database's file.
    pub(super) fn file(&self) -> Option<&DatabaseFile> {
        match &self.0 {
            Pool::Embedded(_, file) => file.as_deref(),
            Pool::Remote(_) => None,
        }
    }

    /// Those to a server. Once `ending` is cancelled, answers are waited for two seconds at most. Where
    /// a transaction waits for somebody, the witness is asked for whom.
    pub(super) fn remote(pool: RemotePool, witness: Option<Self>, ending: CancellationToken) -> Self {
        let remote = Arc::new(Remote::new(pool, witness, ending));
        remote.keep_awake();
        Self(Pool::Remote(remote))
    }

    /// The file's pool itself, for what only SQLite can do.
    ///
    /// # Errors
    /// The database is on a server.
    pub(super) fn sqlite(&self) -> Result<SqlitePool, DbErr> {
        match &self.0 {
            Pool::Embedded(pool, _) => Ok(pool.get_sqlite_connection_pool().clone()),
            Pool::Remote(_) => Err(DbErr::Custom("this is possible with the embedded database alone".into())),
        }
    }

    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self.0, Pool::Embedded(..))
    }

    /// How every transaction that will write begins: on SQLite a transaction that turns from
    /// reading to writing fails at once if somebody else writes, whatever the busy timeout.
    ///
    /// # Errors
    /// The database failed, or its file was replaced.
    pub(super) async fn begin_writing(&self) -> Result<Transaction, DbErr> {
        match &self.0 {
            Pool::Embedded(pool, file) => {
                if let Some(file) = file {
                    file.check()?;
                }
                let options = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..TransactionOptions::default()
                };
                let inner = pool.begin_with_options(options).await?;
                Ok(Transaction { inner, remote: None, file: file.clone() })
            }
            Pool::Remote(remote) => {
                let (inner, remote) = remote.begin().await?;
                Ok(Transaction { inner, remote: Some(remote), file: None })
            }
        }
    }

    /// Closes every connection. Those to a server that does not say goodbye are left behind after a
    /// few seconds.
    pub(super) async fn close(self) -> Result<(), DbErr> {
        match self.0 {
            Pool::Embedded(pool, _) => pool.close().await,
            Pool::Remote(remote) => {
                remote.close().await;
                Ok(())
            }
        }
    }

    async fn run<T, F>(&self, work: impl FnOnce(DatabaseConnection) -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        match &self.0 {
            Pool::Embedded(pool, _) => work(pool.clone()).await,
            Pool::Remote(remote) => remote.run(work).await,
        }
    }
}

impl Transaction {
    pub(super) fn is_sqlite(&self) -> bool {
        self.remote.is_none()
    }

    /// Ends it; what it wrote is there then.
    ///
    /// # Errors
    /// It was given up, and nothing was written; or the connection was lost on the way, or the embedded
    /// database's file was replaced, and whether anything was written is not known
    /// ([`is_unanswered`]). The second is never taken for a reason to write again.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, remote, file } = self;
        match within(remote.as_ref(), inner.commit()).await {
            // Among them a connection that is given up while the process ends.
            Err(error) if !fault::is_answer(&error) => {
                return Err(unanswered("the connection was lost", &error));
            }
            done => done?,
        }
        let there = file.map_or(Ok(()), |file| file.check_committed());
        there.map_err(|error| unanswered("the file was moved", &error))
    }

    /// It waits for nobody's lock for long from here on: what it is about to write is a row that others
    /// may have locked, for as long as they like.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn waits_briefly(&self) -> Result<(), DbErr> {
        self.limit("lock_timeout", BRIEFLY).await
    }

    /// From here on a setting of PostgreSQL's that bounds a statement is so much.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn limit(&self, setting: &'static str, to: Duration) -> Result<(), DbErr> {
        if !self.is_sqlite() {
            self.execute_unprepared(&format!("SET LOCAL {setting} = {}", to.as_millis())).await?;
        }
        Ok(())
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        let Self { inner, remote, file: _ } = self;
        within(remote.as_ref(), inner.rollback()).await
    }
}

/// Waits for an answer, on a server no longer than is sensible.
async fn within<T>(
    remote: Option<&RemoteTransaction>,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    match remote {
        None => work.await,
        Some(remote) => remote.run(work).await,
    }
}

/// Binds UUIDs as the statement's database has them.
fn in_dialect(mut statement: Statement) -> Statement {
    if statement.db_backend == DbBackend::Sqlite {
        for value in statement.values.iter_mut().flat_map(|values| &mut values.0) {
            if let Value::Uuid(id) = value {
                *value = Value::String(id.map(|id| id.as_hyphenated().to_string()));
            }
        }
    }
    statement
}

#[async_trait]
impl ConnectionTrait for Connections {
    fn get_database_backend(&self) -> DbBackend {
        if self.is_sqlite() { DbBackend::Sqlite } else { DbBackend::Postgres }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(|pool| async move { pool.execute_raw(in_dialect(statement)).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(|pool| async move { pool.execute_unprepared(sql).await }).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(|pool| async move { pool.query_one_raw(in_dialect(statement)).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(|pool| async move { pool.query_all_raw(in_dialect(statement)).await }).await
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        within(self.remote.as_ref(), self.inner.execute_raw(in_dialect(statement))).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        within(self.remote.as_ref(), self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        within(self.remote.as_ref(), self.inner.query_one_raw(in_dialect(statement))).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        within(self.remote.as_ref(), self.inner.query_all_raw(in_dialect(statement))).await
    }
}
