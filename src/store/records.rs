//! `runtime_records`: rows ↔ [`Record`].

use std::collections::HashMap;

use super::db_uuid::DbUuid;
use jiff::Timestamp;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
};

use crate::game::operation::{OpenOperation, OperationKind};
use crate::game::record::{Contents, DeletionGuard, Exit, Life, Record, Unreadable};
use crate::game::settled::unseen;
use crate::game::spec::Requests;
use crate::game::{ContainerId, GameId, ImageId, OperationId, Phase};

use super::convert::{from_db, to_db};
use super::entity::{game_tombstones, games, operation_log, runtime_records};
use super::readable::IDS_AT_ONCE;
use super::{Store, StoreError};

/// The longest texts that the schema takes; longer ones are cut, not refused.
const REASON: usize = 128;
const MESSAGE: usize = 4_096;
const LOG_LINES: usize = 65_536;

impl Store {
    /// The records of the games that somebody who begins to lead goes on with, at this time: of those with
    /// a row, of those with a tombstone that is not dealt with, of those that were never deleted, and of
    /// those whose deletion was first seen since. (What is known of all others is asked for when they come
    /// back: their number only grows.)
    ///
    /// # Errors
    /// The database failed.
    pub async fn records_to_lead(
        &self,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<HashMap<GameId, Record>, StoreError> {
        let ids: Vec<DbUuid> = runtime_records::Entity::find()
            .select_only()
            .column(runtime_records::Column::GameId)
            .filter(
                Condition::any()
                    .add(runtime_records::Column::DeletedAt.is_null())
                    .add(runtime_records::Column::DeletionSeenAt.gte(to_db(since)))
                    .add(runtime_records::Column::GameId.in_subquery(
                        games::Entity::find().select_only().column(games::Column::GameId).into_query(),
                    ))
                    .add(
                        runtime_records::Column::GameId.in_subquery(
                            game_tombstones::Entity::find()
                                .select_only()
                                .column(game_tombstones::Column::GameId)
                                .filter(game_tombstones::Column::HandledAt.is_null())
                                .into_query(),
                        ),
                    ),
            )
            .into_tuple()
            .all(&self.db)
            .await?;
        let ids: Vec<GameId> = ids.into_iter().map(|id| GameId(id.0)).collect();
        self.records_until(&ids, now).await
    }

    /// The records of these games, for whoever goes on from there at this time: none of it is from the
    /// future.
    ///
    /// # Errors
    /// The database failed.
    pub async fn records_until(
        &self,
        games: &[GameId],
        now: Timestamp,
    ) -> Result<HashMap<GameId, Record>, StoreError> {
        let written = self.written_records(games).await?.into_iter();
        Ok(written
            .map(|(game, mut record, written_at)| {
                if record.is_not_from_the_future(written_at, now) {
                    tracing::warn!(game_id = %game, "its record is from the future: the clock was set back");
                }
                (game, record)
            })
            .collect())
    }

    /// The records of these games.
    ///
    /// # Errors
    /// The database failed.
    pub async fn records(&self, games: &[GameId]) -> Result<HashMap<GameId, Record>, StoreError> {
        Ok(self.written_records(games).await?.into_iter().map(|(game, record, _)| (game, record)).collect())
    }

    /// The records of these games, and when each was last written: a fixed number of questions for some
    /// thousand of them.
    async fn written_records(
        &self,
        games: &[GameId],
    ) -> Result<Vec<(GameId, Record, Option<Timestamp>)>, StoreError> {
        let mut written = Vec::with_capacity(games.len());
        for some in games.chunks(IDS_AT_ONCE) {
            let some: Vec<DbUuid> = some.iter().map(|game| DbUuid(game.0)).collect();
            self.read_records(&some, &mut written).await?;
        }
        Ok(written)
    }

    async fn read_records(
        &self,
        games: &[DbUuid],
        written: &mut Vec<(GameId, Record, Option<Timestamp>)>,
    ) -> Result<(), StoreError> {
        let of = || games.iter().copied();
        let open = operation_log::Entity::find()
            .filter(operation_log::Column::GameId.is_in(of()))
            .filter(operation_log::Column::Status.is_in(["queued", "running"]))
            .all(&self.db)
            .await?;
        let open: HashMap<_, _> =
            open.iter().filter_map(|row| Some((row.operation_id, to_open(row)?))).collect();
        let mut turns = self.open_turns(games).await?;
        let taken = self.taken_slots(games).await?;
        let mut deferred = self.deferred_slots(games).await?;
        let mut players = self.mappings(games).await?;
        let mut standings = self.standings(games).await?;
        let rows = runtime_records::Entity::find()
            .filter(runtime_records::Column::GameId.is_in(of()))
            .all(&self.db)
            .await?;
        written.extend(rows.iter().map(|row| {
            let operation = row.operation_id.and_then(|id| open.get(&id).cloned());
            let game = GameId(row.game_id.0);
            let of = (game, row.timeline);
            let record = from_row(row, operation);
            // Nothing else is ever sent again.
            let turn = turns.remove(&of).filter(|turn| record.can_go_on_with(turn));
            let deferred = deferred.remove(&of).unwrap_or_default();
            let taken = taken.get(&of).copied().into_iter().collect();
            let players = players.remove(&game).unwrap_or_default();
            let standings = standings.remove(&game).unwrap_or_default();
            let record = Record { turn, taken, deferred, players, standings, ..record };
            (game, record, row.last_observed_at.map(from_db))
        }));
        Ok(())
    }

    pub(super) async fn open_operation(
        &self,
        id: Option<DbUuid>,
    ) -> Result<Option<OpenOperation>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        let row = operation_log::Entity::find_by_id(id).one(&self.db).await?;
        Ok(row.as_ref().filter(|row| row.finished_at.is_none()).and_then(to_open))
    }
}

