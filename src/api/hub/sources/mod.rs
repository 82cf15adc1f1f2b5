//! How what is held follows the database.
//!
//! A round of looking costs one small question if nothing changed; else what changed is read, in
//! bulk, and nothing else. Rounds come by announcements, with a pause between two so that a storm
//! costs ten a second; by a question for the latest; and from time to time.

mod controller;
mod definitions;
mod events;
mod games;
mod history;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::object::{Entry, Key};
use super::state::Kind;
use super::{Hub, Snapshot};
use crate::game::controller::ControllerSpec;
use crate::store::{Changed, StoreError};

/// Between two rounds, at least.
const PAUSE: Duration = Duration::from_millis(100);
/// How often things are looked at that nobody announced.
const RELIST: Duration = Duration::from_secs(30);
/// Between two looks at what is put together from everything else, and changes with it.
const SELDOM: Duration = Duration::from_secs(1);

/// What of each kind has been read.
#[derive(Default)]
pub(super) struct Sources {
    games: Mutex<games::Games>,
    versions: Mutex<versions::Versions>,
    controller: Mutex<controller::Controllers>,
    events: Mutex<events::Events>,
    turns: Mutex<history::History<history::Turns>>,
    operations: Mutex<history::History<history::Operations>>,
    definitions: Mutex<definitions::Definitions>,
}

impl Hub {
    /// Makes what is held of this kind at least as new as the database is now.
    pub(super) async fn catch_up(&self, kind: Kind) -> Result<(), StoreError> {
        match kind {
            // A namespace is there while a game is in it.
            Kind::Game | Kind::Namespace => self.sources.games.lock().await.catch_up(self, false).await,
            Kind::EngineVersion => self.sources.versions.lock().await.catch_up(self, true).await,
            Kind::Controller => self.sources.controller.lock().await.catch_up(self).await,
            Kind::Event => self.sources.events.lock().await.catch_up(self).await,
            Kind::Turn => self.sources.turns.lock().await.catch_up(self).await,
            Kind::Operation => self.sources.operations.lock().await.catch_up(self).await,
            Kind::Definition => {
                self.sources.definitions.lock().await.load(self);
                Ok(())
            }
        }
    }

    /// Makes sure that this kind was ever read.
    pub(in crate::api) async fn loaded(&self, kind: Kind) -> Result<(), StoreError> {
        let loaded = match kind {
            Kind::Game | Kind::Namespace => self.sources.games.lock().await.is_loaded(),
            Kind::EngineVersion => self.sources.versions.lock().await.is_loaded(),
            Kind::Controller => self.sources.controller.lock().await.is_loaded(),
            Kind::Event => self.sources.events.lock().await.is_loaded(),
            Kind::Turn => self.sources.turns.lock().await.is_loaded(),
            Kind::Operation => self.sources.operations.lock().await.is_loaded(),
            Kind::Definition => false,
        };
        if loaded { Ok(()) } else { self.catch_up(kind).await }
    }

