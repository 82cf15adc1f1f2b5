//! Sets of paths, and their form on the wire (`FieldsV1`).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A step into an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// `f:`, a field.
    Field(String),
    /// `k:`, an item of a list by its keys, as JSON with sorted names.
    Item(String),
    /// What others write and we do not (`v:`, `i:`), as it stands.
    Other(String),
}

/// A way to a field.
pub type Path = Vec<Step>;

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet(pub BTreeSet<Path>);

impl Step {
    /// The item that has this value in this key.
    pub fn item(key: &str, value: &Value) -> Self {
        let mut keys = Map::new();
        keys.insert(key.to_owned(), value.clone());
        Self::Item(Value::Object(keys).to_string())
    }

    fn to_key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Item(keys) => format!("k:{keys}"),
            Self::Other(text) => text.clone(),
        }
    }

    fn from_key(key: &str) -> Self {
        if let Some(name) = key.strip_prefix("f:") {
            return Self::Field(name.to_owned());
        }
        // Our own form of it, whatever its spaces and the order of its names.
        let keys =
            key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
        match keys {
            Some(mut keys) => {
                keys.sort_keys();
                Self::Item(Value::Object(keys).to_string())
            }
            None => Self::Other(key.to_owned()),
        }
    }
}

impl FieldSet {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is in both.
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// What is in either.
    pub fn or(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// What is in this one alone.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Whether anything at or below the path is in it.
    pub fn reaches(&self, path: &[Step]) -> bool {
        // What begins with a path follows it in the order of paths.
        self.0.range(path.to_vec()..).next().is_some_and(|next| next.starts_with(path))
    }

    /// As the wire has it.
    pub fn to_fields_v1(&self) -> Value {
        let mut root = Map::new();
        for path in &self.0 {
            let mut at = &mut root;
            for step in path {
                let entry = at.entry(step.to_key()).or_insert_with(|| Map::new().into());
                match entry {
                    Value::Object(below) => at = below,
                    _ => unreachable!("only objects are put there"),
                }
            }
            // Told apart from a mere way to what is below.
            if self.0.range(path.clone()..).nth(1).is_some_and(|next| next.starts_with(path)) {
                at.insert(".".to_owned(), Map::new().into());
            }
        }
        root.into()
    }

    /// From the wire; anything that is no set is an empty one.
    pub fn from_fields_v1(fields: &Value) -> Self {
        fn read(fields: &Value, path: &mut Path, set: &mut BTreeSet<Path>) {
            let Some(fields) = fields.as_object() else { return };
            if !path.is_empty() && (fields.is_empty() || fields.contains_key(".")) {
                set.insert(path.clone());
            }
            for (key, below) in fields.iter().filter(|(key, _)| *key != ".") {
                path.push(Step::from_key(key));
                read(below, path, set);
                path.pop();
            }
        }
        let mut set = BTreeSet::new();
        read(fields, &mut Vec::new(), &mut set);
        Self(set)
    }
}

/// A path as messages have it: `.spec.players[userId="6f1c"].raceName`.
pub fn show(path: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Field(name) => format!(".{name}"),
        Step::Item(keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Step::Other(text) => format!("[{text}]"),
    };
    path.iter().map(step).collect()
}
