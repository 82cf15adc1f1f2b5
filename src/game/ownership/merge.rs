//! Objects merged, compared, and cleared of what nobody wants any more.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::set::{FieldSet, Path, Step};
use super::shape::Shape;

/// How two objects differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the new one alone.
    pub added: FieldSet,
    /// In both, with another value.
    pub modified: FieldSet,
    /// In the old one alone.
    pub removed: FieldSet,
}

/// What can be owned of a value, each with what it is there; none for an item, which is more than
/// its fields.
fn leaves<'a>(shape: &Shape, value: &'a Value) -> BTreeMap<Path, Option<&'a Value>> {
    fn walk<'a>(
        shape: &Shape,
        value: &'a Value,
        path: &mut Path,
        found: &mut BTreeMap<Path, Option<&'a Value>>,
    ) {
        match (items(shape, value), value) {
            (Some((items, item_shape)), _) => {
                for (step, item) in items {
                    path.push(step);
                    found.insert(path.clone(), None);
                    walk(item_shape, item, path, found);
                    path.pop();
                }
            }
            (None, Value::Object(fields)) if !fields.is_empty() || path.is_empty() => {
                for (name, value) in fields {
                    path.push(Step::Field(name.clone()));
                    walk(shape.field(name), value, path, found);
                    path.pop();
                }
            }
            (None, value) => {
                // The fields of an empty item are none, and the item is there already.
                found.entry(path.clone()).or_insert(Some(value));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(shape, value, &mut Vec::new(), &mut found);
    found
}

/// The items of a list that is kept by a key; none of any other value, nor of a list in which the key
/// is missing or twice, which is owned as a whole and refused by who reads it.
fn items<'a, 's>(shape: &'s Shape, value: &'a Value) -> Option<(Vec<(Step, &'a Value)>, &'s Shape)> {
    let (Shape::Keyed(key, item_shape), Value::Array(list)) = (shape, value) else { return None };
    let step = |item: &'a Value| Some((Step::item(key, item.get(key)?), item));
    let items: Vec<_> = list.iter().map(step).collect::<Option<_>>()?;
    let mut steps: Vec<&Step> = items.iter().map(|(step, _)| step).collect();
    steps.sort_unstable();
    steps.dedup();
    (steps.len() == items.len()).then_some((items, item_shape))
}

/// Every path of a value that can be owned.
pub fn set_of(shape: &Shape, value: &Value) -> FieldSet {
    FieldSet(leaves(shape, value).into_keys().collect())
}

/// How the new value differs from the old one.
pub fn compare(shape: &Shape, old: &Value, new: &Value) -> Comparison {
    let (old, new) = (leaves(shape, old), leaves(shape, new));
    let mut comparison = Comparison::default();
    for (path, value) in &new {
        match old.get(path) {
            None => comparison.added.0.insert(path.clone()),
            Some(before) if before != value => comparison.modified.0.insert(path.clone()),
            Some(_) => false,
        };
    }
    comparison.removed.0 = old.into_keys().filter(|path| !new.contains_key(path)).collect();
    comparison
}

/// What is there, with everything that is applied.
pub fn merge(shape: &Shape, there: &Value, applied: &Value) -> Value {
    match (there, applied) {
        (Value::Object(there), Value::Object(applied)) => {
            let mut merged = there.clone();
            for (name, value) in applied {
                let value = match there.get(name) {
                    Some(there) => merge(shape.field(name), there, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            merged.into()
        }
        // Nothing, applied to something: it is spoken of, and left as it is.
        (Value::Object(_) | Value::Array(_), Value::Null) => there.clone(),
        _ => match (items(shape, there), items(shape, applied)) {
            (Some((there, item_shape)), Some((applied, _))) => {
                let known: HashSet<&Step> = there.iter().map(|(step, _)| step).collect();
                let by_step: HashMap<&Step, &Value> =
                    applied.iter().map(|(step, item)| (step, *item)).collect();
                let merged = there.iter().map(|(step, item)| match by_step.get(step) {
                    Some(new) => merge(item_shape, item, new),
                    None => (*item).clone(),
                });
                let new = applied.iter().filter(|(step, _)| !known.contains(step));
                merged.chain(new.map(|(_, item)| (*item).clone())).collect()
            }
            _ => applied.clone(),
        },
    }
}

/// Takes away what was applied `before` and is not `kept` by anybody. An item goes with everything in
/// it, and an object that was emptied goes with its last field.
pub(super) fn prune(shape: &Shape, value: &Value, before: &FieldSet, kept: &FieldSet) -> Value {
    let gone = before.without(kept);
    pruned(shape, value, &mut Vec::new(), &gone, before, kept).unwrap_or_else(|| Map::new().into())
}

fn pruned(
    shape: &Shape,
    value: &Value,
    path: &mut Path,
    gone: &FieldSet,
    before: &FieldSet,
    kept: &FieldSet,
) -> Option<Value> {
    let leaves = gone.0.contains(path);
    if let Some((items, item_shape)) = items(shape, value) {
        let mut stay = Vec::new();
        for (step, item) in items {
            path.push(step);
            if !gone.0.contains(path) {
                stay.extend(pruned(item_shape, item, path, gone, before, kept));
            }
            path.pop();
        }
        return Some(stay.into());
    }
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut stay = Map::new();
            for (name, value) in fields {
                path.push(Step::Field(name.clone()));
                if let Some(value) = pruned(shape.field(name), value, path, gone, before, kept) {
                    stay.insert(name.clone(), value);
                }
                path.pop();
            }
            let emptied = stay.is_empty() && before.reaches(path) && !kept.reaches(path);
            if emptied { None } else { Some(stay.into()) }
        }
        value => {
            if leaves {
                None
            } else {
                Some(value.clone())
            }
        }
    }
}
