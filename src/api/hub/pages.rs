//! Lists in pages: every page of a list is of the same snapshot, which is kept for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::object::Key;
use super::state::{Kind, Snapshot};

/// From where a list goes on, as clients hold it without looking inside.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    #[serde(rename = "v")]
    pub(super) version: u64,
    /// The last object of the page before.
    #[serde(rename = "s")]
    namespace: String,
    #[serde(rename = "n")]
    name: String,
}

impl Mark {
    pub(super) fn new(version: u64, last: &Key) -> Self {
        Self { version, namespace: last.namespace.to_string(), name: last.name.to_string() }
    }

    pub(super) fn last(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    pub(super) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// The snapshots that lists go on from.
pub(super) struct Pages {
    most: usize,
    age: Duration,
    /// The one that was used last stands last.
    kept: Mutex<VecDeque<(Instant, Kind, Snapshot)>>,
}

impl Pages {
    pub(super) fn new(most: usize, age: Duration) -> Self {
        Self { most, age, kept: Mutex::default() }
    }

    /// Keeps a snapshot for the next page.
    pub(super) fn keep(&self, kind: Kind, snapshot: Snapshot) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, of, other)| *of != kind || other.version != snapshot.version);
        kept.push_back((Instant::now(), kind, snapshot));
        while kept.len() > self.most {
            kept.pop_front();
        }
    }

    /// The snapshot of this version, if it is still kept.
    pub(super) fn find(&self, kind: Kind, version: u64) -> Option<Snapshot> {
        self.forget_old();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(_, of, snapshot)| *of == kind && snapshot.version == version);
        found.map(|(.., snapshot)| snapshot.clone())
    }

    /// Lets go what nobody has used for long.
    pub(super) fn forget_old(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(used, ..)| used.elapsed() < self.age);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{Bounds, State};
    use super::*;

    fn snapshot(version: u64) -> Snapshot {
        State::new(version, Bounds { changes: 1, bytes: 1 }).snapshot(Kind::Game)
    }

    #[test]
    fn marks_are_read_back_and_nonsense_is_none() {
        let mark = Mark::new(17, &Key::new("default", "andromeda"));
        assert_eq!(Mark::from_text(&mark.to_text()), Some(mark));
        assert!(["", "x", "e30", "!!"].iter().all(|text| Mark::from_text(text).is_none()));
    }

    #[test]
    fn snapshots_are_kept_by_number_and_for_a_time() {
        let pages = Pages::new(2, Duration::from_secs(60));
        for version in [1, 2, 1, 3] {
            pages.keep(Kind::Game, snapshot(version));
        }
        let kept = |version| pages.find(Kind::Game, version).is_some();
        assert_eq!([kept(1), kept(2), kept(3)], [true, false, true], "the least used one goes");
        assert!(pages.find(Kind::Event, 1).is_none());
        let pages = Pages::new(2, Duration::ZERO);
        pages.keep(Kind::Game, snapshot(1));
        assert!(pages.find(Kind::Game, 1).is_none());
    }
}
