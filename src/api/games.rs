//! Games: listed, read, and their desired state written.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::Shared;
use super::backups;
use super::body::RawBody;
use super::change::{Answer, Change, Found};
use super::error::ApiError;
use super::hub::{self, Asked, Key, Kind};
use super::preview;
use super::request::{Names, Write, delete_options, stated};
use super::wire::{GAMES, GameObject};
use super::write::{ATTEMPTS, Target, refuse_version_at_creation};
use crate::game::manifest::{SpecProblem, ValidGame, validate_game};
use crate::reconcile::plan::DELETIONS_HELD;
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
) -> Result<Json<Value>, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    Ok(Json(seen(&shared, &namespace, &name).await?))
}

/// The game of this name, as lists and watches have it.
pub(super) async fn seen(shared: &Shared, namespace: &str, name: &str) -> Result<Value, ApiError> {
    let found = shared.hub.game(namespace, name).await?;
    let found = found.ok_or_else(|| ApiError::NotFound { resource: GAMES, name: name.to_owned() })?;
    Ok(found.shown().value())
}

/// A game after a write, as lists and watches have it.
async fn after_write(shared: &Shared, written: StoredGame) -> Result<Value, ApiError> {
    let metadata = &written.manifest.metadata;
    match seen(shared, metadata.namespace.as_deref().unwrap_or_default(), &metadata.name).await {
        // It is gone already: what was written is what there was.
        Err(ApiError::NotFound { .. }) => {
            let mut object = GameObject::from(written);
            object.metadata.resource_version = Some(shared.hub.version().to_string());
            Ok(json!(object))
        }
        seen => seen,
    }
}

/// `POST …/games`.
pub(super) async fn create(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let body = body.object_as(write.validation, &mut warnings)?;
    let target = Target { resource: GAMES, namespace: Some(&namespace), name: None };
    let created = make(&shared, &target, &write, &Change::Replace(body)).await?;
    Ok(created.after(warnings))
}

/// `PUT …/games/{name}`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let change = Change::Replace(body.object_as(write.validation, &mut warnings)?);
    Ok(write_game(&shared, &namespace, &name, &write, &change).await?.after(warnings))
}

/// `PATCH …/games/{name}`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let (change, write) = body.patch(write.validation, &mut warnings)?.of(write)?;
    Ok(write_game(&shared, &namespace, &name, &write, &change).await?.after(warnings))
}

/// `PUT` and `PATCH …/games/{name}/status`.
pub(super) async fn refuse_status() -> ApiError {
    ApiError::Forbidden(
        "a game's status is written by the controller alone; change its spec, or its row for what is desired"
            .into(),
    )
}

/// Changes a game; an apply makes one that is not there.
pub(super) async fn write_game(
    shared: &Shared,
    namespace: &str,
    name: &str,
    write: &Write,
    change: &Change,
) -> Result<Answer<Value>, ApiError> {
    let target = Target { resource: GAMES, namespace: Some(namespace), name: Some(name) };
    let store = &shared.api.store;
    for _ in 0..ATTEMPTS {
        let Some(current) = store.game(namespace, name).await? else {
            if !matches!(change, Change::Apply(_)) {
                return Err(target.not_found());
            }
            match make(shared, &target, write, change).await {
                Err(ApiError::AlreadyExists { .. }) => continue,
                made => return made,
            }
        };
        let read = json!(GameObject::from(current.clone()));
        // It has changed since it was read: what is there now is asked for.
        let Some(found) = Found::new(shared, Kind::Game, read, &current.managed).await? else { continue };
        let mut draft = change.of(&target, write, &found)?;
        let mut warnings = Vec::new();
        let manifest = target.game_as(draft.body.take(), write.validation, &mut warnings)?;
        let valid = target.validated(name, validate_game(&manifest))?;
        // What is written is the object as it was read: it must still be that one.
        let preconditions = Preconditions {
            uid: current.manifest.metadata.uid.clone(),
            resource_version: current.manifest.metadata.resource_version.clone(),
        };
        admissible(&current, &valid, &preconditions).map_err(|error| refused(name, error))?;
        let mut after = preview::game(&manifest, &valid, Some(&current));
        let managed = draft.kept(&target, write, &json!(after));
        if write.dry_run {
            backups::try_restore(shared, &current, &after).await?;
            after.metadata.managed_fields = managed.entries();
            after.metadata.resource_version = Some(found.version().to_owned());
            return Ok(Answer::ok(json!(after)).after(warnings));
        }
        match store.replace_game(&manifest, &valid, &preconditions, &managed, &write.author).await {
            Err(WriteError::Conflict(_)) => {}
            Err(error) => return Err(ApiError::of_write(GAMES, name, error)),
            Ok(written) => {
                let shown = after_write(shared, written.into_inner()).await?;
                return Ok(Answer::ok(shown).after(warnings));
            }
        }
    }
    Err(refused(name, Refused::Write(Conflict::Modified.into())))
}

