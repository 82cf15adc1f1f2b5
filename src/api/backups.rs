//! The kept copies of a game's state: what lies on the disk, and no row.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::error::ApiError;
use super::request::{Names, Parameters};
use super::select::ListParameters;
use super::wire::{BACKUPS, BackupObject, GAMES, GameObject, List};
use crate::game::manifest::{API_VERSION, SpecProblem};
use crate::game::patch::Build;
use crate::game::{Backup, BackupId, GameId};
use crate::runtime::{ImageSelector, RuntimeError};
use crate::store::StoredGame;

/// How many lists may be read from the disk at the same time.
pub(super) const AT_ONCE: usize = 8;

/// How many are told where no limit is given, and at most: the latest, newest first.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

/// Whether the restore that a write would ask for could be done now: its copy is there, is what was
/// copied, and there is room for it. Asked where a write is only tried.
pub(super) async fn try_restore(
    shared: &Shared,
    current: &StoredGame,
    after: &GameObject,
) -> Result<(), ApiError> {
    let before = current.manifest.spec.restore_generation.unwrap_or_default();
    if after.spec.restore_generation.unwrap_or_default() <= before {
        return Ok(());
    }
    let metadata = &current.manifest.metadata;
    let no = |why: String| ApiError::Invalid {
        resource: GAMES,
        name: metadata.name.clone(),
        problems: vec![SpecProblem::new(FIELD, why)],
    };
    let Some(id) = &after.spec.restore_backup_id else {
        return Err(no("no copy is named: `gamekeeper backups` lists those that are kept".into()));
    };
    let id: BackupId = id.parse().map_err(|error| no(format!("{error}")))?;
    let game: Option<GameId> = metadata.uid.as_ref().and_then(|uid| uid.parse().ok());
    let Some(game) = game else { return Ok(()) };
    let _place = place(shared)?;
    match shared.api.runtime.check_backup(game, &id).await {
        Ok(backup) => match image_is_missing(shared, &backup).await {
            // What a silent Docker has is looked at before the engine is touched.
            Ok(None) | Err(RuntimeError::Unreachable(_) | RuntimeError::TimedOut { .. }) => Ok(()),
            Ok(Some(why)) => Err(no(format!("this copy could not be put back now: {why}"))),
            Err(error) => Err(ApiError::of_runtime(GAMES, &metadata.name, error)),
        },
        Err(
            error @ (RuntimeError::NotFound(_)
            | RuntimeError::BackupDamaged(_)
            | RuntimeError::NoRoom(_)
            | RuntimeError::RoomKept(_)
            | RuntimeError::StateUnfit(_)),
        ) => Err(no(format!("this copy could not be put back now: {error}"))),
        Err(error) => Err(ApiError::of_runtime(GAMES, &metadata.name, error)),
    }
}

/// Why no engine could be made for a copy now, if none could.
async fn image_is_missing(shared: &Shared, backup: &Backup) -> Result<Option<String>, RuntimeError> {
    let Some(Build { inputs, image }) = &backup.build else { return Ok(None) };
    let found = shared.api.runtime.image(&ImageSelector::Pinned(image.clone())).await?;
    Ok(found.is_none().then(|| {
        let name = &inputs.image;
        format!(
            "the image that its engine runs ({image}) is not on the host; `docker pull {name}` brings it, if {name} is still that one"
        )
    }))
}

fn place(shared: &Shared) -> Result<OwnedSemaphorePermit, ApiError> {
    let place = Arc::clone(&shared.backups).try_acquire_owned();
    place.map_err(|_| ApiError::TooMany("the copies of too many games are looked at at the same time"))
}

/// Which copy a restore puts back.
const FIELD: &str = "spec.restoreBackupId";

/// The fields that the list can be selected by.
const FIELDS: [&str; 3] = ["metadata.name", "spec.reason", "spec.engineVersion"];

/// `GET …/games/{name}/backups`: also of a game that is gone, whose copies stay with its state.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<BackupObject>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    let limit = usize::try_from(parameters.limit(USUAL, MOST)?).unwrap_or(usize::MAX);
    let store = &shared.api.store;
    let known = store.latest_game(&namespace, &name).await?;
    let game = known.ok_or_else(|| ApiError::NotFound { resource: GAMES, name: name.clone() })?;
    let _place = place(&shared)?;
    let version = shared.hub.version();
    let kept = shared.api.runtime.backups(game).await;
    let kept = kept.map_err(|error| ApiError::of_runtime(GAMES, &name, error))?;
    let newest_first = kept.into_iter().rev().map(|backup| BackupObject::new(&namespace, &name, backup));
    let wanted = |backup: &BackupObject| selection.wants(&BTreeMap::new(), |field| backup.field(field));
    // Selected before they are counted: one that is asked for by name may be older than any number of others.
    let items = newest_first.filter(wanted).take(limit).collect();
    Ok(Json(List::new(API_VERSION, BACKUPS.kind, version, items)))
}
