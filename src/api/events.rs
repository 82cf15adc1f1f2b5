//! Events, in the shape of Kubernetes' core group.

use axum::extract::State;
use axum::response::Response;

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Kind};
use super::request::Names;
use crate::game::controller;
use crate::store::EventFilter;

const FIELDS: [&str; 9] = [
    "metadata.name",
    "reason",
    "type",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.kind",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "metadata.namespace",
];

/// Those that the database looks at, where events of one object are asked for.
const OF_ONE: [&str; 5] = [
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.kind",
    "involvedObject.uid",
    "metadata.namespace",
];

/// How many of one object are told at most: the latest.
const MOST: u64 = 1_000;

/// `GET /api/v1/events`.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    list_some(&shared, None, asked).await
}

/// `GET /api/v1/namespaces/{ns}/events`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    list_some(&shared, Some(namespace), asked).await
}

async fn list_some(shared: &Shared, namespace: Option<String>, asked: Asked) -> Result<Response, ApiError> {
    let selection = asked.parameters.selectors(&FIELDS)?;
    let of_one = ["involvedObject.name", "involvedObject.uid"].iter().any(|field| selection.names(field));
    if !of_one || asked.parameters.watches() || asked.parameters.continued().is_some() {
        return hub::list(shared, Kind::Event, namespace, &FIELDS, asked).await;
    }
    // Of one object everything is told that is kept, and not only the latest of all.
    let latest = asked.parameters.latest()?.map_or(MOST, |latest| latest as u64);
    let limit = asked.parameters.limit(latest, MOST)?;
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
    // A watch that goes on from here tells everything that is not in the list.
    let version = shared.hub.caught_up(Kind::Event).await?;
    let found = shared.api.store.find_events(&filter, limit).await?;
    Ok(hub::list_read(&shared.hub, version, found, &selection.without(&OF_ONE)))
}
