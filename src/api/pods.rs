//! Pods: the games' containers, shown. What would need a hand inside a container is not possible yet.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Served};
use super::request::Names;
use super::wire::PODS;

const FIELDS: [&str; 6] = [
    "metadata.name",
    "metadata.namespace",
    "status.phase",
    "spec.nodeName",
    "spec.restartPolicy",
    "status.podIP",
];

/// `GET /api/v1/pods`.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Served::PODS, None, &FIELDS, asked).await
}

/// `GET /api/v1/namespaces/{ns}/pods`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    hub::list(&shared, Served::PODS, Some(namespace), &FIELDS, asked).await
}

/// `GET /api/v1/namespaces/{ns}/pods/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    asked: Asked,
) -> Result<Json<Value>, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    let game = shared.hub.game(&namespace, &name).await?;
    let pod = game.and_then(|game| Served::PODS.of(&game));
    let pod = pod.ok_or(ApiError::NotFound { resource: PODS, name })?;
    Ok(Json(pod.shown().value()))
}

/// Every write of a Pod.
pub(super) async fn refuse() -> ApiError {
    ApiError::OnlyShown(
        "a Pod is a game's container, shown, and is not written or deleted by itself; restart it with \
         `kubectl rollout restart deploy/NAME`, stop it with `kubectl scale deploy/NAME --replicas=0`, and \
         change or delete the game",
    )
}

/// `…/pods/{name}/exec`, `attach`, `portforward` and `proxy`.
pub(super) async fn not_yet(Names((_, name)): Names<(String, String)>) -> ApiError {
    impossible(&name)
}

/// `…/pods/{name}/proxy/{path}`.
pub(super) async fn not_yet_below(Names((_, name, _)): Names<(String, String, String)>) -> ApiError {
    impossible(&name)
}

fn impossible(name: &str) -> ApiError {
    ApiError::NotImplemented(format!(
        "exec, attach, cp, port-forward and proxy are not possible here yet; on the host of Docker, ask \
         `docker exec` about the container that `kubectl get gm {} -o wide` names",
        name.chars().take(128).collect::<String>()
    ))
}
