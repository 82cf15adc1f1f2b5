//! `…/scale`: a game is one engine or none, in the words of autoscaling.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Shared;
use super::body::{PatchBody, RawBody};
use super::change::{Answer, Change};
use super::deployments::uid;
use super::error::ApiError;
use super::games::{seen, write_game};
use super::request::{Names, Write};
use super::wire::{DEPLOYMENTS, GAME_LABEL, GAMES, Resource};
use super::{steps, strategic};
use crate::game::DesiredStatus;
use crate::game::manifest::SpecProblem;

/// `GET …/games/{name}/scale`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(scale(GAMES, &seen(&shared, &namespace, &name).await?)))
}

/// `PUT …/games/{name}/scale`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    set(&shared, &namespace, &name, write, GAMES, &body.object()?).await
}

/// `PATCH …/games/{name}/scale`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    patched(&shared, &namespace, &name, write, GAMES, &body).await
}

/// `GET …/deployments/{name}/scale`.
pub(super) async fn get_of_deployment(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(scale(DEPLOYMENTS, &seen(&shared, &namespace, &name).await?)))
}

/// `PUT …/deployments/{name}/scale`.
pub(super) async fn replace_of_deployment(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    set(&shared, &namespace, &name, write, DEPLOYMENTS, &body.object()?).await
}

/// `PATCH …/deployments/{name}/scale`.
pub(super) async fn patch_of_deployment(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    patched(&shared, &namespace, &name, write, DEPLOYMENTS, &body).await
}

async fn patched(
    shared: &Shared,
    namespace: &str,
    name: &str,
    write: Write,
    of: Resource,
    body: &RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut wanted = scale(of, &seen(shared, namespace, name).await?);
    // Whoever names a version means it; who does not, means the game as it is.
    wanted["metadata"]["resourceVersion"].take();
    if let Some(patch) = body.strategic_patch()? {
        // As kubectl patches a kind that it knows, this sub-resource included.
        strategic::merge(&mut wanted, &patch).map_err(|directive| {
            invalid(of, name, "patch", format!("`{directive}` is not read here; send a merge patch"))
        })?;
        return set(shared, namespace, name, write, of, &wanted).await;
    }
    match body.patch(write.validation, &mut Vec::new())? {
        PatchBody::Merge(patch) => json_patch::merge(&mut wanted, &patch),
        PatchBody::Json(patch) => {
            steps::apply(&mut wanted, &patch).map_err(|message| invalid(of, name, "patch", message))?;
        }
        PatchBody::Apply(_) => {
            return Err(ApiError::UnsupportedMediaType(
                "a scale is not applied; send a merge patch, or apply the game with spec.desiredStatus"
                    .into(),
            ));
        }
    }
    set(shared, namespace, name, write, of, &wanted).await
}

async fn set(
    shared: &Shared,
    namespace: &str,
    name: &str,
    write: Write,
    of: Resource,
    wanted: &Value,
) -> Result<Answer<Value>, ApiError> {
    let stated = wanted["metadata"]["name"].as_str().unwrap_or(name);
    if stated != name {
        return Err(ApiError::BadRequest(format!(
            "the name in the body is not the one in the path ({name})"
        )));
    }
    let desired = match wanted["spec"]["replicas"].as_i64() {
        // Absent is zero, as Kubernetes' own type has it.
        None if wanted["spec"]["replicas"].is_null() => DesiredStatus::Stopped,
        Some(0) => DesiredStatus::Stopped,
        Some(1) => DesiredStatus::Running,
        _ => return Err(invalid(of, name, "spec.replicas", "a game has one engine (1) or none (0)".into())),
    };
    let identity = |field: &str| match &wanted["metadata"][field] {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let mut patch = json!({ "spec": { "desiredStatus": desired } });
    for field in ["uid", "resourceVersion"] {
        if let Some(stated) = identity(field) {
            patch["metadata"][field] = stated.into();
        }
    }
    if patch["metadata"]["uid"].is_string() {
        // Of a Deployment it is the view's, which the game does not know.
        let game = seen(shared, namespace, name).await?;
        if patch["metadata"]["uid"] == json!(uid(of, &game)) {
            patch["metadata"]["uid"] = game["metadata"]["uid"].clone();
        }
    }
    let write = Write { subresource: "scale", ..write };
    let written = write_game(shared, namespace, name, &write, &Change::Merge(patch)).await?;
    let Answer { code, warnings, object } = written;
    Ok(Answer { code, warnings, object: scale(of, &object) })
}

fn invalid(of: Resource, name: &str, field: &str, message: String) -> ApiError {
    let problems = vec![SpecProblem::new(field, message)];
    ApiError::Invalid { resource: of, name: name.to_owned(), problems }
}

fn scale(of: Resource, game: &Value) -> Value {
    let (of_uid, name) = (uid(of, game), game["metadata"]["name"].as_str().unwrap_or_default());
    let of = |field: &str| game["metadata"][field].clone();
    let container = !game["status"]["containerId"].is_null();
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": of("name"),
            "namespace": of("namespace"),
            "uid": of_uid,
            "resourceVersion": of("resourceVersion"),
            "creationTimestamp": of("creationTimestamp"),
        },
        "spec": { "replicas": u8::from(game["spec"]["desiredStatus"] == json!(DesiredStatus::Running)) },
        "status": { "replicas": u8::from(container), "selector": format!("{GAME_LABEL}={name}") },
    })
}
