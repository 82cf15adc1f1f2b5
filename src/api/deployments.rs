//! Deployments: what is wanted of the games' engines, shown; and the few changes of one that are
//! changes of its game.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::Shared;
use super::body::{PatchBody, RawBody};
use super::change::{Answer, Change};
use super::error::ApiError;
use super::games::write_game;
use super::hub::{self, Asked, Served};
use super::request::{Names, Write};
use super::view_change::Wanted;
use super::wire::{DEPLOYMENTS, Deployment, Resource, Source, uid_of};
use super::write::ATTEMPTS;
use super::{steps, strategic};
use crate::game::manifest::SpecProblem;

const FIELDS: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// `GET /apis/apps/v1/deployments`.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Served::DEPLOYMENTS, None, &FIELDS, asked).await
}

/// `GET …/namespaces/{ns}/deployments`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    hub::list(&shared, Served::DEPLOYMENTS, Some(namespace), &FIELDS, asked).await
}

/// `GET …/deployments/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    asked: Asked,
) -> Result<Json<Value>, ApiError> {
    asked.parameters.selection(&FIELDS)?;
    Ok(Json(seen(&shared, &namespace, &name).await?.1))
}

/// A game and its Deployment, as lists and watches have them.
async fn seen(shared: &Shared, namespace: &str, name: &str) -> Result<(Value, Value), ApiError> {
    let game = shared.hub.game(namespace, name).await?;
    let shown = game.and_then(|game| Some((game.shown().value(), Served::DEPLOYMENTS.of(&game)?)));
    let (game, deployment) =
        shown.ok_or_else(|| ApiError::NotFound { resource: DEPLOYMENTS, name: name.to_owned() })?;
    Ok((game, deployment.shown().value()))
}

/// How a client says what it wants of a Deployment.
enum Sent {
    Whole(Value),
    Strategic(Value),
    Patch(PatchBody),
}

/// `PUT …/deployments/{name}`.
pub(super) async fn replace(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let sent = Sent::Whole(body.object_as(write.validation, &mut warnings)?);
    Ok(change(&shared, &namespace, &name, &write, &sent).await?.after(warnings))
}

/// `PATCH …/deployments/{name}`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    write: Write,
    body: RawBody,
) -> Result<Answer<Value>, ApiError> {
    let mut warnings = Vec::new();
    let sent = match body.strategic_patch()? {
        Some(patch) => Sent::Strategic(patch),
        None => Sent::Patch(body.patch(write.validation, &mut warnings)?),
    };
    Ok(change(&shared, &namespace, &name, &write, &sent).await?.after(warnings))
}

/// Makes a change of a Deployment one of its game.
async fn change(
    shared: &Shared,
    namespace: &str,
    name: &str,
    write: &Write,
    sent: &Sent,
) -> Result<Answer<Value>, ApiError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (game, shown) = seen(shared, namespace, name).await?;
        let mut next = shown.clone();
        sent.put_into(name, &mut next)?;
        let wanted = Wanted::of(&shown, &next).map_err(|problems| invalid(name, problems))?;
        let mut patch = wanted.patch(&game);
        // A restart counts from what was read, and so what was read has to be there still.
        let read = &shown["metadata"]["resourceVersion"];
        let stated = Some(&next["metadata"]["resourceVersion"]).filter(|stated| stated.is_string());
        patch["metadata"]["resourceVersion"] = stated.unwrap_or(read).clone();
        let uid = &next["metadata"]["uid"];
        if uid.is_string() && *uid != shown["metadata"]["uid"] {
            patch["metadata"]["uid"] = uid.clone();
        }
        let written = write_game(shared, namespace, name, write, &Change::Merge(patch)).await;
        match written {
            // Somebody else's write came first, and the client did not say that none may.
            Err(ApiError::Conflict { .. })
                if stated.is_none_or(|stated| stated == read) && attempts < ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(Answer { code, warnings, object }) => {
                let object = of_game(object)?;
                return Ok(Answer { code, warnings, object });
            }
        }
    }
}

impl Sent {
    fn put_into(&self, name: &str, shown: &mut Value) -> Result<(), ApiError> {
        let refused = |message: String| invalid(name, vec![SpecProblem::new("", message)]);
        match self {
            Self::Whole(body) => *shown = body.clone(),
            Self::Strategic(patch) => strategic::merge(shown, patch).map_err(|directive| {
                refused(format!("`{directive}` in a patch is not read here; send a merge patch"))
            })?,
            Self::Patch(PatchBody::Merge(patch)) => json_patch::merge(shown, patch),
            Self::Patch(PatchBody::Json(patch)) => {
                steps::apply(shown, patch).map_err(|message| refused(format!("the patch {message}")))?;
            }
            Self::Patch(PatchBody::Apply(_)) => {
                return Err(ApiError::UnsupportedMediaType(
                    "a Deployment is a game, shown, and is not applied; apply the game".into(),
                ));
            }
        }
        Ok(())
    }
}

/// The Deployment of a game as it was written, or would be.
fn of_game(game: Value) -> Result<Value, ApiError> {
    let version = game["metadata"]["resourceVersion"].clone();
    let source: Source = serde_json::from_value(game).map_err(|error| ApiError::Internal(error.into()))?;
    let mut deployment = json!(Deployment::of(&source));
    deployment["metadata"]["resourceVersion"] = version;
    Ok(deployment)
}

/// Which identity something of a game has: its own, or that of a view.
pub(super) fn uid(of: Resource, game: &Value) -> String {
    let uid = game["metadata"]["uid"].as_str().unwrap_or_default();
    if of == DEPLOYMENTS { uid_of(of.kind, uid) } else { uid.to_owned() }
}

fn invalid(name: &str, problems: Vec<SpecProblem>) -> ApiError {
    ApiError::Invalid { resource: DEPLOYMENTS, name: name.to_owned(), problems }
}

/// What makes and removes Deployments.
pub(super) async fn refuse() -> ApiError {
    ApiError::OnlyShown(
        "a Deployment is a game, shown, and is neither made nor deleted by itself; create or delete the game \
         (`kubectl delete gm NAME`), or stop it with `kubectl scale deploy/NAME --replicas=0`",
    )
}

/// The ReplicaSets, by which clients look for earlier revisions.
pub(super) async fn no_past() -> ApiError {
    const REPLICA_SETS: Resource = Resource { group: "apps", plural: "replicasets", kind: "ReplicaSet" };
    ApiError::Nothing {
        resource: REPLICA_SETS,
        name: String::new(),
        message:
            "there are no earlier revisions of a game to show or to go back to; `kubectl get operations` \
                  tells what was done, and another spec.engineVersion of the game, or `gamekeeper restore`, \
                  goes back"
                .into(),
    }
}
