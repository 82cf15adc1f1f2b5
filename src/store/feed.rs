//! How a change of desired state is noticed, whoever wrote it.

mod postgres;
mod sqlite;

use std::time::Duration;

use futures::Stream;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};

use super::connection::Transaction;
use super::entity::desired_feed;
use super::open::missing;
use super::{Store, StoreError};

/// How soon a watch that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Locks `observed_feed`, which whoever writes observed state locks before any row of it that another
/// transaction may write: so two of them never wait for each other.
pub(super) async fn hold_observed(transaction: &Transaction) -> Result<(), DbErr> {
    if !transaction.is_sqlite() {
        transaction.execute_unprepared("SELECT FROM observed_feed FOR NO KEY UPDATE").await?;
    }
    Ok(())
}

impl Store {
    /// Where the feed of desired changes stands.
    pub async fn desired_seq(&self) -> Result<i64, StoreError> {
        let row = desired_feed::Entity::find().one(&self.db).await?.ok_or_else(missing("desired_feed"))?;
        Ok(row.seq)
    }

    /// Ends whenever desired state may have changed, or the database could not be asked. Only a
    /// nudge: it says where to look, and is never the truth.
    pub fn desired_changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        let watch = if self.db.is_sqlite() {
            Watch::Asks(Default::default())
        } else {
            Watch::Listens(postgres::Watch::of(&["desired"]))
        };
        futures::stream::unfold((self.clone(), watch), |(store, mut watch)| async move {
            match &mut watch {
                Watch::Asks(watch) => watch.changed(&store).await,
                Watch::Listens(watch) => drop(watch.changed(&store).await),
            }
            Some(((), (store, watch)))
        })
    }

    /// The same of everything that the API shows: desired state, and what was observed.
    pub fn shown_changes(&self) -> impl Stream<Item = Changed> + Send + 'static {
        let watch = if self.db.is_sqlite() {
            Watch::Asks(sqlite::Watch::of_both())
        } else {
            Watch::Listens(postgres::Watch::of(&["desired", "observed"]))
        };
        futures::stream::unfold((self.clone(), watch), |(store, mut watch)| async move {
            let changed = match &mut watch {
                Watch::Asks(watch) => {
                    watch.changed(&store).await;
                    Changed { desired: false }
                }
                Watch::Listens(watch) => {
                    Changed { desired: watch.changed(&store).await.is_none_or(|heard| heard == "desired") }
                }
            };
            Some((changed, (store, watch)))
        })
    }
}

/// Something may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Desired state was announced to have changed, whatever the number of its feed says.
    pub desired: bool,
}

impl Store {
    /// What tells that the lead was given up. Only a nudge, and only where it is leased.
    pub fn lead_given_up(&self) -> LeadGivenUp {
        LeadGivenUp { store: self.clone(), watch: postgres::Watch::of(&["lead"]) }
    }
}

/// Tells that the lead was given up.
pub struct LeadGivenUp {
    store: Store,
    watch: postgres::Watch,
}

impl LeadGivenUp {
    /// Returns when it was, or may have been while nobody listened.
    pub async fn wait(&mut self) {
        self.watch.changed(&self.store).await;
    }
}

/// What tells that tokens came or went, where the database tells anything.
pub(super) fn access_changes(store: &Store) -> impl Stream<Item = ()> + Send + use<> {
    let watch = (!store.db.is_sqlite()).then(|| postgres::Watch::of(&["access"]));
    futures::stream::unfold((store.clone(), watch), |(store, mut watch)| async move {
        match &mut watch {
            Some(watch) => drop(watch.changed(&store).await),
            None => std::future::pending().await,
        }
        Some(((), (store, watch)))
    })
}

enum Watch {
    Asks(sqlite::Watch),
    Listens(postgres::Watch),
}

fn cannot_watch(error: &sea_orm::sqlx::Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "the database's changes cannot be watched");
}
