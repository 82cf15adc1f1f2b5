//! Looking at a database without changing anything in it.

use sea_orm::{EntityTrait, PaginatorTrait};

use super::entity::{games, schema_info};
use crate::game::controller::Instance;

use super::place::At;
use super::{OpenError, Place, Store, open};

/// What a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Whose it is.
    pub instance: Instance,
    /// The version of its schema.
    pub schema: i64,
    /// How many games it has.
    pub games: u64,
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
        Ok(Some(Examined { instance: store.instance().await?, schema: schema.version, games }))
    }
}
