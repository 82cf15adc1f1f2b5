//! From a patched object to what is changed: each wish is checked against what is found now.

use serde_json::Value;

use super::{conflict, invalid};
use crate::api::error::ApiError;
use crate::api::wire::{ControllerObject, ControllerSpecManifest};
use crate::game::controller::{ControllerSpec, Ground, HeldDeletions};
use crate::game::manifest::SpecProblem;
use crate::store::ControllerChange;

/// The longest reason that the schema takes, in characters.
const REASON: usize = 1_024;

/// The spec that a patched object asks for.
pub(super) fn wanted(
    object: &ControllerObject,
    patched: Value,
) -> Result<ControllerSpecManifest, Vec<SpecProblem>> {
    let problem = |field: &str, message: &str| vec![SpecProblem::new(field, message)];
    for (field, is) in [("apiVersion", &object.api_version), ("kind", &object.kind)] {
        if patched[field] != **is {
            return Err(problem(field, &format!("is {is}, and never changes")));
        }
    }
    let metadata = serde_json::to_value(&object.metadata).unwrap_or_default();
    if patched["metadata"] != metadata {
        return Err(problem("metadata", "nothing in it can be changed: there is one controller"));
    }
    // No spec at all would mean every default: nobody should unfreeze it by that.
    let Some(spec) = patched.get("spec").filter(|spec| spec.is_object()).cloned() else {
        return Err(problem("spec", "has to be an object; leave out what should stay as it is"));
    };
    serde_path_to_error::deserialize(spec).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
        problem(&field, &error.into_inner().to_string())
    })
}

/// What to change; nothing if it is as wanted already.
pub(super) fn changes(
    old: &ControllerSpec,
    new: &ControllerSpecManifest,
    held: Result<HeldDeletions, ApiError>,
    ground: &Ground,
) -> Result<Vec<ControllerChange>, ApiError> {
    let mut changes = Vec::new();
    changes.extend(freeze(old, new).map_err(|problem| invalid(vec![problem]))?);
    changes.extend(confirmation(old, new, held)?);
    changes.extend(rebind(old, new, ground)?);
    Ok(changes)
}

fn freeze(
    old: &ControllerSpec,
    new: &ControllerSpecManifest,
) -> Result<Option<ControllerChange>, SpecProblem> {
    let why = &new.frozen_because;
    let problem = |message: &str| Err(SpecProblem::new("spec.frozenBecause", message));
    if why.chars().count() > REASON || why.contains('\0') {
        return problem("has to be text of at most 1024 characters");
    }
    match (old.frozen, new.frozen) {
        (_, true) if old.frozen && old.frozen_because == *why => Ok(None),
        (_, true) => Ok(Some(ControllerChange::Freeze(why.clone()))),
        // What it was frozen for goes with it, unless somebody means to give a reason for nothing.
        (true, false) if why.is_empty() || *why == old.frozen_because => Ok(Some(ControllerChange::Unfreeze)),
        (false, false) if why.is_empty() => Ok(None),
        (_, false) => problem("says why it is frozen; set spec.frozen too"),
    }
}

fn confirmation(
    old: &ControllerSpec,
    new: &ControllerSpecManifest,
    held: Result<HeldDeletions, ApiError>,
) -> Result<Option<ControllerChange>, ApiError> {
    let problem =
        |message: String| Err(invalid(vec![SpecProblem::new("spec.deletionsConfirmedAt", message)]));
    if old.deletions_confirmed_at == new.deletions_confirmed_at {
        return Ok(None);
    }
    let latest = held?.games.iter().map(|game| game.seen_at).max();
    match (old.deletions_confirmed_at, new.deletions_confirmed_at) {
        (Some(before), None) => problem(format!("is {before}, and a confirmation cannot be taken back")),
        // (Where the clock was set back since, what is held now is older than the last word.)
        (Some(before), Some(after)) if after < before && latest.is_none_or(|latest| latest >= before) => {
            problem(format!("is {before} already, and never goes back"))
        }
        (_, Some(after)) => match latest {
            None => Err(conflict("no deletion is held now, so there is nothing to confirm".into())),
            // Later than what is held means deletions that nobody can have been shown.
            Some(latest) if after > latest.max(old.deletions_confirmed_at.unwrap_or(latest)) => problem(
                format!("has to be the seenAt of a deletion that is held; the latest of them is {latest}"),
            ),
            Some(_) => Ok(Some(ControllerChange::ConfirmDeletions(after))),
        },
        (None, None) => Ok(None),
    }
}

fn rebind(
    old: &ControllerSpec,
    new: &ControllerSpecManifest,
    ground: &Ground,
) -> Result<Option<ControllerChange>, ApiError> {
    let named = Ground::from(new.rebind.clone());
    let (is, next) = (old.rebind_generation, old.rebind_generation + 1);
    let problem = |field: &str, message: String| Err(invalid(vec![SpecProblem::new(field, message)]));
    if new.rebind_generation == is {
        if named == old.rebind {
            return Ok(None);
        }
        return problem("spec.rebind", format!("is confirmed by spec.rebindGeneration: {next}; send both"));
    }
    if new.rebind_generation != next {
        return problem("spec.rebindGeneration", format!("is {is}; ask for a rebind with {next}"));
    }
    if named == Ground::default() {
        return problem("spec.rebind", "has to name what is found now, as status.ground has it".into());
    }
    if named != *ground {
        return Err(conflict(format!(
            "spec.rebind is not what is found now, which is {}; look again",
            serde_json::to_string(ground).unwrap_or_default()
        )));
    }
    Ok(Some(ControllerChange::Rebind(named)))
}

/// The spec as it would be, for `dryRun=All`.
pub(super) fn tried(old: &ControllerSpec, changes: &[ControllerChange]) -> ControllerSpec {
    let mut spec = ControllerSpec { row_version: old.row_version + 1, ..old.clone() };
    for change in changes {
        match change {
            ControllerChange::Freeze(why) => (spec.frozen, spec.frozen_because) = (true, why.clone()),
            ControllerChange::Unfreeze => (spec.frozen, spec.frozen_because) = (false, String::new()),
            ControllerChange::ConfirmDeletions(time) => spec.deletions_confirmed_at = Some(*time),
            ControllerChange::Rebind(ground) => {
                spec.rebind_generation += 1;
                spec.rebind = ground.clone();
            }
        }
    }
    spec
}
