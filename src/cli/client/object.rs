//! What the server sends, read leniently: a newer server may say more.

use jiff::Timestamp;
use serde_json::Value;

use super::Kind;
use crate::reconcile::plan::DELETIONS_HELD;

/// An object as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object(pub(crate) Value);

impl Object {
    /// As it is of use to people: who wrote which field is bookkeeping of server-side apply.
    pub(crate) fn received(mut value: Value) -> Self {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("managedFields");
        }
        Self(value)
    }

    /// The text at this place (`/status/phase`), unless it is empty.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// The number at this place.
    pub(crate) fn number(&self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer)?.as_i64()
    }

    /// The truth at this place.
    pub(crate) fn flag(&self, pointer: &str) -> Option<bool> {
        self.0.pointer(pointer)?.as_bool()
    }

    /// The time at this place.
    pub(crate) fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer)?.parse().ok()
    }

    /// The list at this place; an empty one if there is none.
    pub(crate) fn list(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// Its namespace; games have one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.text("/metadata/namespace")
    }

    /// Its kind, if it is one of ours.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.text("/kind") == Some(kind.manifest()))
    }

    /// Counts the changes of its spec.
    pub(crate) fn generation(&self) -> i64 {
        self.number("/metadata/generation").unwrap_or_default()
    }

    /// Moves at every change.
    pub(crate) fn resource_version(&self) -> Option<&str> {
        self.text("/metadata/resourceVersion")
    }

    /// Whether its deletion was asked for.
    pub(crate) fn is_going(&self) -> bool {
        self.text("/metadata/deletionTimestamp").is_some()
    }

    /// The message of a deletion that the guard against mass deletion holds.
    pub(crate) fn held_deletion(&self) -> Option<&str> {
        let held = self.text("/status/reason") == Some(DELETIONS_HELD);
        held.then(|| self.text("/status/message").unwrap_or_default())
    }

    /// One of its conditions.
    pub(crate) fn condition(&self, kind: &str) -> Option<Self> {
        let found = self.list("/status/conditions").iter().find(|condition| condition["type"] == kind);
        found.cloned().map(Self)
    }
}
