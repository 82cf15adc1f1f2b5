//! Whoever asks, once that is known.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::decide::decide;
use crate::api::error::ApiError;
use crate::game::access::{Grant, Role};

/// How often it is looked whether the end has come: a clock may be set, and a machine be suspended.
const LOOK: Duration = Duration::from_secs(30);

/// By what a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::api) enum By {
    /// A token of the data directory.
    File,
    /// A token of the database.
    Token,
    /// A client certificate.
    Certificate,
    /// An admin's word.
    Impersonation,
}

impl By {
    /// For people.
    pub(in crate::api) fn word(self) -> &'static str {
        match self {
            Self::File | Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Impersonation => "user",
        }
    }
}

/// What tells one caller from another where they are counted.
pub(in crate::api) type CallerKey = (By, Arc<str>);

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::api) struct Caller {
    /// As the audit has it.
    pub(in crate::api) name: Arc<str>,
    pub(in crate::api) by: By,
    /// Each of them is enough.
    pub(in crate::api) grants: Arc<[Grant]>,
    /// From when on it is refused.
    pub(super) ends: Option<Timestamp>,
    /// Cancelled when it is taken away.
    pub(super) revoked: CancellationToken,
    /// The admin behind it, if this one is impersonated.
    pub(super) behind: Option<CallerKey>,
}

impl Caller {
    /// What tells one caller from another where they are counted.
    pub(in crate::api) fn key(&self) -> CallerKey {
        self.behind.clone().unwrap_or_else(|| (self.by, Arc::clone(&self.name)))
    }

    /// The admin behind it, if this one is impersonated.
    pub(in crate::api) fn behind(&self) -> Option<&str> {
        self.behind.as_ref().map(|(_, name)| &**name)
    }

    /// The author of what is written, for those who read it later.
    pub(in crate::api) fn written_as(&self) -> String {
        let who = |behind| format!("{behind} as {}", self.name);
        self.behind().map_or_else(|| self.name.to_string(), who)
    }

    /// Whether this may be asked.
    pub(in crate::api) fn may(&self, asked: &Asked<'_>) -> Result<(), ApiError> {
        decide(&self.grants, asked)
            .map_err(|refusal| ApiError::Forbidden(refusal.told(&self.name, self.by.word(), asked)))
    }

    /// Whether what is written is the lobby's.
    pub(in crate::api) fn is_lobby(&self) -> bool {
        let writes = |grant: &&Grant| grant.role != Role::Viewer;
        let mut writing = self.grants.iter().filter(writes).peekable();
        writing.peek().is_some() && writing.all(|grant| grant.role == Role::Lobby)
    }

    /// Whether the caller is good for nothing any more.
    pub(in crate::api) fn is_over(&self, now: Timestamp) -> bool {
        self.revoked.is_cancelled() || self.ends.is_some_and(|end| end <= now)
    }

    /// Returns when the caller is good for nothing any more: what is still open for it ends then.
    pub(in crate::api) async fn over(self) {
        let expired = async {
            let Some(end) = self.ends else { return std::future::pending().await };
            loop {
                let left = end.duration_since(Timestamp::now());
                let Ok(left) = Duration::try_from(left) else { return };
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK)).await;
            }
        };
        tokio::select! {
            () = expired => {}
            () = self.revoked.cancelled() => {}
        }
    }
}
