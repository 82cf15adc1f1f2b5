//! The ledger of turns, and what was decided about slots.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::game::record::Life;
use crate::game::turn::{CalledOff, DecidedSlot, LedgerEntry, OpenTurn, TurnCause, TurnEnd, TurnState};
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

/// What the database calls a turn that is not done.
const OPEN: [&str; 3] = ["pending", "dispatched", "failed"];

/// What the database calls a turn that was called off.
const ABANDONED: &str = "abandoned";

/// What the database calls a turn that is not part of the game's history any more.
const ROLLED_BACK: &str = "rolled_back";

/// What the database calls a slot that waits.
const DEFERRED: &str = "deferred";

impl Store {
    /// The turns of these games that are not done, by game and timeline.
    pub(super) async fn open_turns(
        &self,
        games: &[DbUuid],
    ) -> Result<HashMap<(GameId, i64), OpenTurn>, StoreError> {
        let rows = turns::Entity::find()
            .filter(turns::Column::GameId.is_in(games.iter().copied()))
            .filter(turns::Column::State.is_in(OPEN))
            .order_by_asc(turns::Column::Number)
            .all(&self.db)
            .await?;
        Ok(rows.iter().filter_map(|row| Some(((GameId(row.game_id.0), row.timeline), open(row)?))).collect())
    }

    /// The slots of these games that wait, by game and timeline, ascending.
    pub(super) async fn deferred_slots(
        &self,
        games: &[DbUuid],
    ) -> Result<HashMap<(GameId, i64), Vec<Timestamp>>, StoreError> {
        let rows = turn_slots::Entity::find()
            .filter(turn_slots::Column::GameId.is_in(games.iter().copied()))
            .filter(turn_slots::Column::Decision.eq(DEFERRED))
            .order_by_asc(turn_slots::Column::Slot)
            .all(&self.db)
            .await?;
        let mut slots: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows {
            slots.entry((GameId(row.game_id.0), row.timeline)).or_default().push(from_db(row.slot));
        }
        Ok(slots)
    }