/// Makes a game.
async fn make(
    shared: &Shared,
    target: &Target<'_>,
    write: &Write,
    change: &Change,
) -> Result<Answer<Value>, ApiError> {
    let mut draft = change.of_nothing(target, write)?;
    let mut warnings = Vec::new();
    let manifest = target.game_as(draft.body.take(), write.validation, &mut warnings)?;
    refuse_version_at_creation(&manifest.metadata)?;
    let name = manifest.metadata.name.clone();
    let valid = target.validated(&name, validate_game(&manifest))?;
    let mut after = preview::game(&manifest, &valid, None);
    let managed = draft.kept(target, write, &json!(after));
    let store = &shared.api.store;
    if write.dry_run {
        if store.game(valid.namespace.as_str(), &name).await?.is_some() {
            return Err(ApiError::AlreadyExists { resource: GAMES, name });
        }
        after.metadata.managed_fields = managed.entries();
        return Ok(Answer::created(json!(after)).after(warnings));
    }
    let created = store
        .create_game(&manifest, &valid, &managed, &write.author)
        .await
        .map_err(|error| ApiError::of_write(GAMES, &name, error))?;
    Ok(Answer::created(after_write(shared, created).await?).after(warnings))
}

/// `DELETE …/games/{name}`.
pub(super) async fn delete(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let (mut preconditions, tried) = delete_options(body.optional()?)?;
    let key = Key::new(&namespace, &name);
    preconditions.resource_version =
        shared.hub.row_version(Kind::Game, &key, preconditions.resource_version.as_deref())?;
    if write.dry_run || tried {
        let current = present(&shared, &namespace, &name).await?;
        check(&current, &preconditions).map_err(|error| refused(&name, error))?;
        return Ok(Answer::ok(after_write(&shared, current).await?));
    }
    let store = &shared.api.store;
    let leaving = store.request_deletion(&namespace, &name, &preconditions, &write.author).await;
    match leaving {
        Ok(game) => {
            let object = after_write(&shared, game).await?;
            Ok(after_decision(&shared, key, object).await)
        }
        Err(error) => Err(ApiError::of_write(GAMES, &name, error)),
    }
}

/// The longest wait for the controller's decision about a deletion. It takes some tens of milliseconds;
/// without a controller there is none.
const DECISION_TIMEOUT: Duration = Duration::from_secs(1);

/// The answer to a deletion, with a warning if the guard against mass deletion holds it: whoever asked
/// would wait for its end without a word.
async fn after_decision(shared: &Shared, key: Key, object: Value) -> Answer<Value> {
    let acts = {
        let status = shared.api.controller.borrow();
        status.started || status.stands_by
    };
    if !acts {
        return Answer::ok(object);
    }
    let is_decided = |object: Option<&Value>| {
        object.is_none_or(|object| {
            is_held(object)
                || object.pointer("/status/phase").and_then(Value::as_str) == Some("Stopping")
                || object.pointer("/status/reason").and_then(Value::as_str) == Some("Deleting")
        })
    };
    let object = shared.hub.until(Kind::Game, &key, is_decided, DECISION_TIMEOUT).await.unwrap_or(object);
    let message = object.pointer("/status/message").and_then(Value::as_str).unwrap_or_default();
    let warnings = if is_held(&object) { vec![format!("{DELETIONS_HELD}: {message}")] } else { Vec::new() };
    Answer::ok(object).after(warnings)
}

fn is_held(object: &Value) -> bool {
    object.pointer("/status/reason").and_then(Value::as_str) == Some(DELETIONS_HELD)
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
