//! History as it grows: what began lately, and what became of what had not ended.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::sea_query::{Alias, Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::game::{GameId, OperationId};

use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::entity::{operation_log, runtime_records, turns};
use super::operations::to_operation;
use super::readable::IDS_AT_ONCE;
use super::{GameOperation, Store, StoreError, StoredTurn};

/// A turn's place in the ledger: its game, timeline and number.
pub type TurnKey = (GameId, i64, i64);

/// So many turns are asked for by their places in one query: each takes three of its variables.
const PLACES_AT_ONCE: usize = 200;

impl Store {
    /// The games of which something was recorded after this number of the feed, each with the timeline
    /// that it is in. Everything that is written to the history goes with such a record.
    ///
    /// # Errors
    /// The database failed.
    pub async fn timelines_after(&self, seq: i64) -> Result<HashMap<GameId, i64>, StoreError> {
        let rows: Vec<(DbUuid, i64)> = runtime_records::Entity::find()
            .select_only()
            .columns([runtime_records::Column::GameId, runtime_records::Column::Timeline])
            .filter(Expr::col(Alias::new("changed_seq")).gt(seq))
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|(id, timeline)| (GameId(id.0), timeline)).collect())
    }

    /// The latest so many turns of those that were opened at this time or later, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn turns_since(
        &self,
        since: Option<Timestamp>,
        limit: u64,
    ) -> Result<Vec<StoredTurn>, StoreError> {
        use turns::Column as C;
        let mut query = turns::Entity::find()
            .order_by_desc(C::OpenedAt)
            .order_by_asc(C::GameId)
            .order_by_desc(C::Number)
            .limit(limit);
        if let Some(since) = since {
            query = query.filter(C::OpenedAt.gte(to_db(since)));
        }
        self.named_turns(query.all(&self.db).await?).await
    }

    /// These turns, as far as they are there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn these_turns(&self, keys: &[TurnKey]) -> Result<Vec<StoredTurn>, StoreError> {
        use turns::Column as C;
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(PLACES_AT_ONCE) {
            let places = some.iter().fold(Condition::any(), |places, (game, timeline, number)| {
                places.add(
                    Condition::all()
                        .add(C::GameId.eq(DbUuid(game.0)))
                        .add(C::Timeline.eq(*timeline))
                        .add(C::Number.eq(*number)),
                )
            });
            found.extend(self.named_turns(turns::Entity::find().filter(places).all(&self.db).await?).await?);
        }
        Ok(found)
    }

    /// The latest so many operations of those that began at this time or later, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operations_since(
        &self,
        since: Option<Timestamp>,
        limit: u64,
    ) -> Result<Vec<GameOperation>, StoreError> {
        use operation_log::Column as C;
        let mut query = operation_log::Entity::find()
            .order_by_desc(C::CreatedAt)
            .order_by_desc(C::OperationId)
            .limit(limit);
        if let Some(since) = since {
            query = query.filter(C::CreatedAt.gte(to_db(since)));
        }
        self.named_operations(query.all(&self.db).await?).await
    }

    /// These operations, as far as they are there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn these_operations(&self, ids: &[OperationId]) -> Result<Vec<GameOperation>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS_AT_ONCE) {
            let wanted = some.iter().map(|id| DbUuid(id.0));
            let query =
                operation_log::Entity::find().filter(operation_log::Column::OperationId.is_in(wanted));
            found.extend(self.named_operations(query.all(&self.db).await?).await?);
        }
        Ok(found)
    }

    /// With the names of their games; those of games of which nothing is recorded are left out.
    pub(super) async fn named_operations(
        &self,
        rows: Vec<operation_log::Model>,
    ) -> Result<Vec<GameOperation>, StoreError> {
        use runtime_records::Column as C;
        let named: Vec<(DbUuid, String, String)> = runtime_records::Entity::find()
            .select_only()
            .columns([C::GameId, C::Namespace, C::Name])
            .filter(C::GameId.is_in(rows.iter().map(|row| row.game_id)))
            .into_tuple()
            .all(&self.db)
            .await?;
        let named: HashMap<_, _> =
            named.into_iter().map(|(id, namespace, name)| (id, (namespace, name))).collect();
        let operation = |row: operation_log::Model| {
            let (namespace, name) = named.get(&row.game_id)?.clone();
            Some(GameOperation { namespace, name, operation: to_operation(row) })
        };
        Ok(rows.into_iter().filter_map(operation).collect())
    }
}
