//! Opening a database: connect, refuse what is too new, migrate.

use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database, EntityTrait};
use sqlx::migrate::Migrator;

use super::entity::schema_info;
use super::{Store, StoreError};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// Readers beside the one writer that SQLite allows.
const CONNECTIONS: u32 = 8;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached or is not a database.
    #[error(
        "the database {url} could not be opened; check that its directory exists and that this user may read and write it"
    )]
    Connect {
        /// Where, without secrets.
        url: String,
        /// Why not.
        #[source]
        source: sea_orm::DbErr,
    },
    /// Its schema is newer than this program.
    #[error(
        "the database was written by a newer gamekeeper ({min_binary} or later is needed, this is {own}); upgrade this program, or point it to another database"
    )]
    Newer {
        /// The oldest program that may use it.
        min_binary: String,
        /// This program's version.
        own: &'static str,
    },
    /// The schema could not be brought up to date; nothing was changed.
    #[error("the database's schema could not be migrated; nothing was changed")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This kind of database is not supported.
    #[error("`{0}` is not a supported database URL; use sqlite:PATH")]
    Unsupported(String),
    /// A question failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for OpenError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Opens the embedded database, making it if it is not there, and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(OpenError::Unsupported(without_secrets(url)));
        };
        let path = path.trim_start_matches("//");
        let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=rwc"));
        options
            .max_connections(CONNECTIONS)
            .sqlx_logging(false)
            .test_before_acquire(false)
            .acquire_timeout(Duration::from_secs(30))
            .map_sqlx_sqlite_opts(|options| {
                options
                    .journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
                    // FULL: a decision that was taken must not be forgotten by a power cut.
                    .synchronous(sea_orm::sqlx::sqlite::SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(10))
                    .foreign_keys(true)
            });
        let connect = |source| OpenError::Connect { url: url.to_owned(), source };
        let db = Database::connect(options).await.map_err(connect)?;
        let store = Self::new(db);
        store.refuse_newer().await?;
        let pool = store.db.get_sqlite_connection_pool();
        match SQLITE.run(pool).await {
            Ok(()) => {}
            // A migration that this program does not know was applied by a newer one.
            Err(sqlx::migrate::MigrateError::VersionMissing(_)) => {
                return Err(newer("a newer version".into()));
            }
            Err(error) => return Err(OpenError::Migrate(Box::new(error))),
        }
        restrict(path);
        Ok(store)
    }

    /// Closes every connection; on SQLite with everything in the one file, so that a copy of it is whole.
    pub async fn close(self) -> Result<(), StoreError> {
        use sea_orm::ConnectionTrait;
        self.db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        Ok(self.db.close().await?)
    }

    /// A schema from the future is refused before anything is written.
    pub(super) async fn refuse_newer(&self) -> Result<(), OpenError> {
        // A fresh database has no such table; whatever else is wrong shows in the migration.
        let Ok(Some(info)) = schema_info::Entity::find().one(&self.db).await else { return Ok(()) };
        let own = env!("CARGO_PKG_VERSION");
        let parse = |text: &str| semver::Version::parse(text).ok();
        if parse(&info.min_binary) > parse(own) { Err(newer(info.min_binary)) } else { Ok(()) }
    }
}

fn newer(min_binary: String) -> OpenError {
    OpenError::Newer { min_binary, own: env!("CARGO_PKG_VERSION") }
}

pub(super) fn missing(table: &'static str) -> impl Fn() -> sea_orm::DbErr {
    move || sea_orm::DbErr::RecordNotFound(format!("the row of `{table}`"))
}

pub(super) fn without_secrets(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

/// The database holds what only its owner should read.
fn restrict(path: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = Path::new(path.split('?').next().unwrap_or(path));
    // A database that somebody shares on purpose is not ours to close: only ever narrow our own.
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

#[cfg(test)]
mod tests {
    use sea_orm::sqlx::Row;

    use super::*;

    #[tokio::test]
    async fn every_connection_flushes_each_commit() {
        let directory = tempfile::tempdir().unwrap();
        let store =
            Store::open(&format!("sqlite:{}", directory.path().join("x.db").display())).await.unwrap();
        let pool = store.db.get_sqlite_connection_pool();
        for _ in 0..CONNECTIONS {
            let mut connection = pool.acquire().await.unwrap();
            for (pragma, wanted) in [("synchronous", "2"), ("journal_mode", "wal"), ("foreign_keys", "1")] {
                let query = sea_orm::sqlx::AssertSqlSafe(format!(
                    "SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"
                ));
                let row = sea_orm::sqlx::query(query).fetch_one(&mut *connection).await.unwrap();
                assert_eq!(row.get::<String, _>(0), wanted, "{pragma}");
            }
        }
    }
}
