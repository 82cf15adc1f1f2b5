//! Writes of observed state: one writer, many games in one transaction.
//!
//! A round asks for its record to be written and waits until it is on disk before it takes its
//! first step. Many rounds ask at the same time; what is there when the last commit ends goes into
//! the next one together, so that a hundred games cost few flushes. Every transaction checks first
//! that the epoch is still this leader's.

use super::db_uuid::DbUuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QuerySelect,
    Statement,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::game::manifest::wire::GAME_KIND;
use crate::game::operation::{Ending, NewOperation};
use crate::game::player::{Mapping, Report, Standing};
use crate::game::record::{Record, Unreadable};
use crate::game::spec::Deletion;
use crate::game::turn::{DecidedSlot, LedgerEntry};
use crate::game::{EngineVersion, Epoch, GameId, Name, Namespace, OperationId};

use super::again::{MayPass, again, passes};
use super::connection::is_unanswered;
use super::convert::to_db;
use super::entity::{game_tombstones, games, instance, operation_log, runtime_records};
use super::events::{self, About};
use super::outbox::{self, NewLobbyEvent};
use super::records::{cut, to_row};
use super::{Store, players, reports, turns, version_records};

/// How many writes may wait, and how many go into one transaction.
const WAITING: usize = 1_024;
const AT_ONCE: usize = 256;

/// The longest message of an event and cause of an operation that the schema takes, in bytes.
pub(super) const SHORT_MESSAGE: usize = 1_024;
const MESSAGE: usize = 4_096;

/// Why nothing was recorded; nothing may be done then.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another leader has taken over.
    #[error("another controller leads now; this one decides nothing more")]
    Deposed,
    /// The slot of a turn that was to begin has one already: a clock had jumped.
    #[error("the slot {0} has a turn already")]
    SlotTaken(jiff::Timestamp),
    /// The database failed.
    #[error("the database could not record it")]
    Database(#[from] DbErr),
    /// The recorder has ended: the controller is shutting down.
    #[error("the controller is shutting down")]
    Closed,
}

/// What one round wants on record before it acts.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Which game.
    pub game: GameId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its handle.
    pub name: Name,
    /// The status.
    pub record: Record,
    /// How an open operation ends.
    pub close: Option<(OperationId, Ending)>,
    /// The operation that begins.
    pub open: Option<(OperationId, NewOperation)>,
    /// One that ends as it begins.
    pub at_once: Vec<(OperationId, NewOperation, Ending)>,
    /// The user behind the present spec.
    pub requested_by: String,
    /// The request behind the present spec.
    pub request_id: String,
    /// Who is which player of the engine, if that changed.
    pub players: Option<Vec<Mapping>>,
    /// How users do of whom that changed.
    pub standings: Vec<Standing>,
    /// What the engine reported, if that is to be kept.
    pub report: Option<Report>,
    /// A change to this version failed.
    pub failed_version: Option<EngineVersion>,
    /// Turns that are no history of the game any more: those of this timeline after this one (none:
    /// of nobody knows which, so none).
    pub rolled_back: Option<(i64, i64)>,
    /// What there is to tell.
    pub event: Option<RecordedEvent>,
    /// What the lobby is told, in this order.
    pub lobby: Vec<NewLobbyEvent>,
    /// What became of turns.
    pub ledger: Vec<LedgerEntry>,
    /// What was decided about slots.
    pub slots: Vec<DecidedSlot>,
    /// The deletion is done: what is left of its row goes too.
    pub deleted: Option<Deletion>,
    /// It tells of something that was done, so the high-water counter moves. What a frozen
    /// controller shows does not count, or an old database would catch up by showing it.
    pub counts: bool,
}

impl Recording {
    /// A status alone.
    pub fn of(game: GameId, namespace: Namespace, name: Name, record: Record) -> Self {
        Self {
            game,
            namespace,
            name,
            record,
            close: None,
            open: None,
            at_once: Vec::new(),
            requested_by: String::new(),
            request_id: String::new(),
            players: None,
            standings: Vec::new(),
            report: None,
            failed_version: None,
            rolled_back: None,
            event: None,
            lobby: Vec::new(),
            ledger: Vec::new(),
            slots: Vec::new(),
            deleted: None,
            counts: true,
        }
    }
}

