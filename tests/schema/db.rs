//! A fresh, migrated database of either dialect, and the few ways in which a promise speaks to it.

use std::path::Path;

use sea_orm::sqlx::migrate::Migrator;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sea_orm::sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, Row as _, SqliteConnection, raw_sql,
};

use crate::cluster::Cluster;

/// How a client of SQLite has its pragmas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pragmas {
    pub(crate) recursive_triggers: bool,
    pub(crate) foreign_keys: bool,
}

impl Pragmas {
    /// Every way a client may have them.
    pub(crate) const ALL: [Self; 4] = [
        Self { recursive_triggers: false, foreign_keys: false },
        Self { recursive_triggers: false, foreign_keys: true },
        Self { recursive_triggers: true, foreign_keys: false },
        Self { recursive_triggers: true, foreign_keys: true },
    ];
}

enum Connection {
    Sqlite(
        SqliteConnection,
        #[expect(dead_code, reason = "removes the file when dropped")] tempfile::TempDir,
    ),
    Postgres(PgConnection),
}

/// One connection to one fresh database.
pub(crate) struct Db {
    connection: Connection,
    name: String,
}

impl Db {
    /// A new SQLite file with the schema in it.
    pub(crate) async fn sqlite(pragmas: Pragmas) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut connection = SqliteConnectOptions::new()
            .filename(dir.path().join("gamekeeper.db"))
            .create_if_missing(true)
            .foreign_keys(pragmas.foreign_keys)
            .pragma("recursive_triggers", if pragmas.recursive_triggers { "ON" } else { "OFF" })
            // Nothing here is about power cuts.
            .synchronous(SqliteSynchronous::Off)
            .disable_statement_logging()
            .connect()
            .await
            .expect("open the SQLite file");
        migrator("sqlite").await.run(&mut connection).await.expect("migrate SQLite");
        Self { connection: Connection::Sqlite(connection, dir), name: format!("sqlite, {pragmas:?}") }
    }

    /// A new schema in the cluster, with the tables in it.
    pub(crate) async fn postgres(cluster: &Cluster, schema: &str) -> Self {
        let options = options(cluster);
        let mut connection = options.connect().await.expect("connect to PostgreSQL");
        raw_sql(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\"; SET search_path TO \"{schema}\"")))
            .execute(&mut connection)
            .await
            .expect("make a schema");
        migrator("postgres").await.run(&mut connection).await.expect("migrate PostgreSQL");
        Self { connection: Connection::Postgres(connection), name: format!("postgres, {schema}") }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.connection, Connection::Sqlite(..))
    }

    async fn execute(&mut self, sql: &str) -> Result<(), sea_orm::sqlx::Error> {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        match &mut self.connection {
            Connection::Sqlite(connection, _) => connection.execute(sql).await.map(|_| ()),
            Connection::Postgres(connection) => connection.execute(sql).await.map(|_| ()),
        }
    }

    /// Runs statements that must succeed.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            if let Err(error) = self.execute(sql).await {
                panic!("{at}: {}: {sql}: {error}", self.name);
            }
        }
    }

    /// Runs a statement, whether it succeeds or not; says whether it did.
    pub(crate) async fn attempt(&mut self, sql: &str) -> bool {
        self.execute(sql).await.is_ok()
    }

    /// Runs a statement that must fail with `why` in its message.
    #[track_caller]
    pub(crate) fn refused(&mut self, sql: &str, why: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            match self.execute(sql).await {
                Ok(()) => panic!("{at}: {}: not refused: {sql}", self.name),
                Err(error) => {
                    let message = error.to_string();
                    assert!(
                        message.contains(why),
                        "{at}: {}: {sql}: refused for another reason: {message}",
                        self.name
                    );
                }
            }
        }
    }

    /// The rows of a query: columns joined by `|`, nulls as `-`, booleans as 0 and 1.
    pub(crate) async fn rows(&mut self, sql: &str) -> Vec<String> {
        match &mut self.connection {
            Connection::Sqlite(connection, _) => {
                let rows = raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await;
                let rows = rows.unwrap_or_else(|error| panic!("{}: {sql}: {error}", self.name));
                rows.iter()
                    .map(|row| join((0..row.len()).map(|i| row.try_get_unchecked::<Option<String>, _>(i))))
                    .collect()
            }
            Connection::Postgres(connection) => {
                // The simple protocol gives every type as text.
                let rows = raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await;
                let rows = rows.unwrap_or_else(|error| panic!("{}: {sql}: {error}", self.name));
                rows.iter()
                    .map(|row| join((0..row.len()).map(|i| row.try_get_unchecked::<Option<String>, _>(i))))
                    .collect()
            }
        }
    }

    /// Asserts that a query gives exactly one row, which reads so.
    #[track_caller]
    pub(crate) fn expect(&mut self, sql: &str, row: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let rows = self.rows(sql).await;
            assert!(rows == [row], "{at}: {}: {sql}: {rows:?} instead of {row:?}", self.name);
        }
    }
}

fn join(columns: impl Iterator<Item = Result<Option<String>, sea_orm::sqlx::Error>>) -> String {
    let columns: Vec<String> = columns
        .map(|column| match column.expect("a column as text").as_deref() {
            None => "-".to_owned(),
            Some("t") => "1".to_owned(),
            Some("f") => "0".to_owned(),
            Some(text) => text.to_owned(),
        })
        .collect();
    columns.join("|")
}

async fn migrator(dialect: &str) -> Migrator {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
    Migrator::new(dir).await.expect("read the migrations")
}

/// How a test connects to it.
pub(crate) fn options(cluster: &Cluster) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(cluster.socket().to_str().expect("a readable directory name"))
        .port(5432)
        .username("postgres")
        .database("postgres")
        .options([("client_min_messages", "warning")])
        .disable_statement_logging()
}
