//! PostgreSQL tells: each transaction that changed desired state is one notification, whatever it
//! touched. What was told while nobody listened is lost, so each connection begins with a look.
//!
//! That nothing is told means something only as long as the connection lives and still listens. A
//! connection may die without a word (an address is moved, a router forgets it), and a pooler may take
//! the channels away. So silence is never believed for longer than [`SILENCE`]: then the listening
//! connection itself is asked what it listens to, and has [`ANSWER`] for it. It is asked as often where
//! something is told all the time: what is told is no word of the client's, and the server ends a session
//! that says nothing (`idle_session_timeout`). Every watch goes through [`Watch::changed`], which is the one
//! place that waits.

use std::io;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::{self, Row};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::Store;
use super::super::open::listening;
use super::super::place::At;
use super::{AGAIN, cannot_watch};

/// So long without an answer, and the connection is asked whether it still listens.
const SILENCE: Duration = Duration::from_secs(10);

/// The time that a connection has for its answer, and a new one to begin to listen.
const ANSWER: Duration = Duration::from_secs(5);

/// What is told of these names, heard on a connection that is made again whenever it is lost.
pub(super) struct Watch {
    what: &'static [&'static str],
    listener: Option<Listener>,
    /// What was heard beside what was handed on.
    heard: Vec<&'static str>,
}

/// The connection that listens.
struct Listener {
    connection: PgListener,
    channels: Vec<String>,
    /// The time at which it last said that it listens. Kept here, because a wait may be given up and begun again.
    known_at: Instant,
    /// When it was asked whether it does, if it has not answered.
    asked_at: Option<Instant>,
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
        match self.hear(store).await {
            Ok(heard) => {
                self.heard = heard;
                self.heard.pop()
            }
            Err(error) => {
                cannot_watch(&error);
                self.listener = None;
                tokio::time::sleep(AGAIN).await;
                None
            }
        }
    }

    /// What is told of, each once; nothing if the connection is a new one.
    async fn hear(&mut self, store: &Store) -> Result<Vec<&'static str>, sqlx::Error> {
        if let Some(listener) = &mut self.listener {
            if let Some(told) = listener.told().await? {
                let named = self.what.iter().zip(&listener.channels);
                return Ok(named
                    .filter(|(_, channel)| told.contains(channel))
                    .map(|(name, _)| *name)
                    .collect());
            }
            self.listener = None;
        }
        self.listener = Some(timeout(ANSWER, listen(store, self.what)).await.unwrap_or_else(no_answer)?);
        Ok(Vec::new())
    }
}

impl Listener {
    /// The channels of the next notifications; none if the connection was closed.
    ///
    /// # Errors
    /// It failed, does not answer, or does not listen any more.
    async fn told(&mut self) -> Result<Option<Vec<String>>, sqlx::Error> {
        let first = loop {
            if self.known_at.elapsed() >= SILENCE {
                self.ask().await?;
            }
            // Given up at any moment it loses nothing: a message is taken whole, and handed on at once.
            match timeout_at(self.known_at + SILENCE, self.connection.try_recv()).await {
                Ok(Ok(Some(first))) => break first,
                // (The driver's own new connection would have no time limit.)
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        };
        let mut told = vec![first.channel().to_owned()];
        // What is there already is the same reason to look.
        while let Some(next) = self.connection.next_buffered() {
            told.push(next.channel().to_owned());
        }
        Ok(Some(told))
    }

    /// Makes sure that it still listens.
    async fn ask(&mut self) -> Result<(), sqlx::Error> {
        let asked_at = *self.asked_at.get_or_insert_with(Instant::now);
        let asked = still_listens(&mut self.connection, &self.channels);
        timeout_at(asked_at + ANSWER, asked).await.unwrap_or_else(no_answer)?;
        (self.known_at, self.asked_at) = (Instant::now(), None);
        Ok(())
    }
}

fn no_answer<T>(_: Elapsed) -> Result<T, sqlx::Error> {
    Err(io::Error::from(io::ErrorKind::TimedOut).into())
}

/// Asks the listening connection itself whether it has all of these channels.
///
/// # Errors
/// It is lost, or it has not.
async fn still_listens(listener: &mut PgListener, channels: &[String]) -> Result<(), sqlx::Error> {
    let rows = sqlx::raw_sql("SELECT pg_listening_channels()").fetch_all(listener).await?;
    let has = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    match channels.iter().find(|channel| !has.contains(channel)) {
        None => Ok(()),
        Some(lost) => {
            Err(sqlx::Error::Protocol(format!("the connection does not listen to {lost} any more")))
        }
    }
}

/// Listens to what is told of this store's schema: notifications are the whole database's.
async fn listen(store: &Store, what: &[&str]) -> Result<Listener, sqlx::Error> {
    let At::Postgres { options, schema } = &store.place.at else {
        return Err(sqlx::Error::Protocol("the embedded database tells nothing".into()));
    };
    let pool = listening(store, options, schema, ANSWER);
    let mut connection = PgListener::connect_with(&pool).await?;
    connection.eager_reconnect(false);
    let channels: Vec<String> = what.iter().map(|what| format!("{schema}_{what}")).collect();
    connection.listen_all(channels.iter().map(String::as_str)).await?;
    Ok(Listener { connection, channels, known_at: Instant::now(), asked_at: None })
}
