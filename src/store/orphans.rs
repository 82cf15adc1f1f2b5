//! What is decided about a container that belongs to no game: a row, or a tombstone.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};

use crate::game::{DesiredStatus, EngineVersion, GameId, Name, Namespace};

use super::Store;
use super::again::again;
use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::desired::{Author, StoredGame, WriteError};
use super::entity::games;

impl Store {
    /// Declares the game that a container belongs to: it goes on running, and is healed again.
    pub async fn adopt_game(
        &self,
        game: GameId,
        namespace: &Namespace,
        name: &Name,
        version: &EngineVersion,
        author: &Author,
    ) -> Result<StoredGame, WriteError> {
        let row = games::ActiveModel {
            game_id: Set(DbUuid(game.0)),
            namespace: Set(namespace.to_string()),
            name: Set(Some(name.to_string())),
            desired_status: Set(DesiredStatus::Running.as_row().to_owned()),
            target_engine_version: Set(version.to_string()),
            source: Set(author.source.as_row().to_owned()),
            requested_by: Set(author.requested_by.clone()),
            request_id: Set(author.request_id.clone()),
            ..Default::default()
        };
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            row.clone().insert(&transaction).await?;
            Ok::<_, WriteError>(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        let read = again(|| self.game(namespace.as_str(), name.as_str())).await?;
        read.ok_or(WriteError::NotFound)
    }

    /// Declares that the game a container belongs to is deleted: the container goes at once, the
    /// state directory stays.
    pub async fn bury_game(
        &self,
        game: GameId,
        namespace: &Namespace,
        author: &Author,
    ) -> Result<(), WriteError> {
        let id = DbUuid(game.0);
        // A row that is asked to go and goes: so the tombstone, and what counts generations, are as
        // they are for any other deletion. Its name is its id, which nobody else has.
        let row = games::ActiveModel {
            game_id: Set(id),
            namespace: Set(namespace.to_string()),
            name: Set(None),
            desired_status: Set(DesiredStatus::Stopped.as_row().to_owned()),
            deletion_policy: Set(crate::game::DeletionPolicy::Retain.as_row().to_owned()),
            deletion_requested_at: Set(Some(to_db(jiff::Timestamp::now()))),
            source: Set(author.source.as_row().to_owned()),
            requested_by: Set(author.requested_by.clone()),
            request_id: Set(author.request_id.clone()),
            ..Default::default()
        };
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            row.clone().insert(&transaction).await?;
            games::Entity::delete_by_id(id).exec(&transaction).await?;
            Ok::<_, WriteError>(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        Ok(())
    }
}
