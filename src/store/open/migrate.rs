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
    // Without such a table nothing was ever applied.
    let applied = connection.list_applied_migrations(APPLIED).await.unwrap_or_default();
    let mut pending = 0;
    for migration in migrator.iter() {
        match applied.iter().find(|applied| applied.version == migration.version) {
            None => pending += 1,
            Some(applied) if applied.checksum != migration.checksum => {
                return Err(OpenError::Differs { migration: migration.version });
            }
            Some(_) => {}
        }
    }
    match migrations {
        Migrations::Auto => migrator.run_direct(None, connection, false).await.map_err(failed),
        Migrations::Check if pending > 0 => Err(OpenError::Pending { pending }),
        Migrations::Check => Ok(()),
    }
}
