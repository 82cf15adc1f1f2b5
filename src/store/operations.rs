//! The operation log and the events, as they are read.

use super::db_uuid::DbUuid;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::game::{GameId, OperationId};

use super::convert::{from_db, to_db};
use super::entity::{events, games, operation_log, runtime_records};
use super::mark::{Mark, below, nothing};
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

/// An operation with its game's name, which outlives the game.
#[derive(Debug, Clone)]
pub struct GameOperation {
    /// The namespace of its game.
    pub namespace: String,
    /// The name of its game.
    pub name: String,
    /// The operation.
    pub operation: StoredOperation,
}

/// Which operations are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// This one; nobody's id is nil.
    pub id: Option<uuid::Uuid>,
    /// Those of games in this namespace.
    pub namespace: Option<String>,
    /// Those of games that have or had this name.
    pub name: Option<String>,
    /// Those of this game.
    pub game: Option<GameId>,
    /// Those that serve this generation.
    pub generation: Option<i64>,
    /// Those that do this: `start`, `heal` …
    pub op: Option<String>,
    /// Those behind this one.
    pub behind: Option<Mark>,
}

/// An event with what it is about.
#[derive(Debug, Clone)]
pub struct ObjectEvent {
    /// The object's namespace.
    pub namespace: String,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The object's identity, if it has one.
    pub uid: String,
    /// The event.
    pub event: StoredEvent,
}

/// Which events are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those about objects in this namespace.
    pub namespace: Option<String>,
    /// Those about objects of this kind.
    pub kind: Option<String>,
    /// Those about objects of this name.
    pub name: Option<String>,
    /// Those about this object.
    pub uid: Option<String>,
}

impl Store {
    /// The latest operations that the filter lets through, newest first, those of deleted games
    /// among them.
    ///
    /// A generation means something within one game only. So where one is asked for by name, and a
    /// game has the name now, games that had it before are left out.
    pub async fn find_operations(
        &self,
        filter: &OperationFilter,
        limit: u64,
    ) -> Result<Vec<GameOperation>, StoreError> {
        let mut known = runtime_records::Entity::find().select_only().column(runtime_records::Column::GameId);
        if let Some(namespace) = &filter.namespace {
            known = known.filter(runtime_records::Column::Namespace.eq(namespace));
        }
        if let Some(name) = &filter.name {
            known = known.filter(runtime_records::Column::Name.eq(name));
        }
        let mut game = filter.game;
        if let (None, Some(_), Some(namespace), Some(name)) =
            (game, filter.generation, &filter.namespace, &filter.name)
        {
            let now: Option<DbUuid> = games::Entity::find()
                .select_only()
                .column(games::Column::GameId)
                .filter(games::Column::Namespace.eq(namespace))
                .filter(games::Column::Name.eq(name))
                .into_tuple()
                .one(&self.db)
                .await?;
            game = now.map(|id| GameId(id.0));
        }
        let mut query = operation_log::Entity::find()
            .filter(operation_log::Column::GameId.in_subquery(known.into_query()))
            .order_by_desc(operation_log::Column::CreatedAt)
            .order_by_desc(operation_log::Column::OperationId)
            .limit(limit);
        if let Some(game) = game {
            query = query.filter(operation_log::Column::GameId.eq(DbUuid(game.0)));
        }
        if let Some(id) = filter.id {
            query = query.filter(operation_log::Column::OperationId.eq(DbUuid(id)));
        }
        if let Some(generation) = filter.generation {
            query = query.filter(operation_log::Column::Generation.eq(generation));
        }
        if let Some(op) = &filter.op {
            query = query.filter(operation_log::Column::Op.eq(op));
        }
        if let Some(last) = &filter.behind {
            let id = below(operation_log::Column::OperationId, DbUuid(last.id), nothing());
            query = query.filter(below(operation_log::Column::CreatedAt, to_db(last.at), id));
        }
        let rows = query.all(&self.db).await?;
        self.named_operations(rows).await
    }

    /// The latest events that the filter lets through, oldest first.
    pub async fn find_events(
        &self,
        filter: &EventFilter,
        limit: u64,
    ) -> Result<Vec<ObjectEvent>, StoreError> {
        let mut query = events::Entity::find()
            .order_by_desc(events::Column::LastAt)
            .order_by_desc(events::Column::EventId)
            .limit(limit);
        let wanted = [
            (events::Column::Namespace, &filter.namespace),
            (events::Column::Kind, &filter.kind),
            (events::Column::Name, &filter.name),
            (events::Column::Uid, &filter.uid),
        ];
        for (column, value) in wanted {
            if let Some(value) = value {
                query = query.filter(column.eq(value));
            }
        }
        Ok(query.all(&self.db).await?.into_iter().rev().map(to_object_event).collect())
    }

    /// The latest operations of a game, newest first; those of one generation if that is asked for.
    pub async fn operations(
        &self,
        game: GameId,
        generation: Option<i64>,
        limit: u64,
    ) -> Result<Vec<StoredOperation>, StoreError> {
        let mut query = operation_log::Entity::find()
            .filter(operation_log::Column::GameId.eq(DbUuid(game.0)))
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
        Ok(rows.into_iter().rev().map(|row| to_object_event(row).event).collect())
    }
}

pub(super) fn to_object_event(row: events::Model) -> ObjectEvent {
    ObjectEvent {
        namespace: row.namespace,
        kind: row.kind,
        name: row.name,
        uid: row.uid,
        event: StoredEvent {
            id: row.event_id,
            kind: row.r#type,
            reason: row.reason,
            message: row.message,
            count: row.count,
            first_at: from_db(row.first_at),
            last_at: from_db(row.last_at),
        },
    }
}

pub(super) fn to_operation(row: operation_log::Model) -> StoredOperation {
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
