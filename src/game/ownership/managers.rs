//! Managers: what applying and any other write do to what they own.

use jiff::Timestamp;
use serde_json::Value;

use super::merge::{compare, merge, prune, set_of};
use super::set::{FieldSet, show};
use super::shape::Shape;
use super::to_the_second;
use crate::game::manifest::API_VERSION;
use crate::game::manifest::wire::ManagedFields;

/// How a manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// It says what it wants, and takes back what it no longer says.
    Apply,
    /// It changes what it changes.
    Update,
}

/// Which manager.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerId {
    /// Its name.
    pub name: String,
    /// How it writes.
    pub operation: Operation,
    /// By which subresource it writes; empty for the object itself.
    pub subresource: String,
}

/// A manager and what it owns.
#[derive(Debug, Clone)]
pub struct Manager {
    /// Which.
    pub id: ManagerId,
    /// When that changed last; SQL does not say.
    pub time: Option<String>,
    /// What it owns.
    pub fields: FieldSet,
}

/// When it changed does not tell one from the other.
impl PartialEq for Manager {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.fields == other.fields
    }
}

/// A field that somebody else owns, and that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// Who owns it, in words.
    pub manager: String,
    /// Which field.
    pub field: String,
}

impl ManagerId {
    /// A manager of the object itself.
    pub fn new(name: &str, operation: Operation) -> Self {
        Self { name: name.to_owned(), operation, subresource: String::new() }
    }

    fn told(&self) -> String {
        let by = match self.subresource.as_str() {
            "" => String::new(),
            subresource => format!(" with subresource \"{subresource}\""),
        };
        format!("\"{}\"{by} using {API_VERSION}", self.name)
    }
}

impl Manager {
    /// From an entry of `metadata.managedFields`; none if it names nobody.
    pub fn from_entry(entry: &ManagedFields) -> Option<Self> {
        let operation = match entry.operation.as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        Some(Self {
            id: ManagerId { name: entry.manager.clone(), operation, subresource: entry.subresource.clone() },
            time: entry.time.clone(),
            fields: FieldSet::from_fields_v1(&entry.fields_v1),
        })
    }

    /// As `metadata.managedFields` has it.
    pub fn to_entry(&self) -> ManagedFields {
        ManagedFields {
            manager: self.id.name.clone(),
            operation: match self.id.operation {
                Operation::Apply => "Apply".to_owned(),
                Operation::Update => "Update".to_owned(),
            },
            api_version: API_VERSION.to_owned(),
            time: self.time.clone(),
            fields_type: "FieldsV1".to_owned(),
            fields_v1: self.fields.to_fields_v1(),
            subresource: self.id.subresource.clone(),
        }
    }
}

/// After a write that is no apply: the writer has what it changed, and nobody else has. With `only`,
/// nothing but that is taken: of a new object what was said, and not what was filled in.
pub fn update(
    shape: &Shape,
    old: &Value,
    new: &Value,
    managers: Vec<Manager>,
    writer: &ManagerId,
    only: Option<&FieldSet>,
    now: Option<Timestamp>,
) -> Vec<Manager> {
    let comparison = compare(shape, old, new);
    let changed = comparison.added.or(&comparison.modified);
    let taken = only.map_or_else(|| changed.clone(), |only| changed.and(only));
    let gone = changed.or(&comparison.removed);
    let had = managers.iter().find(|manager| manager.id == *writer).map(|manager| manager.fields.clone());
    let has = had.unwrap_or_default().without(&comparison.removed).or(&taken);
    settled(managers, writer, has, &gone, now)
}

/// After an apply: the object as it becomes, and its managers. What the applier applied before, no
/// longer does, and nobody else owns, is taken away.
///
/// # Errors
/// Fields that others own would change, and it is not forced.
pub fn apply(
    shape: &Shape,
    live: &Value,
    applied: &Value,
    managers: Vec<Manager>,
    applier: &ManagerId,
    force: bool,
    now: Option<Timestamp>,
) -> Result<(Value, Vec<Manager>), Vec<FieldConflict>> {
    let wanted = set_of(shape, applied);
    let mut before = FieldSet::default();
    let mut kept = wanted.clone();
    for manager in &managers {
        if manager.id == *applier {
            before = manager.fields.clone();
        } else {
            kept = kept.or(&manager.fields);
        }
    }
    let new = prune(shape, &merge(shape, live, applied), &before, &kept);
    let comparison = compare(shape, live, &new);
    let changed = comparison.added.or(&comparison.modified);
    if !force {
        let others = managers.iter().filter(|manager| manager.id != *applier);
        let conflicts: Vec<FieldConflict> = others
            .flat_map(|manager| {
                let paths = manager.fields.and(&changed).0;
                let told = manager.id.told();
                paths.into_iter().map(move |path| FieldConflict { manager: told.clone(), field: show(&path) })
            })
            .collect();
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
    }
    let gone = changed.or(&comparison.removed);
    Ok((new, settled(managers, applier, wanted, &gone, now)))
}

/// The writer has this now, all others lose what is gone, and who has nothing is none.
fn settled(
    managers: Vec<Manager>,
    writer: &ManagerId,
    has: FieldSet,
    gone: &FieldSet,
    now: Option<Timestamp>,
) -> Vec<Manager> {
    let time = now.map(to_the_second);
    let mut own = Manager { id: writer.clone(), time, fields: has };
    let mut settled = Vec::with_capacity(managers.len() + 1);
    for mut manager in managers {
        if manager.id == *writer {
            if manager.fields == own.fields {
                own.time = manager.time;
            }
            continue;
        }
        manager.fields = manager.fields.without(gone);
        settled.push(manager);
    }
    settled.push(own);
    settled.retain(|manager| !manager.fields.is_empty());
    settled.sort_by(|one, other| one.id.cmp(&other.id));
    settled
}
