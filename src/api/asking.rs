//! What the controller would do about a game, and why. Nothing is changed by asking.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::Shared;
use super::body::RawBody;
use super::error::ApiError;
use super::games;
use super::request::{Names, Write};
use super::wire::{ENGINE_VERSIONS, ExplanationMeta, ExplanationObject, GAMES};
use super::write::{Target, refuse_version_at_creation};
use crate::controller::NoAnswer;
use crate::game::manifest::{validate_engine_version, validate_game};
use crate::game::spec::VersionEntry;
use crate::reconcile::explain::Explanation;
use crate::store::Preconditions;

/// How long the loop may think about a question.
const ANSWER: Duration = Duration::from_secs(5);

/// `GET …/games/{name}/explain`.
pub(super) async fn explain(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<ExplanationObject>, ApiError> {
    // A game whose row is gone has an engine for a while yet, and that is when one asks.
    let known = shared.api.store.known_game(&namespace, &name).await?;
    let id = known.ok_or_else(|| ApiError::NotFound { resource: GAMES, name: name.clone() })?;
    let row = shared.api.store.game(&namespace, &name).await?;
    let explanation = answer(shared.api.asker.explain(id)).await?;
    // What the controller knows may be older than the row.
    let declared = row.filter(|game| game.id == id).and_then(|game| game.manifest.metadata.generation);
    let explanation = match declared {
        Some(declared) if declared > explanation.generation => explanation.of_older_generation(declared),
        _ => explanation,
    };
    let metadata = ExplanationMeta { name, namespace, uid: Some(id.to_string()) };
    Ok(Json(ExplanationObject::new(metadata, explanation)))
}

/// `POST …/games/{name}/plan`: a Game, or a List of it with the engine versions that come with it.
pub(super) async fn plan(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Json<ExplanationObject>, ApiError> {
    let target = Target { resource: GAMES, namespace: Some(&namespace), name: Some(&name) };
    let Proposal { game, versions } = Proposal::read(body.object()?)?;
    let versions = versions.into_iter().map(version).collect::<Result<Vec<_>, _>>()?;
    let manifest = target.game(game)?;
    let valid = target.validated(&name, validate_game(&manifest))?;
    let store = &shared.api.store;
    let current = store.game(&namespace, &name).await?;
    let preconditions = match &current {
        Some(_) => games::preconditions(&shared, &namespace, &name, &valid)?,
        None => Preconditions::default(),
    };
    match &current {
        Some(current) => {
            games::admissible(current, &valid, &preconditions)
                .map_err(|error| games::refused(&name, error))?;
        }
        None => refuse_version_at_creation(&manifest.metadata)?,
    }
    let desired = store
        .forecast_game(&manifest, &valid, &versions, &preconditions, &write.author)
        .await
        .map_err(|error| ApiError::of_write(GAMES, &name, error))?;
    let uid = current.map(|game| game.id.to_string());
    let explanation = answer(shared.api.asker.forecast(desired)).await?;
    Ok(Json(ExplanationObject::new(ExplanationMeta { name, namespace, uid }, explanation)))
}

/// What is proposed, unread.
struct Proposal {
    game: Value,
    versions: Vec<Value>,
}

impl Proposal {
    fn read(mut body: Value) -> Result<Self, ApiError> {
        if body["kind"] != "List" {
            return Ok(Self { game: body, versions: Vec::new() });
        }
        let wrong = |message: &str| Err(ApiError::BadRequest(message.into()));
        let Value::Array(items) = body["items"].take() else {
            return wrong("a List has its objects in `items`");
        };
        let (versions, mut games): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item["kind"] == ENGINE_VERSIONS.kind);
        match (games.pop(), games.pop()) {
            (Some(game), None) => Ok(Self { game, versions }),
            _ => wrong("a plan is made for one game; send a List of it and of engine versions, or it alone"),
        }
    }
}

fn version(body: Value) -> Result<VersionEntry, ApiError> {
    let target = Target { resource: ENGINE_VERSIONS, namespace: None, name: None };
    let manifest = target.version(body)?;
    let name = manifest.metadata.name.clone();
    Ok(target.validated(&name, validate_engine_version(&manifest))?.entry)
}

async fn answer(asked: impl Future<Output = Result<Explanation, NoAnswer>>) -> Result<Explanation, ApiError> {
    let answer = tokio::time::timeout(ANSWER, asked).await.unwrap_or(Err(NoAnswer::NotNow));
    answer.map_err(|why| ApiError::Unavailable(why.to_string()))
}
