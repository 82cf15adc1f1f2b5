//! What operators ask of the outbox: that some of it be told again, or not at all.

use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::game::GameId;

use super::super::again::again;
use super::super::convert::to_db;
use super::super::db_uuid::DbUuid;
use super::super::entity::lobby_outbox::{Column, Entity};
use super::super::entity::outbox_positions;
use super::super::records::cut;
use super::super::{Store, StoreError};
use super::{arrived, open};

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

impl Store {
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
        let changed = again(|| async {
            let transaction = self.db.begin_writing().await?;
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
            }
            Ok(changed)
        })
        .await?;
        if !dry_run {
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