    /// The game of this name as it is now, read anew.
    pub(in crate::api) async fn game(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Entry>>, StoreError> {
        self.sources.games.lock().await.read_one(self, namespace, name).await?;
        Ok(self.held(Kind::Game, &Key::new(namespace, name)))
    }

    /// The namespace of this name as it is now.
    pub(in crate::api) async fn namespace(&self, name: &str) -> Result<Option<Arc<Entry>>, StoreError> {
        self.catch_up(Kind::Namespace).await?;
        Ok(self.held(Kind::Namespace, &Key::new("", name)))
    }

    /// The definition of this name.
    pub(in crate::api) async fn definition(&self, name: &str) -> Result<Option<Arc<Entry>>, StoreError> {
        self.catch_up(Kind::Definition).await?;
        Ok(self.held(Kind::Definition, &Key::new("", name)))
    }

    /// The engine version of this name as it is now.
    pub(in crate::api) async fn engine_version(&self, name: &str) -> Result<Option<Arc<Entry>>, StoreError> {
        self.catch_up(Kind::EngineVersion).await?;
        Ok(self.held(Kind::EngineVersion, &Key::new("", name)))
    }

    /// The object as it is held, if it was read from this version of its row; none if there is another
    /// one meanwhile.
    pub(in crate::api) async fn read_from(
        &self,
        kind: Kind,
        key: &Key,
        uid: &str,
        row_version: &str,
    ) -> Result<Option<Arc<Entry>>, StoreError> {
        let same = |entry: &Arc<Entry>| entry.was_read_from(uid, row_version);
        if let Some(held) = self.held(kind, key).filter(same) {
            return Ok(Some(held));
        }
        let now = match kind {
            Kind::Game => self.game(&key.namespace, &key.name).await?,
            Kind::EngineVersion => self.engine_version(&key.name).await?,
            Kind::Controller => self.controller().await?,
            Kind::Event | Kind::Namespace | Kind::Definition | Kind::Turn | Kind::Operation => None,
        };
        Ok(now.filter(same))
    }

    /// The controller as it is now.
    pub(in crate::api) async fn controller(&self) -> Result<Option<Arc<Entry>>, StoreError> {
        self.catch_up(Kind::Controller).await?;
        Ok(self.held(Kind::Controller, &controller::key()))
    }

    /// The controller as it would be with this spec.
    pub(in crate::api) async fn controller_with(
        &self,
        spec: ControllerSpec,
    ) -> Result<crate::api::wire::ControllerObject, StoreError> {
        controller::object(self, spec).await
    }

    /// Events that were read beside what is held, as they are served.
    pub(in crate::api) fn dressed_events(&self, read: Vec<crate::store::ObjectEvent>) -> Vec<Arc<Entry>> {
        let snapshot: Snapshot = self.snapshot(Kind::Event);
        events::drafts(read)
            .map(|draft| {
                let held = snapshot.objects.get(&draft.key).filter(|held| held.draft == draft);
                held.cloned().unwrap_or_else(|| Arc::new(Entry { draft, version: snapshot.version }))
            })
            .collect()
    }

    /// Follows the database until the end.
    pub(in crate::api) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let following = async {
            let mut changes = std::pin::pin!(self.api.store.shown_changes());
            let mut status = self.api.controller.clone();
            let mut relist = tokio::time::interval(RELIST);
            let mut seldom = tokio::time::interval(SELDOM);
            seldom.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let (mut all_seldom, mut failed) = (true, false);
            loop {
                let mut changed = Changed { desired: failed };
                tokio::select! {
                    () = tokio::time::sleep(SELDOM), if failed => {}
                    next = changes.next() => changed.desired |= next.is_some_and(|next| next.desired),
                    _ = relist.tick() => {
                        changed.desired = true;
                        self.pages.forget_old();
                    }
                    _ = seldom.tick(), if all_seldom => {
                        all_seldom = !self.round(Round::Seldom).await;
                        continue;
                    }
                    // The sender lives as long as the process.
                    _ = status.changed() => {}
                }
                all_seldom = true;
                failed = !self.round(Round::Often { desired: changed.desired }).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        let _ = shutdown.run_until_cancelled(following).await;
    }

    /// False if the database could not be asked.
    async fn round(&self, round: Round) -> bool {
        let done = async {
            match round {
                Round::Often { desired } => {
                    self.sources.games.lock().await.catch_up(self, desired).await?;
                    self.sources.versions.lock().await.catch_up(self, false).await?;
                    self.sources.events.lock().await.catch_up(self).await?;
                    self.sources.turns.lock().await.follow(self).await?;
                    self.sources.operations.lock().await.follow(self).await
                }
                Round::Seldom => {
                    self.sources.versions.lock().await.catch_up(self, true).await?;
                    self.sources.controller.lock().await.catch_up(self).await
                }
            }
        };
        let done: Result<(), StoreError> = done.await;
        if let Err(error) = &done {
            // Whoever asks is told; this is tried again.
            tracing::debug!(error = error as &dyn std::error::Error, "the API's view could not be renewed");
        }
        done.is_ok()
    }
}

/// What is looked at.
enum Round {
    /// What changes one by one. Desired state is compared whatever its feed says, if that is so.
    Often { desired: bool },
    /// What changes with everything else.
    Seldom,
}

/// What cannot be written as JSON is left out, and that is told: it cannot happen with such types.
pub(super) fn or_left_out<T>(made: Result<T, serde_json::Error>) -> Option<T> {
    made.inspect_err(|error| tracing::error!(%error, "an object cannot be shown")).ok()
}
