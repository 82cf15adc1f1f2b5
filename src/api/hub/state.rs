//! What is held: the objects of each kind, in one order of changes.
//!
//! Pure: nothing here waits, reads the clock or asks anybody.

use std::collections::VecDeque;
use std::sync::Arc;

use imbl::OrdMap;

use super::object::{Draft, Entry, Key};

/// What is held and can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Kind {
    Game,
    EngineVersion,
    Controller,
    Event,
    Turn,
    Operation,
    Namespace,
    Definition,
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Definition as usize + 1;
}

/// How much of the past is kept of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) changes: usize,
    pub(super) bytes: usize,
}

/// One change of one object.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    /// The object before; none if there was none.
    pub(super) before: Option<Arc<Entry>>,
    /// The object after; none if it is gone.
    pub(super) after: Option<Arc<Entry>>,
}

impl Change {
    fn bytes(&self) -> usize {
        // What was before is kept by the change before, as a rule.
        self.after.as_ref().or(self.before.as_ref()).map_or(0, |entry| entry.bytes())
    }
}

/// What is to be made so.
#[derive(Debug)]
pub(super) enum Edit {
    /// The object is as this.
    Put(Draft),
    /// There is no such object.
    Remove(Key),
}

/// Every object of a kind at one version.
#[derive(Debug, Clone)]
pub(in crate::api) struct Snapshot {
    pub(in crate::api) version: u64,
    pub(super) objects: OrdMap<Key, Arc<Entry>>,
}

/// The version is none that can be gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Too much has happened since, or another process gave it.
    TooOld,
    /// It is ahead of everything: another process gave it.
    Ahead,
}

/// The objects of all kinds.
#[derive(Debug)]
pub(super) struct State {
    head: u64,
    bounds: Bounds,
    topics: [Topic; Kind::COUNT],
}

#[derive(Debug, Default)]
struct Topic {
    objects: OrdMap<Key, Arc<Entry>>,
    /// The last changes, the oldest first.
    past: VecDeque<Arc<Change>>,
    bytes: usize,
    /// Every change after this version is in `past`.
    floor: u64,
}

impl State {
    /// Nothing yet, as of this version.
    pub(super) fn new(start: u64, bounds: Bounds) -> Self {
        let topics = std::array::from_fn(|_| Topic { floor: start, ..Topic::default() });
        Self { head: start, bounds, topics }
    }

    /// The version of the last change.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn snapshot(&self, kind: Kind) -> Snapshot {
        Snapshot { version: self.head, objects: self.topics[kind as usize].objects.clone() }
    }

    pub(super) fn get(&self, kind: Kind, key: &Key) -> Option<&Arc<Entry>> {
        self.topics[kind as usize].objects.get(key)
    }

    /// Whether there is any object of a kind in this namespace.
    pub(super) fn has_any(&self, kind: Kind, namespace: &str) -> bool {
        let mut behind = self.topics[kind as usize].objects.range(Key::new(namespace, "")..);
        behind.next().is_some_and(|(key, _)| *key.namespace == *namespace)
    }

    /// What is there from the beginning, which is nobody's change.
    pub(super) fn load(&mut self, kind: Kind, drafts: Vec<Draft>) {
        let version = self.head;
        let topic = &mut self.topics[kind as usize];
        topic.floor = version;
        for draft in drafts {
            topic.objects.insert(draft.key.clone(), Arc::new(Entry { draft, version }));
        }
    }

    /// Holds nothing of this kind any more. Whoever was told of it before begins anew.
    pub(super) fn unload(&mut self, kind: Kind) {
        self.head += 1;
        self.topics[kind as usize] = Topic { floor: self.head, ..Topic::default() };
    }

    /// Holds this object no longer, which is nobody's change: it is there as before.
    pub(super) fn forget(&mut self, kind: Kind, key: &Key) {
        self.topics[kind as usize].objects.remove(key);
    }

    /// Makes it so. What is so already is no change.
    pub(super) fn apply(&mut self, kind: Kind, edits: impl IntoIterator<Item = Edit>) {
        for edit in edits {
            match edit {
                Edit::Put(draft) => {
                    let before = self.get(kind, &draft.key).cloned();
                    match before {
                        Some(before) if before.draft.uid != draft.uid => {
                            // Another object has the name: the one is gone before the other comes.
                            self.change(kind, Some(before), None);
                            self.change(kind, None, Some(draft));
                        }
                        Some(before) if before.draft == draft => {}
                        before => self.change(kind, before, Some(draft)),
                    }
                }
                Edit::Remove(key) => {
                    if let Some(before) = self.get(kind, &key).cloned() {
                        self.change(kind, Some(before), None);
                    }
                }
            }
        }
    }

    fn change(&mut self, kind: Kind, before: Option<Arc<Entry>>, after: Option<Draft>) {
        let topic = &mut self.topics[kind as usize];
        // What is served is the same, and only its row's version moved: nobody sees a difference.
        if let (Some(before), Some(after)) = (&before, &after)
            && before.draft.json == after.json
        {
            let entry = Entry { draft: after.clone(), version: before.version };
            topic.objects.insert(after.key.clone(), Arc::new(entry));
            return;
        }
        self.head += 1;
        let version = self.head;
        let after = after.map(|draft| Arc::new(Entry { draft, version }));
        match (&before, &after) {
            (_, Some(after)) => drop(topic.objects.insert(after.key().clone(), after.clone())),
            (Some(before), None) => drop(topic.objects.remove(before.key())),
            (None, None) => {}
        }
        let change = Arc::new(Change { version, before, after });
        topic.bytes += change.bytes();
        topic.past.push_back(change);
        while topic.past.len() > self.bounds.changes || topic.bytes > self.bounds.bytes {
            let Some(oldest) = topic.past.pop_front() else { break };
            topic.bytes -= oldest.bytes();
            topic.floor = oldest.version;
        }
    }

    /// At most so many changes after this version, in their order.
    pub(super) fn after(&self, kind: Kind, version: u64, most: usize) -> Result<Vec<Arc<Change>>, Unknown> {
        let topic = self.reach(kind, version)?;
        let first = topic.past.partition_point(|change| change.version <= version);
        Ok(topic.past.range(first..).take(most).cloned().collect())
    }

    fn reach(&self, kind: Kind, version: u64) -> Result<&Topic, Unknown> {
        let topic = &self.topics[kind as usize];
        if version > self.head {
            return Err(Unknown::Ahead);
        }
        if version < topic.floor { Err(Unknown::TooOld) } else { Ok(topic) }
    }

    /// Which version the row of an object had at a version; none if the object was not there.
    pub(super) fn row_version(&self, kind: Kind, key: &Key, version: u64) -> Result<Option<i64>, Unknown> {
        if version > self.head {
            return Err(Unknown::Ahead);
        }
        let now = self.get(kind, key);
        if let Some(now) = now.filter(|now| now.version <= version) {
            return Ok(Some(now.draft.row_version));
        }
        let topic = self.reach(kind, version)?;
        let of_it = |change: &&Arc<Change>| {
            let entry = change.after.as_ref().or(change.before.as_ref());
            change.version > version && entry.is_some_and(|entry| entry.key() == key)
        };
        let then = match topic.past.iter().find(of_it) {
            Some(change) => change.before.as_ref(),
            None => now,
        };
        // Another object has the name now, whose row may have come to the same version.
        let same = |then: &&Arc<Entry>| now.is_none_or(|now| now.draft.uid == then.draft.uid);
        Ok(then.filter(same).map(|entry| entry.draft.row_version))
    }
}

#[cfg(test)]
mod tests;
