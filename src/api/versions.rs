//! Engine versions: listed, read and written.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::body::RawBody;
use super::error::ApiError;
use super::hub::{self, Asked, Form, Key, Kind};
use super::preview;
use super::request::{Names, Write, delete_options, stated};
use super::wire::{ENGINE_VERSIONS, EngineVersionObject, Status};
use super::write::{ATTEMPTS, MergePatch, Target, refuse_version_at_creation};
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
) -> Result<Response, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    answer(&shared, asked.form, StatusCode::OK, &name).await
}

/// A version as lists and watches have it.
async fn answer(shared: &Shared, form: Form, code: StatusCode, name: &str) -> Result<Response, ApiError> {
    let found = shared.hub.engine_version(name).await?;
    let found =
        found.ok_or_else(|| ApiError::NotFound { resource: ENGINE_VERSIONS, name: name.to_owned() })?;
    Ok(form.object(code, found.shown()))
}

/// A version as it would be, at the version of the one that is there.
async fn tried(
    shared: &Shared,
    code: StatusCode,
    mut object: EngineVersionObject,
) -> Result<Response, ApiError> {
    let held = shared.hub.engine_version(&object.metadata.name).await?;
    object.metadata.resource_version = held.map(|held| held.version().to_string());
    Ok((code, Json(object)).into_response())
}

/// `POST …/engineversions`.
pub(super) async fn create(
    State(shared): State<Shared>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: None };
    let manifest = target.version(body.object()?)?;
    refuse_version_at_creation(&manifest.metadata)?;
    let name = manifest.metadata.name.clone();
    let valid = target.validated(&name, validate_engine_version(&manifest))?;
    let store = &shared.api.store;
    if write.dry_run {
        if store.version(&name).await?.is_some() {
            return Err(ApiError::AlreadyExists { resource: ENGINE_VERSIONS, name });
        }
        let object = preview::version(&manifest, &valid, None, shared.api.max_failures);
        return tried(&shared, StatusCode::CREATED, object).await;
    }
    store.create_version(&manifest, &valid, &write.author).await.map_err(|error| refused(&name, error))?;
    answer(&shared, form, StatusCode::CREATED, &name).await
}

/// `PUT …/engineversions/{name}`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: Some(&name) };
    let manifest = target.version(body.object()?)?;
    let valid = target.validated(&name, validate_engine_version(&manifest))?;
    let version = row_version(&shared, &name, stated(valid.meta.resource_version.clone()))?;
    let preconditions = Preconditions { uid: None, resource_version: version };
    let current = present(&shared, &name).await?;
    match put(&shared, &write, &current, &manifest, &valid, &preconditions).await {
        Err(error) => Err(refused(&name, error)),
        Ok(Some(object)) => tried(&shared, StatusCode::OK, object).await,
        Ok(None) => answer(&shared, form, StatusCode::OK, &name).await,
    }
}

/// `PATCH …/engineversions/{name}`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let mut patch = MergePatch::new(body.merge_patch()?);
    patch.resource_version = row_version(&shared, &name, patch.resource_version)?;
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: Some(&name) };
    for _ in 0..ATTEMPTS {
        let current = present(&shared, &name).await?;
        let version = current.manifest.metadata.resource_version.clone();
        if patch.resource_version.is_some() && patch.resource_version != version {
            return Err(refused(&name, Conflict::Modified.into()));
        }
        let manifest = target.version(patch.apply(&current.manifest)?)?;
        let valid = target.validated(&name, validate_engine_version(&manifest))?;
        let preconditions = Preconditions { uid: None, resource_version: version };
        match put(&shared, &write, &current, &manifest, &valid, &preconditions).await {
            Err(WriteError::Conflict(_)) if patch.resource_version.is_none() => {}
            Err(error) => return Err(refused(&name, error)),
            Ok(Some(object)) => return tried(&shared, StatusCode::OK, object).await,
            Ok(None) => return answer(&shared, form, StatusCode::OK, &name).await,
        }
    }
    Err(refused(&name, Conflict::Modified.into()))
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

/// Gives what would be, if it is only tried.
async fn put(
    shared: &Shared,
    write: &Write,
    current: &StoredVersion,
    manifest: &EngineVersionManifest,
    valid: &ValidEngineVersion,
    preconditions: &Preconditions,
) -> Result<Option<EngineVersionObject>, WriteError> {
    check(current, preconditions)?;
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
    if write.dry_run {
        return Ok(Some(preview::version(manifest, valid, Some(current), shared.api.max_failures)));
    }
    shared.api.store.replace_version(manifest, valid, preconditions, &write.author).await?;
    Ok(None)
}

fn check(current: &StoredVersion, preconditions: &Preconditions) -> Result<(), WriteError> {
    let stated = &preconditions.resource_version;
    if stated.is_some() && *stated != current.manifest.metadata.resource_version {
        return Err(Conflict::Modified.into());
    }
    Ok(())
}