pub(super) fn to_open(row: &operation_log::Model) -> Option<OpenOperation> {
    Some(OpenOperation {
        id: OperationId(row.operation_id.0),
        kind: OperationKind::from_row(&row.op)?,
        generation: row.generation,
        requested_by: row.requested_by.clone(),
        request_id: row.request_id.clone(),
    })
}

fn read<T: serde::de::DeserializeOwned>(json: &serde_json::Value) -> Option<T> {
    serde_json::from_value(json.clone()).ok()
}

fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Text as both databases take it, cut at a character's border: PostgreSQL has no U+0000, which
/// logs and messages of others may have.
pub(super) fn cut(text: &str, longest: usize) -> String {
    // As long as what it stands for in no encoding, so it is put in before the cut.
    let text = without_nul(text);
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The JSON of something, as both databases take it.
pub(super) fn stored(value: &impl serde::Serialize) -> serde_json::Value {
    let mut json = serde_json::json!(value);
    make_storable(&mut json);
    json
}

fn make_storable(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::String(text) if text.contains('\0') => *text = without_nul(text),
        serde_json::Value::Array(all) => all.iter_mut().for_each(make_storable),
        serde_json::Value::Object(all) => all.values_mut().for_each(make_storable),
        _ => {}
    }
}

pub(super) fn from_row(row: &runtime_records::Model, operation: Option<OpenOperation>) -> Record {
    let container = |id: &Option<String>| id.clone().map(ContainerId::new);
    let last_exit = row.last_exit_at.map(|at| Exit {
        life: row
            .last_exit_container_id
            .clone()
            .zip(row.last_exit_started_at.clone())
            .map(|(container, started_at)| Life { container: ContainerId::new(container), started_at }),
        code: row.last_exit_code,
        out_of_memory: row.last_exit_oom.unwrap_or_default(),
        reason: row.last_exit_reason.clone().unwrap_or_default(),
        at: from_db(at),
    });
    let mut unreadable = Vec::new();
    Record {
        phase: Phase::from_row(&row.status).unwrap_or(Phase::Pending),
        reason: row.reason.clone(),
        message: row.message.clone(),
        observed_generation: row.observed_generation,
        observed_requests: Requests {
            restart: row.observed_restart_generation.unwrap_or_default(),
            force_turn: row.observed_force_turn_generation.unwrap_or_default(),
            patch: row.observed_patch_generation.unwrap_or_default(),
            unblock: row.observed_unblock_generation.unwrap_or_default(),
            restore: row.observed_restore_generation.unwrap_or_default(),
            backup: row.observed_backup_generation.unwrap_or_default(),
        },
        observed_membership_revision: row.observed_membership_revision.unwrap_or_default(),
        container: container(&row.current_container_id),
        container_started_at: row.current_container_started_at.clone(),
        image_id: row.current_image_id.clone().map(ImageId::new),
        applied: or_told("applied_spec", row.applied_spec.as_ref(), &mut unreadable),
        endpoint: row.engine_endpoint.clone(),
        endpoints: row.endpoints.clone().and_then(|json| serde_json::from_value(json).ok()),
        state_path: row.state_path.clone(),
        network: row.docker_network.clone(),
        engine_health: Some(row.engine_health.clone()).filter(|health| health != "unknown"),
        current_turn: row.current_turn,
        patch: or_told("patch", row.patch.as_ref(), &mut unreadable),
        patch_delay: row.patch_delay.as_ref().and_then(read),
        failed_patch: row.failed_patch.as_ref().and_then(read),
        put_back: or_told("put_back", row.put_back.as_ref(), &mut unreadable),
        copying: or_told("copying", row.copying.as_ref(), &mut unreadable),
        timeline: row.timeline,
        players: Vec::new(),
        standings: Vec::new(),
        reported_at: row.reported_at.map(from_db),
        turn: None,
        taken: Vec::new(),
        deferred: Vec::new(),
        slot_cursor: row.slot_cursor.map(from_db),
        next_turn_at: row.next_turn_at.map(from_db),
        scheduled_by: row.scheduled_by.clone(),
        turn_wait_until: row.turn_wait_until.map(from_db),
        init_intent_at: row.init_intent_at.map(from_db),
        init_baseline: row.init_baseline.clone().map(Contents::new),
        initialized_at: row.initialized_at.map(from_db),
        paused_at: row.paused_at.map(from_db),
        started_at: row.started_at.map(from_db),
        stopped_at: row.stopped_at.map(from_db),
        finished_at: row.finished_at.map(from_db),
        start_began_at: row.start_began_at.map(from_db),
        healthy_since: row.healthy_since.map(from_db),
        failures: small(row.failures),
        restart_count: small(row.restart_count),
        next_attempt_at: row.next_attempt_at.map(from_db),
        last_exit,
        last_log_lines: row.last_log_lines.clone(),
        restart_from: container(&row.restart_from_container_id),
        may_be_alive: container(&row.may_be_alive_container_id),
        blocked_by: row.blocked_by.clone(),
        waiting_on: serde_json::from_value(row.waiting_on.clone()).unwrap_or_default(),
        left_to_do: row.left_to_do.as_ref().and_then(read).unwrap_or_else(unseen),
        conditions: serde_json::from_value(row.conditions.clone()).unwrap_or_default(),
        operation,
        deletion_seen_at: row.deletion_seen_at.map(from_db),
        deletion_guard: row.deletion_guard.as_deref().map(DeletionGuard::from_row),
        deletion_confirmed_before: row.deletion_confirmed_before.map(from_db),
        erasing_since: row.erasing_since.map(from_db),
        deleted_at: row.deleted_at.map(from_db),
        unreadable,
    }
}

