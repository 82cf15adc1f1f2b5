//! What is in the outbox, for whoever asks.

use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde_json::Value;
use uuid::Uuid;

use crate::game::GameId;

use super::super::convert::{from_db, to_db};
use super::super::db_uuid::DbUuid;
use super::super::entity::lobby_outbox::{Column, Entity};
use super::super::entity::outbox_positions;
use super::super::mark::{Mark, above, nothing};
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
    /// Those behind this one.
    pub behind: Option<Mark>,
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
        if let Some(last) = &filter.behind {
            let seq = above(Column::Seq, last.number, nothing());
            query = query.filter(match filter.game {
                Some(_) => seq,
                None => {
                    above(Column::OccurredAt, to_db(last.at), above(Column::GameId, DbUuid(last.id), seq))
                }
            });
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
