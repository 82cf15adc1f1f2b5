//! PostgreSQL tells: each transaction that changed desired state is one notification, whatever it
//! touched. What was told while nobody listened is lost, so each connection begins with a look.

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgListener;

use super::super::Store;
use super::super::place::At;
use super::{AGAIN, cannot_watch};

/// The connection that listens.
pub(super) struct Watch {
    what: &'static str,
    listener: Option<PgListener>,
}

impl Watch {
    /// Of the notifications of this name.
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, listener: None }
    }

    pub(super) async fn changed(&mut self, store: &Store) {
        let heard = match &mut self.listener {
            Some(listener) => heard(listener).await,
            none => listen(store, self.what).await.map(|listener| {
                none.replace(listener);
            }),
        };
        if let Err(error) = heard {
            cannot_watch(&error);
            self.listener = None;
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn heard(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    // None: the connection was lost and made again; what came meanwhile is to be looked for.
    listener.try_recv().await?;
    // What is there already is the same reason to look.
    while listener.next_buffered().is_some() {}
    Ok(())
}

/// Listens to what is told of this store's schema: notifications are the whole database's.
pub(in crate::store) async fn listen(store: &Store, what: &str) -> Result<PgListener, sqlx::Error> {
    let schema = match &store.place.at {
        At::Postgres { schema, .. } => schema,
        At::Sqlite(_) => super::super::place::DEFAULT_SCHEMA,
    };
    let mut listener = PgListener::connect_with(store.db.pool().get_postgres_connection_pool()).await?;
    listener.listen(&format!("{schema}_{what}")).await?;
    Ok(listener)
}
