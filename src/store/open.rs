//! Opening a database: connect, refuse what is too new, bring the schema up to date.

mod migrate;
mod patient;
mod postgres;
mod refusal;
mod sqlite;

use sea_orm::EntityTrait;

use super::connection::Connections;
use super::entity::schema_info;
use super::place::At;
use super::{Place, Store, StoreError};

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached or is not a database.
    #[error("the database {place} could not be opened; {advice}")]
    Connect {
        /// Where, without secrets.
        place: Place,
        /// What to look at.
        advice: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
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
    /// Its schema is older than this program, which was told not to migrate.
    #[error(
        "{pending} migrations of the database's schema are pending; migrate it by a start with --migrate auto"
    )]
    Pending {
        /// How many.
        pending: usize,
    },
    /// A migration was applied in another form than this program has it.
    #[error(
        "the database's schema was made by another build: migration {migration} was applied in a form that this program does not have; nothing was changed. Start the build that made it, put a backup back that an unchanged release made, or begin in another schema (--database-schema) or file (--database-url)"
    )]
    Differs {
        /// Its version.
        migration: i64,
    },
    /// The schema could not be brought up to date; nothing was changed.
    #[error(
        "the database's schema could not be migrated; nothing was changed. Mend what the database says, and start again"
    )]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A question failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for OpenError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl OpenError {
    pub(super) fn connect(
        place: &Place,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let advice = match place.at {
            At::Sqlite(_) => {
                "check that its directory exists and that this user may read and write it".to_owned()
            }
            At::Postgres { .. } => refusal::advice(&*source),
        };
        Self::Connect { place: place.clone(), advice, source }
    }
}

impl Store {
    /// Opens a database and brings its schema up to date. The embedded database is made if it is
    /// not there; on PostgreSQL the schema is.
    ///
    /// # Errors
    /// It cannot be reached, is too new, or cannot be migrated.
    pub async fn open(place: &Place) -> Result<Self, OpenError> {
        match &place.at {
            At::Sqlite(path) => sqlite::open(place, path).await,
            At::Postgres { options, schema } => postgres::open(place, options, schema).await,
        }
    }

    /// Closes every connection; on SQLite with everything in the one file, so that a copy of it is whole.
    pub async fn close(self) -> Result<(), StoreError> {
        use sea_orm::ConnectionTrait;
        if self.db.is_sqlite() {
            self.db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        }
        self.ending.cancel();
        let pools = [self.controlling, self.recording, self.leases].map(Connections::close);
        let (closed, _) = tokio::join!(self.db.close(), futures::future::join_all(pools));
        Ok(closed?)
    }

    /// A schema from the future is refused before anything is written.
    pub(super) async fn refuse_newer(&self) -> Result<(), OpenError> {
        // A fresh database has no such table; whatever else is wrong shows in the migration.
        let Ok(Some(info)) = schema_info::Entity::find().one(&self.db).await else { return Ok(()) };
        refuse_older_than(info.min_binary)
    }
}

fn refuse_older_than(min_binary: String) -> Result<(), OpenError> {
    let own = env!("CARGO_PKG_VERSION");
    let parse = |text: &str| semver::Version::parse(text).ok();
    if parse(&min_binary) > parse(own) { Err(OpenError::Newer { min_binary, own }) } else { Ok(()) }
}

pub(super) use patient::patiently;
pub(super) use postgres::{alone, listening, to_look_at as postgres_to_look_at};
pub(super) use refusal::advice;
pub(super) use sqlite::to_look_at as sqlite_to_look_at;

pub(super) fn missing(table: &'static str) -> impl Fn() -> sea_orm::DbErr {
    move || sea_orm::DbErr::RecordNotFound(format!("the row of `{table}`"))
}
