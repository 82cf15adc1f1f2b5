//! What is left of deleted rows: games of which nothing is to be done but their deletion.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::game::GameId;
use crate::game::manifest::SpecProblem;
use crate::game::spec::{Deletion, DeletionPolicy, Desired, DesiredStatus, Requests, Source};

use super::db_uuid::DbUuid;
use super::desired::RowVersion;
use super::entity::{game_tombstones, games};
use super::{Store, StoreError, readable};

impl Store {
    /// The tombstones that are not dealt with, the last one of each game.
    pub(super) async fn tombstone_index(&self) -> Result<HashMap<GameId, RowVersion>, StoreError> {
        let tombstones: Vec<(DbUuid, i64)> = game_tombstones::Entity::find()
            .filter(game_tombstones::Column::HandledAt.is_null())
            .order_by_asc(game_tombstones::Column::Generation)
            .select_only()
            .columns([game_tombstones::Column::GameId, game_tombstones::Column::RowVersion])
            .into_tuple()
            .all(&self.db)
            .await?;
        let version = |(id, version): (DbUuid, i64)| (GameId(id.0), RowVersion::Tombstone(version));
        Ok(tombstones.into_iter().map(version).collect())
    }

    /// Those of these games that have no row any more, from their last tombstones.
    pub(super) async fn buried(&self, ids: &[GameId]) -> Result<Vec<(Desired, RowVersion)>, StoreError> {
        let mut found = HashMap::new();
        for some in ids.chunks(readable::IDS_AT_ONCE) {
            let wanted: Vec<DbUuid> = some.iter().map(|id| DbUuid(id.0)).collect();
            let tombstones = game_tombstones::Entity::find()
                .filter(game_tombstones::Column::GameId.is_in(wanted.clone()))
                .filter(game_tombstones::Column::HandledAt.is_null())
                .order_by_asc(game_tombstones::Column::Generation)
                .all(&self.db)
                .await?;
            // A row that is there, but cannot be read, is no deletion.
            let there: Vec<DbUuid> = games::Entity::find()
                .filter(games::Column::GameId.is_in(wanted))
                .select_only()
                .column(games::Column::GameId)
                .into_tuple()
                .all(&self.db)
                .await?;
            let gone = tombstones.iter().filter(|row| !there.contains(&row.game_id));
            found.extend(gone.filter_map(|row| {
                Some((row.game_id.0, (buried(row)?, RowVersion::Tombstone(row.row_version))))
            }));
        }
        Ok(found.into_values().collect())
    }
}

/// A game whose row is gone, from its tombstone: all that is left to do is its deletion.
fn buried(row: &game_tombstones::Model) -> Option<Desired> {
    Some(Desired {
        id: GameId(row.game_id.0),
        namespace: row.namespace.parse().ok()?,
        name: row.name.parse().ok()?,
        generation: row.generation,
        status: DesiredStatus::Stopped,
        stop_now: false,
        paused: false,
        backup_before_turn: false,
        deletion_policy: DeletionPolicy::from_row(&row.deletion_policy).unwrap_or_default(),
        deletion: Some(match row.deletion_requested_at {
            Some(_) => Deletion::Requested,
            None => Deletion::RowGone,
        }),
        requests: Requests::default(),
        restore_backup: None,
        membership_revision: row.membership_revision,
        members: Vec::new(),
        spec: Err(vec![SpecProblem::new("metadata.name", "the game's row is gone")].into()),
        version: None,
        version_resumed: 0,
        created_at: None,
        cosmetic: Vec::new(),
        source: Source::Lobby,
        requested_by: row.requested_by.clone(),
        request_id: row.request_id.clone(),
        labels: BTreeMap::new(),
    })
}
