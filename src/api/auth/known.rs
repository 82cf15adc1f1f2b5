//! The tokens that are good now: those of the data directory, and those of the database, which are
//! held in memory so that a request costs no question to it.
//!
//! What is held follows the database: at once what this server itself makes and takes away, on
//! PostgreSQL by announcements, and in any case within [`LOOK`]. While the database cannot be asked,
//! what was last known holds; what has expired is refused all the same.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::caller::{By, Caller};
use super::tokens::Tokens;
use super::{PREFIX, digest};
use crate::api::error::ApiError;
use crate::game::access::{AccessToken, Grant};
use crate::store::{Store, StoreError};

/// So old what is held may be.
const LOOK: Duration = Duration::from_secs(1);
/// An unknown token may have been made elsewhere just now, so it is looked; but nobody makes this
/// server look more often than that, and whoever sends one waits.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// Who may ask.
pub(in crate::api) struct Known {
    file: Tokens,
    store: Store,
    held: RwLock<HashMap<[u8; 32], Held>>,
    /// What was read last; held while reading, so that an older reading never overtakes a newer one.
    reading: Mutex<Reading>,
}

struct Held {
    token: Arc<AccessToken>,
    caller: Caller,
}

#[derive(Default)]
struct Reading {
    seq: Option<i64>,
    began: Option<Instant>,
}

impl Known {
    pub(in crate::api) fn new(file: Tokens, store: Store) -> Self {
        Self { file, store, held: RwLock::default(), reading: Mutex::default() }
    }

    /// Whether a token of this name could be mistaken for one of the data directory.
    pub(in crate::api) fn is_taken(&self, name: &str) -> bool {
        self.file.has(name)
    }

    /// Who sends these headers; nobody if there is no token in them.
    pub(in crate::api) async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Caller>, ApiError> {
        let Some(sent) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let token = sent.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or(ApiError::Unauthorized)?;
        if let Some(entry) = self.file.find(token) {
            return Ok(Some(Caller {
                name: entry.name.as_str().into(),
                by: By::File,
                grants: [Grant::everywhere(entry.role)].into(),
                ends: None,
                revoked: CancellationToken::new(),
                behind: None,
            }));
        }
        let sent = digest(token);
        let mut found = self.find(&sent);
        if found.is_none() && token.starts_with(PREFIX) {
            self.look_soon().await?;
            found = self.find(&sent);
        }
        let good = found.filter(|caller| !caller.is_over(Timestamp::now()));
        good.map(Some).ok_or(ApiError::Unauthorized)
    }

    /// The grants of the token of this name, as of now; none if there is no such token.
    pub(super) fn grants_of(&self, name: &str) -> Vec<Grant> {
        if let Some(role) = self.file.role_of(name) {
            return vec![Grant::everywhere(role)];
        }
        let now = Timestamp::now();
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let callers = held.values().map(|held| &held.caller);
        let mut good = callers.filter(|caller| &*caller.name == name && !caller.is_over(now));
        good.next().map(|caller| caller.grants.to_vec()).unwrap_or_default()
    }

    /// A digest tells nothing of the token, so neither does the time that it takes to find one.
    fn find(&self, digest: &[u8; 32]) -> Option<Caller> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(digest).map(|held| held.caller.clone())
    }

    /// Makes what is held as new as the database is now.
    pub(in crate::api) async fn look(&self) -> Result<(), StoreError> {
        let reading = self.reading.lock().await;
        self.read(reading).await
    }

    /// The same, together with everybody else who wants it at this time.
    async fn look_soon(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let reading = self.reading.lock().await;
        match reading.began {
            Some(began) if began >= asked => return Ok(()),
            Some(began) => tokio::time::sleep_until(began + AT_MOST_EVERY).await,
            None => {}
        }
        self.read(reading).await
    }

    async fn read(&self, mut reading: MutexGuard<'_, Reading>) -> Result<(), StoreError> {
        let began = Instant::now();
        // Read first: what comes in between is read again, and never missed.
        let seq = self.store.access_seq().await?;
        if reading.seq != Some(seq) {
            let read = self.store.access_tokens().await?;
            self.hold(read);
        }
        *reading = Reading { seq: Some(seq), began: Some(began) };
        Ok(())
    }

    /// Who is still there stays who it was; who is not is revoked.
    fn hold(&self, read: Vec<AccessToken>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *held);
        for token in read {
            let same = before.get(&token.digest).is_some_and(|there| *there.token == token);
            let there = if same { before.remove(&token.digest) } else { None };
            let entry = there.unwrap_or_else(|| Held {
                caller: Caller {
                    name: token.token.name.as_str().into(),
                    by: By::Token,
                    grants: [token.token.grant.clone()].into(),
                    ends: token.token.expires_at,
                    revoked: CancellationToken::new(),
                    behind: None,
                },
                token: Arc::new(token),
            });
            held.insert(entry.token.digest, entry);
        }
        for gone in before.into_values() {
            gone.caller.revoked.cancel();
        }
    }

    /// Follows the database until the end.
    pub(in crate::api) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let following = async {
            let mut changes = std::pin::pin!(self.store.access_changes());
            loop {
                if let Err(error) = self.look().await {
                    // It is tried again; what is known holds meanwhile.
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "it could not be read who may ask the API"
                    );
                }
                let _ = tokio::time::timeout(LOOK, changes.next()).await;
            }
        };
        let _ = shutdown.run_until_cancelled(following).await;
    }
}
