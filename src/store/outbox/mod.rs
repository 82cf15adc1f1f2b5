//! The outbox: what the lobby is told, in order for each game, written in the transaction that
//! records what it tells of.
//!
//! An event is open until it is delivered, acknowledged by a lobby that reads the table itself, or
//! set aside. [`deliver`] is what the deliverer asks, [`list`] and [`operate`] what people ask, [`prune`]
//! what keeps the table small.

mod deliver;
mod list;
mod operate;
mod prune;

pub use deliver::{Due, Failed, MAX_PAUSE};
pub use list::{OutboxEvent, OutboxFilter, OutboxState};
pub use operate::{OutboxChange, OutboxRefusal};
pub use prune::{Depth, Pruned, Retention};

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::game::GameId;

use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::entity::{lobby_outbox, outbox_positions};
use super::open::missing;
use super::{Store, StoreError};

/// An event that is to be told, before it has its number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLobbyEvent {
    /// Its type, as the lobby sees it.
    pub kind: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What it tells; `timeline` and `seq` are put in when it is written.
    pub payload: Map<String, Value>,
}

impl Store {
    /// This store with an outbox that is written to. Without it nothing is: nobody would read it.
    #[must_use]
    pub fn telling_the_lobby(mut self, tells: bool) -> Self {
        self.tells_lobby = tells;
        self
    }

    /// Rung when there is something new to deliver. Only a nudge: the table is the truth.
    pub fn outbox_written(&self) -> Arc<Notify> {
        self.outbox_written.clone()
    }
}

/// Writes one event in the caller's transaction; gives its id. The numbers of a game are
/// 1, 2, 3 … without gaps, and `runtime_records.outbox_seq` moves with them.
///
/// # Errors
/// The database failed, or the game has no record yet.
pub async fn append(
    db: &impl ConnectionTrait,
    game: GameId,
    timeline: i64,
    kind: &str,
    occurred_at: Timestamp,
    payload: Map<String, Value>,
) -> Result<Uuid, DbErr> {
    let position = outbox_positions::Entity::find_by_id(DbUuid(game.0)).one(db).await?;
    let recorded = position.ok_or_else(missing("runtime_records"))?.outbox_seq;
    // A record that was lost and made anew has forgotten the number; the events have not.
    let written: Option<i64> = lobby_outbox::Entity::find()
        .select_only()
        .column(lobby_outbox::Column::Seq)
        .filter(lobby_outbox::Column::GameId.eq(DbUuid(game.0)))
        .order_by_desc(lobby_outbox::Column::Seq)
        .into_tuple()
        .one(db)
        .await?;
    let seq = recorded.max(written.unwrap_or_default()) + 1;
    let mut told = Map::new();
    told.insert("timeline".into(), timeline.into());
    told.insert("seq".into(), seq.into());
    told.extend(payload);
    let event = Uuid::now_v7();
    let row = lobby_outbox::ActiveModel {
        event_id: Set(DbUuid(event)),
        game_id: Set(DbUuid(game.0)),
        seq: Set(seq),
        timeline: Set(timeline),
        r#type: Set(kind.to_owned()),
        occurred_at: Set(to_db(occurred_at)),
        payload: Set(super::records::stored(&told)),
        ..Default::default()
    };
    lobby_outbox::Entity::insert(row).exec_without_returning(db).await?;
    outbox_positions::Entity::update_many()
        .col_expr(outbox_positions::Column::OutboxSeq, Expr::value(seq))
        .filter(outbox_positions::Column::GameId.eq(DbUuid(game.0)))
        .exec(db)
        .await?;
    Ok(event)
}

/// True if there is such an event.
///
/// # Errors
/// The database failed.
pub(super) async fn is_written(db: &impl ConnectionTrait, event: Uuid) -> Result<bool, DbErr> {
    Ok(lobby_outbox::Entity::find_by_id(DbUuid(event)).one(db).await?.is_some())
}

/// Neither delivered, nor acknowledged, nor set aside.
fn open() -> Condition {
    use lobby_outbox::Column;
    Condition::all()
        .add(Column::DeliveredAt.is_null())
        .add(Column::AckedAt.is_null())
        .add(Column::SetAsideAt.is_null())
}

/// The lobby has it.
fn arrived() -> Condition {
    use lobby_outbox::Column;
    Condition::any().add(Column::DeliveredAt.is_not_null()).add(Column::AckedAt.is_not_null())
}

/// The namespaces and names of these games.
pub(super) async fn names(
    db: &impl ConnectionTrait,
    games: impl IntoIterator<Item = DbUuid>,
) -> Result<HashMap<DbUuid, (String, String)>, StoreError> {
    let rows = outbox_positions::Entity::find()
        .filter(outbox_positions::Column::GameId.is_in(games))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.game_id, (row.namespace, row.name))).collect())
}
