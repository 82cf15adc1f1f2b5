//! An object as it is served, apart from its version.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

/// Where an object is among those of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::api) struct Key {
    /// Empty for what has none.
    pub(in crate::api) namespace: Arc<str>,
    /// Unique in the namespace.
    pub(in crate::api) name: Arc<str>,
}

impl Key {
    pub(in crate::api) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// An object that was read, before it has a version.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) key: Key,
    /// Another object of the same name has another one.
    pub(super) uid: String,
    /// Of its row of desired state.
    pub(super) row_version: i64,
    pub(super) labels: BTreeMap<String, String>,
    /// What can be selected by beside name and namespace.
    pub(super) fields: Vec<(&'static str, String)>,
    /// When it was made, where that matters to anybody else.
    pub(super) created: Option<Timestamp>,
    /// Where it belongs in a list that shows the oldest first; else 0.
    pub(super) rank: i64,
    /// The whole object without `metadata.resourceVersion`.
    pub(super) json: Bytes,
    /// Where that one belongs.
    gap: usize,
}

/// What every object begins with, more or less.
const METADATA: &[u8] = b"\"metadata\":{";

impl Draft {
    /// Of an object whose `metadata` has a name and no `resourceVersion`, and stands behind nothing
    /// but its type.
    pub(super) fn new(key: Key, object: &impl Serialize) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_vec(object)?;
        let at = json.windows(METADATA.len()).position(|window| window == METADATA);
        let at = at.ok_or_else(|| serde::ser::Error::custom("an object without metadata"))?;
        Ok(Self {
            key,
            uid: String::new(),
            row_version: 0,
            labels: BTreeMap::new(),
            fields: Vec::new(),
            created: None,
            rank: 0,
            json: json.into(),
            gap: at + METADATA.len(),
        })
    }
}

/// An object with its version.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Entry {
    pub(super) draft: Draft,
    /// When it last changed.
    pub(super) version: u64,
}

impl Entry {
    pub(super) fn key(&self) -> &Key {
        &self.draft.key
    }

    /// Another object of the same name has another one.
    pub(in crate::api) fn uid(&self) -> &str {
        &self.draft.uid
    }

    /// When it last changed.
    pub(in crate::api) fn version(&self) -> u64 {
        self.version
    }

    /// The object, as of its own version.
    pub(in crate::api) fn shown(&self) -> Shown<'_> {
        self.shown_at(self.version)
    }

    /// The object as it was when it went out of somebody's sight at this version.
    pub(super) fn shown_at(&self, version: u64) -> Shown<'_> {
        Shown { draft: &self.draft, version }
    }

    /// Whether it was read from this version of the row of this object.
    pub(super) fn was_read_from(&self, uid: &str, row_version: &str) -> bool {
        self.draft.uid == uid && self.draft.row_version.to_string() == row_version
    }

    /// Whether nobody sees a difference but in the version.
    pub(super) fn is_shown_as(&self, other: &Self) -> bool {
        self.draft.json == other.draft.json
    }

    /// The value of a field that can be selected by.
    pub(super) fn field(&self, field: &str) -> Option<&str> {
        match field {
            "metadata.name" => Some(&self.draft.key.name),
            "metadata.namespace" => Some(&self.draft.key.namespace),
            other => {
                let found = self.draft.fields.iter().find(|(name, _)| *name == other);
                found.map(|(_, value)| value.as_str())
            }
        }
    }

    /// What it takes of the memory, more or less.
    pub(super) fn bytes(&self) -> usize {
        const REST: usize = 512;
        self.draft.json.len() + REST
    }
}

/// An object at a version, to be written out.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Shown<'a> {
    draft: &'a Draft,
    version: u64,
}

impl Shown<'_> {
    /// As JSON.
    pub(in crate::api) fn write(&self, out: &mut Vec<u8>) {
        let (head, rest) = self.draft.json.split_at(self.draft.gap);
        out.extend_from_slice(head);
        out.extend_from_slice(b"\"resourceVersion\":\"");
        out.extend_from_slice(self.version.to_string().as_bytes());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(rest);
    }

    /// As JSON, for whoever makes something else of it.
    pub(in crate::api) fn value(&self) -> serde_json::Value {
        let mut json = Vec::new();
        self.write(&mut json);
        serde_json::from_slice(&json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_is_put_into_the_metadata_whatever_else_is_called_so() {
        let object = json!({
            "apiVersion": "gamekeeper.dev/v1", "kind": "Game",
            "metadata": { "name": "a", "annotations": { "metadata": "{\"metadata\":{" } },
            "spec": { "metadata": { "x": 1 } },
        });
        let draft = Draft::new(Key::new("default", "a"), &object).unwrap();
        let entry = Entry { draft, version: 17 };
        let mut expected = object;
        expected["metadata"]["resourceVersion"] = json!("17");
        assert_eq!(entry.shown().value(), expected);
        assert_eq!(entry.shown_at(18).value()["metadata"]["resourceVersion"], "18");
        assert!(Draft::new(Key::new("", "a"), &json!({ "kind": "Game" })).is_err());
    }
}
