//! The ledger of turns, and what was decided about slots.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use crate::game::record::Life;
use crate::game::turn::{DecidedSlot, LedgerEntry, OpenTurn, TurnCause, TurnEnd, TurnState};
use crate::game::{ContainerId, GameId};

use super::convert::{from_db, to_db};
use super::db_uuid::DbUuid;
use super::entity::{turn_slots, turns};
use super::recorder::Recording;
use super::records::cut;
use super::{Store, StoreError};

/// The longest texts that the schema takes, in bytes.
const MESSAGE: usize = 4_096;
const SLOT_MESSAGE: usize = 1_024;

impl Store {
    /// The turns that are not done, by game and timeline.
    pub(super) async fn open_turns(&self) -> Result<HashMap<(GameId, i64), OpenTurn>, StoreError> {
        let rows = turns::Entity::find()
            .filter(turns::Column::State.is_in(["pending", "dispatched", "failed"]))
            .all(&self.db)
            .await?;
        Ok(rows.iter().filter_map(|row| Some(((GameId(row.game_id.0), row.timeline), open(row)?))).collect())
    }

    /// The latest slot that has a turn, by game and timeline.
    pub(super) async fn last_slots(&self) -> Result<HashMap<(GameId, i64), jiff::Timestamp>, StoreError> {
        let rows: Vec<(DbUuid, i64, Option<sea_orm::prelude::DateTimeUtc>)> = turns::Entity::find()
            .filter(turns::Column::Slot.is_not_null())
            .select_only()
            .columns([turns::Column::GameId, turns::Column::Timeline])
            .column_as(turns::Column::Slot.max(), "slot")
            .group_by(turns::Column::GameId)
            .group_by(turns::Column::Timeline)
            .into_tuple()
            .all(&self.db)
            .await?;
        let entry = |(game, timeline, slot): (DbUuid, i64, Option<sea_orm::prelude::DateTimeUtc>)| {
            Some(((GameId(game.0), timeline), from_db(slot?)))
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }
}

fn open(row: &turns::Model) -> Option<OpenTurn> {
    let life = || {
        let container = ContainerId::new(row.container_id.clone()?);
        Some(Life { container, started_at: row.container_started_at.clone()? })
    };
    let state = match row.state.as_str() {
        "dispatched" => TurnState::Dispatched { life: life()?, at: from_db(row.dispatched_at?) },
        "failed" => TurnState::Failed {
            life: life()?,
            code: row.error_code.clone().unwrap_or_default(),
            message: row.error_message.clone().unwrap_or_default(),
        },
        _ => TurnState::Pending,
    };
    Some(OpenTurn {
        number: row.number,
        cause: TurnCause::from_row(&row.cause)?,
        slot: row.slot.map(from_db),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        opened_at: from_db(row.opened_at),
        state,
    })
}

/// Writes what became of turns and slots.
pub(super) async fn write(db: &impl ConnectionTrait, recording: &Recording) -> Result<(), DbErr> {
    for entry in &recording.ledger {
        write_turn(db, recording, entry).await?;
    }
    for fate in &recording.slots {
        write_slot(db, recording, fate).await?;
    }
    Ok(())
}

async fn write_turn(
    db: &impl ConnectionTrait,
    recording: &Recording,
    entry: &LedgerEntry,
) -> Result<(), DbErr> {
    let LedgerEntry { turn, end } = entry;
    let OpenTurn { number, cause, slot, attempts, opened_at, state } = turn;
    let (mut word, life, at, error) = match state {
        TurnState::Pending => ("pending", None, None, None),
        TurnState::Dispatched { life, at } => ("dispatched", Some(life), Some(*at), None),
        TurnState::Failed { life, code, message } => ("failed", Some(life), None, Some((code, message))),
    };
    match end {
        Some(TurnEnd::Done) => word = "done",
        Some(TurnEnd::Abandoned) => word = "abandoned",
        None => {}
    }
    let row = turns::ActiveModel {
        game_id: Set(DbUuid(recording.game.0)),
        timeline: Set(recording.record.timeline),
        number: Set(*number),
        cause: Set(cause.as_row().to_owned()),
        slot: Set(slot.map(to_db)),
        state: Set(word.to_owned()),
        attempts: Set(i64::from(*attempts)),
        container_id: Set(life.map(|life| life.container.to_string())),
        container_started_at: Set(life.map(|life| life.started_at.clone())),
        operation_id: Set(recording.record.operation.as_ref().map(|operation| DbUuid(operation.id.0))),
        requested_by: Set(recording.requested_by.clone()),
        request_id: Set(recording.request_id.clone()),
        opened_at: Set(to_db(*opened_at)),
        dispatched_at: Set(at.map(to_db)),
        deadline_at: Set(None),
        finished_at: Set(end.map(|_| to_db(jiff::Timestamp::now()))),
        error_code: Set(error.map(|(code, _)| cut(code, 128))),
        error_message: Set(error.map(|(_, message)| cut(message, MESSAGE))),
    };
    use turns::Column as C;
    let mut moved =
        vec![C::Cause, C::Slot, C::State, C::Attempts, C::ErrorCode, C::ErrorMessage, C::FinishedAt];
    if life.is_some() {
        moved.extend([C::ContainerId, C::ContainerStartedAt]);
    }
    if at.is_some() {
        moved.push(C::DispatchedAt);
    }
    if end.is_none() {
        moved.push(C::OperationId);
    }
    let in_place = OnConflict::columns([C::GameId, C::Timeline, C::Number]).update_columns(moved).to_owned();
    turns::Entity::insert(row).on_conflict(in_place).exec_without_returning(db).await?;
    Ok(())
}

async fn write_slot(
    db: &impl ConnectionTrait,
    recording: &Recording,
    fate: &DecidedSlot,
) -> Result<(), DbErr> {
    use turn_slots::Column as C;
    let row = turn_slots::ActiveModel {
        game_id: Set(DbUuid(recording.game.0)),
        timeline: Set(recording.record.timeline),
        slot: Set(to_db(fate.slot)),
        decision: Set(fate.decision.to_owned()),
        reason: Set(cut(&fate.reason, 128)),
        message: Set(cut(&fate.message, SLOT_MESSAGE)),
        turn_number: Set(fate.turn),
        decided_at: Set(to_db(jiff::Timestamp::now())),
    };
    let in_place = OnConflict::columns([C::GameId, C::Timeline, C::Slot])
        .update_columns([C::Decision, C::Reason, C::Message, C::TurnNumber, C::DecidedAt])
        .to_owned();
    turn_slots::Entity::insert(row).on_conflict(in_place).exec_without_returning(db).await?;
    Ok(())
}
