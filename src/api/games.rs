//! Games: listed, read, and their desired state written.

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
use super::wire::{GAMES, GameObject};
use super::write::{ATTEMPTS, MergePatch, Target, refuse_version_at_creation};
use crate::game::manifest::{GameManifest, SpecProblem, ValidGame, validate_game};
use crate::store::{Conflict, Preconditions, StoredGame, WriteError};

const FIELDS: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// `GET …/games` of all namespaces.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Kind::Game, None, &FIELDS, asked).await
}

/// `GET …/namespaces/{ns}/games`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    hub::list(&shared, Kind::Game, Some(namespace), &FIELDS, asked).await
}

/// `GET …/games/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    asked: Asked,
) -> Result<Response, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    let found = shared.hub.game(&namespace, &name).await?;
    let found = found.ok_or(ApiError::NotFound { resource: GAMES, name })?;
    Ok(asked.form.object(StatusCode::OK, found.shown()))
}

/// A game as it is after a write, from where lists and watches have it.
async fn answer(
    shared: &Shared,
    form: Form,
    code: StatusCode,
    written: StoredGame,
) -> Result<Response, ApiError> {
    let metadata = &written.manifest.metadata;
    let namespace = metadata.namespace.clone().unwrap_or_default();
    match shared.hub.game(&namespace, &metadata.name).await? {
        Some(entry) => Ok(form.object(code, entry.shown())),
        // It is gone already: what was written is what there was.
        None => {
            let mut object = GameObject::from(written);
            object.metadata.resource_version = Some(shared.hub.version().to_string());
            Ok((code, Json(object)).into_response())
        }
    }
}

/// A game as it would be, at the version of the one that is there.
async fn tried(shared: &Shared, code: StatusCode, mut object: GameObject) -> Result<Response, ApiError> {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let held = shared.hub.game(&namespace, &object.metadata.name).await?;
    object.metadata.resource_version = held.map(|held| held.version().to_string());
    Ok((code, Json(object)).into_response())
}

/// `POST …/games`.
pub(super) async fn create(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let target = Target { resource: GAMES, namespace: Some(&namespace), name: None };
    let manifest = target.game(body.object()?)?;
    refuse_version_at_creation(&manifest.metadata)?;
    let name = manifest.metadata.name.clone();
    let valid = target.validated(&name, validate_game(&manifest))?;
    let store = &shared.api.store;
    if write.dry_run {
        if store.game(&namespace, &name).await?.is_some() {
            return Err(ApiError::AlreadyExists { resource: GAMES, name });
        }
        return tried(&shared, StatusCode::CREATED, preview::game(&manifest, &valid, None)).await;
    }
    let created = store
        .create_game(&manifest, &valid, &write.author)
        .await
        .map_err(|error| ApiError::of_write(GAMES, &name, error))?;
    answer(&shared, form, StatusCode::CREATED, created).await
}

/// `PUT …/games/{name}`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let target = Target { resource: GAMES, namespace: Some(&namespace), name: Some(&name) };
    let manifest = target.game(body.object()?)?;
    let valid = target.validated(&name, validate_game(&manifest))?;
    let preconditions = preconditions(&shared, &namespace, &name, &valid)?;
    let current = present(&shared, &namespace, &name).await?;
    let written = put(&shared, &write, &current, &manifest, &valid, &preconditions).await;
    written.map_err(|error| refused(&name, error))?.answer(&shared, form).await
}

/// `PATCH …/games/{name}`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let mut patch = MergePatch::new(body.merge_patch()?);
    let key = Key::new(&namespace, &name);
    patch.resource_version = shared.hub.row_version(Kind::Game, &key, patch.resource_version.as_deref())?;
    let target = Target { resource: GAMES, namespace: Some(&namespace), name: Some(&name) };
    for _ in 0..ATTEMPTS {
        let current = present(&shared, &namespace, &name).await?;
        let stale = |stated: &Option<String>, now: &Option<String>| stated.is_some() && stated != now;
        if stale(&patch.resource_version, &current.manifest.metadata.resource_version) {
            return Err(refused(&name, Refused::Write(Conflict::Modified.into())));
        }
        if stale(&patch.uid, &current.manifest.metadata.uid) {
            return Err(refused(&name, Refused::Write(Conflict::Replaced.into())));
        }
        let manifest = target.game(patch.apply(&current.manifest)?)?;
        let valid = target.validated(&name, validate_game(&manifest))?;
        // What was patched is the object as it was read: it must still be that one.
        let preconditions = Preconditions {
            uid: current.manifest.metadata.uid.clone(),
            resource_version: current.manifest.metadata.resource_version.clone(),
        };
        match put(&shared, &write, &current, &manifest, &valid, &preconditions).await {
            Err(Refused::Write(WriteError::Conflict(_))) if patch.resource_version.is_none() => {}
            Err(error) => return Err(refused(&name, error)),
            Ok(put) => return put.answer(&shared, form).await,
        }
    }
    Err(refused(&name, Refused::Write(Conflict::Modified.into())))
}

