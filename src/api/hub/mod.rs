//! The hub: one snapshot and one order of changes, for everything that is listed and watched.
//!
//! Games, engine versions, the controller and the events are held here as they are served. A version
//! (`resourceVersion`) is this process's own: it begins at the microseconds since 1970 at which the
//! process began and counts changes, so one that another process gave, or an earlier life of this
//! one, is never taken for one of ours by accident. Lists and watches of a kind come from the same
//! state, so no change is lost or doubled between them. Whoever watches is a position in the past
//! that is held for all, and costs no buffer of its own.
//!
//! What is held follows the database ([`sources`]): by announcements, which are only nudges, and by
//! a look whenever somebody wants the latest. Every reading that is put in is made under the lock of
//! its kind, so that an older one never overtakes a newer one. Deliberately absent: any write.

mod asked;
mod form;
mod namespaces;
mod object;
mod pages;
mod serve;
mod served;
mod sources;
mod state;
mod watch;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch as channel;

use super::Api;
use super::auth::caller::CallerKey;
use super::error::ApiError;
use super::places::Places;
use super::wire::{
    CONTROLLERS, DEFINITIONS, ENGINE_VERSIONS, EVENTS, GAMES, NAMESPACES, OPERATIONS, Resource, TURNS,
};
use crate::game::manifest::API_VERSION;
use crate::store::StoreError;

pub(super) use asked::Asked;
pub(super) use object::{Entry, Key};
pub(super) use serve::{list, list_read};
pub(super) use served::Served;
pub(super) use state::Kind;

use pages::Pages;
use sources::Sources;
use state::{Bounds, Edit, Snapshot, State, Unknown};

/// What the hub may hold.
#[derive(Debug, Clone, Copy)]
pub struct HubLimits {
    /// Changes of each kind that can still be asked for.
    pub changes: usize,
    /// The bytes of their objects.
    pub bytes: usize,
    /// The latest events that are held; those of one object are found in the database all the same.
    pub events: usize,
    /// The latest turns, and operations, that are held while they are watched.
    pub history: usize,
    /// Snapshots that lists go on from.
    pub pages: usize,
    /// How long each of them is kept after its last use.
    pub page_age: Duration,
    /// Watches that one client may have at a time.
    pub watches: usize,
    /// Watches that all clients together may have.
    pub all_watches: usize,
    /// How long a client may leave unread what is written to it, until its connection is cut.
    pub patience: Duration,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            changes: 32_768,
            bytes: 48 << 20,
            events: 20_000,
            history: 5_000,
            pages: 16,
            page_age: Duration::from_secs(300),
            watches: 100,
            all_watches: 2_000,
            patience: Duration::from_secs(600),
        }
    }
}

impl Kind {
    fn resource(self) -> Resource {
        match self {
            Self::Game => GAMES,
            Self::EngineVersion => ENGINE_VERSIONS,
            Self::Controller => CONTROLLERS,
            Self::Event => EVENTS,
            Self::Turn => TURNS,
            Self::Operation => OPERATIONS,
            Self::Namespace => NAMESPACES,
            Self::Definition => DEFINITIONS,
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Game | Self::EngineVersion | Self::Controller | Self::Turn | Self::Operation => API_VERSION,
            Self::Event | Self::Namespace => "v1",
            Self::Definition => "apiextensions.k8s.io/v1",
        }
    }
}

/// See the [module](self).
pub(super) struct Hub {
    api: Arc<Api>,
    /// Since when the controller is ready, or not.
    ready_since: channel::Receiver<Timestamp>,
    state: RwLock<State>,
    /// Rung after changes of each kind.
    changed: [channel::Sender<u64>; Kind::COUNT],
    sources: Sources,
    pages: Pages,
    places: Places<CallerKey>,
}

