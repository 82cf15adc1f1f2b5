//! PostgreSQL tells: each transaction that changed desired state is one notification, whatever it
//! touched. What was told while nobody listened is lost, so each connection begins with a look.

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgListener;

use super::super::Store;
use super::super::place::At;
use super::{AGAIN, cannot_watch};

/// The connection that listens.
#[derive(Default)]
pub(super) struct Watch(Option<PgListener>);

impl Watch {
    pub(super) async fn changed(&mut self, store: &Store) {
        let heard = match &mut self.0 {
            Some(listener) => heard(listener).await,
            none => listen(store).await.map(|listener| {
                none.replace(listener);
            }),
        };
        if let Err(error) = heard {
            cannot_watch(&error);
            self.0 = None;
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

async fn listen(store: &Store) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(store.db.pool().get_postgres_connection_pool()).await?;
    listener.listen(&channel(store)).await?;
    Ok(listener)
}

/// Each schema has a channel of its own: notifications are the database's.
fn channel(store: &Store) -> String {
    let schema = match &store.place.at {
        At::Postgres { schema, .. } => schema,
        At::Sqlite(_) => super::super::place::DEFAULT_SCHEMA,
    };
    format!("{schema}_desired")
}
