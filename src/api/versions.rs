//! Engine versions: listed, read and written.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Shared;
use super::body::RawBody;
use super::error::ApiError;
use super::preview;
use super::request::{Names, Parameters, Write, delete_options, stated};
use super::select::ListParameters;
use super::wire::{ENGINE_VERSIONS, EngineVersionObject, List, Status};
use super::write::{ATTEMPTS, MergePatch, Target, refuse_version_at_creation};
use crate::game::manifest::{
    API_VERSION, EngineVersionManifest, SpecProblem, ValidEngineVersion, validate_engine_version,
};
use crate::store::{Conflict, Preconditions, StoredVersion, WriteError};

const FIELDS: [&str; 1] = ["metadata.name"];

/// `GET …/engineversions`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<EngineVersionObject>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    let seq = shared.api.store.desired_seq().await?;
    let versions = shared.api.store.versions().await?;
    let wanted = versions.into_iter().filter(|version| {
        let metadata = &version.manifest.metadata;
        selection.wants(&metadata.labels, |_| Some(metadata.name.as_str()))
    });
    Ok(Json(List::new(
        API_VERSION,
        ENGINE_VERSIONS.kind,
        seq,
        wanted.map(|version| shared.shown(version)).collect(),
    )))
}

/// `GET …/engineversions/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<EngineVersionObject>, ApiError> {
    parameters.selection(&FIELDS)?;
    Ok(Json(shared.shown(present(&shared, &name).await?)))
}

/// `POST …/engineversions`.
pub(super) async fn create(
    State(shared): State<Shared>,
    write: Write,
    body: RawBody,
) -> Result<(StatusCode, Json<EngineVersionObject>), ApiError> {
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
        return Ok((
            StatusCode::CREATED,
            Json(preview::version(&manifest, &valid, None, shared.api.max_failures)),
        ));
    }
    let created = store
        .create_version(&manifest, &valid, &write.author)
        .await
        .map_err(|error| refused(&name, error))?;
    Ok((StatusCode::CREATED, Json(shared.shown(created))))
}

/// `PUT …/engineversions/{name}`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<EngineVersionObject>, ApiError> {
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: Some(&name) };
    let manifest = target.version(body.object()?)?;
    let valid = target.validated(&name, validate_engine_version(&manifest))?;
    let preconditions =
        Preconditions { uid: None, resource_version: stated(valid.meta.resource_version.clone()) };
    let current = present(&shared, &name).await?;
    put(&shared, &write, &current, &manifest, &valid, &preconditions)
        .await
        .map(Json)
        .map_err(|error| refused(&name, error))
}

/// `PATCH …/engineversions/{name}`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<EngineVersionObject>, ApiError> {
    let patch = MergePatch::new(body.merge_patch()?);
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
            written => return written.map(Json).map_err(|error| refused(&name, error)),
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
    let (preconditions, tried) = delete_options(body.optional()?)?;
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

impl Shared {
    fn shown(&self, version: StoredVersion) -> EngineVersionObject {
        EngineVersionObject::new(version, self.api.max_failures)
    }
}

async fn present(shared: &Shared, name: &str) -> Result<StoredVersion, ApiError> {
    let found = shared.api.store.version(name).await?;
    found.ok_or_else(|| ApiError::NotFound { resource: ENGINE_VERSIONS, name: name.to_owned() })
}

fn refused(name: &str, error: WriteError) -> ApiError {
    ApiError::of_write(ENGINE_VERSIONS, name, error)
}

async fn put(
    shared: &Shared,
    write: &Write,
    current: &StoredVersion,
    manifest: &EngineVersionManifest,
    valid: &ValidEngineVersion,
    preconditions: &Preconditions,
) -> Result<EngineVersionObject, WriteError> {
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
        return Ok(preview::version(manifest, valid, Some(current), shared.api.max_failures));
    }
    let written = shared.api.store.replace_version(manifest, valid, preconditions, &write.author).await?;
    Ok(shared.shown(written.into_inner()))
}

fn check(current: &StoredVersion, preconditions: &Preconditions) -> Result<(), WriteError> {
    let stated = &preconditions.resource_version;
    if stated.is_some() && *stated != current.manifest.metadata.resource_version {
        return Err(Conflict::Modified.into());
    }
    Ok(())
}
