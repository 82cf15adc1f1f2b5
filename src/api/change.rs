//! What a client sends to change an object, made into the object as it should be and who owns what
//! of it then.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::ApiError;
use super::hub::{Hub, Key, Kind};
use super::request::Write;
use super::steps;
use super::wire::Resource;
use super::write::{Target, name_of};
use crate::game::manifest::{ManagedFields, SpecProblem};
use crate::game::ownership::{self, Managed, Manager, ManagerId, Operation, ownable, set_of, shape_of};
use crate::store::Conflict;

/// How a client says what it wants.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// The whole object.
    Replace(Value),
    /// What differs.
    Merge(Value),
    /// Steps.
    Json(json_patch::Patch),
    /// What the client wants of it, and nothing else.
    Apply(Value),
}

/// An object that is there: as it was read, at the version that clients know it by.
pub(super) struct Found {
    hub: Arc<Hub>,
    kind: Kind,
    key: Key,
    /// Of the row that it was read from.
    row_version: String,
    shown: Value,
    managed: Managed,
}

impl Found {
    /// None if there is another one meanwhile.
    pub(super) async fn new(
        shared: &Shared,
        kind: Kind,
        read: Value,
        managed: &Managed,
    ) -> Result<Option<Self>, ApiError> {
        let of = |field: &str| text(&read["metadata"][field]).unwrap_or_default();
        let key = Key::new(of("namespace"), of("name"));
        let row_version = of("resourceVersion").to_owned();
        let Some(held) = shared.hub.read_from(kind, &key, of("uid"), &row_version).await? else {
            return Ok(None);
        };
        let (hub, managed) = (Arc::clone(&shared.hub), managed.clone());
        let mut shown = read;
        shown["metadata"]["resourceVersion"] = held.version().to_string().into();
        Ok(Some(Self { hub, kind, key, row_version, shown, managed }))
    }

    /// The version that clients know it by.
    pub(super) fn version(&self) -> &str {
        text(&self.shown["metadata"]["resourceVersion"]).unwrap_or_default()
    }

    /// Whether this is what a client read that states this version: what is not the row's may have
    /// changed since.
    fn is_still(&self, stated: &str) -> Result<bool, ApiError> {
        if stated == self.version() {
            return Ok(true);
        }
        let then = self.hub.row_version(self.kind, &self.key, Some(stated))?;
        Ok(then.as_ref() == Some(&self.row_version))
    }
}

/// An object as it should be, unread.
pub(super) struct Draft {
    /// The whole object.
    pub(super) body: Value,
    /// Who owned what before.
    before: Managed,
    was: Value,
    owners: Owners,
}

enum Owners {
    /// Already known: of an apply.
    Known(Vec<Manager>),
    /// Whoever changes something takes it; of a new object, what was said.
    Taking { from: Vec<Manager>, only: Option<Value> },
}

impl Change {
    /// What it makes of an object that is there.
    pub(super) fn of(&self, target: &Target<'_>, write: &Write, found: &Found) -> Result<Draft, ApiError> {
        let kind = target.resource.kind;
        let shown = &found.shown;
        let was = ownable(shown);
        let before = found.managed.clone().of(kind, &was);
        let body = match self {
            Self::Replace(body) => body.clone(),
            Self::Merge(patch) => {
                let mut body = shown.clone();
                json_patch::merge(&mut body, patch);
                body
            }
            Self::Json(patch) => patched(target.resource, shown, patch)?,
            Self::Apply(config) => {
                let (body, managers) = applied(target, write, &was, before.managers.clone(), config)?;
                check_identity(target, &body, found)?;
                return Ok(Draft { body, before, was, owners: Owners::Known(managers) });
            }
        };
        check_identity(target, &body, found)?;
        let from = sent_managers(&body, shown).unwrap_or_else(|| before.managers.clone());
        Ok(Draft { body, before, was, owners: Owners::Taking { from, only: None } })
    }

    /// What it makes where there is nothing; a change of something that is not there makes nothing.
    pub(super) fn of_nothing(&self, target: &Target<'_>, write: &Write) -> Result<Draft, ApiError> {
        let (before, was) = (Managed::default(), json!({}));
        match self {
            Self::Apply(config) => {
                let (body, managers) = applied(target, write, &was, Vec::new(), config)?;
                if let Some(uid) = text(&body["metadata"]["uid"]) {
                    let why = format!("the manifest is meant for the object with uid {uid}, which is gone");
                    return Err(ApiError::Conflict { resource: target.resource, name: name_of(&body), why });
                }
                Ok(Draft { body, before, was, owners: Owners::Known(managers) })
            }
            Self::Replace(body) => {
                let only = Some(ownable(body));
                let owners = Owners::Taking { from: Vec::new(), only };
                Ok(Draft { body: body.clone(), before, was, owners })
            }
            Self::Merge(_) | Self::Json(_) => Err(target.not_found()),
        }
    }
}

impl Draft {
    /// What is kept about the managers once the object is this. (`after` is the object as it will be
    /// shown: with its defaults, and in the spelling of the columns.)
    pub(super) fn kept(self, target: &Target<'_>, write: &Write, after: &Value) -> Managed {
        let shape = shape_of(target.resource.kind);
        let after = ownable(after);
        let managers = match self.owners {
            Owners::Known(managers) => managers,
            Owners::Taking { from, only } => {
                let writer = writer(write, Operation::Update);
                let only = only.map(|only| set_of(shape, &only));
                let now = Some(Timestamp::now());
                ownership::update(shape, &self.was, &after, from, &writer, only.as_ref(), now)
            }
        };
        self.before.next(managers, after)
    }
}

