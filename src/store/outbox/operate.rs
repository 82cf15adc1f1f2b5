//! What operators ask of the outbox: what is in it, and that some of it be told again, or not at all.

use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    TransactionTrait,
};
use serde_json::Value;
use uuid::Uuid;

use crate::game::GameId;

use super::super::convert::{from_db, to_db};
use super::super::db_uuid::DbUuid;
use super::super::entity::lobby_outbox::{Column, Entity};
use super::super::entity::outbox_positions;
use super::super::records::cut;
use super::super::{Store, StoreError};
use super::{arrived, names, open};

/// How far the telling of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// Not tried yet.
    Pending,
    /// Tried in vain, and tried again.
    Retrying,
    /// The lobby has it.
    Delivered,
    /// Refused too often, or skipped: not tried again.
    SetAside,
}

impl OutboxState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Retrying, Self::Delivered, Self::SetAside];

    /// As the API shows it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Retrying => "Retrying",
            Self::Delivered => "Delivered",
            Self::SetAside => "SetAside",
        }
    }

    /// From what the API shows.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    fn rows(self) -> Condition {
        match self {
            Self::Pending => open().add(Column::Attempts.eq(0)),
            Self::Retrying => open().add(Column::Attempts.gt(0)),
            Self::Delivered => arrived(),
            Self::SetAside => Condition::all().add(Column::SetAsideAt.is_not_null()).add(arrived().not()),
        }
    }
}

/// Which events are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxFilter {
    /// Those of games in this namespace.
    pub namespace: Option<String>,
    /// Those of games that have or had this name.
    pub name: Option<String>,
    /// Those of this game.
    pub game: Option<GameId>,
    /// Those that are so far.
    pub state: Option<OutboxState>,
    /// Those after this number.
    pub after: Option<i64>,
}

/// An event as it is in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// The same at every delivery.
    pub event: Uuid,
    /// Its game.
    pub game: GameId,
    /// The game's namespace.
    pub namespace: String,
    /// The game's name.
    pub name: String,
    /// Its number among the game's events.
    pub seq: i64,
    /// The history that it belongs to.
    pub timeline: i64,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What it tells.
    pub payload: Value,
    /// How far it is.
    pub state: OutboxState,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it was refused.
    pub refusals: i64,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
}

/// What is to become of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxChange {
    /// This one, or all that did not arrive: tried again at once, the set aside among them.
    Retry(Option<i64>),
    /// This one is set aside.
    Skip(i64),
    /// Everything from this one on is told again, under the same ids.
    Replay(i64),
}