    /// The latest slot of each of these games that has a turn and is still ahead, by game and timeline.
    /// (None is, but after a forced turn took the next one, or a clock had jumped.)
    pub(super) async fn taken_slots(
        &self,
        games: &[DbUuid],
    ) -> Result<HashMap<(GameId, i64), Timestamp>, StoreError> {
        let rows: Vec<(DbUuid, i64, Option<sea_orm::prelude::DateTimeUtc>)> = turns::Entity::find()
            .filter(turns::Column::GameId.is_in(games.iter().copied()))
            .filter(turns::Column::Slot.gt(to_db(Timestamp::now())))
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
        "dispatched" => {
            let at = from_db(row.dispatched_at?);
            TurnState::Dispatched { life: life()?, at, deadline: row.deadline_at.map_or(at, from_db) }
        }
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

/// Finds a slot of this recording that another turn of its game has already.
pub(super) async fn taken_slot(
    db: &impl ConnectionTrait,
    recording: &Recording,
) -> Result<Option<Timestamp>, DbErr> {
    use turns::Column as C;
    for turn in recording.ledger.iter().map(|entry| &entry.turn) {
        let Some(slot) = turn.slot else { continue };
        let other = turns::Entity::find()
            .filter(C::GameId.eq(DbUuid(recording.game.0)))
            .filter(C::Timeline.eq(recording.record.timeline))
            .filter(C::Slot.eq(to_db(slot)))
            .filter(C::Number.ne(turn.number))
            .one(db)
            .await?;
        if other.is_some() {
            return Ok(Some(slot));
        }
    }
    Ok(None)
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
    let (mut word, life, sent, mut error) = match state {
        TurnState::Pending => ("pending", None, None, None),
        TurnState::Dispatched { life, at, deadline } => {
            ("dispatched", Some(life), Some((*at, *deadline)), None)
        }
        TurnState::Failed { life, code, message } => {
            ("failed", Some(life), None, Some((code.as_str(), message.as_str())))
        }
    };
    // A slot of the schedule nobody asked for.
    let (requested_by, request_id) = match cause {
        TurnCause::Schedule => (String::new(), String::new()),
        TurnCause::Forced => (recording.requested_by.clone(), recording.request_id.clone()),
    };
    match end {
        Some(TurnEnd::Done) => word = "done",
        Some(TurnEnd::Abandoned(CalledOff { code, message })) => {
            word = ABANDONED;
            error = Some((code, message));
        }
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
        requested_by: Set(requested_by),
        request_id: Set(request_id),
        opened_at: Set(to_db(*opened_at)),
        dispatched_at: Set(sent.map(|(at, _)| to_db(at))),
        deadline_at: Set(sent.map(|(_, deadline)| to_db(deadline))),
        finished_at: Set(end.as_ref().map(|_| to_db(Timestamp::now()))),
        error_code: Set(error.map(|(code, _)| cut(code, 128))),
        error_message: Set(error.map(|(_, message)| cut(message, MESSAGE))),
    };
    use turns::Column as C;
    let mut moved = vec![
        C::Cause,
        C::Slot,
        C::State,
        C::Attempts,
        C::OpenedAt,
        C::ErrorCode,
        C::ErrorMessage,
        C::FinishedAt,
    ];
    if life.is_some() {
        moved.extend([C::ContainerId, C::ContainerStartedAt]);
    }
    if sent.is_some() {
        moved.extend([C::DispatchedAt, C::DeadlineAt]);
    }
    if end.is_none() {
        moved.push(C::OperationId);
    }
    let in_place = OnConflict::columns([C::GameId, C::Timeline, C::Number]).update_columns(moved).to_owned();
    turns::Entity::insert(row).on_conflict(in_place).exec_without_returning(db).await?;
    if let Some(TurnEnd::Abandoned(CalledOff { message, .. })) = end {
        call_off_slots(db, recording.game, recording.record.timeline, *number, message).await?;
    }
    Ok(())
}

/// No turn came of the slots that this one was to stand for.
async fn call_off_slots(
    db: &impl ConnectionTrait,
    game: GameId,
    timeline: i64,
    number: i64,
    message: &str,
) -> Result<(), DbErr> {
    use turn_slots::Column as C;
    turn_slots::Entity::update_many()
        .col_expr(C::Decision, Expr::value("skipped"))
        .col_expr(C::Reason, Expr::value(CalledOff::SLOT_REASON))
        .col_expr(C::Message, Expr::value(cut(message, SLOT_MESSAGE)))
        .col_expr(C::TurnNumber, Expr::value(None::<i64>))
        .col_expr(C::DecidedAt, Expr::value(to_db(Timestamp::now())))
        .filter(C::GameId.eq(DbUuid(game.0)))
        .filter(C::Timeline.eq(timeline))
        .filter(C::TurnNumber.eq(number))
        .exec(db)
        .await?;
    Ok(())
}

/// The turns of this timeline after this one are not part of the game's history any more.
pub(super) async fn roll_back(
    db: &impl ConnectionTrait,
    game: GameId,
    timeline: i64,
    after: i64,
) -> Result<(), DbErr> {
    use turns::Column as C;
    let later = Condition::all().add(C::Timeline.eq(timeline)).add(C::Number.gt(after));
    let (code, message) = (CalledOff::PUT_BACK, "An older state was put back before it was done.");
    close_open(db, game, later.clone(), (ROLLED_BACK, code, message)).await?;
    turns::Entity::update_many()
        .col_expr(C::State, Expr::value(ROLLED_BACK))
        .filter(C::GameId.eq(DbUuid(game.0)))
        .filter(later)
        .exec(db)
        .await?;
    // What is at a turn has every turn before it, also one whose end nobody saw.
    turns::Entity::update_many()
        .col_expr(C::State, Expr::value("done"))
        .col_expr(C::FinishedAt, Expr::value(to_db(Timestamp::now())))
        .filter(C::GameId.eq(DbUuid(game.0)))
        .filter(C::Timeline.eq(timeline))
        .filter(C::Number.lte(after))
        .filter(C::State.is_in(["dispatched", "failed", "abandoned"]))
        .exec(db)
        .await?;
    Ok(())
}

/// At most one turn of a game is open: the one of its record, which is none once it is deleted. What
/// the ledger has beside it, of whichever timeline, is closed: nobody goes on with it, and a later
/// life of the game must not find it.
pub(super) async fn close_others(db: &impl ConnectionTrait, recording: &Recording) -> Result<(), DbErr> {
    use turns::Column as C;
    let record = &recording.record;
    let own = record.turn.as_ref();
    let is_other = own.map(|turn| C::Timeline.ne(record.timeline).or(C::Number.ne(turn.number)));
    let (code, message) = if recording.ends_life() {
        (CalledOff::DELETED, "The game was deleted before it was done.")
    } else if recording.rolled_back.is_some() {
        (CalledOff::PUT_BACK, "An older state was put back before it was done.")
    } else {
        (CalledOff::SUPERSEDED, "Another turn of the game took its place.")
    };
    let others = Condition::all().add_option(is_other);
    close_open(db, recording.game, others, (ABANDONED, code, message)).await
}

/// Closes those turns of a game that are open, in this state. Each row says why, with a word and a
/// sentence, and so do the slots that it was to stand for.
async fn close_open(
    db: &impl ConnectionTrait,
    game: GameId,
    which: Condition,
    (state, code, message): (&str, &str, &str),
) -> Result<(), DbErr> {
    use turns::Column as C;
    let open: Vec<(i64, i64)> = turns::Entity::find()
        .select_only()
        .columns([C::Timeline, C::Number])
        .filter(C::GameId.eq(DbUuid(game.0)))
        .filter(C::State.is_in(OPEN))
        .filter(which)
        .into_tuple()
        .all(db)
        .await?;
    for (timeline, number) in open {
        turns::Entity::update_many()
            .col_expr(C::State, Expr::value(state))
            .col_expr(C::ErrorCode, Expr::value(code))
            .col_expr(C::ErrorMessage, Expr::value(message))
            .col_expr(C::FinishedAt, Expr::value(to_db(Timestamp::now())))
            .filter(C::GameId.eq(DbUuid(game.0)))
            .filter(C::Timeline.eq(timeline))
            .filter(C::Number.eq(number))
            .exec(db)
            .await?;
        call_off_slots(db, game, timeline, number, message).await?;
    }
    Ok(())
}

/// No slot of a deleted game waits any more.
pub(super) async fn drop_slots(db: &impl ConnectionTrait, game: GameId) -> Result<(), DbErr> {
    use turn_slots::Column as C;
    turn_slots::Entity::update_many()
        .col_expr(C::Decision, Expr::value("skipped"))
        .col_expr(C::Reason, Expr::value("Dropped"))
        .col_expr(C::Message, Expr::value("It waited until the game was deleted."))
        .col_expr(C::DecidedAt, Expr::value(to_db(Timestamp::now())))
        .filter(C::GameId.eq(DbUuid(game.0)))
        .filter(C::Decision.eq(DEFERRED))
        .exec(db)
        .await?;
    Ok(())
}

async fn write_slot(
    db: &impl ConnectionTrait,
    recording: &Recording,
    fate: &DecidedSlot,
) -> Result<(), DbErr> {
    use turn_slots::Column as C;
    let (game, timeline) = (DbUuid(recording.game.0), recording.record.timeline);
    if let Some(until) = fate.until {
        // One row stands for all of them, also where they have waited one by one.
        turn_slots::Entity::delete_many()
            .filter(C::GameId.eq(game))
            .filter(C::Timeline.eq(timeline))
            .filter(C::Slot.between(to_db(fate.slot), to_db(until)))
            .filter(C::Decision.eq(DEFERRED))
            .exec(db)
            .await?;
    }
    let row = turn_slots::ActiveModel {
        game_id: Set(game),
        timeline: Set(timeline),
        slot: Set(to_db(fate.slot)),
        decision: Set(fate.decision.to_owned()),
        reason: Set(cut(&fate.reason, 128)),
        message: Set(cut(&fate.message, SLOT_MESSAGE)),
        turn_number: Set(fate.turn),
        decided_at: Set(to_db(Timestamp::now())),
    };
    let in_place = OnConflict::columns([C::GameId, C::Timeline, C::Slot])
        .update_columns([C::Decision, C::Reason, C::Message, C::TurnNumber, C::DecidedAt])
        // A slot that has a turn keeps it, whatever a clock that jumped back says of it later.
        .action_and_where(Expr::col((turn_slots::Entity, C::Decision)).is_not_in(["fired", "consumed"]))
        .to_owned();
    turn_slots::Entity::insert(row).on_conflict(in_place).exec_without_returning(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::record::Record;
    use crate::game::spec::{Deletion, Requests};
    use crate::store::Place;

    const GAME: GameId = GameId(uuid::Uuid::from_u128(7));

    async fn opened() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let place: Place = format!("sqlite:{}", directory.path().join("g.db").display()).parse().unwrap();
        let store = Store::open(&place).await.unwrap();
        (directory, store)
    }

    async fn run(store: &Store, statement: &str) {
        store.db.execute_unprepared(statement).await.unwrap();
    }

    async fn open_row(store: &Store, timeline: i64, number: i64) {
        let statement = format!(
            "INSERT INTO turns (game_id, timeline, number, cause) VALUES ('{GAME}', {timeline}, {number}, 'forced')"
        );
        run(store, &statement).await;
    }

    fn recording(record: Record) -> Recording {
        Recording::of(GAME, "default".parse().unwrap(), "andromeda".parse().unwrap(), record)
    }

    async fn rows(store: &Store) -> Vec<turns::Model> {
        use turns::Column as C;
        let rows = turns::Entity::find().order_by_asc(C::Timeline).order_by_asc(C::Number);
        rows.all(&store.db).await.unwrap()
    }

    async fn states(store: &Store) -> Vec<(i64, i64, String)> {
        rows(store).await.into_iter().map(|row| (row.timeline, row.number, row.state)).collect()
    }

    /// What became of each slot: `fired 4` with the turn's number, `skipped TurnCalledOff`.
    async fn slots(store: &Store) -> Vec<String> {
        let rows = turn_slots::Entity::find().order_by_asc(turn_slots::Column::Slot).all(&store.db).await;
        let shown = |row: turn_slots::Model| match row.turn_number {
            Some(number) => format!("{} {number}", row.decision),
            None => format!("{} {}", row.decision, row.reason),
        };
        rows.unwrap().into_iter().map(shown).collect()
    }

    async fn slot_row(store: &Store, hour: u32, decision: &str, number: i64) {
        let statement = format!(
            "INSERT INTO turn_slots (game_id, timeline, slot, decision, turn_number) VALUES ('{GAME}', 1, '2026-01-01T{hour:02}:00:00.000+00:00', '{decision}', {number})"
        );
        run(store, &statement).await;
    }

    #[tokio::test]
    async fn the_end_of_a_deletion_closes_everything_that_is_open_of_its_game() {
        let (_directory, store) = opened().await;
        let lease = store.take_lead("test").await.unwrap();
        let (recorder, _writer) = store.recorder(lease);
        open_row(&store, 1, 4).await;
        open_row(&store, 2, 2).await;
        let statement = format!(
            "INSERT INTO turn_slots (game_id, timeline, slot, decision) VALUES ('{GAME}', 1, '2026-01-01T00:00:00.000+00:00', 'deferred');
             INSERT INTO operation_log (operation_id, game_id, op, source, status) VALUES ('{GAME}', '{GAME}', 'turn', 'lobby', 'running')"
        );
        run(&store, &statement).await;
        let record = Record::first_seen(Requests::default());
        recorder.record(recording(record.clone())).await.unwrap();
        assert!(states(&store).await.iter().all(|(_, _, state)| state == "pending"), "not yet");
        let deleted = Recording { deleted: Some(Deletion::RowGone), ..recording(record) };
        recorder.record(deleted).await.unwrap();
        let abandoned = |timeline, number| (timeline, number, "abandoned".to_owned());
        assert_eq!(states(&store).await, [abandoned(1, 4), abandoned(2, 2)]);
        for row in rows(&store).await {
            assert_eq!(row.error_code.as_deref(), Some(CalledOff::DELETED));
            assert_eq!(row.error_message.as_deref(), Some("The game was deleted before it was done."));
            assert!(row.finished_at.is_some());
        }
        let slots = turn_slots::Entity::find().all(&store.db).await.unwrap();
        assert_eq!((slots[0].decision.as_str(), slots[0].reason.as_str()), ("skipped", "Dropped"));
        let operations = crate::store::entity::operation_log::Entity::find().all(&store.db).await.unwrap();
        assert_eq!(operations[0].status, "superseded");
        assert!(operations[0].finished_at.is_some());
    }

    #[tokio::test]
    async fn a_slot_fired_only_if_its_turn_was_not_called_off() {
        let (_directory, store) = opened().await;
        let lease = store.take_lead("test").await.unwrap();
        let (recorder, _writer) = store.recorder(lease);
        for (hour, decision, number) in [(1, "fired", 3), (2, "coalesced", 4), (3, "fired", 4)] {
            slot_row(&store, hour, decision, number).await;
        }
        let turn = OpenTurn {
            number: 4,
            cause: TurnCause::Schedule,
            slot: Some("2026-01-01T03:00:00Z".parse().unwrap()),
            attempts: 1,
            opened_at: Timestamp::now(),
            state: TurnState::Pending,
        };
        let called_off = CalledOff { code: CalledOff::PAUSED, message: "The game was paused.".into() };
        let entry = LedgerEntry { turn: turn.clone(), end: Some(TurnEnd::Abandoned(called_off)) };
        let record = Record::first_seen(Requests::default());
        let recorded = Recording { ledger: vec![entry], ..recording(record.clone()) };
        recorder.record(recorded).await.unwrap();
        let skipped = "skipped TurnCalledOff";
        assert_eq!(slots(&store).await, ["fired 3", skipped, skipped]);
        let row = rows(&store).await.remove(0);
        assert_eq!((row.state.as_str(), row.error_code.as_deref()), (ABANDONED, Some("Paused")));
        assert_eq!(row.error_message.as_deref(), Some("The game was paused."));
        // The number comes again: its row begins anew, and its slots stay skipped.
        let again = OpenTurn { slot: None, cause: TurnCause::Forced, ..turn };
        let begun = LedgerEntry { turn: again.clone(), end: None };
        let record = Record { turn: Some(again), ..record };
        recorder.record(Recording { ledger: vec![begun], ..recording(record) }).await.unwrap();
        let row = rows(&store).await.remove(0);
        assert_eq!((row.state.as_str(), row.error_code), ("pending", None));
        assert_eq!(slots(&store).await, ["fired 3", skipped, skipped]);
    }

    #[tokio::test]
    async fn what_an_older_state_takes_back_says_so_if_it_was_not_done() {
        let (_directory, store) = opened().await;
        let lease = store.take_lead("test").await.unwrap();
        let (recorder, _writer) = store.recorder(lease);
        open_row(&store, 1, 3).await;
        open_row(&store, 1, 4).await;
        run(&store, "UPDATE turns SET state = 'done' WHERE number = 3").await;
        let record = Record { timeline: 2, ..Record::first_seen(Requests::default()) };
        let back = Recording { rolled_back: Some((1, 2)), ..recording(record) };
        recorder.record(back).await.unwrap();
        let told: Vec<_> = rows(&store).await.into_iter().map(|row| (row.state, row.error_code)).collect();
        let rolled_back = |code: Option<&str>| ("rolled_back".to_owned(), code.map(str::to_owned));
        assert_eq!(told, [rolled_back(None), rolled_back(Some(CalledOff::PUT_BACK))]);
    }

    #[tokio::test]
    async fn an_open_turn_that_cannot_follow_the_present_one_is_not_loaded_and_closed_by_the_next() {
        let (_directory, store) = opened().await;
        let lease = store.take_lead("test").await.unwrap();
        let (recorder, _writer) = store.recorder(lease);
        let mut record = Record::first_seen(Requests::default());
        recorder.record(recording(record.clone())).await.unwrap();
        open_row(&store, 1, 4).await;
        assert_eq!(store.records(&[GAME]).await.unwrap()[&GAME].turn, None);
        let turn = OpenTurn {
            number: 1,
            cause: TurnCause::Forced,
            slot: None,
            attempts: 0,
            opened_at: Timestamp::now(),
            state: TurnState::Pending,
        };
        record.turn = Some(turn.clone());
        let begun = Recording { ledger: vec![LedgerEntry { turn, end: None }], ..recording(record) };
        recorder.record(begun).await.unwrap();
        assert_eq!(states(&store).await, [(1, 1, "pending".to_owned()), (1, 4, "abandoned".to_owned())]);
        assert_eq!(rows(&store).await[1].error_code.as_deref(), Some(CalledOff::SUPERSEDED));
        let loaded = store.records(&[GAME]).await.unwrap()[&GAME].turn.clone();
        assert_eq!(loaded.map(|turn| turn.number), Some(1));
    }
}
