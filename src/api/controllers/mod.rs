//! The whole controller: shown, and its desired state written.

mod changes;
mod orphans;

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::body::RawBody;
use super::error::ApiError;
use super::request::{Names, Parameters, Write};
use super::select::ListParameters;
use super::wire::{CONTROLLERS, ControllerObject, ControllerParts, List};
use super::write::{ATTEMPTS, MergePatch};
use crate::game::controller::{ControllerSpec, ControllerStatus, KIND, NAME};
use crate::game::manifest::{API_VERSION, SpecProblem};
use crate::store::{Conflict, ControllerChange, WriteError};
pub(super) use orphans::{adopt, remove};

const FIELDS: [&str; 1] = ["metadata.name"];

/// `GET …/controllers`: there is one.
pub(super) async fn list(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<ControllerObject>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    let version = shared.api.store.desired_seq().await?;
    let object = shown(&shared, shared.api.store.controller_spec().await?).await?;
    let wanted = selection.wants(&object.metadata.labels, |_| Some(NAME));
    let items = wanted.then_some(object).into_iter().collect();
    Ok(Json(List::new(API_VERSION, KIND, version, items)))
}

/// `GET …/controllers/gamekeeper`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
) -> Result<Json<ControllerObject>, ApiError> {
    the_one(&name)?;
    Ok(Json(shown(&shared, shared.api.store.controller_spec().await?).await?))
}

/// `PATCH …/controllers/gamekeeper`.
pub(super) async fn patch(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<ControllerObject>, ApiError> {
    the_one(&name)?;
    let patch = MergePatch::new(body.merge_patch()?);
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
        let changes = changes::changes(&old, &wanted, &status(&shared))?;
        if changes.is_empty() {
            return Ok(Json(object));
        }
        if write.dry_run {
            return Ok(Json(shown(&shared, changes::tried(&old, &changes)).await?));
        }
        match store.change_controller_if(Some(old.row_version), &changes, &write.author).await {
            Err(WriteError::Conflict(_)) if patch.resource_version.is_none() => {}
            Err(error) => return Err(refused(error)),
            Ok(spec) => {
                told(&changes, &write);
                return Ok(Json(shown(&shared, spec).await?));
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
    let (store, status) = (&shared.api.store, status(shared));
    let path = |orphan: &crate::game::controller::Orphan| shared.api.runtime.state_path(orphan.game_id);
    let parts = ControllerParts {
        spec,
        instance: store.instance().await?,
        lead: store.lead().await?,
        state_paths: status.orphans.iter().map(path).collect(),
        status,
        since: *shared.ready_since.borrow(),
    };
    Ok(parts.into())
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
