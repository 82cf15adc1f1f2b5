//! What one recording is in the database's rows.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Statement,
};
use uuid::Uuid;

use crate::game::manifest::wire::GAME_KIND;
use crate::game::operation::{Ending, NewOperation};
use crate::game::record::Unreadable;
use crate::game::spec::Deletion;
use crate::game::{Epoch, GameId, OperationId};

use super::super::convert::to_db;
use super::super::db_uuid::DbUuid;
use super::super::entity::{game_tombstones, games, instance, operation_log, runtime_records};
use super::super::events::{self, About};
use super::super::outbox::{self, NewLobbyEvent};
use super::super::records::{cut, to_row};
use super::super::{players, reports, turns, version_records};
use super::{Recording, SHORT_MESSAGE};

/// The longest message of an operation that the schema takes, in bytes.
const MESSAGE: usize = 4_096;

/// Writes what the lobby is told. Gives the last event, if there is one.
pub(super) async fn tell_lobby(
    db: &impl ConnectionTrait,
    recording: &Recording,
) -> Result<Option<Uuid>, DbErr> {
    let (timeline, mut last) = (recording.record.timeline, None);
    for NewLobbyEvent { kind, occurred_at, payload } in &recording.lobby {
        let told = outbox::append(db, recording.game, timeline, kind, *occurred_at, payload.clone());
        last = Some(told.await?);
    }
    Ok(last)
}

/// Moves the high-water counter.
pub(super) async fn count_up(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    instance::Entity::update_many()
        .col_expr(instance::Column::HighWater, Expr::col(instance::Column::HighWater).add(1))
        .exec(db)
        .await?;
    let row = instance::Entity::find().one(db).await?.ok_or_else(super::super::open::missing("instance"))?;
    Ok(row.high_water)
}

/// The number of this transaction in `observed_feed`. On PostgreSQL the database puts it into each row;
/// SQLite's trigger would have to write each row a second time for that.
pub(super) async fn observed_number(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let backend = db.get_database_backend();
    if backend != DbBackend::Sqlite {
        return Ok(0);
    }
    let moved = Statement::from_string(backend, "UPDATE observed_feed SET seq = seq + 1 RETURNING seq");
    let row = db.query_one_raw(moved).await?.ok_or_else(super::super::open::missing("observed_feed"))?;
    row.try_get_by_index(0)
}

