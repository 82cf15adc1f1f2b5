//! The embedded database.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database};
use sqlx::migrate::Migrator;

use super::super::connection::Connections;
use super::super::file::DatabaseFile;
use super::super::lock::file_itself;
use super::super::{Place, Store};
use super::{OpenError, migrate};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Readers beside the one writer that SQLite allows.
const CONNECTIONS: u32 = 8;

/// The mode of a database that we make.
const PRIVATE: u32 = 0o600;

/// How long a write waits for another client's.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn open(place: &Place, path: &str) -> Result<Store, OpenError> {
    make_private(path);
    let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=rwc"));
    options
        .max_connections(CONNECTIONS)
        .sqlx_logging(false)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(30))
        // For good: the write-ahead log is the same file for as long as one of them is open.
        .idle_timeout(None)
        .max_lifetime(None)
        .map_sqlx_sqlite_opts(|options| {
            options
                .journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
                // FULL: a decision that was taken must not be forgotten by a power cut.
                .synchronous(sea_orm::sqlx::sqlite::SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true)
        });
    let pool = Database::connect(options).await.map_err(|error| OpenError::connect(place, error))?;
    let file = DatabaseFile::opened(path.as_ref()).map_err(|error| OpenError::connect(place, error))?;
    let store = Store::new(Connections::embedded(pool).on(file), place.clone());
    store.refuse_newer().await?;
    let pool = store.db.sqlite()?;
    let mut connection = pool.acquire().await.map_err(|error| OpenError::connect(place, error))?;
    migrate::bring_up_to_date(&migrate::tolerant(&MIGRATIONS), &mut *connection, place.migrations).await?;
    drop(connection);
    share_mode(path);
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

/// Makes the file, if there is none, for its owner alone, whatever the umask: it holds what nobody else
/// should read. Whoever shares it on purpose changes its mode, and it stays as it was changed. What goes
/// wrong here goes wrong for SQLite too, which is who tells of it.
fn make_private(path: &str) {
    let path = file_itself(path.as_ref());
    let made = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path);
    if let Ok(file) = made {
        let _ = file.set_permissions(Permissions::from_mode(PRIVATE));
    }
}

/// Gives the files beside the database its mode: SQLite does so when it makes them, and they may be older
/// than the mode.
fn share_mode(path: &str) {
    let Ok(mode) = std::fs::metadata(path).map(|of| of.permissions()) else { return };
    for beside in ["-wal", "-shm"] {
        let beside = format!("{path}{beside}");
        let other = std::fs::metadata(&beside).is_ok_and(|of| of.permissions() != mode);
        if other && let Err(error) = std::fs::set_permissions(&beside, mode.clone()) {
            tracing::warn!(file = beside, error = %error, "this file has not the mode of the database; give it that");
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sqlx::Row;

    use super::*;

    /// The mode that the operator gave is the one that stays, of all three files.
    #[tokio::test]
    async fn a_new_database_is_private_and_a_shared_one_stays_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let place: Place = format!("sqlite:{}", path.display()).parse().unwrap();
        let modes = || {
            ["", "-wal", "-shm"].map(|beside| {
                let file = format!("{}{beside}", path.display());
                std::fs::metadata(file).map(|of| of.permissions().mode() & 0o777).unwrap_or_default()
            })
        };
        let store = Store::open(&place).await.unwrap();
        assert_eq!(modes(), [0o600; 3]);
        for mode in [0o660, 0o640, 0o600] {
            // While it is in use: what is beside it is older than the mode.
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let again = Store::open(&place).await.unwrap();
            assert_eq!(modes(), [mode; 3]);
            again.close().await.unwrap();
        }
        store.close().await.unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        let _store = Store::open(&place).await.unwrap();
        assert_eq!(modes(), [0o664; 3]);
    }

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
