//! Looking at a database without changing anything in it.

use jiff::{SignedDuration, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, Statement};

use super::entity::{games, schema_info};
use crate::game::controller::Instance;

use super::place::At;
use super::{OpenError, Place, Store, StoreError, open};

/// What a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Whose it is.
    pub instance: Instance,
    /// The version of its schema.
    pub schema: i64,
    /// How many games it has.
    pub games: u64,
    /// The time by the server's clock; none where the database is a file here.
    pub clock: Option<Timestamp>,
}

impl Store {
    /// Looks at a database: opened for reading alone, neither made nor migrated. `None` when it is
    /// not there yet. It may be in use by a server meanwhile.
    ///
    /// # Errors
    /// It cannot be reached, or is too new.
    pub async fn examine(place: &Place) -> Result<Option<Examined>, OpenError> {
        let found = match &place.at {
            At::Sqlite(path) => open::sqlite_to_look_at(place, path).await?,
            At::Postgres { options, schema } => open::postgres_to_look_at(place, options, schema).await?,
        };
        let Some(store) = found else { return Ok(None) };
        store.refuse_newer().await?;
        let failed = |source| OpenError::connect(place, source);
        let schema = schema_info::Entity::find().one(&store.db).await.map_err(failed)?;
        let schema = schema.ok_or_else(open::missing("schema_info"))?;
        let games = games::Entity::find().count(&store.db).await?;
        let clock = store.clock().await.map_err(failed)?;
        Ok(Some(Examined { instance: store.instance().await?, schema: schema.version, games, clock }))
    }

    /// The present time by which the age of what is kept is judged: the earliest by this host's clocks and
    /// the database server's, as what any of them calls young is not forgotten.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retention_now(&self) -> Result<Timestamp, StoreError> {
        let here = crate::clock::retention_now();
        Ok(self.clock().await?.map_or(here, |server| server.min(here)))
    }

    /// The database server's clock, if there is a server.
    async fn clock(&self) -> Result<Option<Timestamp>, DbErr> {
        let backend = self.db.get_database_backend();
        if backend != DbBackend::Postgres {
            return Ok(None);
        }
        let asked =
            Statement::from_string(backend, "SELECT extract(epoch FROM clock_timestamp())::float8 AS now");
        let row = self.db.query_one_raw(asked).await?;
        let seconds: Option<f64> = row.map(|row| row.try_get("", "now")).transpose()?;
        let since = seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
        Ok(since.and_then(|since| Timestamp::from_duration(since).ok()))
    }
}
