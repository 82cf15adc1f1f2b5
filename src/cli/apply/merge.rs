//! The three-way merge of `apply`, as kubectl's client-side apply has it.
//!
//! What was written last time, what is written now and what is there give a merge patch: fields that
//! are written now and differ from what is there are set; fields that were written last time and are
//! no longer go back to their defaults; fields that nobody ever wrote here belong to others.

use serde_json::{Map, Value, json};

use super::canonical::{canonical, defaults};
use crate::cli::client::{Kind, Object};

/// Where the manifest that was applied last is kept.
pub(crate) const LAST_APPLIED: &str = "gamekeeper.dev/last-applied-configuration";

/// Absent means unmanaged, also where it was written once: to take away a list of players or a
/// counter would be a request of its own.
const NEVER_TAKEN_BACK: [&str; 10] = [
    "players",
    "stopNow",
    "restartGeneration",
    "forceTurnGeneration",
    "patchGeneration",
    "unblockGeneration",
    "restoreGeneration",
    "restoreBackupId",
    "backupGeneration",
    "resumeGeneration",
];

/// What to create where nothing is.
pub(super) fn to_create(kind: Kind, namespace: &str, written: &Value) -> Value {
    let mut body = declared(written);
    let note = note(&body);
    body["metadata"]["annotations"][LAST_APPLIED] = note.into();
    if kind == Kind::Game {
        body["metadata"]["namespace"] = namespace.into();
    }
    body
}

/// The merge patch that makes what is there what was written; none if it is.
pub(super) fn three_way(kind: Kind, written: &Value, live: &Object) -> Option<Value> {
    let now = declared(written);
    let noted = live.0["metadata"]["annotations"].get(LAST_APPLIED).and_then(Value::as_str);
    let before: Value = noted.and_then(|noted| serde_json::from_str(noted).ok()).unwrap_or_default();

    let mut patch = Map::new();
    put(&mut patch, "spec", spec(kind, &before, &now, live));
    let mut metadata = Map::new();
    for field in ["labels", "annotations"] {
        let at = |object: &Value| object["metadata"][field].clone();
        let there = live.0["metadata"][field].clone();
        put(&mut metadata, field, difference(&at(&before), &at(&now), &at(&now), &there, &Value::Null));
    }
    let note = note(&now);
    if noted != Some(&note) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations[LAST_APPLIED] = note.into();
    }
    put(&mut patch, "metadata", metadata);
    if patch.is_empty() {
        return None;
    }
    // Whoever writes it down wants to overwrite nothing that is newer.
    if let Some(version) = written["metadata"].get("resourceVersion").filter(|version| !version.is_null()) {
        patch.entry("metadata").or_insert_with(|| json!({}))["resourceVersion"] = version.clone();
    }
    Some(Value::Object(patch))
}

fn spec(kind: Kind, before: &Value, now: &Value, live: &Object) -> Map<String, Value> {
    let (before, now, there) = (&before["spec"], &now["spec"], &live.0["spec"]);
    let same = |spec| canonical(kind, live.name(), spec);
    match (same(now), same(there), defaults(kind, live.name(), now)) {
        (Some(wanted), Some(there), Some(absent)) => difference(before, now, &wanted, &there, &absent),
        // Something else wrote what cannot be read: compare letter by letter, and put it right.
        _ => difference(before, now, now, there, &Value::Null),
    }
}

/// What to change: `now` is as written, `wanted`, `there` and `absent` are in one spelling.
fn difference(
    before: &Value,
    now: &Value,
    wanted: &Value,
    there: &Value,
    absent: &Value,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (field, value) in fields(now) {
        let (wanted, there, absent) = (&wanted[field], &there[field], &absent[field]);
        if value.is_object() && there.is_object() {
            put(&mut patch, field, difference(&before[field], value, wanted, there, absent));
        } else if wanted != there {
            patch.insert(field.clone(), value.clone());
        }
    }
    for (field, _) in fields(before) {
        let kept = NEVER_TAKEN_BACK.contains(&field.as_str()) || now.get(field).is_some();
        if !kept && !there[field].is_null() && there[field] != absent[field] {
            patch.insert(field.clone(), Value::Null);
        }
    }
    patch
}

/// What is kept of what was applied. Without the players, who are never taken back for being left out:
/// some thousands of them are more than all annotations may be.
fn note(declared: &Value) -> String {
    let mut noted = declared.clone();
    if let Some(spec) = noted["spec"].as_object_mut() {
        spec.shift_remove("players");
    }
    noted.to_string()
}

/// What a manifest declares: without what the server writes, and without nulls, which mean absent.
fn declared(written: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "labels", "annotations"] {
        if let Some(value) = written["metadata"].get(field) {
            metadata.insert(field.to_owned(), without_nulls(value));
        }
    }
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.shift_remove(LAST_APPLIED);
    }
    json!({
        "apiVersion": written["apiVersion"],
        "kind": written["kind"],
        "metadata": metadata.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>(),
        "spec": without_nulls(&written["spec"]),
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(field, value)| (field.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn put(into: &mut Map<String, Value>, field: &str, patch: Map<String, Value>) {
    if !patch.is_empty() {
        into.insert(field.to_owned(), Value::Object(patch));
    }
}

#[cfg(test)]
mod tests;
