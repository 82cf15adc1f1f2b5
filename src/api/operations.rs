//! The operation log, which outlives its games.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Kind};
use super::past;
use super::request::Names;
use super::wire::{OPERATIONS, Operation};
use crate::game::OperationId;
use crate::store::{GameFilter, Mark, OperationFilter};

const FIELDS: [&str; 6] =
    ["metadata.name", "spec.game", "spec.gameId", "spec.generation", "spec.op", "metadata.namespace"];

/// How many are told where no limit is given, and at most.
const USUAL: u64 = 50;
const MOST: u64 = 1_000;

/// `GET …/operations` of all namespaces.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    list_some(&shared, None, asked).await
}

/// `GET …/namespaces/{ns}/operations`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    list_some(&shared, Some(namespace), asked).await
}

/// `GET …/namespaces/{ns}/operations/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<Operation>, ApiError> {
    let found = match name.parse() {
        Ok(id) => shared.api.store.these_operations(&[OperationId(id)]).await?.pop(),
        Err(_) => None,
    };
    let found = found.filter(|operation| operation.namespace == namespace);
    found.map(|operation| Json(operation.into())).ok_or(ApiError::NotFound { resource: OPERATIONS, name })
}

async fn list_some(shared: &Shared, namespace: Option<String>, asked: Asked) -> Result<Response, ApiError> {
    if asked.parameters.watches() {
        return hub::list(shared, Kind::Operation, namespace, &FIELDS, asked).await;
    }
    let parameters = &asked.parameters;
    let selection = parameters.selection(&FIELDS)?;
    let limit = parameters.limit(USUAL, MOST)?;
    let GameFilter { namespace, name, game } = selection.games(namespace)?;
    let generation = selection.whole("spec.generation")?;
    let op = selection.required("spec.op")?.map(str::to_owned);
    let behind = past::behind(parameters)?;
    let id = selection.required("metadata.name")?.map(|name| name.parse().unwrap_or_default());
    let filter = OperationFilter { id, namespace, name, game, generation, op, behind };
    // A watch that goes on from here tells everything that is not in the list.
    let version = shared.hub.caught_up(Kind::Operation).await?;
    let found = shared.api.store.find_operations(&filter, limit + 1).await?;
    let page = past::page::<_, Operation>(version, OPERATIONS, parameters, limit, found, |row| {
        Mark::new(row.operation.created_at, row.operation.id.0)
    })?;
    Ok(page.into_response())
}
