//! What is decided about a container that belongs to no game: it gets one, or it goes.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::known::known;
use super::{conflict, invalid, the_one};
use crate::api::Shared;
use crate::api::body::RawBody;
use crate::api::error::ApiError;
use crate::api::preview;
use crate::api::request::{Names, Write};
use crate::api::wire::{CONTROLLERS, GAMES, GameObject, Status};
use crate::game::controller::Orphan;
use crate::game::manifest::{
    DEFAULT_NAMESPACE, GameManifest, GameSpecManifest, ObjectMeta, SpecProblem, validate_game,
};
use crate::game::{DesiredStatus, EngineVersion, GameId, Name, Namespace};
use crate::store::WriteError;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Adoption {
    game_id: GameId,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Removal {
    game_id: GameId,
}

/// `POST …/controllers/gamekeeper/adopt`: the container's game gets a row, and goes on.
pub(in crate::api) async fn adopt(
    State(shared): State<Shared>,
    Names(controller): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<(StatusCode, Json<GameObject>), ApiError> {
    the_one(&controller)?;
    let Adoption { game_id, namespace, name } = body.read()?;
    let orphan = orphan(&shared, game_id).await?;
    let namespace: Namespace = parsed("namespace", namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE))?;
    let name: Name = match name {
        Some(name) => parsed("name", &name)?,
        None => orphan.name.parse().map_err(|_| unusable("name", "name"))?,
    };
    let version: EngineVersion =
        orphan.engine_version.parse().map_err(|_| unusable("gameId", "engine version"))?;
    let store = &shared.api.store;
    if write.dry_run {
        if store.game(namespace.as_str(), name.as_str()).await?.is_some() {
            return Err(taken(&namespace, &name));
        }
        return Ok((StatusCode::CREATED, Json(tried(&orphan, &namespace, &name, &version)?)));
    }
    match store.adopt_game(game_id, &namespace, &name, &version, &write.author).await {
        Ok(game) => {
            tracing::warn!(%game_id, %name, who = %write.author.requested_by, "an operator adopts a container");
            Ok((StatusCode::CREATED, Json(game.into())))
        }
        Err(WriteError::AlreadyExists) => Err(taken(&namespace, &name)),
        Err(error) => Err(ApiError::of_write(GAMES, name.as_str(), error)),
    }
}

/// `POST …/controllers/gamekeeper/remove`: the container goes, the state directory stays.
pub(in crate::api) async fn remove(
    State(shared): State<Shared>,
    Names(controller): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Status>, ApiError> {
    the_one(&controller)?;
    let Removal { game_id } = body.read()?;
    let orphan = orphan(&shared, game_id).await?;
    let path = shared.api.runtime.state_path(game_id);
    if !write.dry_run {
        let namespace: Namespace = parsed("gameId", DEFAULT_NAMESPACE)?;
        match shared.api.store.bury_game(game_id, &namespace, &write.author).await {
            Ok(()) => {
                tracing::warn!(%game_id, who = %write.author.requested_by, "an operator has a container removed");
            }
            Err(WriteError::AlreadyExists) => {
                return Err(conflict(format!(
                    "game {game_id} has a row now; end it with DELETE on the game"
                )));
            }
            Err(error) => return Err(ApiError::of_write(CONTROLLERS, crate::game::controller::NAME, error)),
        }
    }
    let message = format!(
        "container {} of game {game_id} is stopped and removed; its state directory {path} stays",
        orphan.container_id
    );
    Ok(Json(Status::success(CONTROLLERS, &game_id.to_string(), message)))
}

/// The container that belongs to no game, and names this one.
async fn orphan(shared: &Shared, game: GameId) -> Result<Orphan, ApiError> {
    let orphans = known(shared, "which containers belong to no game", |status| status.orphans).await?;
    if let Some(orphan) = orphans.iter().find(|orphan| orphan.game_id == game) {
        return Ok(orphan.clone());
    }
    let known: Vec<String> =
        orphans.iter().map(|orphan| format!("{} ({})", orphan.game_id, orphan.name)).collect();
    let known =
        if known.is_empty() { "there is none now".into() } else { format!("there are {}", known.join(", ")) };
    Err(conflict(format!("no container that belongs to no game names game {game}; {known}")))
}

fn parsed<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: T::Err| invalid(vec![SpecProblem::new(field, error.to_string())]))
}

fn unusable(field: &str, what: &str) -> ApiError {
    let message = format!("the container's label says no {what} that can be used; name one");
    invalid(vec![SpecProblem::new(field, message)])
}

fn taken(namespace: &Namespace, name: &Name) -> ApiError {
    let why = format!(
        "namespace {namespace} has a game of this name, or this game has a row by now; \
         adopt it under another name"
    );
    ApiError::Conflict { resource: GAMES, name: name.to_string(), why }
}

fn tried(
    orphan: &Orphan,
    namespace: &Namespace,
    name: &Name,
    version: &EngineVersion,
) -> Result<GameObject, ApiError> {
    let metadata = ObjectMeta {
        name: name.to_string(),
        namespace: Some(namespace.to_string()),
        ..ObjectMeta::default()
    };
    let spec = GameSpecManifest {
        engine_version: Some(version.to_string()),
        ..GameSpecManifest::new(DesiredStatus::Running)
    };
    let manifest = GameManifest::new(metadata, spec);
    let valid = validate_game(&manifest).map_err(invalid)?;
    let mut object = preview::game(&manifest, &valid, None);
    object.metadata.uid = Some(orphan.game_id.to_string());
    Ok(object)
}
