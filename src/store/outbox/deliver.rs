//! What the deliverer asks of the outbox: what is due, and what became of it.

use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, Func, LockBehavior, LockType, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde_json::Value;
use uuid::Uuid;

use crate::game::GameId;
use crate::game::manifest::wire::GAME_KIND;

use super::super::again::again;
use super::super::convert::{from_db, to_db};
use super::super::db_uuid::DbUuid;
use super::super::entity::lobby_outbox::{Column, Entity, Model};
use super::super::events::{self, About};
use super::super::recorder::RecordedEvent;
use super::super::records::cut;
use super::super::{Store, StoreError};
use super::{names, open};

/// The longest error that the schema takes, in bytes.
const ERROR: usize = 1_024;

/// The reason of the event that tells of one that was set aside.
const SET_ASIDE: &str = "OutboxSetAside";

/// No pause between two attempts is longer, whatever the lobby asks for: a time further ahead was taken by
/// a wrong clock, or by another process's, and says nothing.
pub const MAX_PAUSE: Duration = Duration::from_secs(300);

/// An event to be delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
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
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What it tells.
    pub payload: Value,
    /// How often it was tried before.
    pub attempts: u32,
    /// How often it was refused before.
    pub refusals: u32,
}

/// How a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// In words.
    pub error: String,
    /// The lobby does not want this event, rather than being away.
    pub refused: bool,
    /// When it is tried again; never, if it is set aside.
    pub again_at: Option<Timestamp>,
}

/// Events whose next attempt is due.
fn is_due(now: Timestamp) -> SimpleExpr {
    let next = || Expr::col((Entity, Column::NextAttemptAt));
    next().is_null().or(next().lte(to_db(now))).or(next().gt(to_db(now + MAX_PAUSE)))
}

impl Store {
    /// Of each game the oldest open event, if it is due: at most so many, those that wait longest
    /// first. Left out are these games, and events whose rows somebody else has locked: they could not be
    /// marked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_due(
        &self,
        now: Timestamp,
        but: &[GameId],
        limit: u64,
    ) -> Result<Vec<Due>, StoreError> {
        let oldest = Entity::find()
            .select_only()
            .column(Column::GameId)
            .column_as(Column::Seq.min(), "seq")
            .filter(open())
            .group_by(Column::GameId);
        let waits_since = Func::coalesce([
            Expr::col((Entity, Column::NextAttemptAt)),
            Expr::col((Entity, Column::OccurredAt)),
        ]);
        let rows = Entity::find()
            .filter(
                Expr::tuple([Expr::col((Entity, Column::GameId)), Expr::col((Entity, Column::Seq))])
                    .in_subquery(oldest.into_query()),
            )
            .filter(open())
            .filter(is_due(now))
            .filter(Column::GameId.is_not_in(but.iter().map(|game| DbUuid(game.0))))
            .order_by_asc(Expr::expr(waits_since))
            .limit(limit)
            .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
            .all(&self.db)
            .await?;
        self.due(rows).await
    }

    /// The oldest open event of a game, if it is due and nobody else has its row locked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_next(&self, game: GameId, now: Timestamp) -> Result<Option<Due>, StoreError> {
        let oldest = Entity::find()
            .filter(Column::GameId.eq(DbUuid(game.0)))
            .filter(open())
            .filter(
                Expr::col((Entity, Column::Seq)).in_subquery(
                    Entity::find()
                        .select_only()
                        .column_as(Column::Seq.min(), "seq")
                        .filter(Column::GameId.eq(DbUuid(game.0)))
                        .filter(open())
                        .into_query(),
                ),
            )
            .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
            .one(&self.db)
            .await?;
        let is_due = |at: Timestamp| at <= now || at > now + MAX_PAUSE;
        let due = oldest.filter(|row| row.next_attempt_at.is_none_or(|at| is_due(from_db(at))));
        Ok(self.due(due.into_iter().collect()).await?.pop())
    }

    /// The lobby has the event.
    ///
    /// # Errors
    /// The database failed; the event is delivered once more then.
    pub async fn outbox_delivered(&self, event: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let delivered = Entity::update_many()
            .col_expr(Column::DeliveredAt, Expr::value(to_db(now)))
            .col_expr(Column::SetAsideAt, Expr::value(None::<sea_orm::prelude::DateTimeUtc>))
            .col_expr(Column::NextAttemptAt, Expr::value(None::<sea_orm::prelude::DateTimeUtc>))
            .col_expr(Column::LastError, Expr::value(None::<String>))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .filter(Column::EventId.eq(DbUuid(event)));
        let marked = delivered.build(self.db.get_database_backend());
        again(|| async {
            let transaction = self.begin_observing().await?;
            // The row is the lobby's too, and may be locked by it for long.
            transaction.waits_briefly().await?;
            transaction.execute_raw(marked.clone()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// The lobby does not have the event, or did not say so. That one is set aside is told in an
    /// event about its game.
    ///
    /// # Errors
    /// The database failed; the event is tried again at once then.
    pub async fn outbox_failed(&self, due: &Due, failed: &Failed, now: Timestamp) -> Result<(), StoreError> {
        let set_aside = failed.again_at.is_none().then(|| to_db(now));
        again(|| async {
            let transaction = self.begin_observing().await?;
            transaction.waits_briefly().await?;
            let changed = Entity::update_many()
                .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
                .col_expr(Column::Refusals, Expr::col(Column::Refusals).add(i64::from(failed.refused)))
                .col_expr(Column::NextAttemptAt, Expr::value(failed.again_at.map(to_db)))
                .col_expr(Column::LastError, Expr::value(cut(&failed.error, ERROR)))
                .col_expr(Column::SetAsideAt, Expr::value(set_aside))
                .filter(Column::EventId.eq(DbUuid(due.event)))
                // Acknowledged or skipped meanwhile: that holds.
                .filter(open())
                .exec(&transaction)
                .await?;
            if set_aside.is_some() && changed.rows_affected > 0 {
                let about = About {
                    namespace: &due.namespace,
                    kind: GAME_KIND,
                    name: &due.name,
                    uid: &due.game.to_string(),
                };
                let message =
                    format!("Event {} ({}) was refused too often: {}", due.seq, due.kind, failed.error);
                let event = RecordedEvent { warning: true, reason: SET_ASIDE.into(), message };
                events::count(&transaction, &about, &event).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn due(&self, rows: Vec<Model>) -> Result<Vec<Due>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = names(&self.db, rows.iter().map(|row| row.game_id)).await?;
        let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(rows
            .into_iter()
            .map(|row| {
                // A record that was lost leaves its game without a name, not the lobby without the event.
                let unnamed = || (String::new(), row.game_id.to_string());
                let (namespace, name) = names.remove(&row.game_id).unwrap_or_else(unnamed);
                Due {
                    event: row.event_id.0,
                    game: GameId(row.game_id.0),
                    namespace,
                    name,
                    seq: row.seq,
                    kind: row.r#type,
                    occurred_at: from_db(row.occurred_at),
                    payload: row.payload,
                    attempts: count(row.attempts),
                    refusals: count(row.refusals),
                }
            })
            .collect())
    }
}
