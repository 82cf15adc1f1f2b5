//! Events: the latest ones. Those of one object, however old, are read where they are asked for.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::super::Hub;
use super::super::object::{Draft, Key};
use super::super::state::{Edit, Kind};
use super::or_left_out;
use crate::api::wire::Event;
use crate::store::{Feeds, ObjectEvent, StoreError};

/// What has been read of events.
#[derive(Default)]
pub(super) struct Events {
    /// Where the feeds were before the last reading.
    read: Option<Feeds>,
    /// What is held, by its row; with when it happened last.
    rows: HashMap<i64, (Timestamp, Key)>,
    /// The same by age, the oldest first.
    by_age: BTreeMap<(Timestamp, i64), Key>,
}

impl Events {
    pub(super) fn is_loaded(&self) -> bool {
        self.read.is_some()
    }

    /// Reads what was counted since, and what was forgotten.
    pub(super) async fn catch_up(&mut self, hub: &Hub) -> Result<(), StoreError> {
        let store = &hub.api.store;
        let feeds = store.feeds().await?;
        if self.read.is_some_and(|before| feeds.is_another_than(&before)) {
            *self = Self::default();
            hub.unload(Kind::Event);
        }
        let gone = self.read.is_some_and(|before| before.forgotten != feeds.forgotten);
        let before = self.read.map(|before| before.observed);
        let mut edits = Vec::new();
        if before != Some(feeds.observed) {
            let most = u64::try_from(hub.api.hub.events).unwrap_or(u64::MAX);
            let read = store.events_after(before.unwrap_or(-1), most).await?;
            for event in &read {
                self.know(event);
            }
            edits.extend(drafts(read).map(Edit::Put));
        }
        if gone && let Some(first) = self.rows.keys().min().copied() {
            let there: HashSet<i64> = store.event_ids(first).await?.into_iter().collect();
            let forgotten: Vec<i64> = self.rows.keys().filter(|id| !there.contains(id)).copied().collect();
            edits.extend(forgotten.into_iter().filter_map(|id| self.forget(id)).map(Edit::Remove));
        }
        while self.rows.len() > hub.api.hub.events {
            let Some((_, oldest)) = self.by_age.keys().next().copied() else { break };
            edits.extend(self.forget(oldest).map(Edit::Remove));
        }
        if self.read.is_none() {
            let puts = edits.into_iter().filter_map(|edit| match edit {
                Edit::Put(draft) => Some(draft),
                Edit::Remove(_) => None,
            });
            hub.load(Kind::Event, puts.collect());
        } else {
            hub.publish(Kind::Event, edits);
        }
        self.read = Some(feeds);
        Ok(())
    }

    fn know(&mut self, event: &ObjectEvent) {
        let (id, at, key) = (event.event.id, event.event.last_at, key(event));
        if let Some((before, _)) = self.rows.insert(id, (at, key.clone())) {
            self.by_age.remove(&(before, id));
        }
        self.by_age.insert((at, id), key);
    }

    fn forget(&mut self, id: i64) -> Option<Key> {
        let (at, key) = self.rows.remove(&id)?;
        self.by_age.remove(&(at, id));
        Some(key)
    }
}

fn key(event: &ObjectEvent) -> Key {
    Key::new(&event.namespace, &Event::name(&event.name, event.event.id))
}

/// As they are served.
pub(super) fn drafts(read: Vec<ObjectEvent>) -> impl Iterator<Item = Draft> {
    read.into_iter().filter_map(|event| {
        let (key, rank) = (key(&event), event.event.last_at.as_microsecond());
        let object = Event::from(event);
        let mut draft = or_left_out(Draft::new(key, &object))?;
        draft.fields = object.fields();
        draft.rank = rank;
        Some(draft)
    })
}
