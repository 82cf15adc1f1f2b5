//! History that can be watched: turns and operations, of which the latest are held. Lists are read
//! from the database, for they go further back.
//!
//! Whatever is written to the history goes with a record of its game, whose number in the feed says
//! that there is something to read: what began lately, and what of that which had not ended belongs
//! to a game that was recorded since. Held while somebody wants it, and for a while afterwards.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::super::Hub;
use super::super::object::{Draft, Key};
use super::super::state::{Edit, Kind};
use super::or_left_out;
use crate::api::wire::{Operation, TurnObject};
use crate::game::{GameId, OperationId};
use crate::store::{Feeds, GameOperation, Store, StoreError, StoredTurn, TurnKey};

/// For so long it is held for nobody.
const UNUSED: Duration = Duration::from_secs(300);
/// What began so long before the latest that was read may have been committed after it.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// A kind of history.
pub(super) trait Past {
    /// What tells one from another.
    type Id: Ord + Copy + Hash + Debug;
    /// As the store has it.
    type Stored;
    /// Which one it is.
    const KIND: Kind;
    /// The latest so many of those that began then or later.
    async fn since(
        store: &Store,
        since: Option<Timestamp>,
        limit: u64,
    ) -> Result<Vec<Self::Stored>, StoreError>;
    /// These.
    async fn these(store: &Store, ids: &[Self::Id]) -> Result<Vec<Self::Stored>, StoreError>;
    /// What is known of one without reading it, and how it is served.
    fn held(stored: Self::Stored) -> Option<(Self::Id, Held, Draft)>;
}

/// What is known of one that is held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    key: Key,
    game: GameId,
    /// The history of the game that it belongs to, of what may yet be undone.
    timeline: Option<i64>,
    began_at: Timestamp,
    ended: bool,
}

/// What has been read of a kind of history.
pub(super) struct History<P: Past> {
    /// Where the feeds were before the last reading.
    read: Option<Feeds>,
    used: Option<Instant>,
    newest: Option<Timestamp>,
    rows: HashMap<P::Id, Held>,
    /// The same, the oldest first.
    by_age: BTreeSet<(Timestamp, P::Id)>,
}

impl<P: Past> Default for History<P> {
    fn default() -> Self {
        Self { read: None, used: None, newest: None, rows: HashMap::new(), by_age: BTreeSet::new() }
    }
}

impl<P: Past> History<P> {
    pub(super) fn is_loaded(&self) -> bool {
        self.read.is_some()
    }

    /// Somebody wants it: reads what happened since.
    pub(super) async fn catch_up(&mut self, hub: &Hub) -> Result<(), StoreError> {
        self.used = Some(Instant::now());
        self.read_on(hub).await
    }

    /// Reads what happened since, if anybody may want it.
    pub(super) async fn follow(&mut self, hub: &Hub) -> Result<(), StoreError> {
        if !self.is_loaded() {
            return Ok(());
        }
        if hub.is_watched(P::KIND) {
            self.used = Some(Instant::now());
        }
        if self.used.is_none_or(|used| used.elapsed() >= UNUSED) {
            *self = Self::default();
            hub.unload(P::KIND);
            return Ok(());
        }
        self.read_on(hub).await
    }

    async fn read_on(&mut self, hub: &Hub) -> Result<(), StoreError> {
        let store = &hub.api.store;
        // Read first: what changes in between is read again, and never missed.
        let feeds = store.feeds().await?;
        if self.read.is_some_and(|before| feeds.is_another_than(&before)) {
            *self = Self { used: self.used, ..Self::default() };
            hub.unload(P::KIND);
        }
        let most = u64::try_from(hub.api.hub.history).unwrap_or(u64::MAX);
        match self.read {
            None => {
                let read = P::since(store, None, most).await?;
                let drafts = self.know(read);
                hub.load(P::KIND, drafts);
            }
            Some(before) if before.observed < feeds.observed => {
                let changed = store.timelines_after(before.observed).await?;
                let differing = self.rows.iter().filter(|(_, held)| held.may_differ(&changed));
                let again: Vec<P::Id> = differing.map(|(id, _)| *id).collect();
                // A clock that was put back must not hide what begins from then on.
                let newest = self.newest.map(|newest| newest.min(Timestamp::now()));
                let since = newest.map(|newest| newest.saturating_sub(OVERLAP).unwrap_or(newest));
                let mut read = P::these(store, &again).await?;
                read.extend(P::since(store, since, most).await?);
                let drafts = self.know(read);
                hub.publish(P::KIND, drafts.into_iter().map(Edit::Put));
            }
            Some(_) => {}
        }
        self.read = Some(feeds);
        // They are there as before, and only too old to be held.
        while self.rows.len() > hub.api.hub.history {
            let Some((_, id)) = self.by_age.pop_first() else { break };
            if let Some(held) = self.rows.remove(&id) {
                hub.forget(P::KIND, &held.key);
            }
        }
        Ok(())
    }

