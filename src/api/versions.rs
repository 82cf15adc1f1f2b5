//! Engine versions: listed, read and written.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::Shared;
use super::body::RawBody;
use super::change::{Answer, Change, Found};
use super::error::ApiError;
use super::hub::{self, Asked, Key, Kind};
use super::preview;
use super::request::{Names, Write, delete_options};
use super::wire::{ENGINE_VERSIONS, EngineVersionObject, Status};
use super::write::{ATTEMPTS, Target, refuse_version_at_creation};
use crate::game::manifest::{
    EngineVersionManifest, SpecProblem, ValidEngineVersion, validate_engine_version,
};
use crate::store::{Conflict, Preconditions, StoredVersion, WriteError};

const FIELDS: [&str; 1] = ["metadata.name"];

/// `GET …/engineversions`.
pub(super) async fn list(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Kind::EngineVersion, None, &FIELDS, asked).await
}

/// `GET …/engineversions/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    asked: Asked,
) -> Result<Json<Value>, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    Ok(Json(seen(&shared, &name).await?))
}

/// The version of this name, as lists and watches have it.
async fn seen(shared: &Shared, name: &str) -> Result<Value, ApiError> {
    let found = shared.hub.engine_version(name).await?;
    let found =
        found.ok_or_else(|| ApiError::NotFound { resource: ENGINE_VERSIONS, name: name.to_owned() })?;
    Ok(found.shown().value())
}

/// A version after a write, as lists and watches have it.
async fn after_write(shared: &Shared, written: StoredVersion) -> Result<Value, ApiError> {
    match seen(shared, &written.manifest.metadata.name).await {
        // It is gone already: what was written is what there was.
        Err(ApiError::NotFound { .. }) => {
            let mut object = EngineVersionObject::new(written, shared.api.max_failures);
            object.metadata.resource_version = Some(shared.hub.version().to_string());
            Ok(json!(object))
        }
        seen => seen,
    }
}

/// `POST …/engineversions`.
pub(super) async fn create(
    State(shared): State<Shared>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let body = body.object_as(write.validation, &mut warnings)?;
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: None };
    Ok(make(&shared, &target, &write, &Change::Replace(body)).await?.after(warnings))
}

/// `PUT …/engineversions/{name}`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let change = Change::Replace(body.object_as(write.validation, &mut warnings)?);
    Ok(write_version(&shared, &name, &write, &change).await?.after(warnings))
}

/// `PATCH …/engineversions/{name}`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let (change, write) = body.patch(write.validation, &mut warnings)?.of(write)?;
    Ok(write_version(&shared, &name, &write, &change).await?.after(warnings))
}

/// `PUT` and `PATCH …/engineversions/{name}/status`.
pub(super) async fn refuse_status() -> ApiError {
    ApiError::Forbidden(
        "an engine version's status is written by the controller alone; change its spec".into(),
    )
}

/// Changes an engine version; an apply makes one that is not there.
async fn write_version(
    shared: &Shared,
    name: &str,
    write: &Write,
    change: &Change,
) -> Result<Answer<Value>, ApiError> {
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: Some(name) };
    let store = &shared.api.store;
    for _ in 0..ATTEMPTS {
        let Some(current) = store.version(name).await? else {
            if !matches!(change, Change::Apply(_)) {
                return Err(target.not_found());
            }
            match make(shared, &target, write, change).await {
                Err(ApiError::AlreadyExists { .. }) => continue,
                made => return made,
            }
        };
        let read = json!(EngineVersionObject::new(current.clone(), shared.api.max_failures));
        let found = Found::new(shared, Kind::EngineVersion, read, &current.managed).await?;
        // It has changed since it was read: what is there now is asked for.
        let Some(found) = found else { continue };
        let mut draft = change.of(&target, write, &found)?;
        let mut warnings = Vec::new();
        let manifest = target.version_as(draft.body.take(), write.validation, &mut warnings)?;
        let valid = target.validated(name, validate_engine_version(&manifest))?;
        let version = current.manifest.metadata.resource_version.clone();
        let preconditions = Preconditions { uid: None, resource_version: version };
        admissible(&current, &manifest, &valid).map_err(|error| refused(name, error))?;
        let mut after = preview::version(&manifest, &valid, Some(&current), shared.api.max_failures);
        let managed = draft.kept(&target, write, &json!(after));
        if write.dry_run {
            after.metadata.managed_fields = managed.entries();
            after.metadata.resource_version = Some(found.version().to_owned());
            return Ok(Answer::ok(json!(after)).after(warnings));
        }
        match store.replace_version(&manifest, &valid, &preconditions, &managed, &write.author).await {
            Err(WriteError::Conflict(_)) => {}
            Err(error) => return Err(refused(name, error)),
            Ok(written) => {
                let shown = after_write(shared, written.into_inner()).await?;
                return Ok(Answer::ok(shown).after(warnings));
            }
        }
    }
    Err(refused(name, Conflict::Modified.into()))
}

