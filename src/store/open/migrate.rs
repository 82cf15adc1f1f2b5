//! Bringing a schema up to date, or finding that it is not.
//!
//! Migrations that this program does not know were applied by a newer one. Whether it can live with
//! them is what `schema_info.min_binary` says, and was asked before.

use sqlx::migrate::{Migrate, Migrator};

use super::super::Migrations;
use super::OpenError;

/// The migrator's own table.
const APPLIED: &str = "_sqlx_migrations";

/// This migrator, for databases that may be newer than this program.
pub(super) fn tolerant(migrator: &'static Migrator) -> Migrator {
    let mut tolerant = Migrator::with_migrations(migrator.iter().cloned().collect());
    tolerant.set_ignore_missing(true);
    tolerant
}

/// Runs what is pending, or refuses if anything is.
pub(super) async fn bring_up_to_date<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
    migrations: Migrations,
) -> Result<(), OpenError> {
    let failed = |error: sqlx::migrate::MigrateError| OpenError::Migrate(Box::new(error));
    match migrations {
        Migrations::Auto => migrator.run_direct(None, connection, false).await.map_err(failed),
        Migrations::Check => {
            // Where there is no such table nothing was ever applied.
            let applied = connection.list_applied_migrations(APPLIED).await.unwrap_or_default();
            let known = |version: i64| applied.iter().any(|applied| applied.version == version);
            match migrator.iter().filter(|migration| !known(migration.version)).count() {
                0 => Ok(()),
                pending => Err(OpenError::Pending { pending }),
            }
        }
    }
}
