//! What keeps the outbox small. What goes undelivered is said in the transaction in which it goes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};

use crate::game::manifest::wire::GAME_KIND;

use super::super::again::again;
use super::super::bites::{BITE as AT_ONCE, Forgettable};
use super::super::convert::{from_db, to_db};
use super::super::db_uuid::DbUuid;
use super::super::entity::lobby_outbox::{Column, Entity};
use super::super::events::{self, About};
use super::super::recorder::RecordedEvent;
use super::super::{Store, StoreError};
use super::{arrived, names, open};

/// The reason of the event that tells of what was dropped.
const DROPPED: &str = "OutboxDropped";

/// How long events are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Those that the lobby has, from when they happened: so far back they can be told again.
    pub delivered: SignedDuration,
    /// Those that it does not have.
    pub undelivered: SignedDuration,
    /// Of all together; those that the lobby has go first.
    pub most: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            delivered: SignedDuration::from_hours(7 * 24),
            undelivered: SignedDuration::from_hours(30 * 24),
            most: 100_000,
        }
    }
}

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The lobby had these.
    pub delivered: u64,
    /// It will never have these.
    pub undelivered: u64,
}

/// How much the lobby has yet to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Events that are open.
    pub open: u64,
    /// Events that were set aside.
    pub set_aside: u64,
    /// When the oldest open one happened.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// Forgets what is too old or too much.
    ///
    /// # Errors
    /// The database failed; what was forgotten until then stays forgotten.
    pub async fn prune_outbox(&self, now: Timestamp, keep: &Retention) -> Result<Pruned, StoreError> {
        let before = |age: SignedDuration| {
            Column::OccurredAt.lt(to_db(now.checked_sub(age).unwrap_or(Timestamp::MIN)))
        };
        let old = Condition::all().add(arrived()).add(before(keep.delivered));
        let mut gone = Pruned::default();
        while let some @ 1.. = self.drop_arrived(&old, AT_ONCE).await? {
            gone.delivered += some;
        }
        let stale = Condition::all().add(arrived().not()).add(before(keep.undelivered));
        let hours = keep.undelivered.as_hours();
        let too_old = format!("they are kept for {hours} hours");
        while let some @ 1.. = self.drop_undelivered(&stale, AT_ONCE, &too_old).await? {
            gone.undelivered += some;
        }
        let mut too_many = Entity::find().count(&self.db).await?.saturating_sub(keep.most);
        while too_many > 0 {
            let some = self.drop_arrived(&arrived(), too_many.min(AT_ONCE)).await?;
            gone.delivered += some;
            too_many = too_many.saturating_sub(some);
            if some == 0 {
                break;
            }
        }
        let too_much = format!("no more than {} are kept", keep.most);
        while too_many > 0 {
            let all = Condition::all().add(arrived().not());
            let some = self.drop_undelivered(&all, too_many.min(AT_ONCE), &too_much).await?;
            gone.undelivered += some;
            too_many = too_many.saturating_sub(some);
            if some == 0 {
                break;
            }
        }
        Ok(gone)
    }

    /// How much the lobby has yet to be told.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_depth(&self) -> Result<Depth, StoreError> {
        let (count, oldest): (i64, Option<sea_orm::prelude::DateTimeUtc>) = Entity::find()
            .select_only()
            .column_as(Column::Seq.count(), "count")
            .column_as(Column::OccurredAt.min(), "oldest")
            .filter(open())
            .into_tuple()
            .one(&self.db)
            .await?
            .unwrap_or_default();
        let set_aside = Condition::all().add(Column::SetAsideAt.is_not_null()).add(arrived().not());
        Ok(Depth {
            open: u64::try_from(count).unwrap_or_default(),
            set_aside: Entity::find().filter(set_aside).count(&self.db).await?,
            oldest: oldest.map(from_db),
        })
    }

    async fn drop_arrived(&self, which: &Condition, limit: u64) -> Result<u64, StoreError> {
        Ok(self.forget_some(&rows(which), limit).await?)
    }

    /// Drops events that the lobby does not have, each game's oldest first, and says so: of what went,
    /// which are those that nobody acknowledged or has locked meanwhile.
    async fn drop_undelivered(&self, which: &Condition, limit: u64, why: &str) -> Result<u64, StoreError> {
        again(|| async {
            let transaction = self.begin_observing().await?;
            let mut delete = rows(which).bite(limit);
            delete.returning(Query::returning().columns([Column::GameId, Column::Seq]));
            let mut games = BTreeMap::<DbUuid, (i64, i64, u64)>::new();
            for row in transaction.query_all(&delete).await? {
                let (game, seq): (DbUuid, i64) = (row.try_get("", "game_id")?, row.try_get("", "seq")?);
                let (first, last, count) = games.entry(game).or_insert((seq, seq, 0));
                (*first, *last, *count) = ((*first).min(seq), (*last).max(seq), *count + 1);
            }
            tell(&transaction, &games, why).await?;
            transaction.commit().await?;
            Ok(games.values().map(|(_, _, count)| count).sum())
        })
        .await
    }
}

fn rows(which: &Condition) -> Forgettable {
    let which = which.clone();
    let (table, key, age) = ("lobby_outbox", &["event_id"], "occurred_at");
    Forgettable { table, key, age, which, moves_feed: false }
}

async fn tell(
    db: &impl ConnectionTrait,
    games: &BTreeMap<DbUuid, (i64, i64, u64)>,
    why: &str,
) -> Result<(), StoreError> {
    let names = names(db, games.keys().copied()).await?;
    for (game, (first, last, count)) in games {
        let (namespace, name) =
            names.get(game).cloned().unwrap_or_else(|| ("default".into(), game.to_string()));
        let message = format!("Of events {first} to {last}, {count} went without reaching the lobby: {why}.");
        let about = About { namespace: &namespace, kind: GAME_KIND, name: &name, uid: &game.to_string() };
        let event = RecordedEvent { warning: true, reason: DROPPED.into(), message };
        events::count(db, &about, &event).await?;
    }
    Ok(())
}