/// Registers an engine version.
async fn make(
    shared: &Shared,
    target: &Target<'_>,
    write: &Write,
    change: &Change,
) -> Result<Answer<Value>, ApiError> {
    let mut draft = change.of_nothing(target, write)?;
    let mut warnings = Vec::new();
    let manifest = target.version_as(draft.body.take(), write.validation, &mut warnings)?;
    refuse_version_at_creation(&manifest.metadata)?;
    let name = manifest.metadata.name.clone();
    let valid = target.validated(&name, validate_engine_version(&manifest))?;
    let mut after = preview::version(&manifest, &valid, None, shared.api.max_failures);
    let managed = draft.kept(target, write, &json!(after));
    let store = &shared.api.store;
    if write.dry_run {
        if store.version(&name).await?.is_some() {
            return Err(ApiError::AlreadyExists { resource: ENGINE_VERSIONS, name });
        }
        after.metadata.managed_fields = managed.entries();
        return Ok(Answer::created(json!(after)).after(warnings));
    }
    let created = store
        .create_version(&manifest, &valid, &managed, &write.author)
        .await
        .map_err(|error| refused(&name, error))?;
    Ok(Answer::created(after_write(shared, created).await?).after(warnings))
}

/// `DELETE …/engineversions/{name}`.
pub(super) async fn delete(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Status>, ApiError> {
    let (mut preconditions, tried) = delete_options(body.optional()?)?;
    preconditions.resource_version = row_version(&shared, &name, preconditions.resource_version)?;
    if write.dry_run || tried {
        let current = present(&shared, &name).await?;
        check(&current, &preconditions).map_err(|error| refused(&name, error))?;
        return Ok(Json(Status::deleted(ENGINE_VERSIONS, &name)));
    }
    match shared.api.store.delete_version(&name, &preconditions).await {
        Ok(()) => Ok(Json(Status::deleted(ENGINE_VERSIONS, &name))),
        Err(WriteError::Refused(why)) => Err(ApiError::Conflict { resource: ENGINE_VERSIONS, name, why }),
        Err(error) => Err(refused(&name, error)),
    }
}

fn row_version(shared: &Shared, name: &str, stated: Option<String>) -> Result<Option<String>, ApiError> {
    shared.hub.row_version(Kind::EngineVersion, &Key::new("", name), stated.as_deref())
}

async fn present(shared: &Shared, name: &str) -> Result<StoredVersion, ApiError> {
    let found = shared.api.store.version(name).await?;
    found.ok_or_else(|| ApiError::NotFound { resource: ENGINE_VERSIONS, name: name.to_owned() })
}

fn refused(name: &str, error: WriteError) -> ApiError {
    ApiError::of_write(ENGINE_VERSIONS, name, error)
}

/// Whether what is there may be replaced so.
fn admissible(
    current: &StoredVersion,
    manifest: &EngineVersionManifest,
    valid: &ValidEngineVersion,
) -> Result<(), WriteError> {
    let image = &current.manifest.spec.image;
    if *image != manifest.spec.image {
        let message = format!("it is {image} and never changes; register a new version for a new image");
        return Err(WriteError::Refused(SpecProblem::new("spec.image", message).to_string()));
    }
    if let Some((was, now)) = current.manifest.spec.resume_generation.zip(valid.resume)
        && now < was
    {
        let message =
            format!("cannot decrease: it is {was}; ask with {}, or leave it out", was.saturating_add(1));
        return Err(WriteError::Refused(SpecProblem::new("spec.resumeGeneration", message).to_string()));
    }
    Ok(())
}

fn check(current: &StoredVersion, preconditions: &Preconditions) -> Result<(), WriteError> {
    let stated = &preconditions.resource_version;
    if stated.is_some() && *stated != current.manifest.metadata.resource_version {
        return Err(Conflict::Modified.into());
    }
    Ok(())
}
