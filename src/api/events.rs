//! Events, in the shape of Kubernetes' core group and in that of its events group.

use axum::extract::State;
use axum::response::Response;

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Key, Kind, Served};
use super::request::Names;
use super::wire::{DEPLOYMENTS, GAMES, PODS, Resource, uid_of};
use crate::game::controller;
use crate::game::manifest::API_VERSION;
use crate::store::EventFilter;

/// One of the two shapes.
struct Shape {
    served: Served,
    /// What can be selected by.
    fields: [&'static str; 9],
    /// What says whose they are: its name, kind, namespace, uid and version of the API.
    object: [&'static str; 5],
}

fn core() -> Shape {
    Shape {
        served: Kind::Event.into(),
        fields: [
            "metadata.name",
            "reason",
            "type",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.kind",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "metadata.namespace",
        ],
        object: [
            "involvedObject.name",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.uid",
            "involvedObject.apiVersion",
        ],
    }
}

fn of_group() -> Shape {
    Shape {
        served: Served::EVENTS,
        fields: [
            "metadata.name",
            "reason",
            "type",
            "regarding.name",
            "regarding.namespace",
            "regarding.kind",
            "regarding.uid",
            "regarding.apiVersion",
            "metadata.namespace",
        ],
        object: [
            "regarding.name",
            "regarding.kind",
            "regarding.namespace",
            "regarding.uid",
            "regarding.apiVersion",
        ],
    }
}

/// How many of one object are told at most: the latest.
const MOST: u64 = 1_000;

/// `GET /api/v1/events`.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    list_some(&shared, &core(), None, asked).await
}

/// `GET /api/v1/namespaces/{ns}/events`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    list_some(&shared, &core(), Some(namespace), asked).await
}

/// `GET /apis/events.k8s.io/v1/events`.
pub(super) async fn list_all_of_group(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, ApiError> {
    list_some(&shared, &of_group(), None, asked).await
}

/// `GET /apis/events.k8s.io/v1/namespaces/{ns}/events`.
pub(super) async fn list_of_group(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    list_some(&shared, &of_group(), Some(namespace), asked).await
}

async fn list_some(
    shared: &Shared,
    shape: &Shape,
    namespace: Option<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let selection = asked.parameters.selectors(&shape.fields)?;
    let [name_field, kind_field, namespace_field, uid_field, version_field] = shape.object;
    let of_one = [name_field, uid_field].iter().any(|field| selection.names(field));
    if !of_one || asked.parameters.watches() || asked.parameters.continued().is_some() {
        return hub::list(shared, shape.served, namespace, &shape.fields, asked).await;
    }
    // Of one object everything is told that is kept, and not only the latest of all.
    let latest = asked.parameters.latest()?.map_or(MOST, |latest| latest as u64);
    let limit = asked.parameters.limit(latest, MOST)?;
    let required = |field: &str| selection.required(field).map(|value| value.map(str::to_owned));
    let kind = required(kind_field)?;
    // There is one controller, and its events are not written down by its uid.
    let uid = required(uid_field)?.filter(|_| kind.as_deref() != Some(controller::KIND));
    // Of an object without namespace, kubectl asks for the empty one.
    let of_object = required(namespace_field)?.filter(|namespace| !namespace.is_empty());
    let namespace = namespace.or(required("metadata.namespace")?).or(of_object);
    let name = required(name_field)?;
    let uid = match uid {
        Some(uid) => Some(of_its_game(shared, namespace.as_deref(), name.as_deref(), uid).await?),
        None => None,
    };
    let is_view = kind.as_deref().is_some_and(|kind| VIEWS.iter().any(|view| view.kind == kind));
    let kind = if is_view { Some(GAMES.kind.to_owned()) } else { kind };
    // The kinds are told apart by their names; of any other group nothing is told.
    let version_known = required(version_field)?.is_none_or(|version| GROUPS.contains(&version.as_str()));
    let filter = EventFilter { namespace, name, uid, kind };
    // A watch that goes on from here tells everything that is not in the list.
    let version = shared.hub.caught_up(Kind::Event).await?;
    let found = if version_known { shared.api.store.find_events(&filter, limit).await? } else { Vec::new() };
    // These have been looked at.
    let looked_at = shape.object.into_iter().chain(["metadata.namespace"]).collect::<Vec<_>>();
    Ok(hub::list_read(&shared.hub, shape.served, version, found, &selection.without(&looked_at)))
}

/// What happens to an engine's container is told of its game.
const VIEWS: [Resource; 2] = [PODS, DEPLOYMENTS];

/// Whose events there are.
const GROUPS: [&str; 3] = [API_VERSION, "v1", "apps/v1"];

/// The identity of the game, if this is that of a view of it.
async fn of_its_game(
    shared: &Shared,
    namespace: Option<&str>,
    name: Option<&str>,
    uid: String,
) -> Result<String, ApiError> {
    let (Some(namespace), Some(name)) = (namespace, name) else { return Ok(uid) };
    shared.hub.loaded(Kind::Game).await?;
    let game = shared.hub.held(Kind::Game, &Key::new(namespace, name));
    let of_view = |game: &str| VIEWS.iter().any(|view| uid_of(view.kind, game) == uid);
    let game = game.map(|game| game.uid().to_owned()).filter(|game| of_view(game));
    Ok(game.unwrap_or(uid))
}
