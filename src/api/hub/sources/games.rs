//! Games: a row of desired state, and what was recorded.

use std::collections::{HashMap, HashSet};

use super::super::Hub;
use super::super::object::{Draft, Key};
use super::super::state::{Edit, Kind};
use super::or_left_out;
use crate::api::wire::GameObject;
use crate::game::GameId;
use crate::store::{Feeds, StoreError, StoredGame};

/// So many are read, and put in, at a time.
const AT_ONCE: usize = 500;

/// What has been read of games.
#[derive(Default)]
pub(super) struct Games {
    /// Where the feeds were before the last reading; none before the first.
    read: Option<Feeds>,
    /// Which row each game was read from; of a row that nobody can read, no key.
    rows: HashMap<GameId, (i64, Option<Key>)>,
}

impl Games {
    pub(super) fn is_loaded(&self) -> bool {
        self.read.is_some()
    }

    /// Reads what changed. `desired`: rows are compared whatever the feed says.
    pub(super) async fn catch_up(&mut self, hub: &Hub, desired: bool) -> Result<(), StoreError> {
        let store = &hub.api.store;
        // Read first: what changes in between is read again, and never missed.
        let feeds = store.feeds().await?;
        if self.read.is_some_and(|before| feeds.is_another_than(&before)) {
            *self = Self::default();
            hub.unload(Kind::Game);
        }
        let Some(before) = self.read else { return self.load(hub, feeds).await };
        let mut wanted: HashSet<GameId> = HashSet::new();
        if desired || !before.settled || feeds.desired != before.desired {
            let index = store.game_index().await?;
            let gone: Vec<GameId> = self.rows.keys().filter(|id| !index.contains_key(id)).copied().collect();
            let removed = gone.iter().filter_map(|id| {
                let (_, key) = self.rows.remove(id)?;
                gone_from(hub, *id, &key?)
            });
            hub.publish(Kind::Game, removed.collect::<Vec<_>>());
            let differs = |(id, version): &(&GameId, &i64)| {
                self.rows.get(id).is_none_or(|(known, _)| known != *version)
            };
            wanted.extend(index.iter().filter(differs).map(|(id, _)| *id));
        }
        if feeds.observed > before.observed {
            let recorded = store.recorded_after(before.observed).await?;
            wanted.extend(recorded.into_iter().filter(|id| self.rows.contains_key(id)));
        }
        let wanted: Vec<GameId> = wanted.into_iter().collect();
        for some in wanted.chunks(AT_ONCE) {
            let read = store.games_to_show(some).await?;
            self.note_missing(some, &read);
            let edits: Vec<Edit> = read.into_iter().flat_map(|game| self.edits(hub, game)).collect();
            hub.publish(Kind::Game, edits);
        }
        self.read = Some(feeds);
        Ok(())
    }

    async fn load(&mut self, hub: &Hub, feeds: Feeds) -> Result<(), StoreError> {
        let index = hub.api.store.game_index().await?;
        self.rows = index.iter().map(|(id, version)| (*id, (*version, None))).collect();
        let ids: Vec<GameId> = index.into_keys().collect();
        let mut drafts = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let read = hub.api.store.games_to_show(some).await?;
            self.note_missing(some, &read);
            drafts.extend(read.into_iter().filter_map(|game| self.draft(game)));
        }
        hub.load(Kind::Game, drafts);
        self.read = Some(feeds);
        Ok(())
    }

    /// Reads one game anew.
    pub(super) async fn read_one(
        &mut self,
        hub: &Hub,
        namespace: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        if !self.is_loaded() {
            self.catch_up(hub, true).await?;
        }
        let edits: Vec<Edit> = match hub.api.store.game(namespace, name).await? {
            Some(game) => self.edits(hub, game).collect(),
            None => {
                let key = Key::new(namespace, name);
                self.rows.retain(|_, (_, of)| of.as_ref() != Some(&key));
                vec![Edit::Remove(key)]
            }
        };
        hub.publish(Kind::Game, edits);
        Ok(())
    }

    /// Notes games that were asked for and not found: the row went in between, or nobody can read it. Then
    /// it is asked for again when it changes.
    fn note_missing(&mut self, asked: &[GameId], read: &[StoredGame]) {
        let found: HashSet<GameId> = read.iter().map(|game| game.id).collect();
        for id in asked.iter().filter(|id| !found.contains(id)) {
            self.rows.entry(*id).or_insert((0, None));
        }
    }

    /// A game keeps its name for life; one that was deleted and made again between two readings may come
    /// back under another one, and is gone from the first.
    fn edits(&mut self, hub: &Hub, game: StoredGame) -> impl Iterator<Item = Edit> + use<> {
        let id = game.id;
        let key = |games: &Self| games.rows.get(&id).and_then(|(_, key)| key.clone());
        let before = key(self);
        let put = self.draft(game).map(Edit::Put);
        let left = before.filter(|before| key(self).as_ref() != Some(before));
        left.and_then(|left| gone_from(hub, id, &left)).into_iter().chain(put)
    }

    fn draft(&mut self, game: StoredGame) -> Option<Draft> {
        let id = game.id;
        let mut object = GameObject::from(game);
        let row_version = take_row_version(&mut object.metadata.resource_version);
        let key = Key::new(object.metadata.namespace.as_deref().unwrap_or_default(), &object.metadata.name);
        self.rows.insert(id, (row_version, Some(key.clone())));
        let mut draft = or_left_out(Draft::new(key, &object))?;
        draft.uid = id.to_string();
        draft.row_version = row_version;
        draft.created = object.metadata.creation_timestamp;
        draft.labels = object.metadata.labels;
        Some(draft)
    }
}

/// Takes a game away from this name, unless another game has it already.
fn gone_from(hub: &Hub, game: GameId, key: &Key) -> Option<Edit> {
    let held = hub.held(Kind::Game, key)?;
    (held.draft.uid == game.to_string()).then(|| Edit::Remove(key.clone()))
}

/// The store's word for a version, which stays inside.
pub(super) fn take_row_version(version: &mut Option<String>) -> i64 {
    version.take().and_then(|version| version.parse().ok()).unwrap_or_default()
}