pub(super) async fn write_one(
    db: &impl ConnectionTrait,
    epoch: Epoch,
    number: i64,
    recording: &Recording,
) -> Result<(), DbErr> {
    if let Some((id, ending)) = &recording.close {
        close(db, *id, ending, recording).await?;
    }
    if let Some((id, new)) = &recording.open {
        open(db, epoch, *id, new, None, recording).await?;
    }
    for (id, new, ending) in &recording.at_once {
        open(db, epoch, *id, new, Some(ending), recording).await?;
    }
    let row = runtime_records::ActiveModel {
        changed_seq: Set(number),
        ..to_row(
            recording.game,
            recording.namespace.as_str(),
            recording.name.as_str(),
            epoch.0,
            &recording.record,
        )
    };
    runtime_records::Entity::insert(row)
        .on_conflict(replace_record(&recording.record.unreadable))
        .exec_without_returning(db)
        .await?;
    if let Some(players) = &recording.players {
        players::write_mappings(db, recording.game, players).await?;
    }
    players::write_standings(db, recording.game, &recording.standings).await?;
    if let Some(report) = &recording.report {
        reports::write(db, recording.game, recording.record.timeline, report).await?;
    }
    turns::write(db, recording).await?;
    if let Some((timeline, after)) = recording.rolled_back {
        turns::roll_back(db, recording.game, timeline, after).await?;
    }
    if recording.ends_life() || recording.rolled_back.is_some() || !recording.ledger.is_empty() {
        turns::close_others(db, recording).await?;
    }
    if let (Some(version), Some(failed)) = (&recording.failed_version, &recording.record.failed_patch) {
        version_records::count(db, version, &failed.reason, &failed.message).await?;
    }
    if let Some(event) = &recording.event {
        let about = About {
            namespace: recording.namespace.as_str(),
            kind: GAME_KIND,
            name: recording.name.as_str(),
            uid: &recording.game.to_string(),
        };
        events::count(db, &about, event).await?;
    }
    if recording.ends_life() {
        turns::drop_slots(db, recording.game).await?;
        supersede_all(db, recording.game).await?;
    }
    if let Some(deletion) = recording.deleted {
        match deletion {
            Deletion::Requested => {
                // A row that came back meanwhile was not asked to go.
                games::Entity::delete_by_id(DbUuid(recording.game.0))
                    .filter(games::Column::DeletionRequestedAt.is_not_null())
                    .exec(db)
                    .await?;
            }
            Deletion::RowGone => {}
        }
        // A tombstone that is newer than what was decided about has a grace of its own.
        let up_to = match deletion {
            Deletion::Requested => i64::MAX,
            Deletion::RowGone => recording.record.observed_generation,
        };
        game_tombstones::Entity::update_many()
            .col_expr(game_tombstones::Column::HandledAt, Expr::value(to_db(jiff::Timestamp::now())))
            .filter(game_tombstones::Column::GameId.eq(DbUuid(recording.game.0)))
            .filter(game_tombstones::Column::HandledAt.is_null())
            .filter(game_tombstones::Column::Generation.lte(up_to))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Everything but what only the first write sets, and what could not be read: that is for a person.
fn replace_record(unreadable: &[Unreadable]) -> OnConflict {
    use sea_orm::{Iden, Iterable};
    let is_left_alone = |column: &runtime_records::Column| {
        unreadable.iter().any(|unreadable| column.unquoted() == unreadable.column)
    };
    let columns = runtime_records::Column::iter().filter(|column| {
        !matches!(column, runtime_records::Column::GameId | runtime_records::Column::RecordVersion)
            && !is_left_alone(column)
    });
    OnConflict::column(runtime_records::Column::GameId)
        .update_columns(columns)
        .value(
            runtime_records::Column::RecordVersion,
            Expr::col((runtime_records::Entity, runtime_records::Column::RecordVersion)).add(1),
        )
        .to_owned()
}

async fn open(
    db: &impl ConnectionTrait,
    epoch: Epoch,
    id: OperationId,
    new: &NewOperation,
    ending: Option<&Ending>,
    recording: &Recording,
) -> Result<(), DbErr> {
    let now = to_db(jiff::Timestamp::now());
    let (status, code, message) = match ending {
        None => ("running", None, None),
        Some(ending) => words(ending),
    };
    let row = operation_log::ActiveModel {
        operation_id: Set(DbUuid(id.0)),
        game_id: Set(DbUuid(recording.game.0)),
        op: Set(new.kind.as_row().to_owned()),
        source: Set(new.source.as_row().to_owned()),
        requested_by: Set(new.requested_by.clone()),
        request_id: Set(new.request_id.clone()),
        generation: Set(new.generation),
        cause: Set(cut(&new.cause, SHORT_MESSAGE)),
        from_version: Set(new.from_version.as_ref().map(ToString::to_string)),
        to_version: Set(new.to_version.as_ref().map(ToString::to_string)),
        status: Set(status.to_owned()),
        error_code: Set(code),
        error_message: Set(message),
        image_ref: Set(recording.record.applied.as_ref().map(|applied| applied.image.to_string())),
        container_id: Set(recording.record.container.as_ref().map(ToString::to_string)),
        epoch: Set(epoch.0),
        created_at: Set(now),
        started_at: Set(Some(now)),
        finished_at: Set(ending.map(|_| now)),
    };
    operation_log::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

async fn close(
    db: &impl ConnectionTrait,
    id: OperationId,
    ending: &Ending,
    recording: &Recording,
) -> Result<(), DbErr> {
    let (status, code, message) = words(ending);
    let record = &recording.record;
    operation_log::Entity::update_many()
        .col_expr(operation_log::Column::Status, Expr::value(status))
        .col_expr(operation_log::Column::ErrorCode, Expr::value(code))
        .col_expr(operation_log::Column::ErrorMessage, Expr::value(message))
        .col_expr(operation_log::Column::FinishedAt, Expr::value(to_db(jiff::Timestamp::now())))
        .col_expr(
            operation_log::Column::ImageRef,
            Expr::value(record.applied.as_ref().map(|applied| applied.image.to_string())),
        )
        .col_expr(
            operation_log::Column::ContainerId,
            Expr::value(record.container.as_ref().map(ToString::to_string)),
        )
        .filter(operation_log::Column::OperationId.eq(DbUuid(id.0)))
        .filter(operation_log::Column::FinishedAt.is_null())
        .exec(db)
        .await?;
    Ok(())
}

/// Nothing of a deleted game is under way any more.
async fn supersede_all(db: &impl ConnectionTrait, game: GameId) -> Result<(), DbErr> {
    use operation_log::Column as C;
    operation_log::Entity::update_many()
        .col_expr(C::Status, Expr::value("superseded"))
        .col_expr(C::FinishedAt, Expr::value(to_db(jiff::Timestamp::now())))
        .filter(C::GameId.eq(DbUuid(game.0)))
        .filter(C::Status.is_in(["queued", "running"]))
        .exec(db)
        .await?;
    Ok(())
}

fn words(ending: &Ending) -> (&'static str, Option<String>, Option<String>) {
    match ending {
        Ending::Succeeded => ("succeeded", None, None),
        Ending::Superseded => ("superseded", None, None),
        Ending::Failed { code, message } => ("failed", Some(cut(code, 128)), Some(cut(message, MESSAGE))),
    }
}
