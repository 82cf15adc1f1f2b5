//! What the API shows, read in bulk: what changed since the last look, and nothing else.

use std::collections::HashMap;

use sea_orm::sea_query::{Alias, Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
};

use crate::game::GameId;

use super::db_uuid::DbUuid;
use super::desired::stored;
use super::entity::{events, games, operation_log, runtime_records};
use super::open::missing;
use super::operations::to_object_event;
use super::records::{from_row, to_open};
use super::{ObjectEvent, Store, StoreError, StoredGame, managers, readable};

/// How far the two feeds have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feeds {
    /// Moves with every change of desired state that was begun after the last one that moved it. On
    /// PostgreSQL one that was begun earlier and is committed later may leave it where it is.
    pub desired: i64,
    /// Nobody was in the middle of a change, so that whatever comes moves the numbers.
    pub settled: bool,
    /// Moves with every write of what is shown of observed state.
    pub observed: i64,
    /// Moves when events are forgotten.
    pub forgotten: i64,
    /// The number of times that another database had answered before.
    pub replacements: u64,
}

impl Feeds {
    /// True if this database is another one than was read before, or an older copy of it. Nothing that
    /// was read then holds any more.
    pub fn is_another_than(&self, before: &Self) -> bool {
        let Self { desired, settled: _, observed, forgotten, replacements } = *self;
        replacements != before.replacements
            || desired < before.desired
            || observed < before.observed
            || forgotten < before.forgotten
    }
}

impl Store {
    /// How far the feeds are. What is read afterwards is at least as new.
    ///
    /// # Errors
    /// The database failed.
    pub async fn feeds(&self) -> Result<Feeds, StoreError> {
        let (settled, among) = if self.db.is_sqlite() {
            ("true", "")
        } else {
            ("pg_snapshot_xmin(s) = pg_snapshot_xmax(s)", ", pg_current_snapshot() AS s")
        };
        let sql = format!(
            "SELECT (SELECT seq FROM desired_feed), seq, forgotten, {settled} FROM observed_feed{among}"
        );
        let (row, replacements) = loop {
            let before = self.replacements();
            let asked = Statement::from_string(self.db.get_database_backend(), sql.clone());
            let row = self.db.query_one_raw(asked).await?.ok_or_else(missing("observed_feed"))?;
            // A connection that was made for this question may lead elsewhere than those before.
            if self.replacements() == before {
                break (row, before);
            }
        };
        Ok(Feeds {
            desired: row.try_get_by_index(0)?,
            observed: row.try_get_by_index(1)?,
            forgotten: row.try_get_by_index(2)?,
            settled: row.try_get_by_index(3)?,
            replacements,
        })
    }

    /// Which row version each game's row is at; without the tombstones that the controller reads.
    ///
    /// # Errors
    /// The database failed.
    pub async fn game_index(&self) -> Result<HashMap<GameId, i64>, StoreError> {
        let rows = readable::index(&self.db).await?;
        Ok(rows.into_iter().map(|(id, version)| (GameId(id.0), version)).collect())
    }

    /// The games of which something was recorded after this number of the feed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn recorded_after(&self, seq: i64) -> Result<Vec<GameId>, StoreError> {
        let ids: Vec<DbUuid> = runtime_records::Entity::find()
            .select_only()
            .column(runtime_records::Column::GameId)
            .filter(Expr::col(Alias::new("changed_seq")).gt(seq))
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(ids.into_iter().map(|id| GameId(id.0)).collect())
    }

    /// These games as the API shows them, in a fixed number of queries for each few thousand.
    ///
    /// # Errors
    /// The database failed.
    pub async fn games_to_show(&self, ids: &[GameId]) -> Result<Vec<StoredGame>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(readable::IDS_AT_ONCE) {
            let wanted = || some.iter().map(|id| DbUuid(id.0));
            let which = Condition::all().add(games::Column::GameId.is_in(wanted()));
            let rows = readable::games(&self.db, which).await?;
            let records = runtime_records::Entity::find()
                .filter(runtime_records::Column::GameId.is_in(wanted()))
                .all(&self.db)
                .await?;
            let open = operation_log::Entity::find()
                .filter(
                    operation_log::Column::OperationId
                        .is_in(records.iter().filter_map(|row| row.operation_id)),
                )
                .filter(operation_log::Column::FinishedAt.is_null())
                .all(&self.db)
                .await?;
            let open: HashMap<DbUuid, _> =
                open.iter().filter_map(|row| Some((row.operation_id, to_open(row)?))).collect();
            let mut records: HashMap<DbUuid, _> = records
                .iter()
                .map(|row| {
                    let operation = row.operation_id.and_then(|id| open.get(&id).cloned());
                    (row.game_id, from_row(row, operation))
                })
                .collect();
            let managers = managers::of_games(&self.db, &rows).await?;
            found.extend(rows.iter().map(|row| {
                let id = row.game.game_id;
                stored(row, managers.get(&id), records.remove(&id))
            }));
        }
        Ok(found)
    }

    /// The latest so many events of those that were counted after this number of the feed, the
    /// oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn events_after(&self, seq: i64, limit: u64) -> Result<Vec<ObjectEvent>, StoreError> {
        let rows = events::Entity::find()
            .filter(Expr::col(Alias::new("changed_seq")).gt(seq))
            .order_by_desc(events::Column::LastAt)
            .order_by_desc(events::Column::EventId)
            .limit(limit)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().rev().map(to_object_event).collect())
    }

    /// Which events there are, of those with at least this number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn event_ids(&self, from: i64) -> Result<Vec<i64>, StoreError> {
        let query = events::Entity::find()
            .select_only()
            .column(events::Column::EventId)
            .filter(events::Column::EventId.gte(from));
        let rows = self.db.query_all(&query.into_query()).await?;
        Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
    }
}
