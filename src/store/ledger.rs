//! The ledger of turns and the fates of slots, as they are read.

use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::game::{GameId, OperationId};

use super::convert::{from_db, to_db};
use super::db_uuid::DbUuid;
use super::entity::{turn_slots, turns};
use super::lookup::{GameFilter, Games};
use super::mark::{Mark, above, below, nothing};
use super::outbox::names;
use super::{Store, StoreError};

/// A turn of the ledger, with its game's name, which outlives the game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTurn {
    /// Its game.
    pub game: GameId,
    /// The game's namespace.
    pub namespace: String,
    /// The game's name.
    pub name: String,
    /// The history that it belongs to.
    pub timeline: i64,
    /// The number that it leads to.
    pub number: i64,
    /// `schedule` or `forced`.
    pub cause: String,
    /// The slot that it stands for.
    pub slot: Option<Timestamp>,
    /// `pending`, `dispatched`, `done`, `failed`, `abandoned` or `rolled_back`.
    pub state: String,
    /// How often the engine was asked.
    pub attempts: i64,
    /// The operation that it is a part of.
    pub operation: Option<OperationId>,
    /// The user behind it.
    pub requested_by: String,
    /// The request behind it.
    pub request_id: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the engine was asked last.
    pub dispatched_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// One CamelCase word, if it failed.
    pub error_code: Option<String>,
    /// A sentence, if it failed.
    pub error_message: Option<String>,
}

/// What was decided about a slot, with its game's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSlot {
    /// Its game.
    pub game: GameId,
    /// The game's namespace.
    pub namespace: String,
    /// The game's name.
    pub name: String,
    /// The history that it belongs to.
    pub timeline: i64,
    /// When it was due.
    pub slot: Timestamp,
    /// `fired`, `coalesced`, `skipped`, `deferred` or `consumed`.
    pub decision: String,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The turn that stands for it.
    pub turn: Option<i64>,
    /// When that was decided.
    pub decided_at: Timestamp,
}

/// Which turns are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnFilter {
    /// Those of these games.
    pub of: GameFilter,
    /// Those of this timeline.
    pub timeline: Option<i64>,
    /// Those of this number.
    pub number: Option<i64>,
    /// Those in this state, in the database's word.
    pub state: Option<String>,
    /// Those behind this one.
    pub behind: Option<Mark>,
}

/// Which slots are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotFilter {
    /// Those of these games.
    pub of: GameFilter,
    /// Those of this timeline.
    pub timeline: Option<i64>,
    /// This one.
    pub slot: Option<Timestamp>,
    /// Those of which this was decided, in the database's word.
    pub decision: Option<String>,
    /// Those behind this one.
    pub behind: Option<Mark>,
}

impl Store {
    /// The latest turns that the filter lets through, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_turns(&self, filter: &TurnFilter, limit: u64) -> Result<Vec<StoredTurn>, StoreError> {
        use turns::Column as C;
        let games = self.games_of(&filter.of).await?;
        let mut query = turns::Entity::find().filter(games.condition(C::GameId)).limit(limit);
        if let Some(timeline) = filter.timeline {
            query = query.filter(C::Timeline.eq(timeline));
        }
        if let Some(number) = filter.number {
            query = query.filter(C::Number.eq(number));
        }
        if let Some(state) = &filter.state {
            query = query.filter(C::State.eq(state));
        }
        if let Some(last) = &filter.behind {
            let number = below(C::Number, last.number, nothing());
            query = query.filter(match games {
                Games::One(_) => below(C::Timeline, last.timeline, number),
                Games::All | Games::Among(_) => {
                    below(C::OpenedAt, to_db(last.at), above(C::GameId, DbUuid(last.id), number))
                }
            });
        }
        // Within a game by number: a clock that was put back must not turn the order round.
        query = match games {
            Games::One(_) => query.order_by_desc(C::Timeline),
            Games::All | Games::Among(_) => query.order_by_desc(C::OpenedAt).order_by_asc(C::GameId),
        };
        self.named_turns(query.order_by_desc(C::Number).all(&self.db).await?).await
    }

    /// The latest slots that the filter lets through, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_slots(&self, filter: &SlotFilter, limit: u64) -> Result<Vec<StoredSlot>, StoreError> {
        use turn_slots::Column as C;
        let games = self.games_of(&filter.of).await?;
        let mut query = turn_slots::Entity::find().filter(games.condition(C::GameId)).limit(limit);
        if let Some(timeline) = filter.timeline {
            query = query.filter(C::Timeline.eq(timeline));
        }
        if let Some(slot) = filter.slot {
            query = query.filter(C::Slot.eq(to_db(slot)));
        }
        if let Some(decision) = &filter.decision {
            query = query.filter(C::Decision.eq(decision));
        }
        if let Some(last) = &filter.behind {
            let slot = below(C::Slot, last.slot(), nothing());
            query = query.filter(match games {
                Games::One(_) => below(C::Timeline, last.timeline, slot),
                Games::All | Games::Among(_) => {
                    below(C::DecidedAt, to_db(last.at), above(C::GameId, DbUuid(last.id), slot))
                }
            });
        }
        query = match games {
            Games::One(_) => query.order_by_desc(C::Timeline),
            Games::All | Games::Among(_) => query.order_by_desc(C::DecidedAt).order_by_asc(C::GameId),
        };
        self.named_slots(query.order_by_desc(C::Slot).all(&self.db).await?).await
    }

    pub(super) async fn named_turns(&self, rows: Vec<turns::Model>) -> Result<Vec<StoredTurn>, StoreError> {
        let names = names(&self.db, rows.iter().map(|row| row.game_id)).await?;
        let named = |row: turns::Model| {
            let (namespace, name) = names.get(&row.game_id).cloned().unwrap_or_default();
            StoredTurn {
                game: GameId(row.game_id.0),
                namespace,
                name,
                timeline: row.timeline,
                number: row.number,
                cause: row.cause,
                slot: row.slot.map(from_db),
                state: row.state,
                attempts: row.attempts,
                operation: row.operation_id.map(|id| OperationId(id.0)),
                requested_by: row.requested_by,
                request_id: row.request_id,
                opened_at: from_db(row.opened_at),
                dispatched_at: row.dispatched_at.map(from_db),
                finished_at: row.finished_at.map(from_db),
                error_code: row.error_code,
                error_message: row.error_message,
            }
        };
        Ok(rows.into_iter().map(named).collect())
    }

    pub(super) async fn named_slots(
        &self,
        rows: Vec<turn_slots::Model>,
    ) -> Result<Vec<StoredSlot>, StoreError> {
        let names = names(&self.db, rows.iter().map(|row| row.game_id)).await?;
        let named = |row: turn_slots::Model| {
            let (namespace, name) = names.get(&row.game_id).cloned().unwrap_or_default();
            StoredSlot {
                game: GameId(row.game_id.0),
                namespace,
                name,
                timeline: row.timeline,
                slot: from_db(row.slot),
                decision: row.decision,
                reason: row.reason,
                message: row.message,
                turn: row.turn_number,
                decided_at: from_db(row.decided_at),
            }
        };
        Ok(rows.into_iter().map(named).collect())
    }
}
