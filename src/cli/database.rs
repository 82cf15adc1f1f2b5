//! `gamekeeper backup-db` and `gamekeeper migrate-db`: copies of a whole database, made without a server.

use std::path::PathBuf;

use clap::Args;

use super::client::Whereabouts;
use super::doctor::chain;
use super::failure::{Exit, Failure};
use super::output::{remark, say};
use crate::config::{DatabaseUrl, default_data_dir};
use crate::store::{CopyError, DEFAULT_SCHEMA, Migrations, Place, Store};

/// Copies the embedded database into a new file, while the server runs
///
/// The copy is of one moment, whole, and readable by its owner alone. It holds what should be and
/// what was; the games' states are in the state root. A copy that is put back under running games is
/// recognised as old: nothing is touched then until an operator says so. A PostgreSQL database is
/// backed up by its own tools.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper backup-db /backup/gamekeeper-$(date +%F).db
  gamekeeper backup-db --database-url sqlite:/srv/gamekeeper/gamekeeper.db copy.db")]
pub(crate) struct BackupArgs {
    /// The file; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The database [default: sqlite:DATA_DIR/gamekeeper.db]
    #[arg(long, env = "GAMEKEEPER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(super) database_url: Option<DatabaseUrl>,
}

/// Moves a database from the embedded one to PostgreSQL
///
/// Stop the server first. Every row of every table is copied in one transaction, and counted on both
/// sides; nothing is copied if a single one is missing. The source stays as it is. Start the server
/// with the new --database-url then: it is the same instance, with the same state root and the same
/// containers, and engines that run are not touched.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper migrate-db --to postgres://keeper@db/games --dry-run
  gamekeeper migrate-db --from sqlite:/srv/gamekeeper/gamekeeper.db --to postgres://keeper@db/games")]
pub(crate) struct MigrateArgs {
    /// The embedded database [default: sqlite:DATA_DIR/gamekeeper.db]
    #[arg(long, value_name = "URL")]
    from: Option<DatabaseUrl>,
    /// The PostgreSQL database
    #[arg(long, value_name = "URL")]
    to: DatabaseUrl,
    /// The schema in it; empty or not there yet [default: gamekeeper]
    #[arg(long, value_name = "NAME")]
    database_schema: Option<String>,
    /// Try everything, and keep no row. The tables are made in the target, and brought up to date in the source
    #[arg(long)]
    dry_run: bool,
}

/// Runs `backup-db`.
pub(crate) async fn back_up(args: BackupArgs, place: &Whereabouts) -> Result<(), Failure> {
    let database = embedded(args.database_url, place)?;
    let bytes = Store::back_up(&database, &args.file).await.map_err(|error| match error {
        CopyError::Missing(_) => {
            let advice = "name it by --database-url, or its directory by --data-dir; a PostgreSQL database is backed up by pg_dump";
            Failure::new(Exit::NotFound, format!("{error}; {advice}"))
        }
        error => failed(&error),
    })?;
    say(&format!("{}: {bytes} bytes", args.file.display()))
}

/// Runs `migrate-db`.
pub(crate) async fn migrate(args: MigrateArgs, place: &Whereabouts) -> Result<(), Failure> {
    let from = embedded(args.from, place)?;
    let schema = args.database_schema.as_deref().unwrap_or(DEFAULT_SCHEMA);
    let to = Place::new(args.to.as_str(), schema, Migrations::Auto)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let counted = Store::transfer(&from, &to, !args.dry_run).await.map_err(|error| failed(&error))?;
    for (table, counts) in &counted {
        say(&format!("{table:<26} {:>9} read {:>9} arrived", counts.read, counts.arrived))?;
    }
    remark(&if args.dry_run {
        format!(
            "{from} could move to {to}; no row was kept. Both have the tables of this version now: the target's are empty"
        )
    } else {
        format!(
            "{from} has moved to {to}; start the server with it, and keep the old file until you are content"
        )
    });
    Ok(())
}

fn embedded(url: Option<DatabaseUrl>, place: &Whereabouts) -> Result<Place, Failure> {
    let url = match (url, &place.data_dir) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, given) => {
            let directory = match given {
                Some(directory) => directory.clone(),
                None => default_data_dir().map_err(|error| Failure::usage(error.to_string()))?,
            };
            format!("sqlite:{}", directory.join("gamekeeper.db").display())
        }
    };
    url.parse().map_err(|error: crate::store::PlaceError| Failure::usage(error.to_string()))
}

fn failed(error: &CopyError) -> Failure {
    let exit = match error {
        CopyError::Unsuitable(_) => Exit::Usage,
        CopyError::Missing(_) => Exit::NotFound,
        _ => Exit::Failed,
    };
    Failure::new(exit, chain(error))
}