fn writer(write: &Write, operation: Operation) -> ManagerId {
    ManagerId { subresource: write.subresource.to_owned(), ..ManagerId::new(&write.manager, operation) }
}

/// The object of an apply, and its managers.
fn applied(
    target: &Target<'_>,
    write: &Write,
    was: &Value,
    managers: Vec<Manager>,
    config: &Value,
) -> Result<(Value, Vec<Manager>), ApiError> {
    if !write.manager_named {
        let problem = SpecProblem::new("fieldManager", "is required for an apply; name who applies");
        return Err(target.invalid(&name_of(config), vec![problem]));
    }
    let stated = &config["metadata"]["managedFields"];
    if stated.as_array().is_some_and(|entries| !entries.is_empty()) {
        return Err(ApiError::BadRequest(
            "metadata.managedFields must not be in what is applied; leave it out".into(),
        ));
    }
    let mut body = config.clone();
    canonical(&mut body);
    if let (Some(name), Some(body)) = (target.name, body.as_object_mut()) {
        // The path says which object is meant; kube-rs and others do not say it again.
        let metadata = body.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.entry("name").or_insert_with(|| name.into());
        }
    }
    let shape = shape_of(target.resource.kind);
    let applier = writer(write, Operation::Apply);
    let wanted = ownable(&body);
    let now = Some(Timestamp::now());
    let (merged, managers) =
        ownership::apply(shape, was, &wanted, managers, &applier, write.force, now).map_err(|conflicts| {
            ApiError::FieldConflicts { resource: target.resource, name: name_of(config), conflicts }
        })?;
    for field in ["labels", "annotations"] {
        put(&mut body["metadata"], field, merged["metadata"].get(field));
    }
    put(&mut body, "spec", merged.get("spec"));
    Ok((body, managers))
}

fn put(object: &mut Value, field: &str, value: Option<&Value>) {
    let Some(object) = object.as_object_mut() else { return };
    match value {
        Some(value) => object.insert(field.to_owned(), value.clone()),
        None => object.shift_remove(field),
    };
}

/// A quantity written as a number is shown as text, and one is not a change of the other.
fn canonical(body: &mut Value) {
    let Some(resources) = body.pointer_mut("/spec/resources").and_then(Value::as_object_mut) else { return };
    for field in ["cpu", "memory"] {
        if let Some(value) = resources.get_mut(field).filter(|value| value.is_number()) {
            *value = value.to_string().into();
        }
    }
}

/// The object with the steps made on it.
fn patched(resource: Resource, shown: &Value, patch: &json_patch::Patch) -> Result<Value, ApiError> {
    let mut body = shown.clone();
    steps::apply(&mut body, patch).map_err(|message| ApiError::Invalid {
        resource,
        name: name_of(shown),
        problems: vec![SpecProblem::new("patch", message)],
    })?;
    Ok(body)
}

/// What the body says of the object's identity and version has to be so.
fn check_identity(target: &Target<'_>, body: &Value, found: &Found) -> Result<(), ApiError> {
    let stated = |field: &str| text(&body["metadata"][field]);
    let conflict = if stated("uid").is_some_and(|uid| Some(uid) != text(&found.shown["metadata"]["uid"])) {
        Conflict::Replaced
    } else if let Some(version) = stated("resourceVersion")
        && !found.is_still(version)?
    {
        Conflict::Modified
    } else {
        return Ok(());
    };
    let name = name_of(&found.shown);
    Err(ApiError::Conflict { resource: target.resource, name, why: conflict.to_string() })
}

/// The managers that a client writes itself; none if it leaves them as they are.
fn sent_managers(body: &Value, shown: &Value) -> Option<Vec<Manager>> {
    let sent = &body["metadata"]["managedFields"];
    let entries = sent.as_array().filter(|entries| !entries.is_empty())?;
    if *sent == shown["metadata"]["managedFields"] {
        return None;
    }
    // One empty entry is Kubernetes' word for "nobody".
    let entries =
        entries.iter().filter_map(|entry| serde_json::from_value::<ManagedFields>(entry.clone()).ok());
    Some(entries.filter_map(|entry| Manager::from_entry(&entry)).collect())
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// The answer to a write, with what the client is warned of.
pub(super) struct Answer<T> {
    pub(super) code: StatusCode,
    pub(super) warnings: Vec<String>,
    pub(super) object: T,
}

impl<T> Answer<T> {
    /// The object as it is.
    pub(super) fn ok(object: T) -> Self {
        Self { code: StatusCode::OK, warnings: Vec::new(), object }
    }

    /// The object that was made.
    pub(super) fn created(object: T) -> Self {
        Self { code: StatusCode::CREATED, ..Self::ok(object) }
    }

    /// With what the client was to be warned of before.
    pub(super) fn after(mut self, mut warnings: Vec<String>) -> Self {
        warnings.append(&mut self.warnings);
        Self { warnings, ..self }
    }
}

/// So many are told; a header has a bound.
const MOST_WARNINGS: usize = 20;

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(self.object)).into_response();
        for warning in self.warnings.iter().take(MOST_WARNINGS) {
            let plain: String = warning
                .chars()
                .filter(|character| character.is_ascii() && !character.is_ascii_control())
                .flat_map(|character| {
                    let escape = matches!(character, '"' | '\\').then_some('\\');
                    escape.into_iter().chain([character])
                })
                .collect();
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{plain}\"")) {
                response.headers_mut().append(HeaderName::from_static("warning"), value);
            }
        }
        response
    }
}
