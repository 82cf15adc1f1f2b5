//! Who wrote which field: server-side apply, pure.
//!
//! Each manager owns a set of paths ([`FieldSet`]). Applying takes the fields of a manifest, merges
//! them into what is there, takes away what the manager applied before and no longer does, and is
//! refused where it would change what another manager owns. Any other write takes what it changes.
//! Objects are JSON here, of nothing but what can be owned ([`ownable`]); a [`Shape`] says which lists
//! are kept by keys.
//!
//! **Changes behind our back.** Who writes rows by SQL tells nobody. So the object is kept as it was
//! when its managers were last written ([`Managed`]): what differs from it when it is read was changed
//! by SQL, and belongs to the manager [`SQL`] from then on, as after any other write.

mod managers;
mod merge;
mod set;
mod shape;

#[cfg(test)]
mod tests;

pub use managers::{FieldConflict, Manager, ManagerId, Operation, apply, update};
pub use merge::{Comparison, compare, merge, set_of};
pub use set::{FieldSet, Path, Step, show};
pub use shape::{Shape, shape_of};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::manifest::wire::{ENGINE_VERSION_KIND, ManagedFields};
use super::manifest::{EngineVersionSpecManifest, GameColumns};

/// The manager of what was written past the API.
pub const SQL: &str = "sql";

/// What is kept beside an object about its managers: the column `managed_fields`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Managed {
    /// Moves with every change of the managers: what makes a change of them alone a change of the row.
    pub revision: i64,
    /// Who owns what.
    pub managers: Vec<Manager>,
    /// What could be owned when that was so; none if nobody ever wrote by the API.
    pub object: Option<Value>,
}

impl Managed {
    /// From the column; what cannot be read was never written.
    pub fn from_column(column: &Value) -> Self {
        let managers = column["managers"].as_array().into_iter().flatten();
        let managers =
            managers.filter_map(|entry| serde_json::from_value::<ManagedFields>(entry.clone()).ok());
        Self {
            revision: column["revision"].as_i64().unwrap_or_default(),
            managers: managers.filter_map(|entry| Manager::from_entry(&entry)).collect(),
            object: column.get("object").filter(|object| object.is_object()).cloned(),
        }
    }

    /// As the column has it.
    pub fn to_column(&self) -> Value {
        match &self.object {
            None => json!({}),
            Some(object) => {
                json!({ "revision": self.revision, "managers": self.entries(), "object": object })
            }
        }
    }

    /// As `metadata.managedFields` has it.
    pub fn entries(&self) -> Vec<ManagedFields> {
        self.managers.iter().map(Manager::to_entry).collect()
    }

    /// The managers of the object as it is now: what differs from what was kept is SQL's.
    pub fn of(self, kind: &str, now_there: &Value) -> Self {
        let kept = match &self.object {
            Some(object) if object == now_there => return self,
            Some(object) => object.clone(),
            None => unset(kind),
        };
        let sql = ManagerId::new(SQL, Operation::Update);
        let managers = update(shape_of(kind), &kept, now_there, self.managers, &sql, None, None);
        Self { revision: self.revision, managers, object: Some(now_there.clone()) }
    }

    /// What to keep once these managers own this object.
    pub fn next(&self, managers: Vec<Manager>, object: Value) -> Self {
        let moved = self.managers != managers;
        Self { revision: self.revision + i64::from(moved), managers, object: Some(object) }
    }
}

/// What of an object can be owned: labels, annotations and spec.
pub fn ownable(object: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["labels", "annotations"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let mut owned = Map::new();
    if !metadata.is_empty() {
        owned.insert("metadata".to_owned(), metadata.into());
    }
    if let Some(spec) = object.get("spec") {
        owned.insert("spec".to_owned(), spec.clone());
    }
    owned.into()
}

/// What a row says that nobody said anything in: its defaults belong to nobody.
fn unset(kind: &str) -> Value {
    let (spec, required) = if kind == ENGINE_VERSION_KIND {
        let mut spec = EngineVersionSpecManifest::new("");
        spec.resume_generation = Some(0);
        (json!(spec), "image")
    } else {
        let (mut spec, _) = GameColumns::default().to_spec();
        spec.players = Some(Vec::new());
        (json!(spec), "desiredStatus")
    };
    let mut object = json!({ "spec": spec });
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.shift_remove(required);
    }
    object
}

/// A time as an entry has it: to the second, as Kubernetes writes it.
fn to_the_second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
