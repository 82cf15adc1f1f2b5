//! What is on record about a game around a time: the answer to "what was decided then, and why".

use jiff::{SignedDuration, Timestamp};
use sea_orm::{ColumnTrait, Condition, EntityTrait, JsonValue, QueryFilter, QueryOrder, QuerySelect};

use crate::game::GameId;

use super::convert::{from_db, to_db};
use super::db_uuid::DbUuid;
use super::entity::{
    events, game_changes, games, operation_log, runtime_health_snapshots, turn_slots, turns,
};
use super::operations::{to_object_event, to_operation};
use super::{ObjectEvent, Store, StoreError, StoredOperation, StoredSlot, StoredTurn};

/// So much is told before the time, and after it.
const BEFORE: u64 = 3;
const AFTER: u64 = 2;

/// Events are told that happened within so much of the time.
const NEAR: SignedDuration = SignedDuration::from_mins(10);
const EVENTS: u64 = 20;

/// So many members of a change are listed; it may have changed thousands.
const MAX_MEMBERS: usize = 20;

/// So many later changes are undone to find what should have been then.
const UNDONE: u64 = 1_000;

/// What is on record around a time; lists are oldest first.
#[derive(Debug, Clone)]
pub struct StoredMoment {
    /// What should have been then; none if that can no longer be told.
    pub spec: Option<SpecThen>,
    /// Slots before and after.
    pub slots: Vec<StoredSlot>,
    /// Turns before and after.
    pub turns: Vec<StoredTurn>,
    /// Operations under way, and those before and after.
    pub operations: Vec<StoredOperation>,
    /// Changes of desired state before and after.
    pub changes: Vec<StoredChange>,
    /// What happened around it.
    pub events: Vec<ObjectEvent>,
    /// What the engine had said last.
    pub snapshot: Option<StoredSnapshot>,
}

/// The part of a spec that decides about turns, as it was at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecThen {
    /// `running` or `stopped`.
    pub desired_status: String,
    /// No turn begins.
    pub paused: bool,
    /// Cron; empty for turns by hand only.
    pub schedule: String,
    /// The schedule's zone.
    pub time_zone: String,
    /// No slot fires earlier; RFC 3339.
    pub not_before: Option<String>,
    /// The engine version that should have run.
    pub engine_version: String,
}

/// A change of desired state.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChange {
    /// `created`, `changed` or `deleted`.
    pub change: String,
    /// The generation after it.
    pub generation: i64,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub requested_by: String,
    /// By which request.
    pub request_id: String,
    /// What kind of writer.
    pub source: String,
    /// Which columns from what to what.
    pub changes: JsonValue,
}

/// What an engine said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// When.
    pub observed_at: Timestamp,
    /// Whether it was healthy.
    pub health: String,
    /// At which turn it was.
    pub turn: Option<i64>,
    /// It was generating one.
    pub generating: bool,
    /// The game was over.
    pub finished: bool,
}

