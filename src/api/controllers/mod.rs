//! The whole controller: shown, and its desired state written.

mod changes;
mod known;
mod orphans;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::Shared;
use super::body::RawBody;
use super::error::ApiError;
use super::hub::{self, Asked, Key, Kind};
use super::request::{Names, Write};
use super::wire::{CONTROLLERS, ControllerObject};
use super::write::{ATTEMPTS, MergePatch};
use crate::game::controller::{ControllerSpec, ControllerStatus, NAME};
use crate::game::manifest::SpecProblem;
use crate::store::{Conflict, ControllerChange, WriteError};
pub(super) use orphans::{adopt, remove};

const FIELDS: [&str; 1] = ["metadata.name"];

/// `GET …/controllers`: there is one.
pub(super) async fn list(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    hub::list(&shared, Kind::Controller, None, &FIELDS, asked).await
}

/// `GET …/controllers/gamekeeper`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
) -> Result<Json<Value>, ApiError> {
    the_one(&name)?;
    seen(&shared).await
}

/// The controller as lists and watches have it.
async fn seen(shared: &Shared) -> Result<Json<Value>, ApiError> {
    let found = shared.hub.controller().await?;
    let found = found.ok_or_else(|| ApiError::NotFound { resource: CONTROLLERS, name: NAME.into() })?;
    Ok(Json(found.shown().value()))
}

/// `PATCH …/controllers/gamekeeper`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Value>, ApiError> {
    the_one(&name)?;
    let mut patch = MergePatch::new(body.merge_patch()?);
    patch.resource_version =
        shared.hub.row_version(Kind::Controller, &Key::new("", NAME), patch.resource_version.as_deref())?;
    patch.state_version(&patch.resource_version.clone());
    let store = &shared.api.store;
    for _ in 0..ATTEMPTS {
        let old = store.controller_spec().await?;
        let object = shown(&shared, old.clone()).await?;
        if patch.resource_version.is_some() && patch.resource_version != object.metadata.resource_version {
            return Err(refused(Conflict::Modified.into()));
        }
        if patch.uid.is_some() && patch.uid != object.metadata.uid {
            return Err(refused(Conflict::Replaced.into()));
        }
        let wanted = changes::wanted(&object, patch.apply(&object)?).map_err(invalid)?;
        let held = known::known(&shared, "which deletions are held", |status| status.held_deletions).await;
        let changes = changes::changes(&old, &wanted, held, &status(&shared).ground)?;
        if changes.is_empty() {
            return seen(&shared).await;
        }
        if write.dry_run {
            let mut object = shown(&shared, changes::tried(&old, &changes)).await?;
            let held = shared.hub.controller().await?;
            object.metadata.resource_version = held.map(|held| held.version().to_string());
            return Ok(Json(json!(object)));
        }
        match store.change_controller_if(Some(old.row_version), &changes, &write.author).await {
            Err(WriteError::Conflict(_)) if patch.resource_version.is_none() => {}
            Err(error) => return Err(refused(error)),
            Ok(_) => {
                told(&changes, &write);
                return seen(&shared).await;
            }
        }
    }
    Err(refused(Conflict::Modified.into()))
}

/// What changes everything should be found in the log without its debug lines.
fn told(changes: &[ControllerChange], write: &Write) {
    for change in changes {
        let who = &write.author.requested_by;
        match change {
            ControllerChange::Freeze(why) => tracing::warn!(%who, why, "an operator freezes the controller"),
            ControllerChange::Unfreeze => tracing::warn!(%who, "an operator lets the controller act again"),
            ControllerChange::ConfirmDeletions(seen_until) => {
                tracing::warn!(%who, %seen_until, "an operator confirms the held deletions");
            }
            ControllerChange::Rebind(ground) => {
                tracing::warn!(%who, ?ground, "an operator confirms a move");
            }
        }
    }
}

fn the_one(name: &str) -> Result<(), ApiError> {
    if name == NAME {
        return Ok(());
    }
    Err(ApiError::NotFound { resource: CONTROLLERS, name: name.chars().take(128).collect() })
}

fn status(shared: &Shared) -> ControllerStatus {
    shared.api.controller.borrow().clone()
}

async fn shown(shared: &Shared, spec: ControllerSpec) -> Result<ControllerObject, ApiError> {
    Ok(shared.hub.controller_with(spec).await?)
}

fn refused(error: WriteError) -> ApiError {
    ApiError::of_write(CONTROLLERS, NAME, error)
}

fn conflict(why: String) -> ApiError {
    ApiError::Conflict { resource: CONTROLLERS, name: NAME.into(), why }
}

fn invalid(problems: Vec<SpecProblem>) -> ApiError {
    ApiError::Invalid { resource: CONTROLLERS, name: NAME.into(), problems }
}