/// `DELETE …/games/{name}`.
pub(super) async fn delete(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    form: Form,
    body: RawBody,
) -> Result<Response, ApiError> {
    let (mut preconditions, tried) = delete_options(body.optional()?)?;
    let key = Key::new(&namespace, &name);
    preconditions.resource_version =
        shared.hub.row_version(Kind::Game, &key, preconditions.resource_version.as_deref())?;
    if write.dry_run || tried {
        let current = present(&shared, &namespace, &name).await?;
        check(&current, &preconditions).map_err(|error| refused(&name, error))?;
        return answer(&shared, form, StatusCode::OK, current).await;
    }
    let store = &shared.api.store;
    let leaving = store.request_deletion(&namespace, &name, &preconditions, &write.author).await;
    match leaving {
        Ok(game) => answer(&shared, form, StatusCode::OK, game).await,
        Err(error) => Err(ApiError::of_write(GAMES, &name, error)),
    }
}

/// The game of this name.
pub(super) async fn present(shared: &Shared, namespace: &str, name: &str) -> Result<StoredGame, ApiError> {
    let found = shared.api.store.game(namespace, name).await?;
    found.ok_or_else(|| ApiError::NotFound { resource: GAMES, name: name.to_owned() })
}

/// Why a game was not replaced.
pub(super) enum Refused {
    Write(WriteError),
    Decrease(Vec<SpecProblem>),
}

pub(super) fn refused(name: &str, error: Refused) -> ApiError {
    match error {
        Refused::Write(error) => ApiError::of_write(GAMES, name, error),
        Refused::Decrease(problems) => ApiError::Invalid { resource: GAMES, name: name.to_owned(), problems },
    }
}

async fn put(
    shared: &Shared,
    write: &Write,
    current: &StoredGame,
    manifest: &GameManifest,
    valid: &ValidGame,
    preconditions: &Preconditions,
) -> Result<Put, Refused> {
    admissible(current, valid, preconditions)?;
    if write.dry_run {
        return Ok(Put::Tried(Box::new(preview::game(manifest, valid, Some(current)))));
    }
    let written = shared.api.store.replace_game(manifest, valid, preconditions, &write.author).await;
    written.map(|game| Put::Written(Box::new(game.into_inner()))).map_err(Refused::Write)
}

/// What came of replacing a game.
enum Put {
    /// It would be so.
    Tried(Box<GameObject>),
    /// It is so.
    Written(Box<StoredGame>),
}

impl Put {
    async fn answer(self, shared: &Shared, form: Form) -> Result<Response, ApiError> {
        match self {
            Self::Tried(object) => tried(shared, StatusCode::OK, *object).await,
            Self::Written(game) => answer(shared, form, StatusCode::OK, *game).await,
        }
    }
}

/// What has to hold of a game that is to be replaced, in the store's words.
pub(super) fn preconditions(
    shared: &Shared,
    namespace: &str,
    name: &str,
    valid: &ValidGame,
) -> Result<Preconditions, ApiError> {
    let version = stated(valid.meta.resource_version.clone());
    Ok(Preconditions {
        uid: stated(valid.meta.uid.clone()),
        resource_version: shared.hub.row_version(
            Kind::Game,
            &Key::new(namespace, name),
            version.as_deref(),
        )?,
    })
}

/// Whether what is there may be replaced so.
pub(super) fn admissible(
    current: &StoredGame,
    valid: &ValidGame,
    preconditions: &Preconditions,
) -> Result<(), Refused> {
    // A stale write is told that it is stale, whatever else is wrong with it for that reason.
    check(current, preconditions)?;
    let decreases = decreases(current, valid);
    if decreases.is_empty() { Ok(()) } else { Err(Refused::Decrease(decreases)) }
}

/// Preconditions against what was read; the store holds them against what is there at the write.
fn check(current: &StoredGame, preconditions: &Preconditions) -> Result<(), Refused> {
    let metadata = &current.manifest.metadata;
    if preconditions.uid.is_some() && preconditions.uid != metadata.uid {
        return Err(Refused::Write(Conflict::Replaced.into()));
    }
    if preconditions.resource_version.is_some() && preconditions.resource_version != metadata.resource_version
    {
        return Err(Refused::Write(Conflict::Modified.into()));
    }
    Ok(())
}

/// Requests that would be taken back.
fn decreases(current: &StoredGame, valid: &ValidGame) -> Vec<SpecProblem> {
    let (old, new) = (&current.manifest.spec, &valid.spec.requests);
    let counters = [
        ("spec.restartGeneration", old.restart_generation, new.restart),
        ("spec.forceTurnGeneration", old.force_turn_generation, new.force_turn),
        ("spec.patchGeneration", old.patch_generation, new.patch),
        ("spec.unblockGeneration", old.unblock_generation, new.unblock),
        ("spec.restoreGeneration", old.restore_generation, new.restore),
        ("spec.backupGeneration", old.backup_generation, new.backup),
    ];
    let decrease = |(field, old, new): (&str, Option<i64>, Option<i64>)| {
        let (old, new) = (old?, new?);
        (new < old).then(|| {
            SpecProblem::new(
                field,
                format!("cannot decrease: it is {old}; ask with {}, or leave it out", old.saturating_add(1)),
            )
        })
    };
    counters.into_iter().filter_map(decrease).collect()
}