impl Store {
    /// What is on record about a game around a time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn moment(&self, game: GameId, at: Timestamp) -> Result<StoredMoment, StoreError> {
        Ok(StoredMoment {
            spec: self.spec_then(game, at).await?,
            slots: self.slots_around(game, at).await?,
            turns: self.turns_around(game, at).await?,
            operations: self.operations_around(game, at).await?,
            changes: self.changes_around(game, at).await?,
            events: self.events_around(game, at).await?,
            snapshot: self.snapshot_before(game, at).await?,
        })
    }

    async fn slots_around(&self, game: GameId, at: Timestamp) -> Result<Vec<StoredSlot>, StoreError> {
        use turn_slots::Column as C;
        let of_game = turn_slots::Entity::find().filter(C::GameId.eq(DbUuid(game.0)));
        let before = of_game.clone().filter(C::Slot.lte(to_db(at))).order_by_desc(C::Slot).limit(BEFORE);
        let after = of_game.filter(C::Slot.gt(to_db(at))).order_by_asc(C::Slot).limit(AFTER);
        let rows = around(before.all(&self.db).await?, after.all(&self.db).await?);
        self.named_slots(rows).await
    }

    async fn turns_around(&self, game: GameId, at: Timestamp) -> Result<Vec<StoredTurn>, StoreError> {
        use turns::Column as C;
        let of_game = turns::Entity::find().filter(C::GameId.eq(DbUuid(game.0)));
        let before =
            of_game.clone().filter(C::OpenedAt.lte(to_db(at))).order_by_desc(C::OpenedAt).limit(BEFORE);
        let after = of_game.filter(C::OpenedAt.gt(to_db(at))).order_by_asc(C::OpenedAt).limit(AFTER);
        let rows = around(before.all(&self.db).await?, after.all(&self.db).await?);
        self.named_turns(rows).await
    }

    async fn operations_around(
        &self,
        game: GameId,
        at: Timestamp,
    ) -> Result<Vec<StoredOperation>, StoreError> {
        use operation_log::Column as C;
        let of_game = operation_log::Entity::find().filter(C::GameId.eq(DbUuid(game.0)));
        let before =
            of_game.clone().filter(C::CreatedAt.lte(to_db(at))).order_by_desc(C::CreatedAt).limit(BEFORE);
        let after = of_game.filter(C::CreatedAt.gt(to_db(at))).order_by_asc(C::CreatedAt).limit(AFTER);
        let rows = around(before.all(&self.db).await?, after.all(&self.db).await?);
        Ok(rows.into_iter().map(to_operation).collect())
    }

    async fn changes_around(&self, game: GameId, at: Timestamp) -> Result<Vec<StoredChange>, StoreError> {
        use game_changes::Column as C;
        let of_game = game_changes::Entity::find().filter(C::GameId.eq(DbUuid(game.0)));
        let before =
            of_game.clone().filter(C::ChangedAt.lte(to_db(at))).order_by_desc(C::ChangeId).limit(BEFORE);
        let after = of_game.filter(C::ChangedAt.gt(to_db(at))).order_by_asc(C::ChangeId).limit(AFTER);
        let rows = around(before.all(&self.db).await?, after.all(&self.db).await?);
        let change = |row: game_changes::Model| StoredChange {
            change: row.change,
            generation: row.generation,
            changed_at: from_db(row.changed_at),
            requested_by: row.requested_by,
            request_id: row.request_id,
            source: row.source,
            changes: shortened(row.changes),
        };
        Ok(rows.into_iter().map(change).collect())
    }

    async fn events_around(&self, game: GameId, at: Timestamp) -> Result<Vec<ObjectEvent>, StoreError> {
        use events::Column as C;
        let (from, to) =
            (at.checked_sub(NEAR).unwrap_or(Timestamp::MIN), at.checked_add(NEAR).unwrap_or(Timestamp::MAX));
        let within = |column: C| Condition::all().add(column.gte(to_db(from))).add(column.lte(to_db(to)));
        // Of what happened several times, only the first and the last time are known.
        let rows = events::Entity::find()
            .filter(C::Uid.eq(game.to_string()))
            .filter(Condition::any().add(within(C::FirstAt)).add(within(C::LastAt)))
            .order_by_desc(C::LastAt)
            .limit(EVENTS)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().rev().map(to_object_event).collect())
    }

    async fn snapshot_before(
        &self,
        game: GameId,
        at: Timestamp,
    ) -> Result<Option<StoredSnapshot>, StoreError> {
        use runtime_health_snapshots::Column as C;
        let row = runtime_health_snapshots::Entity::find()
            .filter(C::GameId.eq(DbUuid(game.0)))
            .filter(C::ObservedAt.lte(to_db(at)))
            .order_by_desc(C::ObservedAt)
            .one(&self.db)
            .await?;
        Ok(row.map(|row| StoredSnapshot {
            observed_at: from_db(row.observed_at),
            health: row.engine_health,
            turn: row.turn,
            generating: row.generating.unwrap_or_default(),
            finished: row.finished.unwrap_or_default(),
        }))
    }

    /// The spec at a time: the present one without the changes since.
    async fn spec_then(&self, game: GameId, at: Timestamp) -> Result<Option<SpecThen>, StoreError> {
        use games::Column as G;
        type Now = (String, bool, String, String, Option<String>, String);
        let now: Option<Now> = games::Entity::find_by_id(DbUuid(game.0))
            .select_only()
            .columns([G::DesiredStatus, G::Paused, G::TurnSchedule, G::TimeZone, G::TurnNotBefore])
            .column(G::TargetEngineVersion)
            .into_tuple()
            .one(&self.db)
            .await?;
        let Some((desired_status, paused, schedule, time_zone, not_before, engine_version)) = now else {
            return Ok(None);
        };
        let mut then = SpecThen { desired_status, paused, schedule, time_zone, not_before, engine_version };
        use game_changes::Column as C;
        let since: Vec<(String, JsonValue)> = game_changes::Entity::find()
            .select_only()
            .columns([C::Change, C::Changes])
            .filter(C::GameId.eq(DbUuid(game.0)))
            .filter(C::ChangedAt.gt(to_db(at)))
            .order_by_desc(C::ChangeId)
            .limit(UNDONE + 1)
            .into_tuple()
            .all(&self.db)
            .await?;
        if since.len() as u64 > UNDONE {
            return Ok(None);
        }
        for (change, changes) in since {
            // Before it was made (again) there was nothing.
            if change != "changed" {
                return Ok(None);
            }
            then.undo(&changes);
        }
        Ok(Some(then))
    }
}

