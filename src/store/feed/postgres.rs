//! PostgreSQL tells: each transaction that changed desired state is one notification, whatever it
//! touched. What was told while nobody listened is lost, so each connection begins with a look.

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgListener;

use super::super::Store;
use super::super::place::At;
use super::{AGAIN, cannot_watch};

/// The connection that listens.
pub(super) struct Watch {
    what: &'static [&'static str],
    listener: Option<PgListener>,
    /// What was heard beside what was handed on.
    heard: Vec<&'static str>,
}

impl Watch {
    /// Of the notifications of these names.
    pub(super) fn of(what: &'static [&'static str]) -> Self {
        Self { what, listener: None, heard: Vec::new() }
    }

    /// Which notification came; none if any may have come unheard.
    pub(super) async fn changed(&mut self, store: &Store) -> Option<&'static str> {
        if let Some(heard) = self.heard.pop() {
            return Some(heard);
        }
        let done = match &mut self.listener {
            Some(listener) => heard(listener, self.what).await,
            none => listen(store, self.what).await.map(|listener| {
                none.replace(listener);
                None
            }),
        };
        match done {
            Ok(Some(heard)) => {
                self.heard = heard;
                self.heard.pop()
            }
            Ok(None) => None,
            Err(error) => {
                cannot_watch(&error);
                self.listener = None;
                tokio::time::sleep(AGAIN).await;
                None
            }
        }
    }
}

/// What is told of, each once; none if the connection was lost and made again: what came meanwhile
/// is to be looked for.
async fn heard(
    listener: &mut PgListener,
    what: &'static [&'static str],
) -> Result<Option<Vec<&'static str>>, sqlx::Error> {
    let Some(first) = listener.try_recv().await? else { return Ok(None) };
    let mut channels = vec![first.channel().to_owned()];
    // What is there already is the same reason to look.
    while let Some(next) = listener.next_buffered() {
        channels.push(next.channel().to_owned());
    }
    let told = |name: &&&str| {
        channels.iter().any(|channel| channel.strip_suffix(**name).is_some_and(|rest| rest.ends_with('_')))
    };
    Ok(Some(what.iter().filter(told).copied().collect()))
}

/// Listens to what is told of this store's schema: notifications are the whole database's.
pub(in crate::store) async fn listen(store: &Store, what: &[&str]) -> Result<PgListener, sqlx::Error> {
    let schema = match &store.place.at {
        At::Postgres { schema, .. } => schema,
        At::Sqlite(_) => super::super::place::DEFAULT_SCHEMA,
    };
    let mut listener = PgListener::connect_with(store.db.pool().get_postgres_connection_pool()).await?;
    let channels: Vec<String> = what.iter().map(|what| format!("{schema}_{what}")).collect();
    listener.listen_all(channels.iter().map(String::as_str)).await?;
    Ok(listener)
}
