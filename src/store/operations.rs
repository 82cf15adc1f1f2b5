//! The operation log and the events, as they are read.

use jiff::Timestamp;
use sea_orm::value::TextUuid;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::game::{GameId, OperationId};

use super::convert::from_db;
use super::entity::{events, operation_log};
use super::{Store, StoreError};

/// One row of the operation log.
#[derive(Debug, Clone)]
pub struct StoredOperation {
    /// Its identity.
    pub id: OperationId,
    /// Its game.
    pub game: GameId,
    /// What it does: `start`, `heal` …
    pub op: String,
    /// Who began it: `operator`, `controller` …
    pub source: String,
    /// The user behind it.
    pub requested_by: String,
    /// The request behind it.
    pub request_id: String,
    /// The generation it serves.
    pub generation: i64,
    /// Why it began.
    pub cause: String,
    /// The version before.
    pub from_version: Option<String>,
    /// The version it leads to.
    pub to_version: Option<String>,
    /// `running`, `succeeded`, `failed`, `superseded`.
    pub status: String,
    /// One CamelCase word, if it failed.
    pub error_code: Option<String>,
    /// A sentence, if it failed.
    pub error_message: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One row of the events.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its row.
    pub id: i64,
    /// `normal` or `warning`.
    pub kind: String,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How often.
    pub count: i64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

impl Store {
    /// The latest operations of a game, newest first; those of one generation if that is asked for.
    pub async fn operations(
        &self,
        game: GameId,
        generation: Option<i64>,
        limit: u64,
    ) -> Result<Vec<StoredOperation>, StoreError> {
        let mut query = operation_log::Entity::find()
            .filter(operation_log::Column::GameId.eq(TextUuid(game.0)))
            .order_by_desc(operation_log::Column::CreatedAt)
            .order_by_desc(operation_log::Column::OperationId)
            .limit(limit);
        if let Some(generation) = generation {
            query = query.filter(operation_log::Column::Generation.eq(generation));
        }
        Ok(query.all(&self.db).await?.into_iter().map(to_operation).collect())
    }

    /// The events of a game, oldest first.
    pub async fn events(&self, game: GameId, limit: u64) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = events::Entity::find()
            .filter(events::Column::Uid.eq(game.to_string()))
            .order_by_desc(events::Column::LastAt)
            .limit(limit)
            .all(&self.db)
            .await?;
        Ok(rows
            .into_iter()
            .rev()
            .map(|row| StoredEvent {
                id: row.event_id,
                kind: row.r#type,
                reason: row.reason,
                message: row.message,
                count: row.count,
                first_at: from_db(row.first_at),
                last_at: from_db(row.last_at),
            })
            .collect())
    }
}

fn to_operation(row: operation_log::Model) -> StoredOperation {
    StoredOperation {
        id: OperationId(row.operation_id.0),
        game: GameId(row.game_id.0),
        op: row.op,
        source: row.source,
        requested_by: row.requested_by,
        request_id: row.request_id,
        generation: row.generation,
        cause: row.cause,
        from_version: row.from_version,
        to_version: row.to_version,
        status: row.status,
        error_code: row.error_code,
        error_message: row.error_message,
        created_at: from_db(row.created_at),
        finished_at: row.finished_at.map(from_db),
    }
}