impl SpecThen {
    /// As it was before a change.
    fn undo(&mut self, changes: &JsonValue) {
        let from = |column: &str| changes.get(column).and_then(|change| change.get("from"));
        let text = |column: &str| from(column).and_then(JsonValue::as_str).map(str::to_owned);
        let put = |place: &mut String, column: &str| {
            if let Some(before) = text(column) {
                *place = before;
            }
        };
        put(&mut self.desired_status, "desired_status");
        put(&mut self.schedule, "turn_schedule");
        put(&mut self.time_zone, "time_zone");
        put(&mut self.engine_version, "target_engine_version");
        if from("turn_not_before").is_some() {
            self.not_before = text("turn_not_before");
        }
        if let Some(before) = from("paused").and_then(JsonValue::as_bool) {
            self.paused = before;
        }
    }
}

/// The columns of a change, without what would fill the answer: of many members the first are listed,
/// and how many more there are.
fn shortened(mut changes: JsonValue) -> JsonValue {
    let Some(members) = changes.get_mut("members").and_then(JsonValue::as_array_mut) else { return changes };
    let more = members.len().saturating_sub(MAX_MEMBERS);
    members.truncate(MAX_MEMBERS);
    if more > 0 {
        changes["more_members"] = more.into();
    }
    changes
}

/// Newest first and oldest first, put together oldest first.
fn around<T>(before: Vec<T>, after: Vec<T>) -> Vec<T> {
    before.into_iter().rev().chain(after).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_change_of_many_members_the_first_are_listed() {
        let few = json!({ "members": [1, 2], "paused": { "from": false, "to": true } });
        assert_eq!(shortened(few.clone()), few);
        let many = shortened(json!({ "members": (0..5_000).collect::<Vec<_>>() }));
        assert_eq!(many["members"].as_array().unwrap().len(), MAX_MEMBERS);
        assert_eq!(many["more_members"], 4_980);
    }

    #[test]
    fn a_change_is_undone() {
        let mut then = SpecThen {
            desired_status: "stopped".into(),
            paused: false,
            schedule: "0 18 * * *".into(),
            time_zone: "UTC".into(),
            not_before: Some("2026-11-23T18:00:00.000+00:00".into()),
            engine_version: "1.4.2".into(),
        };
        let before =
            SpecThen { desired_status: "running".into(), paused: true, not_before: None, ..then.clone() };
        then.undo(&json!({
            "desired_status": { "from": "running", "to": "stopped" },
            "paused": { "from": true, "to": false },
            "turn_not_before": { "from": null, "to": "2026-11-23T18:00:00.000+00:00" },
        }));
        assert_eq!(then, before);
    }
}
