//! The operation log, which outlives its games.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::error::ApiError;
use super::past;
use super::request::{Names, Parameters};
use super::select::ListParameters;
use super::wire::{List, OPERATIONS, Operation};
use crate::store::{GameFilter, Mark, OperationFilter};

const FIELDS: [&str; 5] = ["spec.game", "spec.gameId", "spec.generation", "spec.op", "metadata.namespace"];

/// How many are told where no limit is given, and at most.
const USUAL: u64 = 50;
const MOST: u64 = 1_000;

/// `GET …/operations` of all namespaces.
pub(super) async fn list_all(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<Operation>>, ApiError> {
    list_some(&shared, None, &parameters).await
}

/// `GET …/namespaces/{ns}/operations`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<Operation>>, ApiError> {
    list_some(&shared, Some(namespace), &parameters).await
}

async fn list_some(
    shared: &Shared,
    namespace: Option<String>,
    parameters: &ListParameters,
) -> Result<Json<List<Operation>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    let limit = parameters.limit(USUAL, MOST)?;
    let GameFilter { namespace, name, game } = selection.games(namespace)?;
    let generation = selection.whole("spec.generation")?;
    let op = selection.required("spec.op")?.map(str::to_owned);
    let behind = past::behind(parameters)?;
    let filter = OperationFilter { namespace, name, game, generation, op, behind };
    let found = shared.api.store.find_operations(&filter, limit + 1).await?;
    past::page::<_, Operation>(shared, OPERATIONS, parameters, limit, found, |row| {
        Mark::new(row.operation.created_at, row.operation.id.0)
    })
}
