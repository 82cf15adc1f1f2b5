//! Pages of what happened: each goes on behind the last row of the one before. What comes meanwhile
//! is at the other end, or is not seen.

use axum::Json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::error::ApiError;
use super::select::ListParameters;
use super::wire::{List, Resource};
use crate::game::manifest::API_VERSION;
use crate::store::Mark;

/// Behind which row a list begins.
pub(super) fn behind(parameters: &ListParameters) -> Result<Option<Mark>, ApiError> {
    let Some(text) = parameters.continued() else { return Ok(None) };
    let read = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mark = read.ok_or_else(|| {
        ApiError::BadRequest("the continue token is none of this list's; list from the beginning".into())
    })?;
    Ok(Some(mark))
}

/// A page, read at this version or later, of at most so many, of which one more was asked for. A client that set no limit is told of
/// no further page.
pub(super) fn page<T, O: Serialize + From<T>>(
    version: u64,
    resource: Resource,
    parameters: &ListParameters,
    limit: u64,
    mut found: Vec<T>,
    mark: impl Fn(&T) -> Mark,
) -> Result<Json<List<O>>, ApiError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(mark).filter(|_| more);
    let items: Vec<O> = found.into_iter().map(O::from).collect();
    let mut list = List::new(API_VERSION, resource.kind, version, items);
    if let (Some(last), Some(_)) = (last, parameters.page()?) {
        let json = serde_json::to_vec(&last).map_err(|error| ApiError::Internal(error.into()))?;
        list.metadata.continued = URL_SAFE_NO_PAD.encode(json);
    }
    Ok(Json(list))
}
