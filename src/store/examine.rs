//! Looking at a database without changing anything in it.

use std::path::Path;

use sea_orm::{ConnectOptions, Database, EntityTrait, PaginatorTrait};

use super::entity::{games, schema_info};
use crate::game::controller::Instance;

use super::{OpenError, Store};

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
    /// Looks at the embedded database: opened for reading alone, neither made nor migrated. `None`
    /// when it is not there yet. It may be in use by a server meanwhile.
    pub async fn examine(url: &str) -> Result<Option<Examined>, OpenError> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(OpenError::Unsupported(super::open::without_secrets(url)));
        };
        let path = path.trim_start_matches("//");
        if !Path::new(path).exists() {
            return Ok(None);
        }
        let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=ro"));
        options.max_connections(1).sqlx_logging(false);
        let failed = |source| OpenError::Connect { url: url.to_owned(), source };
        let store = Self::new(Database::connect(options).await.map_err(failed)?);
        store.refuse_newer().await?;
        let schema = schema_info::Entity::find().one(&store.db).await.map_err(failed)?;
        let schema = schema.ok_or_else(super::open::missing("schema_info"))?;
        let games = games::Entity::find().count(&store.db).await?;
        Ok(Some(Examined { instance: store.instance().await?, schema: schema.version, games }))
    }
}
