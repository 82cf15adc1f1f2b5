//! What a write would leave, read by the controller's own eyes: the write is made, read and taken
//! back in one transaction. So triggers, defaults and refusals are those of the write itself.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::game::GameId;
use crate::game::manifest::{GameManifest, ValidGame};
use crate::game::ownership::Managed;
use crate::game::spec::{Desired, VersionEntry};

use super::again::again;
use super::convert::desired;
use super::db_uuid::DbUuid;
use super::desired::{Author, Preconditions, WriteError, by_name, insert, update};
use super::entity::{games, runtime_records};
use super::registry::Registry;
use super::{Store, StoreError, managers};

impl Store {
    /// The desired state that the controller would read if this manifest were written now: in place
    /// of the game's, or as a game that is not there yet (with a new id). Versions that are given
    /// count as registered. Nothing is stored.
    ///
    /// # Errors
    /// Whatever the write itself would be refused for.
    pub async fn forecast_game(
        &self,
        manifest: &GameManifest,
        valid: &ValidGame,
        versions: &[VersionEntry],
        preconditions: &Preconditions,
        author: &Author,
    ) -> Result<Desired, WriteError> {
        let (namespace, name) = (valid.namespace.as_str(), valid.name.as_str());
        let (row, meant) = again(|| async {
            let transaction = self.db.begin_writing().await?;
            match by_name(&transaction, namespace, name).await? {
                Some(found) => {
                    let managed = managers::of_game(&transaction, &found).await?;
                    update(&transaction, manifest, valid, preconditions, &managed, author).await.map(drop)?
                }
                None => insert(&transaction, manifest, valid, &Managed::default(), author).await?,
            }
            let row = by_name(&transaction, namespace, name).await?.ok_or(WriteError::NotFound)?;
            let registry = Registry::read(&transaction).await?;
            let registry = versions.iter().fold(registry, Registry::with);
            let meant = registry.resolve(&row.game.target_engine_version).cloned();
            transaction.rollback().await?;
            Ok::<_, WriteError>((row, meant))
        })
        .await?;
        desired(&row, meant.as_ref(), valid.spec.status).ok_or(WriteError::NotFound)
    }

    /// The game that has this name; or had it last, as long as it is not gone for good.
    ///
    /// # Errors
    /// The database failed.
    pub async fn known_game(&self, namespace: &str, name: &str) -> Result<Option<GameId>, StoreError> {
        let declared: Option<DbUuid> = games::Entity::find()
            .select_only()
            .column(games::Column::GameId)
            .filter(games::Column::Namespace.eq(namespace))
            .filter(games::Column::Name.eq(name))
            .into_tuple()
            .one(&self.db)
            .await?;
        if let Some(id) = declared {
            return Ok(Some(GameId(id.0)));
        }
        let remembered: Option<DbUuid> = runtime_records::Entity::find()
            .select_only()
            .column(runtime_records::Column::GameId)
            .filter(runtime_records::Column::Namespace.eq(namespace))
            .filter(runtime_records::Column::Name.eq(name))
            .filter(runtime_records::Column::DeletedAt.is_null())
            .order_by_desc(runtime_records::Column::UpdatedAt)
            .into_tuple()
            .one(&self.db)
            .await?;
        Ok(remembered.map(|id| GameId(id.0)))
    }
}
