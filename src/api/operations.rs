//! The operation log, which outlives its games.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::error::ApiError;
use super::request::{Names, Parameters, number};
use super::select::ListParameters;
use super::wire::{List, Operation};
use crate::game::manifest::API_VERSION;
use crate::store::OperationFilter;

const FIELDS: [&str; 4] = ["spec.game", "spec.gameId", "spec.generation", "metadata.namespace"];

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
    let limit =
        number("limit", parameters.limit.as_deref())?.filter(|limit| *limit > 0).unwrap_or(USUAL).min(MOST);
    let generation = selection.required("spec.generation")?.map(|text| {
        text.parse().map_err(|_| ApiError::BadRequest("spec.generation has to be a whole number".into()))
    });
    let game = selection.required("spec.gameId")?.map(|text| {
        text.parse().map_err(|error: crate::game::id::InvalidId| {
            ApiError::BadRequest(format!("spec.gameId: {error}"))
        })
    });
    let filter = OperationFilter {
        namespace: namespace.or(selection.required("metadata.namespace")?.map(str::to_owned)),
        name: selection.required("spec.game")?.map(str::to_owned),
        game: game.transpose()?,
        generation: generation.transpose()?,
    };
    let version = shared.api.store.desired_seq().await?;
    let found = shared.api.store.find_operations(&filter, limit).await?;
    Ok(Json(List::new(API_VERSION, "Operation", version, found.into_iter().map(Operation::from).collect())))
}
