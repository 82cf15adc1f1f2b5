//! From a body to a manifest: what every write does before it is one of a game or a version.

use serde_json::Value;

use super::error::ApiError;
use super::request::{Validation, stated};
use super::wire::Resource;
use crate::game::manifest::problem::shorten;
use crate::game::manifest::{
    EngineVersionManifest, GameManifest, Manifest, ObjectMeta, SpecProblem, UnknownFields, from_json,
};

/// How often a patch without precondition is made again after somebody else's write came first.
pub(super) const ATTEMPTS: usize = 10;

/// Where an object is said to be, by the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) resource: Resource,
    /// None for what has no namespace.
    pub(super) namespace: Option<&'a str>,
    /// None at a creation, where the body has it.
    pub(super) name: Option<&'a str>,
}

impl Target<'_> {
    pub(super) fn invalid(&self, name: &str, problems: Vec<SpecProblem>) -> ApiError {
        let name = self.name.unwrap_or(name).chars().take(128).collect();
        ApiError::Invalid { resource: self.resource, name, problems }
    }

    /// There is no such object.
    pub(super) fn not_found(&self) -> ApiError {
        ApiError::NotFound { resource: self.resource, name: self.name.unwrap_or_default().to_owned() }
    }

    /// Reads a game's body.
    pub(super) fn game(&self, body: Value) -> Result<GameManifest, ApiError> {
        self.game_as(body, Validation::Strict, &mut Vec::new())
    }

    /// The same, with what becomes of unknown fields.
    pub(super) fn game_as(
        &self,
        body: Value,
        validation: Validation,
        warnings: &mut Vec<String>,
    ) -> Result<GameManifest, ApiError> {
        let name = name_of(&body);
        match self.read(body, validation, warnings)? {
            Manifest::Game(mut game) => {
                self.place(&mut game.metadata)?;
                Ok(*game)
            }
            Manifest::EngineVersion(_) => Err(self.wrong_kind(&name, "EngineVersion")),
        }
    }

    /// Reads an engine version's body.
    pub(super) fn version(&self, body: Value) -> Result<EngineVersionManifest, ApiError> {
        self.version_as(body, Validation::Strict, &mut Vec::new())
    }

    /// The same, with what becomes of unknown fields.
    pub(super) fn version_as(
        &self,
        body: Value,
        validation: Validation,
        warnings: &mut Vec<String>,
    ) -> Result<EngineVersionManifest, ApiError> {
        let name = name_of(&body);
        match self.read(body, validation, warnings)? {
            Manifest::EngineVersion(mut version) => {
                self.place(&mut version.metadata)?;
                Ok(*version)
            }
            Manifest::Game(_) => Err(self.wrong_kind(&name, "Game")),
        }
    }

    /// Whatever fails validation.
    pub(super) fn validated<T>(&self, name: &str, valid: Result<T, Vec<SpecProblem>>) -> Result<T, ApiError> {
        valid.map_err(|problems| self.invalid(name, problems))
    }

    fn read(
        &self,
        mut body: Value,
        validation: Validation,
        warnings: &mut Vec<String>,
    ) -> Result<Manifest, ApiError> {
        let name = name_of(&body);
        let mut unstorable = Vec::new();
        find_nuls(&body, "", &mut unstorable);
        if !unstorable.is_empty() {
            return Err(self.invalid(&name, unstorable));
        }
        if let Some(object) = body.as_object_mut() {
            // Only the controller writes it.
            object.shift_remove("status");
        }
        let unknown = match validation {
            Validation::Strict => UnknownFields::Refuse,
            Validation::Warn | Validation::Ignore => UnknownFields::Drop,
        };
        let (manifest, dropped) =
            from_json(body, unknown).map_err(|problems| self.invalid(&name, problems))?;
        if validation == Validation::Warn {
            warnings.extend(dropped.iter().map(|problem| format!("unknown field \"{}\"", problem.field)));
        }
        Ok(manifest)
    }

    fn wrong_kind(&self, name: &str, kind: &str) -> ApiError {
        let message = format!("`{kind}` is not what this path holds; send a {}", self.resource.kind);
        self.invalid(name, vec![SpecProblem::new("kind", message)])
    }

    /// Holds the body's name and namespace against the path's.
    fn place(&self, metadata: &mut ObjectMeta) -> Result<(), ApiError> {
        if let Some(name) = self.name.filter(|name| *name != metadata.name) {
            let shown: String = metadata.name.chars().take(128).collect();
            return Err(ApiError::BadRequest(format!(
                "the name in the body ({}) is not the one in the path ({name}); names never change",
                shown.escape_debug()
            )));
        }
        let stated = metadata.namespace.take().filter(|namespace| !namespace.is_empty());
        match (self.namespace, stated) {
            (Some(path), Some(body)) if path != body => Err(ApiError::BadRequest(format!(
                "the namespace in the body is not the one in the path ({path}); leave it out, or send it there"
            ))),
            (Some(path), _) => {
                metadata.namespace = Some(path.to_owned());
                Ok(())
            }
            (None, stated) => {
                metadata.namespace = stated;
                Ok(())
            }
        }
    }
}

/// Every text with a NUL in it, which PostgreSQL has no place for: refused on both databases, and before
/// either is asked, so that its field can be named.
fn find_nuls(value: &Value, path: &str, found: &mut Vec<SpecProblem>) {
    let told =
        |path: &str| SpecProblem::new(path, "has a NUL (U+0000), which cannot be stored; leave it out");
    match value {
        Value::String(text) if text.contains('\0') => found.push(told(path)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_nuls(item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = match path {
                    "" => shorten(name),
                    "metadata.labels" | "metadata.annotations" => format!("{path}[{}]", shorten(name)),
                    path => format!("{path}.{}", shorten(name)),
                };
                if name.contains('\0') {
                    found.push(told(&below));
                } else {
                    find_nuls(value, &below, found);
                }
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A merge patch, with what it says has to hold.
pub(super) struct MergePatch {
    patch: Value,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
}

impl MergePatch {
    pub(super) fn new(mut patch: Value) -> Self {
        if let Some(object) = patch.as_object_mut() {
            object.shift_remove("status");
        }
        let stated = |field: &str| {
            let value =
                patch.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
            stated(value.map(str::to_owned))
        };
        let (uid, resource_version) = (stated("uid"), stated("resourceVersion"));
        Self { patch, uid, resource_version }
    }

    /// Says which version is meant, in the words of what it is applied to.
    pub(super) fn state_version(&mut self, version: &Option<String>) {
        let metadata = self.patch.get_mut("metadata").and_then(Value::as_object_mut);
        if let (Some(metadata), Some(version)) = (metadata, version) {
            metadata.insert("resourceVersion".into(), version.clone().into());
        }
    }

    /// The object as it would be.
    pub(super) fn apply(&self, object: &impl serde::Serialize) -> Result<Value, ApiError> {
        let mut object = serde_json::to_value(object).map_err(|error| ApiError::Internal(error.into()))?;
        json_patch::merge(&mut object, &self.patch);
        Ok(object)
    }
}

pub(super) fn name_of(body: &Value) -> String {
    let name = body.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    name.unwrap_or_default().chars().take(128).collect()
}

/// What only the server may write, at a creation.
pub(super) fn refuse_version_at_creation(metadata: &ObjectMeta) -> Result<(), ApiError> {
    if stated(metadata.resource_version.clone()).is_some() {
        return Err(ApiError::BadRequest(
            "metadata.resourceVersion must not be set on an object that is to be created; leave it out"
                .into(),
        ));
    }
    Ok(())
}