impl Hub {
    /// Empty; what is asked for is read first.
    pub(super) fn new(api: Arc<Api>, ready_since: channel::Receiver<Timestamp>) -> Self {
        let limits = api.hub;
        // Before 1970 there were no such clients.
        let start = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        let bounds = Bounds { changes: limits.changes, bytes: limits.bytes };
        Self {
            ready_since,
            state: RwLock::new(State::new(start, bounds)),
            changed: std::array::from_fn(|_| channel::Sender::new(start)),
            sources: Sources::default(),
            pages: Pages::new(limits.pages, limits.page_age),
            places: Places::new(limits.watches, limits.all_watches),
            api,
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the last change of all.
    pub(super) fn version(&self) -> u64 {
        self.state().head()
    }

    fn snapshot(&self, kind: Kind) -> Snapshot {
        self.state().snapshot(kind)
    }

    /// The object as it is held.
    pub(super) fn held(&self, kind: Kind, key: &Key) -> Option<Arc<Entry>> {
        self.state().get(kind, key).cloned()
    }

    /// The object as soon as `holds` is true of it, or as it is when the time is over; none if it is not
    /// there then.
    pub(super) async fn until(
        &self,
        kind: Kind,
        key: &Key,
        holds: impl Fn(Option<&serde_json::Value>) -> bool,
        limit: Duration,
    ) -> Option<serde_json::Value> {
        let mut changed = self.changed[kind as usize].subscribe();
        let deadline = tokio::time::Instant::now() + limit;
        let (mut seen, mut object) = (None, None);
        loop {
            let held = self.held(kind, key);
            let version = held.as_ref().map(|held| held.version());
            // Each change of its kind comes by here; only those of the object itself are looked at.
            if seen != Some(version) {
                (seen, object) = (Some(version), held.map(|held| held.shown().value()));
                if holds(object.as_ref()) {
                    return object;
                }
            }
            if !matches!(tokio::time::timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                return object;
            }
        }
    }

    fn publish(&self, kind: Kind, edits: impl IntoIterator<Item = Edit>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.head();
        if kind == Kind::Game {
            let edits: Vec<Edit> = edits.into_iter().collect();
            let touched = namespaces::touched(&edits);
            state.apply(kind, edits);
            let edits = namespaces::edits(&state, touched);
            state.apply(Kind::Namespace, edits);
        } else {
            state.apply(kind, edits);
        }
        let head = state.head();
        drop(state);
        if head != before {
            self.changed[kind as usize].send_replace(head);
            if kind == Kind::Game {
                self.changed[Kind::Namespace as usize].send_replace(head);
            }
        }
    }

    fn load(&self, kind: Kind, drafts: Vec<object::Draft>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if kind == Kind::Game {
            state.load(Kind::Namespace, namespaces::of(&drafts));
        }
        state.load(kind, drafts);
    }

    /// Whoever watches this kind is told to begin anew.
    fn unload(&self, kind: Kind) {
        // A namespace is there while a game is in it.
        let kinds = [Some(kind), (kind == Kind::Game).then_some(Kind::Namespace)];
        for kind in kinds.into_iter().flatten() {
            self.state.write().unwrap_or_else(PoisonError::into_inner).unload(kind);
            self.changed[kind as usize].send_replace(self.version());
        }
    }

    fn forget(&self, kind: Kind, key: &Key) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).forget(kind, key);
    }

    fn is_watched(&self, kind: Kind) -> bool {
        self.changed[kind as usize].receiver_count() > 0
    }

    /// Which version of its row a client means that sends back the object's `resourceVersion`; text,
    /// as the store compares it. What changed since and is not the row's does not make it stale.
    pub(super) fn row_version(
        &self,
        kind: Kind,
        key: &Key,
        stated: Option<&str>,
    ) -> Result<Option<String>, ApiError> {
        let Some(stated) = stated.filter(|stated| !stated.is_empty()) else { return Ok(None) };
        let known = stated.parse().map(|version| self.state().row_version(kind, key, version));
        match known {
            Ok(Ok(Some(row_version))) => Ok(Some(row_version.to_string())),
            // An object that was not there then: whatever is there now is another one.
            Ok(Ok(None)) => Ok(Some("0".into())),
            Ok(Err(Unknown::TooOld | Unknown::Ahead)) | Err(_) => Err(ApiError::Conflict {
                resource: kind.resource(),
                name: key.name.to_string(),
                why: "its resourceVersion is none of the last ones of this server, which may have been \
                      started since; read the latest version and try again"
                    .into(),
            }),
        }
    }

    /// The version that is reached with everything of a kind that there is now.
    pub(super) async fn caught_up(&self, kind: Kind) -> Result<u64, StoreError> {
        Ok(self.latest(kind).await?.version)
    }

    /// What there is of a kind, as of now.
    async fn latest(&self, kind: Kind) -> Result<Snapshot, StoreError> {
        self.catch_up(kind).await?;
        Ok(self.snapshot(kind))
    }
}