/// An event to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Something is wrong.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

type Asked = (Box<Recording>, oneshot::Sender<Result<(), RecordError>>);

/// Where rounds hand in what they want on record.
#[derive(Debug, Clone)]
pub struct Recorder {
    asked: mpsc::Sender<Asked>,
    high_water: watch::Receiver<i64>,
}

impl Recorder {
    /// How far the high-water counter has come, as it moves; 0 before the first write.
    pub fn high_water(&self) -> watch::Receiver<i64> {
        self.high_water.clone()
    }

    /// Writes it down; on return it is on disk.
    pub async fn record(&self, recording: Recording) -> Result<(), RecordError> {
        let (done, written) = oneshot::channel();
        self.asked.send((Box::new(recording), done)).await.map_err(|_| RecordError::Closed)?;
        written.await.map_err(|_| RecordError::Closed)?
    }
}

impl Store {
    /// Starts the writer of this epoch. It ends when the last [`Recorder`] is dropped.
    pub fn recorder(&self, epoch: Epoch) -> (Recorder, tokio::task::JoinHandle<()>) {
        let (asked, waiting) = mpsc::channel(WAITING);
        let (moved, high_water) = watch::channel(0);
        let store = Self { db: self.recording.clone(), ..self.clone() };
        let writer = tokio::spawn(write_all(store, epoch, waiting, moved));
        (Recorder { asked, high_water }, writer)
    }

    /// Writes all or nothing. Gives the high-water counter, if it moved.
    async fn write(&self, epoch: Epoch, recordings: &[&Recording]) -> Result<Option<i64>, RecordError> {
        let high_water = match again(|| self.try_write(epoch, recordings)).await {
            Err(Attempt::Unanswered(moved, error)) => self.settled(epoch, moved, error).await?,
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(high_water) => high_water,
        };
        if self.tells_lobby && recordings.iter().any(|recording| !recording.lobby.is_empty()) {
            self.outbox_written.notify_one();
        }
        Ok(high_water)
    }

    async fn try_write(&self, epoch: Epoch, recordings: &[&Recording]) -> Result<Option<i64>, Attempt> {
        let transaction = self.db.begin_writing().await?;
        if !super::lease::holds(&transaction, epoch).await? {
            return Err(Attempt::Failed(RecordError::Deposed));
        }
        let number = observed_number(&transaction).await?;
        for recording in recordings {
            write_one(&transaction, epoch, number, recording).await?;
            if self.tells_lobby {
                tell_lobby(&transaction, recording).await?;
            }
        }
        let counts = recordings.iter().any(|recording| recording.counts);
        let high_water = if counts { Some(count_up(&transaction).await?) } else { None };
        match transaction.commit().await {
            Err(error) if is_unanswered(&error) => Err(Attempt::Unanswered(high_water, error)),
            done => Ok(done.map(|()| high_water)?),
        }
    }

    /// The connection was lost while it committed. Whether it did says the counter, which nobody else
    /// moves in this epoch. What does not count, no operation among it, is simply asked for again.
    async fn settled(
        &self,
        epoch: Epoch,
        moved: Option<i64>,
        error: DbErr,
    ) -> Result<Option<i64>, RecordError> {
        let Some(moved) = moved else { return Err(RecordError::Database(error)) };
        let read = again(|| async {
            let transaction = self.db.begin_writing().await?;
            if !super::lease::holds(&transaction, epoch).await? {
                return Err(RecordError::Deposed);
            }
            // Locked: what became of the transaction is decided when this is answered.
            let row = instance::Entity::find().lock_exclusive().one(&transaction).await?;
            transaction.rollback().await?;
            Ok(row.ok_or_else(super::open::missing("instance"))?.high_water)
        });
        if read.await? == moved { Ok(Some(moved)) } else { Err(RecordError::Database(error)) }
    }
}

/// How an attempt to write failed.
enum Attempt {
    /// Nothing was written.
    Failed(RecordError),
    /// Nobody said whether it was written; the counter is here then.
    Unanswered(Option<i64>, DbErr),
}