    /// How they are served, the oldest first.
    fn know(&mut self, read: Vec<P::Stored>) -> Vec<Draft> {
        let mut drafts = Vec::with_capacity(read.len());
        for (id, held, draft) in read.into_iter().filter_map(P::held) {
            self.newest = self.newest.max(Some(held.began_at));
            self.by_age.insert((held.began_at, id));
            if let Some(before) = self.rows.insert(id, held.clone())
                && before.began_at != held.began_at
            {
                self.by_age.remove(&(before.began_at, id));
            }
            drafts.push((held.began_at, id, draft));
        }
        drafts.sort_by_key(|(at, id, _)| (*at, *id));
        drafts.into_iter().map(|(.., draft)| draft).collect()
    }
}

impl Held {
    /// Whether it may have become another one, now that these games were recorded.
    fn may_differ(&self, recorded: &HashMap<GameId, i64>) -> bool {
        recorded
            .get(&self.game)
            .is_some_and(|now| !self.ended || self.timeline.is_some_and(|timeline| timeline < *now))
    }
}

/// The ledger of turns.
pub(super) struct Turns;

impl Past for Turns {
    type Id = TurnKey;
    type Stored = StoredTurn;
    const KIND: Kind = Kind::Turn;

    async fn since(
        store: &Store,
        since: Option<Timestamp>,
        limit: u64,
    ) -> Result<Vec<StoredTurn>, StoreError> {
        store.turns_since(since, limit).await
    }

    async fn these(store: &Store, ids: &[TurnKey]) -> Result<Vec<StoredTurn>, StoreError> {
        store.these_turns(ids).await
    }

    fn held(turn: StoredTurn) -> Option<(TurnKey, Held, Draft)> {
        let id = (turn.game, turn.timeline, turn.number);
        let (game, timeline, began_at) = (turn.game, turn.timeline, turn.opened_at);
        // Failed and abandoned ones can be opened again.
        let (done, undone) = (turn.state == "done", turn.state == "rolled_back");
        let object = TurnObject::from(turn);
        let key = Key::new(&object.metadata.namespace, &object.metadata.name);
        let mut draft = or_left_out(Draft::new(key.clone(), &object))?;
        draft.fields = object.fields();
        draft.rank = began_at.as_microsecond();
        let timeline = (!undone).then_some(timeline);
        Some((id, Held { key, game, timeline, began_at, ended: done || undone }, draft))
    }
}

/// The operation log.
pub(super) struct Operations;

impl Past for Operations {
    type Id = OperationId;
    type Stored = GameOperation;
    const KIND: Kind = Kind::Operation;

    async fn since(
        store: &Store,
        since: Option<Timestamp>,
        limit: u64,
    ) -> Result<Vec<GameOperation>, StoreError> {
        store.operations_since(since, limit).await
    }

    async fn these(store: &Store, ids: &[OperationId]) -> Result<Vec<GameOperation>, StoreError> {
        store.these_operations(ids).await
    }

    fn held(stored: GameOperation) -> Option<(OperationId, Held, Draft)> {
        let operation = &stored.operation;
        let (id, game, began_at) = (operation.id, operation.game, operation.created_at);
        let ended = operation.finished_at.is_some();
        let object = Operation::from(stored);
        let key = Key::new(&object.metadata.namespace, &object.metadata.name);
        let mut draft = or_left_out(Draft::new(key.clone(), &object))?;
        draft.fields = object.fields();
        draft.rank = began_at.as_microsecond();
        Some((id, Held { key, game, timeline: None, began_at, ended }, draft))
    }
}
