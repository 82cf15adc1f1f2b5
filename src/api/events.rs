//! Events, in the shape of Kubernetes' core group.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::error::ApiError;
use super::request::{Names, Parameters};
use super::select::ListParameters;
use super::wire::{Event, List};
use crate::game::controller;
use crate::store::EventFilter;

const FIELDS: [&str; 5] = [
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.kind",
    "involvedObject.uid",
    "metadata.namespace",
];

/// How many are told at most: the latest.
const MOST: u64 = 1_000;

/// `GET /api/v1/events`.
pub(super) async fn list_all(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<Event>>, ApiError> {
    list_some(&shared, None, &parameters).await
}

/// `GET /api/v1/namespaces/{ns}/events`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<Event>>, ApiError> {
    list_some(&shared, Some(namespace), &parameters).await
}

async fn list_some(
    shared: &Shared,
    namespace: Option<String>,
    parameters: &ListParameters,
) -> Result<Json<List<Event>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    let limit = parameters.limit(MOST, MOST)?;
    let required = |field: &str| selection.required(field).map(|value| value.map(str::to_owned));
    let kind = required("involvedObject.kind")?;
    // Of an object without namespace, kubectl asks for the empty one.
    let of_object = required("involvedObject.namespace")?.filter(|namespace| !namespace.is_empty());
    let filter = EventFilter {
        namespace: namespace.or(required("metadata.namespace")?).or(of_object),
        name: required("involvedObject.name")?,
        // There is one controller, and its events are not written down by its uid.
        uid: required("involvedObject.uid")?.filter(|_| kind.as_deref() != Some(controller::KIND)),
        kind,
    };
    let version = shared.api.store.desired_seq().await?;
    let found = shared.api.store.find_events(&filter, limit).await?;
    Ok(Json(List::new("v1", "Event", version, found.into_iter().map(Event::from).collect())))
}
