//! The database of a test: a SQLite file in its directory; or, where `GAMEKEEPER_TEST_DATABASE_URL`
//! names a PostgreSQL server, a schema of its own there. `tests/support/on-postgres.sh` starts one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gamekeeper::store::{Migrations, Place, Store};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row as _, raw_sql};

/// The variable that names the server.
const SERVER: &str = "GAMEKEEPER_TEST_DATABASE_URL";

/// Where a test's rows are.
#[derive(Debug)]
pub enum Database {
    /// In this file.
    Sqlite(PathBuf),
    /// In this schema on this server; dropped with this.
    Postgres { url: String, schema: String },
}

/// A connection that stays.
#[derive(Debug)]
pub enum Client {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Client {
    pub async fn run(&mut self, statement: &str) {
        let sql = raw_sql(AssertSqlSafe(statement.to_owned()));
        match self {
            Self::Sqlite(client) => sql.execute(client).await.map(drop),
            Self::Postgres(client) => sql.execute(client).await.map(drop),
        }
        .unwrap();
    }
}

impl Database {
    /// A database that is not there yet.
    pub fn new(data_dir: &Path) -> Self {
        match std::env::var(SERVER) {
            Ok(url) => Self::on(&url),
            Err(_) => Self::Sqlite(data_dir.join("gamekeeper.db")),
        }
    }

    /// A schema of its own on this server.
    pub fn on(url: &str) -> Self {
        Self::Postgres { url: url.to_owned(), schema: format!("gk_{}", uuid::Uuid::new_v4().simple()) }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    pub fn place(&self) -> Place {
        match self {
            Self::Sqlite(_) => self.url().parse().unwrap(),
            Self::Postgres { url, schema } => Place::new(url, schema, Migrations::Auto).unwrap(),
        }
    }

    /// What `gamekeeper run` is told.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Sqlite(_) => ["--database-url".to_owned(), self.url()].into(),
            Self::Postgres { url, schema } => {
                ["--database-url", url, "--database-schema", schema].map(str::to_owned).into()
            }
        }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.place()).await.unwrap()
    }

    /// The present time, as both write it.
    pub fn now(&self) -> &'static str {
        if self.is_postgres() { "now()" } else { "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')" }
    }

    /// The whole seconds between two times.
    pub fn seconds(&self, from: &str, to: &str) -> String {
        if self.is_postgres() {
            format!("extract(epoch FROM {to} - {from})::bigint")
        } else {
            format!("(strftime('%s', {to}) - strftime('%s', {from}))")
        }
    }

    /// The milliseconds between two times, as a whole number.
    pub fn milliseconds(&self, from: &str, to: &str) -> String {
        if self.is_postgres() {
            format!("round(extract(epoch FROM {to} - {from}) * 1000)::bigint")
        } else {
            format!("CAST(round((julianday({to}) - julianday({from})) * 86400000) AS INTEGER)")
        }
    }

    /// A member of a JSON column, as text.
    pub fn member(&self, column: &str, member: &str) -> String {
        if self.is_postgres() {
            format!("({column} ->> '{member}')")
        } else {
            format!("json_extract({column}, '$.{member}')")
        }
    }

    pub async fn connected(&self) -> Client {
        self.client().await.unwrap()
    }

    async fn client(&self) -> Result<Client, Error> {
        Ok(match self {
            Self::Sqlite(path) => {
                let options =
                    SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(10));
                Client::Sqlite(options.disable_statement_logging().connect().await?)
            }
            Self::Postgres { url, schema } => {
                let options: PgConnectOptions = url.parse().unwrap();
                let options = options.options([("search_path", schema.as_str())]);
                Client::Postgres(options.disable_statement_logging().connect().await?)
            }
        })
    }

    /// What a lobby or a person does: SQL by another process' connection.
    pub async fn sql(&self, statement: &str) {
        if let Err(error) = self.try_sql(statement).await {
            panic!("{statement}: {error}");
        }
    }

    pub async fn try_sql(&self, statement: &str) -> Result<(), Error> {
        match self.client().await? {
            Client::Sqlite(mut client) => {
                raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut client).await?;
                client.close().await
            }
            Client::Postgres(mut client) => {
                let statement = statement.replace("BEGIN IMMEDIATE", "BEGIN");
                raw_sql(AssertSqlSafe(statement)).execute(&mut client).await?;
                client.close().await
            }
        }
    }

    pub async fn rows(&self, query: &str) -> Vec<Row> {
        let sql = || raw_sql(AssertSqlSafe(query.to_owned()));
        // The simple protocol gives every type as text.
        match self.client().await.unwrap() {
            Client::Sqlite(mut client) => {
                let rows = sql().fetch_all(&mut client).await.unwrap();
                rows.iter().map(|row| texts(row.len(), |at| row.get_unchecked(at))).collect()
            }
            Client::Postgres(mut client) => {
                let rows =
                    sql().fetch_all(&mut client).await.unwrap_or_else(|error| panic!("{query}: {error}"));
                rows.iter().map(|row| texts(row.len(), |at| row.get_unchecked(at))).collect()
            }
        }
    }

    pub async fn count(&self, query: &str) -> i64 {
        self.rows(query).await[0].get(0)
    }
}

fn texts(columns: usize, column: impl Fn(usize) -> Option<String>) -> Row {
    Row((0..columns).map(column).collect())
}

/// A row, each column as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Option<String>>);

impl Row {
    /// A column as what is wanted.
    #[track_caller]
    pub fn get<T: FromText>(&self, at: usize) -> T {
        T::from_text(self.0[at].as_deref())
    }
}

/// What can be read from a column's text.
pub trait FromText {
    fn from_text(text: Option<&str>) -> Self;
}

impl FromText for String {
    #[track_caller]
    fn from_text(text: Option<&str>) -> Self {
        text.expect("a column that is not null").to_owned()
    }
}

impl FromText for i64 {
    #[track_caller]
    fn from_text(text: Option<&str>) -> Self {
        match text.expect("a column that is not null") {
            // What is a number to SQLite.
            "t" => 1,
            "f" => 0,
            number => number.parse().expect("a number"),
        }
    }
}

impl FromText for bool {
    #[track_caller]
    fn from_text(text: Option<&str>) -> Self {
        match text {
            Some("1" | "t" | "true") => true,
            Some("0" | "f" | "false") => false,
            other => panic!("{other:?} is no truth value"),
        }
    }
}

impl<T: FromText> FromText for Option<T> {
    fn from_text(text: Option<&str>) -> Self {
        text.map(|text| T::from_text(Some(text)))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Postgres { url, schema } = self else { return };
        let (url, schema) = (std::mem::take(url), std::mem::take(schema));
        // A runtime cannot wait within another one.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options: PgConnectOptions = url.parse().unwrap();
                let Ok(mut client) = options.disable_statement_logging().connect().await else { return };
                let statement = format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE");
                let _ = raw_sql(AssertSqlSafe(statement)).execute(&mut client).await;
            });
        });
        let _ = dropped.join();
    }
}