impl From<DbErr> for Attempt {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl MayPass for Attempt {
    fn of_database(&self) -> Option<&DbErr> {
        match self {
            Self::Failed(error) => error.of_database(),
            Self::Unanswered(..) => None,
        }
    }
}

impl Store {
    /// Whether what failed was a slot that has a turn: then the round has to look for another.
    async fn explained(
        &self,
        result: Result<(), RecordError>,
        recording: &Recording,
    ) -> Result<(), RecordError> {
        if let Err(RecordError::Database(_)) = &result
            && let Ok(Some(slot)) = turns::taken_slot(&self.db, recording).await
        {
            return Err(RecordError::SlotTaken(slot));
        }
        result
    }
}

async fn tell_lobby(db: &impl ConnectionTrait, recording: &Recording) -> Result<(), DbErr> {
    let timeline = recording.record.timeline;
    for NewLobbyEvent { kind, occurred_at, payload } in &recording.lobby {
        outbox::append(db, recording.game, timeline, kind, *occurred_at, payload.clone()).await?;
    }
    Ok(())
}

/// Moves the high-water counter.
async fn count_up(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    instance::Entity::update_many()
        .col_expr(instance::Column::HighWater, Expr::col(instance::Column::HighWater).add(1))
        .exec(db)
        .await?;
    let row = instance::Entity::find().one(db).await?.ok_or_else(super::open::missing("instance"))?;
    Ok(row.high_water)
}

async fn write_all(
    store: Store,
    epoch: Epoch,
    mut waiting: mpsc::Receiver<Asked>,
    high_water: watch::Sender<i64>,
) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while waiting.recv_many(&mut batch, AT_ONCE).await > 0 {
        let recordings: Vec<&Recording> = batch.iter().map(|(recording, _)| &**recording).collect();
        let together = store.write(epoch, &recordings).await;
        match together {
            Ok(moved) => {
                high_water.send_if_modified(|kept| moved.map(|moved| *kept = moved).is_some());
                answer(&mut batch, || Ok(()));
            }
            Err(RecordError::Deposed) => answer(&mut batch, || Err(RecordError::Deposed)),
            // Nobody's fault: each of them asks again.
            Err(RecordError::Database(error)) if passes(&error) || is_unanswered(&error) => {
                answer(&mut batch, || Err(RecordError::Database(error.clone())));
            }
            Err(RecordError::Database(error)) if batch.len() > 1 => {
                // One of them may be what the database refuses: the others must not suffer for it.
                tracing::warn!(error = &error as &dyn std::error::Error, "games are recorded one by one");
                for (recording, done) in batch.drain(..) {
                    let alone = store.write(epoch, &[&recording]).await.map(drop);
                    let _ = done.send(store.explained(alone, &recording).await);
                }
            }
            Err(error) => {
                if let Some((recording, done)) = batch.pop() {
                    let _ = done.send(store.explained(Err(error), &recording).await);
                }
            }
        }
    }
}

fn answer(batch: &mut Vec<Asked>, result: impl Fn() -> Result<(), RecordError>) {
    for (_, done) in batch.drain(..) {
        // A round that no longer waits will look again.
        let _ = done.send(result());
    }
}

/// The number of this transaction in `observed_feed`. On PostgreSQL the database puts it into each row;
/// SQLite's trigger would have to write each row a second time for that.
async fn observed_number(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let backend = db.get_database_backend();
    if backend != DbBackend::Sqlite {
        return Ok(0);
    }
    let moved = Statement::from_string(backend, "UPDATE observed_feed SET seq = seq + 1 RETURNING seq");
    let row = db.query_one_raw(moved).await?.ok_or_else(super::open::missing("observed_feed"))?;
    row.try_get_by_index(0)
}

async fn write_one(
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
    if recording.deleted.is_some() || recording.rolled_back.is_some() || !recording.ledger.is_empty() {
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
    if let Some(deletion) = recording.deleted {
        turns::drop_slots(db, recording.game).await?;
        supersede_all(db, recording.game).await?;
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
        Ending::Failed { code, message } => ("failed", Some(code.clone()), Some(cut(message, MESSAGE))),
    }
}
