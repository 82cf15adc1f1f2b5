//! The embedded database.

use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database};
use sqlx::migrate::Migrator;

use super::super::connection::Connections;
use super::super::{Place, Store};
use super::{OpenError, migrate};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Readers beside the one writer that SQLite allows.
const CONNECTIONS: u32 = 8;

/// How long a write waits for another client's.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn open(place: &Place, path: &str) -> Result<Store, OpenError> {
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
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true)
        });
    let pool = Database::connect(options).await.map_err(|error| OpenError::connect(place, error))?;
    let store = Store::new(Connections::embedded(pool), place.clone());
    store.refuse_newer().await?;
    let pool = store.db.sqlite()?;
    let mut connection = pool.acquire().await.map_err(|error| OpenError::connect(place, error))?;
    migrate::bring_up_to_date(&migrate::tolerant(&MIGRATIONS), &mut *connection, place.migrations).await?;
    drop(connection);
    restrict(path);
    Ok(store)
}

/// The database opened for reading alone, if it is there.
pub(in crate::store) async fn to_look_at(place: &Place, path: &str) -> Result<Option<Store>, OpenError> {
    if !Path::new(path).exists() {
        return Ok(None);
    }
    let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=ro"));
    options.max_connections(1).sqlx_logging(false);
    let pool = Database::connect(options).await.map_err(|error| OpenError::connect(place, error))?;
    Ok(Some(Store::new(Connections::embedded(pool), place.clone())))
}

/// The database holds what only its owner should read.
fn restrict(path: &str) {
    use std::os::unix::fs::PermissionsExt;
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
        let url = format!("sqlite:{}", directory.path().join("x.db").display());
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        let pool = store.db.sqlite().unwrap();
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
