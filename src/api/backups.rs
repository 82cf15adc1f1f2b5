//! The kept copies of a game's state: what lies on the disk, and no row.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::error::ApiError;
use super::request::{Names, Parameters};
use super::select::ListParameters;
use super::wire::{BACKUPS, BackupObject, GAMES, List};
use crate::game::manifest::API_VERSION;

/// How many lists may be read from the disk at the same time.
pub(super) const AT_ONCE: usize = 8;

/// How many are told where no limit is given, and at most: the latest, newest first.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

/// `GET …/games/{name}/backups`: also of a game that is gone, whose copies stay with its state.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<BackupObject>>, ApiError> {
    parameters.selection(&[])?;
    let limit = usize::try_from(parameters.limit(USUAL, MOST)?).unwrap_or(usize::MAX);
    let store = &shared.api.store;
    let known = store.latest_game(&namespace, &name).await?;
    let game = known.ok_or_else(|| ApiError::NotFound { resource: GAMES, name: name.clone() })?;
    let _place = Arc::clone(&shared.backups)
        .try_acquire_owned()
        .map_err(|_| ApiError::TooMany("the copies of too many games are listed at the same time"))?;
    let version = shared.hub.version();
    let kept = shared.api.runtime.backups(game).await;
    let kept = kept.map_err(|error| ApiError::of_runtime(GAMES, &name, error))?;
    let newest = kept.into_iter().rev().take(limit);
    let items = newest.map(|backup| BackupObject::new(&namespace, &name, backup)).collect();
    Ok(Json(List::new(API_VERSION, BACKUPS.kind, version, items)))
}
