//! Watches: each is a position in the order of changes, read as fast as its client reads.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use tokio::sync::watch as channel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::form::{self, Told, of_json};
use super::object::{Entry, Key};
use super::serve::{Scope, expired};
use super::state::{Change, Kind, Snapshot};
use crate::api::Shared;
use crate::api::auth::caller::CallerKey;
use crate::api::error::ApiError;
use crate::api::negotiate::Lines;
use crate::api::places::{Full, Place};
use crate::api::select::{ListParameters, VersionMatch};

/// So much is written at a time, at most and more or less.
const PIECE: usize = 64 << 10;
/// So many changes are looked at under the lock.
const AT_ONCE: usize = 256;
/// How often a client that likes bookmarks is told how far it is.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long a watch is open whose client says nothing about it, in seconds: all that began together
/// should not end together.
const OPEN: std::ops::Range<u64> = 1_800..3_600;

/// Where a watch begins.
#[derive(Debug)]
pub(super) enum Beginning {
    /// With everything there is; and a word that this was all, if that is wanted.
    Everything { say_so: bool },
    /// Behind this version.
    After(u64),
}

/// Opens a watch.
pub(super) async fn answer(
    shared: &Shared,
    scope: Scope,
    parameters: &ListParameters,
    who: CallerKey,
) -> Result<Response, ApiError> {
    let hub = Arc::clone(&shared.hub);
    let kind = scope.served.held;
    let beginning = beginning(&hub, kind, parameters).await?;
    let place = hub.places.take(who).map_err(|full| {
        ApiError::TooMany(match full {
            Full::OfOne => "this client has too many watches open; close some, or watch more with one",
            Full::OfAll => "too many watches are open at this server",
        })
    })?;
    let seconds = match parameters.timeout_seconds()? {
        Some(seconds) => seconds.min(OPEN.end),
        None => rand::random_range(OPEN),
    };
    let now = Instant::now();
    // Subscribed to before anything is read: what comes in between rings.
    let changed = hub.changed[kind as usize].subscribe();
    let (cursor, stage) = match beginning {
        Beginning::Everything { say_so } => {
            let snapshot = hub.snapshot(kind);
            (snapshot.version, Stage::Initial { snapshot, last: None, say_so })
        }
        Beginning::After(version) => (version, Stage::Changes),
    };
    let watching = Watching {
        hub,
        kind,
        scope,
        cursor,
        stage,
        changed,
        next_bookmark: parameters.wants_bookmarks().then(|| now + BOOKMARK),
        until: now + Duration::from_secs(seconds),
        shutdown: shared.shutdown.clone(),
        _place: place,
    };
    let mut response = of_json(Body::from_stream(watching.pieces())).into_response();
    response.extensions_mut().insert(Lines);
    Ok(response)
}

async fn beginning(hub: &Hub, kind: Kind, parameters: &ListParameters) -> Result<Beginning, ApiError> {
    let (version, matched) = parameters.version()?;
    let initial = parameters.sends_initial_events();
    match (initial, matched) {
        (None, Some(_)) => {
            return Err(ApiError::BadRequest(
                "resourceVersionMatch goes with sendInitialEvents in a watch".into(),
            ));
        }
        (Some(_), None | Some(VersionMatch::Exact)) => {
            return Err(ApiError::BadRequest(
                "sendInitialEvents goes with resourceVersionMatch=NotOlderThan".into(),
            ));
        }
        (None, None) | (Some(_), Some(VersionMatch::NotOlderThan)) => {}
    }
    let whole = Beginning::Everything { say_so: initial == Some(true) && parameters.wants_bookmarks() };
    match (version, initial) {
        (None, None | Some(true)) => {
            hub.catch_up(kind).await?;
            Ok(whole)
        }
        (Some(0), None | Some(true)) => {
            hub.loaded(kind).await?;
            Ok(whole)
        }
        (None | Some(0), Some(false)) => Ok(Beginning::After(hub.latest(kind).await?.version)),
        (Some(version), Some(true)) => {
            hub.loaded(kind).await?;
            // A client that knows more than this server got it from another one.
            if version > hub.version() { Ok(Beginning::After(version)) } else { Ok(whole) }
        }
        (Some(version), None | Some(false)) => {
            hub.loaded(kind).await?;
            Ok(Beginning::After(version))
        }
    }
}