/// What a column says on which it depends what an engine may do to the state. One that cannot be read
/// is told: it must never be taken for an empty one.
fn or_told<T: serde::de::DeserializeOwned>(
    column: &'static str,
    json: Option<&serde_json::Value>,
    unreadable: &mut Vec<Unreadable>,
) -> Option<T> {
    match serde_json::from_value(json?.clone()) {
        Ok(said) => said,
        Err(error) => {
            unreadable.push(Unreadable { column, why: error.to_string() });
            None
        }
    }
}

/// The row of a record. Every field of the record must find its column here.
pub(super) fn to_row(
    game: GameId,
    namespace: &str,
    name: &str,
    epoch: i64,
    record: &Record,
) -> runtime_records::ActiveModel {
    let Record {
        phase,
        reason,
        message,
        observed_generation,
        observed_requests,
        observed_membership_revision,
        container,
        container_started_at,
        image_id,
        applied,
        endpoint,
        endpoints,
        state_path,
        network,
        engine_health,
        current_turn,
        patch,
        patch_delay,
        failed_patch,
        put_back,
        copying,
        timeline,
        players: _,
        standings: _,
        reported_at,
        turn: _,
        taken: _,
        deferred: _,
        slot_cursor,
        next_turn_at,
        scheduled_by,
        turn_wait_until,
        init_intent_at,
        init_baseline,
        initialized_at,
        paused_at,
        started_at,
        stopped_at,
        finished_at,
        start_began_at,
        healthy_since,
        failures,
        restart_count,
        next_attempt_at,
        last_exit,
        last_log_lines,
        restart_from,
        may_be_alive,
        blocked_by,
        waiting_on,
        left_to_do,
        conditions,
        operation,
        deletion_seen_at,
        deletion_guard,
        deletion_confirmed_before,
        erasing_since,
        deleted_at,
        // Not written over; see `replace_record`.
        unreadable: _,
    } = record;
    let time = |time: &Option<jiff::Timestamp>| Set(time.map(to_db));
    let id = |id: &Option<ContainerId>| Set(id.as_ref().map(ToString::to_string));
    let exit_life = last_exit.as_ref().and_then(|exit| exit.life.as_ref());
    let now = to_db(jiff::Timestamp::now());
    runtime_records::ActiveModel {
        // Whoever writes it knows, or the database.
        changed_seq: NotSet,
        game_id: Set(DbUuid(game.0)),
        namespace: Set(namespace.to_owned()),
        name: Set(name.to_owned()),
        status: Set(phase.as_row().to_owned()),
        reason: Set(cut(reason, REASON)),
        message: Set(cut(message, MESSAGE)),
        conditions: Set(stored(conditions)),
        observed_generation: Set(*observed_generation),
        current_container_id: id(container),
        current_container_started_at: Set(container_started_at.clone()),
        current_image_ref: Set(applied.as_ref().map(|applied| applied.image.to_string())),
        current_image_id: Set(image_id.as_ref().map(ToString::to_string)),
        current_engine_version: Set(applied.as_ref().map(|applied| applied.engine_version.to_string())),
        applied_spec: Set(applied.as_ref().map(stored)),
        engine_endpoint: Set(endpoint.clone()),
        endpoints: Set(endpoints.as_ref().map(stored)),
        state_path: Set(state_path.clone()),
        docker_network: Set(network.clone()),
        engine_health: Set(engine_health.clone().unwrap_or_else(|| "unknown".to_owned())),
        current_turn: Set(*current_turn),
        patch: Set(patch.as_ref().map(stored)),
        patch_delay: Set(patch_delay.as_ref().map(stored)),
        failed_patch: Set(failed_patch.as_ref().map(stored)),
        put_back: Set(put_back.as_ref().map(stored)),
        copying: Set(copying.as_ref().map(stored)),
        timeline: Set(*timeline),
        reported_at: time(reported_at),
        slot_cursor: time(slot_cursor),
        next_turn_at: time(next_turn_at),
        scheduled_by: Set(scheduled_by.clone()),
        turn_wait_until: time(turn_wait_until),
        init_intent_at: time(init_intent_at),
        init_baseline: Set(init_baseline.as_ref().map(|contents| contents.as_str().to_owned())),
        initialized_at: time(initialized_at),
        paused_at: time(paused_at),
        started_at: time(started_at),
        stopped_at: time(stopped_at),
        finished_at: time(finished_at),
        last_observed_at: Set(Some(now)),
        operation_id: Set(operation.as_ref().map(|operation| DbUuid(operation.id.0))),
        blocked_by: Set(blocked_by.as_ref().map(|reason| cut(reason, REASON))),
        waiting_on: Set(stored(waiting_on)),
        left_to_do: Set(Some(stored(left_to_do))),
        deletion_seen_at: time(deletion_seen_at),
        deletion_guard: Set(deletion_guard.map(|guard| guard.as_row().to_owned())),
        deletion_confirmed_before: time(deletion_confirmed_before),
        erasing_since: time(erasing_since),
        start_began_at: time(start_began_at),
        healthy_since: time(healthy_since),
        failures: Set(i64::from(*failures)),
        restart_count: Set(i64::from(*restart_count)),
        next_attempt_at: time(next_attempt_at),
        restart_from_container_id: id(restart_from),
        may_be_alive_container_id: id(may_be_alive),
        last_exit_code: Set(last_exit.as_ref().and_then(|exit| exit.code)),
        last_exit_oom: Set(last_exit.as_ref().map(|exit| exit.out_of_memory)),
        last_exit_at: Set(last_exit.as_ref().map(|exit| to_db(exit.at))),
        last_exit_reason: Set(last_exit.as_ref().map(|exit| cut(&exit.reason, MESSAGE))),
        last_exit_container_id: Set(exit_life.map(|life| life.container.to_string())),
        last_exit_started_at: Set(exit_life.map(|life| life.started_at.clone())),
        last_log_lines: Set(last_log_lines.as_ref().map(|lines| cut(lines, LOG_LINES))),
        observed_restart_generation: Set(Some(observed_requests.restart)),
        observed_force_turn_generation: Set(Some(observed_requests.force_turn)),
        observed_patch_generation: Set(Some(observed_requests.patch)),
        observed_unblock_generation: Set(Some(observed_requests.unblock)),
        observed_restore_generation: Set(Some(observed_requests.restore)),
        observed_backup_generation: Set(Some(observed_requests.backup)),
        observed_membership_revision: Set(Some(*observed_membership_revision)),
        epoch: Set(epoch),
        deleted_at: time(deleted_at),
        record_version: Set(1),
        updated_at: Set(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    /// A store with the record of one game, of which a column is written by hand.
    async fn with_column(column: &str, json: &str) -> (tempfile::TempDir, Store, GameId) {
        let directory = tempfile::tempdir().unwrap();
        let place: Place = format!("sqlite:{}", directory.path().join("g.db").display()).parse().unwrap();
        let store = Store::open(&place).await.unwrap();
        let game = GameId(uuid::Uuid::from_u128(7));
        let statement = format!(
            "INSERT INTO runtime_records (game_id, name, status, {column}) VALUES ('{game}', 'andromeda', 'running', '{json}')"
        );
        sea_orm::ConnectionTrait::execute_unprepared(&store.db, &statement).await.unwrap();
        (directory, store, game)
    }

    #[test]
    fn what_no_database_takes_is_in_no_text_and_no_json() {
        assert_eq!(cut("a\0b", 16), "a\u{fffd}b");
        assert_eq!(cut("a\0b", 3), "a");
        assert_eq!(cut("äöü", 3), "ä");
        let json = stored(&serde_json::json!({ "why": ["x\0", { "of": "\0" }], "n": 1 }));
        assert_eq!(json, serde_json::json!({ "why": ["x\u{fffd}", { "of": "\u{fffd}" }], "n": 1 }));
    }

    #[tokio::test]
    async fn a_column_that_cannot_be_read_is_told_and_never_taken_for_an_empty_one() {
        for column in ["patch", "put_back", "copying", "applied_spec"] {
            let (_directory, store, game) = with_column(column, "{\"of\": \"another build\"}").await;
            let record = store.records(&[game]).await.unwrap().remove(&game).unwrap();
            assert_eq!(record.unreadable.len(), 1, "{column}");
            assert_eq!(record.unreadable[0].column, column);
            assert!(record.unreadable[0].why.contains("missing field"), "{:?}", record.unreadable);
        }
        let (_directory, store, game) = with_column("patch_delay", "{\"of\": 1}").await;
        assert!(store.records(&[game]).await.unwrap()[&game].unreadable.is_empty());
    }
}
