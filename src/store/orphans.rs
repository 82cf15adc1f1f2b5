//! What is decided about a container that belongs to no game: a row, or a tombstone.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    TransactionTrait,
};

use crate::game::{DesiredStatus, EngineVersion, GameId, Name, Namespace};

use super::Store;
use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::desired::{Author, StoredGame, WriteError};
use super::entity::{game_tombstones, games};

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
        let transaction = self.db.begin_with_options(Self::writing()).await?;
        row.insert(&transaction).await?;
        transaction.commit().await?;
        self.desired_written.notify_one();
        self.game(namespace.as_str(), name.as_str()).await?.ok_or(WriteError::NotFound)
    }

    /// Declares that the game a container belongs to is deleted: the container goes at once, the
    /// state directory stays.
    pub async fn bury_game(
        &self,
        game: GameId,
        namespace: &Namespace,
        name: &Name,
        author: &Author,
    ) -> Result<(), WriteError> {
        let now = to_db(jiff::Timestamp::now());
        let transaction = self.db.begin_with_options(Self::writing()).await?;
        if games::Entity::find_by_id(DbUuid(game.0)).one(&transaction).await?.is_some() {
            return Err(WriteError::AlreadyExists);
        }
        let last = game_tombstones::Entity::find()
            .filter(game_tombstones::Column::GameId.eq(DbUuid(game.0)))
            .order_by_desc(game_tombstones::Column::Generation)
            .one(&transaction)
            .await?;
        let tombstone = game_tombstones::ActiveModel {
            game_id: Set(DbUuid(game.0)),
            generation: Set(last.as_ref().map_or(1, |last| last.generation + 1)),
            row_version: Set(last.as_ref().map_or(1, |last| last.row_version + 1)),
            membership_revision: Set(last.as_ref().map_or(0, |last| last.membership_revision)),
            namespace: Set(namespace.to_string()),
            name: Set(name.to_string()),
            deletion_policy: Set(crate::game::DeletionPolicy::Retain.as_row().to_owned()),
            requested_by: Set(author.requested_by.clone()),
            request_id: Set(author.request_id.clone()),
            deletion_requested_at: Set(Some(now)),
            deleted_at: Set(now),
            handled_at: Set(None),
        };
        tombstone.insert(&transaction).await?;
        transaction.execute_unprepared("UPDATE desired_feed SET seq = seq + 1").await?;
        transaction.commit().await?;
        self.desired_written.notify_one();
        Ok(())
    }
}
