//! Connections and transactions of either dialect.
//!
//! The dialects have one difference that no query builder bridges: a UUID is a `uuid` on PostgreSQL
//! and lower-case text on SQLite, where sea-orm's own sixteen bytes could not be read or written by
//! hand. Every statement passes through here, and its UUIDs are bound as its database has them.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::sea_query::Value;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::again::is_lost;
use super::file::DatabaseFile;

/// What is said of a commit without an answer.
const UNANSWERED: &str = "the connection was lost while the change was committed, so it may have been made; look before you repeat it";

/// Whether it is not known what became of a transaction.
pub(super) fn is_unanswered(error: &DbErr) -> bool {
    matches!(error, DbErr::Custom(said) if said.starts_with(UNANSWERED))
}

/// The pool of connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(DatabaseConnection, Option<Arc<DatabaseFile>>);

/// A transaction; dropped, it never was.
#[derive(Debug)]
pub(super) struct Transaction(DatabaseTransaction, Option<Arc<DatabaseFile>>);

impl Connections {
    pub(super) fn new(pool: DatabaseConnection) -> Self {
        Self(pool, None)
    }

    /// The same, on a file that is to stay the one that was opened.
    pub(super) fn on(self, file: DatabaseFile) -> Self {
        Self(self.0, Some(Arc::new(file)))
    }

    /// The embedded database's file.
    pub(super) fn file(&self) -> Option<&DatabaseFile> {
        self.1.as_deref()
    }

    /// The pool itself, for what only its dialect can do.
    pub(super) fn pool(&self) -> &DatabaseConnection {
        &self.0
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Sqlite
    }

    /// How every transaction that will write begins: on SQLite a transaction that turns from
    /// reading to writing fails at once if somebody else writes, whatever the busy timeout.
    ///
    /// # Errors
    /// The database failed, or its file was replaced.
    pub(super) async fn begin_writing(&self) -> Result<Transaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        if let Some(file) = &self.1 {
            file.check()?;
        }
        Ok(Transaction(self.0.begin_with_options(options).await?, self.1.clone()))
    }

    pub(super) async fn close(self) -> Result<(), DbErr> {
        self.0.close().await
    }
}

impl Transaction {
    /// Ends it; what it wrote is there then.
    ///
    /// # Errors
    /// It was given up, and nothing was written; or the connection was lost on the way, and whether
    /// anything was written is not known. The second is never taken for a reason to write again. Or the
    /// embedded database's file was replaced, and what was written is lost.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        match self.0.commit().await {
            Err(error) if is_lost(&error) => return Err(DbErr::Custom(format!("{UNANSWERED}: {error}"))),
            done => done?,
        }
        self.1.map_or(Ok(()), |file| file.check_committed())
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        self.0.rollback().await
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

macro_rules! connection {
    ($type:ty) => {
        #[async_trait]
        impl ConnectionTrait for $type {
            fn get_database_backend(&self) -> DbBackend {
                self.0.get_database_backend()
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                self.0.execute_raw(in_dialect(statement)).await
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                self.0.execute_unprepared(sql).await
            }

            async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
                self.0.query_one_raw(in_dialect(statement)).await
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.0.query_all_raw(in_dialect(statement)).await
            }
        }
    };
}

connection!(Connections);
connection!(Transaction);
