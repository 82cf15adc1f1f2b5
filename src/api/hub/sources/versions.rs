//! Engine versions: each with how it does across all games, which changes with them.

use std::collections::{HashMap, HashSet};

use super::super::Hub;
use super::super::object::{Draft, Key};
use super::super::state::{Edit, Kind};
use super::games::take_row_version;
use super::or_left_out;
use crate::api::wire::EngineVersionObject;
use crate::store::{Feeds, StoreError};

/// What has been read of engine versions.
#[derive(Default)]
pub(super) struct Versions {
    /// Where the feeds were before the last reading of everything.
    read: Option<Feeds>,
    rows: HashMap<String, i64>,
}

impl Versions {
    pub(super) fn is_loaded(&self) -> bool {
        self.read.is_some()
    }

    /// Reads all of them, if anything changed that they show. Without `at_once` only if one of them
    /// was written: how they do can wait.
    pub(super) async fn catch_up(&mut self, hub: &Hub, at_once: bool) -> Result<(), StoreError> {
        let store = &hub.api.store;
        let feeds = store.feeds().await?;
        if self.read.is_some_and(|before| feeds.is_another_than(&before)) {
            *self = Self::default();
            hub.unload(Kind::EngineVersion);
        }
        if self.read == Some(feeds) && feeds.settled {
            return Ok(());
        }
        if !at_once && self.is_loaded() && store.version_index().await? == self.rows {
            return Ok(());
        }
        let mut rows = HashMap::new();
        let mut drafts = Vec::new();
        for version in store.versions().await? {
            let mut object = EngineVersionObject::new(version, hub.api.max_failures);
            let row_version = take_row_version(&mut object.metadata.resource_version);
            rows.insert(object.metadata.name.clone(), row_version);
            let Some(mut draft) = or_left_out(Draft::new(Key::new("", &object.metadata.name), &object))
            else {
                continue;
            };
            draft.row_version = row_version;
            draft.labels = object.metadata.labels;
            drafts.push(draft);
        }
        if self.is_loaded() {
            let there: HashSet<&String> = rows.keys().collect();
            let gone = self.rows.keys().filter(|name| !there.contains(name));
            let mut edits: Vec<Edit> = gone.map(|name| Edit::Remove(Key::new("", name))).collect();
            edits.extend(drafts.into_iter().map(Edit::Put));
            hub.publish(Kind::EngineVersion, edits);
        } else {
            hub.load(Kind::EngineVersion, drafts);
        }
        (self.rows, self.read) = (rows, Some(feeds));
        Ok(())
    }
}