/// Why nothing becomes of them.
#[derive(Debug, thiserror::Error)]
pub enum OutboxRefusal {
    /// There is no such event, or no longer.
    #[error("the outbox has no event {0} of this game; what is old is not kept")]
    NotThere(i64),
    /// The lobby has it.
    #[error("event {0} was delivered; replay tells it again")]
    Arrived(i64),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for OutboxRefusal {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// A row without the one column that others write: whatever they wrote into it, it says "yes".
#[derive(FromQueryResult)]
struct Listed {
    event_id: DbUuid,
    game_id: DbUuid,
    seq: i64,
    timeline: i64,
    r#type: String,
    occurred_at: sea_orm::prelude::DateTimeUtc,
    payload: Value,
    attempts: i64,
    refusals: i64,
    next_attempt_at: Option<sea_orm::prelude::DateTimeUtc>,
    last_error: Option<String>,
    delivered_at: Option<sea_orm::prelude::DateTimeUtc>,
    set_aside_at: Option<sea_orm::prelude::DateTimeUtc>,
    acked: bool,
}

const LISTED: [Column; 13] = [
    Column::EventId,
    Column::GameId,
    Column::Seq,
    Column::Timeline,
    Column::Type,
    Column::OccurredAt,
    Column::Payload,
    Column::Attempts,
    Column::Refusals,
    Column::NextAttemptAt,
    Column::LastError,
    Column::DeliveredAt,
    Column::SetAsideAt,
];

impl Store {
    /// The oldest events that the filter lets through, each game's in order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_outbox(
        &self,
        filter: &OutboxFilter,
        limit: u64,
    ) -> Result<Vec<OutboxEvent>, StoreError> {
        let mut query =
            Entity::find().select_only().columns(LISTED).column_as(Column::AckedAt.is_not_null(), "acked");
        if filter.namespace.is_some() || filter.name.is_some() {
            let mut known =
                outbox_positions::Entity::find().select_only().column(outbox_positions::Column::GameId);
            if let Some(namespace) = &filter.namespace {
                known = known.filter(outbox_positions::Column::Namespace.eq(namespace));
            }
            if let Some(name) = &filter.name {
                known = known.filter(outbox_positions::Column::Name.eq(name));
            }
            query = query.filter(Column::GameId.in_subquery(known.into_query()));
        }
        if let Some(game) = filter.game {
            query = query.filter(Column::GameId.eq(DbUuid(game.0)));
        }
        if let Some(state) = filter.state {
            query = query.filter(state.rows());
        }
        if let Some(after) = filter.after {
            query = query.filter(Column::Seq.gt(after));
        }
        // Within a game by number: a clock that was put back must not turn the order round.
        query = if filter.game.is_some() {
            query.order_by_asc(Column::Seq)
        } else {
            query.order_by_asc(Column::OccurredAt).order_by_asc(Column::GameId).order_by_asc(Column::Seq)
        };
        let rows: Vec<Listed> = query.limit(limit).into_model().all(&self.db).await?;
        let names = names(&self.db, rows.iter().map(|row| row.game_id)).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let (namespace, name) = names.get(&row.game_id).cloned().unwrap_or_default();
                listed(row, namespace, name)
            })
            .collect())
    }

    /// Makes a change to the events of a game; says how many it concerns. Tried, it changes nothing.
    ///
    /// # Errors
    /// It makes no sense, or the database failed; nothing is changed then.
    pub async fn change_outbox(
        &self,
        game: GameId,
        change: OutboxChange,
        who: &str,
        dry_run: bool,
    ) -> Result<u64, OutboxRefusal> {
        let transaction = self.db.begin_with_options(Self::writing()).await?;
        let of_game = Column::GameId.eq(DbUuid(game.0));
        if let OutboxChange::Retry(Some(seq)) | OutboxChange::Skip(seq) = change {
            let find = Entity::find()
                .select_only()
                .column(Column::Seq)
                .filter(of_game.clone())
                .filter(Column::Seq.eq(seq));
            let has = async |query: sea_orm::Select<Entity>| {
                query.into_tuple::<i64>().one(&transaction).await.map(|found| found.is_some())
            };
            if !has(find.clone()).await? {
                return Err(OutboxRefusal::NotThere(seq));
            }
            if has(find.filter(arrived())).await? {
                return Err(OutboxRefusal::Arrived(seq));
            }
        }
        let never = || Expr::value(None::<sea_orm::prelude::DateTimeUtc>);
        let update = Entity::update_many().filter(of_game).col_expr(Column::NextAttemptAt, never());
        let update = match change {
            OutboxChange::Skip(seq) => update
                .col_expr(Column::SetAsideAt, Expr::value(to_db(Timestamp::now())))
                .col_expr(Column::LastError, Expr::value(cut(&format!("skipped by {who}"), 256)))
                .filter(Column::Seq.eq(seq))
                .filter(open()),
            OutboxChange::Retry(_) | OutboxChange::Replay(_) => {
                let afresh = update
                    .col_expr(Column::SetAsideAt, never())
                    .col_expr(Column::Attempts, Expr::value(0))
                    .col_expr(Column::Refusals, Expr::value(0));
                match change {
                    OutboxChange::Replay(from) => afresh
                        .col_expr(Column::DeliveredAt, never())
                        .col_expr(Column::AckedAt, never())
                        .col_expr(Column::LastError, Expr::value(None::<String>))
                        .filter(Column::Seq.gte(from)),
                    OutboxChange::Retry(Some(seq)) => afresh.filter(Column::Seq.eq(seq)),
                    OutboxChange::Retry(None) | OutboxChange::Skip(_) => afresh.filter(arrived().not()),
                }
            }
        };
        let changed = update.exec(&transaction).await?.rows_affected;
        if let (OutboxChange::Replay(from), 0) = (change, changed) {
            return Err(OutboxRefusal::NotThere(from));
        }
        if !dry_run {
            transaction.commit().await?;
            self.outbox_written.notify_one();
        }
        Ok(changed)
    }

    /// The game that is meant by a name or an id, whether or not it is still there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_game(&self, namespace: &str, text: &str) -> Result<Option<GameId>, StoreError> {
        if let Some(game) = self.known_game(namespace, text).await? {
            return Ok(Some(game));
        }
        let query =
            outbox_positions::Entity::find().filter(outbox_positions::Column::Namespace.eq(namespace));
        let by_id = text.parse::<GameId>().ok();
        let query = match by_id {
            Some(game) => query.filter(outbox_positions::Column::GameId.eq(DbUuid(game.0))),
            None => query.filter(outbox_positions::Column::Name.eq(text)),
        };
        // Of several that had the name, ids are what tells them apart.
        let mut found = query.limit(2).all(&self.db).await?;
        Ok(found.pop().filter(|_| found.is_empty()).map(|row| GameId(row.game_id.0)))
    }
}

fn listed(row: Listed, namespace: String, name: String) -> OutboxEvent {
    let state = match (row.delivered_at.is_some() || row.acked, row.set_aside_at.is_some(), row.attempts) {
        (true, _, _) => OutboxState::Delivered,
        (false, true, _) => OutboxState::SetAside,
        (false, false, 0) => OutboxState::Pending,
        (false, false, _) => OutboxState::Retrying,
    };
    OutboxEvent {
        event: row.event_id.0,
        game: GameId(row.game_id.0),
        namespace,
        name,
        seq: row.seq,
        timeline: row.timeline,
        kind: row.r#type,
        occurred_at: from_db(row.occurred_at),
        payload: row.payload,
        state,
        attempts: row.attempts,
        refusals: row.refusals,
        next_attempt_at: row.next_attempt_at.map(from_db),
        last_error: row.last_error,
        delivered_at: row.delivered_at.map(from_db),
    }
}