enum Stage {
    /// What there was at the beginning is told, behind this object.
    Initial { snapshot: Snapshot, last: Option<Key>, say_so: bool },
    /// What changes is told.
    Changes,
    /// There is nothing more to say.
    Over,
}

struct Watching {
    hub: Arc<Hub>,
    kind: Kind,
    scope: Scope,
    /// Everything up to this version is told.
    cursor: u64,
    stage: Stage,
    changed: channel::Receiver<u64>,
    next_bookmark: Option<Instant>,
    until: Instant,
    shutdown: CancellationToken,
    _place: Place<CallerKey>,
}

impl Watching {
    fn pieces(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        futures::stream::unfold(self, |mut watching| async move {
            let piece = watching.next().await?;
            Some((Ok(piece), watching))
        })
    }

    /// What is written next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        loop {
            match self.stage {
                Stage::Initial { .. } => self.tell_initial(&mut out),
                Stage::Changes => self.tell_changes(&mut out),
                Stage::Over => return None,
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            if matches!(self.stage, Stage::Changes) && !self.wait(&mut out).await {
                return None;
            }
            if !out.is_empty() {
                return Some(out.into());
            }
        }
    }

    fn tell_initial(&mut self, out: &mut Vec<u8>) {
        let Stage::Initial { snapshot, last, say_so } = &mut self.stage else { return };
        for entry in self.scope.of(snapshot, last.take()) {
            form::line(out, Told::Added, entry.shown());
            if out.len() >= PIECE {
                *last = Some(entry.key().clone());
                return;
            }
        }
        if *say_so {
            form::bookmark(out, self.scope.served, snapshot.version, true);
        }
        self.stage = Stage::Changes;
    }

    fn tell_changes(&mut self, out: &mut Vec<u8>) {
        while out.len() < PIECE {
            let changes = {
                let _ = self.changed.borrow_and_update();
                let state = self.hub.state();
                let changes = state.after(self.kind, self.cursor, AT_ONCE);
                if changes.as_ref().is_ok_and(Vec::is_empty) {
                    self.cursor = state.head();
                }
                changes
            };
            match changes {
                Ok(changes) if changes.is_empty() => return,
                Ok(changes) => {
                    for change in changes {
                        self.cursor = change.version;
                        self.tell(out, &change);
                        if out.len() >= PIECE {
                            return;
                        }
                    }
                }
                Err(unknown) => {
                    form::error(out, &expired(unknown).status());
                    self.stage = Stage::Over;
                    return;
                }
            }
        }
    }

    /// What a change is to somebody who sees only a part: what comes into sight was added, and what
    /// goes out of it was deleted.
    fn tell(&self, out: &mut Vec<u8>, change: &Change) {
        let sees = |entry: &Option<Arc<Entry>>| entry.as_ref().and_then(|entry| self.scope.sees(entry));
        match (sees(&change.before), sees(&change.after)) {
            (None, Some(after)) => form::line(out, Told::Added, after.shown()),
            // What is made of it has not changed.
            (Some(before), Some(after)) if before.is_shown_as(&after) => {}
            (Some(_), Some(after)) => form::line(out, Told::Modified, after.shown()),
            (Some(before), None) => form::line(out, Told::Deleted, before.shown_at(change.version)),
            (None, None) => {}
        }
    }

    /// Waits until there may be something to tell. False if the watch is over.
    async fn wait(&mut self, out: &mut Vec<u8>) -> bool {
        let until = self.next_bookmark.map_or(self.until, |next| next.min(self.until));
        tokio::select! {
            changed = self.changed.changed() => changed.is_ok(),
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep_until(until) => {
                let now = Instant::now();
                if now >= self.until {
                    return false;
                }
                if let Some(next) = &mut self.next_bookmark {
                    *next = now + BOOKMARK;
                    form::bookmark(out, self.scope.served, self.cursor, false);
                }
                true
            }
        }
    }
}
