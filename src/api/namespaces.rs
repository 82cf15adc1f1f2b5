//! Namespaces, shown: each is there while a game is in it.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Kind};
use super::request::Names;
use super::wire::NAMESPACES;

const FIELDS: [&str; 2] = ["metadata.name", "status.phase"];

/// `GET /api/v1/namespaces`.
pub(super) async fn list(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Kind::Namespace, None, &FIELDS, asked).await
}

/// `GET /api/v1/namespaces/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    asked: Asked,
) -> Result<Json<Value>, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    let found = shared.hub.namespace(&name).await?;
    let found = found.ok_or(ApiError::NotFound { resource: NAMESPACES, name })?;
    Ok(Json(found.shown().value()))
}

/// Every write of a namespace.
pub(super) async fn refuse() -> ApiError {
    ApiError::OnlyShown(
        "a namespace is there while a game is in it, and is neither made nor removed by itself; \
         create a game in it, or delete its games",
    )
}
