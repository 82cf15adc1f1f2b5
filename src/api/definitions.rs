//! The kinds of our own group as definitions, shown.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Kind};
use super::request::Names;
use super::wire::DEFINITIONS;

const FIELDS: [&str; 1] = ["metadata.name"];

/// `GET …/customresourcedefinitions`.
pub(super) async fn list(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Kind::Definition, None, &FIELDS, asked).await
}

/// `GET …/customresourcedefinitions/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    asked: Asked,
) -> Result<Json<Value>, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    let found = shared.hub.definition(&name).await?;
    let found = found.ok_or(ApiError::NotFound { resource: DEFINITIONS, name })?;
    Ok(Json(found.shown().value()))
}

/// Every write of a definition.
pub(super) async fn refuse() -> ApiError {
    ApiError::OnlyShown(
        "the kinds are built in: definitions are shown to those who look for them, and others cannot be made",
    )
}
