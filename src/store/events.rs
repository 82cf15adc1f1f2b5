//! Events as they are written: counted rather than repeated, and never more than so many of one
//! object.

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};

use crate::game::controller;
use crate::game::manifest::DEFAULT_NAMESPACE;

use super::again::again;
use super::bites::Forgettable;
use super::convert::to_db;
use super::entity::events::{ActiveModel, Column, Entity};
use super::recorder::{RecordedEvent, SHORT_MESSAGE};
use super::records::cut;
use super::{Store, StoreError};

/// So many different events are kept of one object: more than a person reads, and a bound for a
/// message that is a little different every time.
const MOST_OF_ONE: u64 = 100;

/// What an event is about.
pub(super) struct About<'a> {
    pub(super) namespace: &'a str,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    /// A game's id, else empty.
    pub(super) uid: &'a str,
}

impl Store {
    /// Counts an event that is about the whole controller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn controller_event(
        &self,
        warning: bool,
        reason: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let about =
            About { namespace: DEFAULT_NAMESPACE, kind: controller::KIND, name: controller::NAME, uid: "" };
        let event = RecordedEvent { warning, reason: reason.to_owned(), message: message.to_owned() };
        again(|| async {
            let transaction = self.begin_observing().await?;
            count(&transaction, &about, &event).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Forgets the events that happened last before this time; says how many those were.
    ///
    /// # Errors
    /// The database failed; what was forgotten until then stays forgotten.
    pub async fn prune_events(&self, older_than: Timestamp) -> Result<u64, StoreError> {
        let which = Condition::all().add(Column::LastAt.lt(to_db(older_than)));
        let old =
            Forgettable { table: "events", key: &["event_id"], age: "last_at", which, moves_feed: true };
        Ok(self.forget(&old).await?)
    }
}

/// Counts an event, and forgets those of the same object that are one too many.
pub(super) async fn count(
    db: &impl ConnectionTrait,
    about: &About<'_>,
    event: &RecordedEvent,
) -> Result<(), DbErr> {
    let now = to_db(Timestamp::now());
    let row = ActiveModel {
        namespace: Set(about.namespace.to_owned()),
        kind: Set(about.kind.to_owned()),
        name: Set(about.name.to_owned()),
        uid: Set(about.uid.to_owned()),
        r#type: Set(if event.warning { "warning" } else { "normal" }.to_owned()),
        reason: Set(cut(&event.reason, 128)),
        message: Set(cut(&event.message, SHORT_MESSAGE)),
        count: Set(1),
        first_at: Set(now),
        last_at: Set(now),
        ..Default::default()
    };
    let counted = OnConflict::columns([
        Column::Kind,
        Column::Namespace,
        Column::Name,
        Column::Uid,
        Column::Type,
        Column::Reason,
        Column::Message,
    ])
    .value(Column::Count, Expr::col((Entity, Column::Count)).add(1))
    .update_column(Column::LastAt)
    .to_owned();
    Entity::insert(row).on_conflict(counted).exec_without_returning(db).await?;
    // Found by an index, and never more than one too many.
    let too_many = Entity::find()
        .select_only()
        .column(Column::EventId)
        .filter(Column::Kind.eq(about.kind))
        .filter(Column::Namespace.eq(about.namespace))
        .filter(Column::Name.eq(about.name))
        .filter(Column::Uid.eq(about.uid))
        .order_by_desc(Column::LastAt)
        .order_by_desc(Column::EventId)
        // SQLite knows an offset only behind a limit.
        .limit(i64::MAX as u64)
        .offset(MOST_OF_ONE);
    Entity::delete_many().filter(Column::EventId.in_subquery(too_many.into_query())).exec(db).await?;
    Ok(())
}
