//! What a write would leave, for `dryRun=All`: nothing is stored.

use jiff::Timestamp;

use super::wire::{EngineVersionObject, GameObject, GameStatus};
use crate::game::manifest::{
    API_VERSION, EngineVersionManifest, GameColumns, GameManifest, GameSpecManifest, ObjectMeta,
    PlayerManifest, ValidEngineVersion, ValidGame,
};
use crate::game::ownership::Managed;
use crate::store::{StoredGame, StoredVersion};

/// The game that this manifest would make of the one that is there.
pub(super) fn game(manifest: &GameManifest, valid: &ValidGame, current: Option<&StoredGame>) -> GameObject {
    let old = current.map(|game| &game.manifest);
    let spec = settled(&manifest.spec, valid, old.map(|old| &old.spec));
    let mut metadata = settled_meta(&manifest.metadata, old.map(|old| &old.metadata));
    metadata.namespace = Some(valid.namespace.to_string());
    match old {
        Some(old) if old.spec != spec => {
            metadata.generation = metadata.generation.map(|generation| generation + 1)
        }
        Some(_) => {}
        None => metadata.finalizers = vec![crate::store::desired::FINALIZER.to_owned()],
    }
    let record = current.and_then(|game| game.record.clone());
    GameObject {
        api_version: API_VERSION.into(),
        kind: manifest.kind.clone(),
        metadata,
        spec,
        status: Some(GameStatus::of(record)),
    }
}

/// The engine version that this manifest would make of the one that is there.
pub(super) fn version(
    manifest: &EngineVersionManifest,
    valid: &ValidEngineVersion,
    current: Option<&StoredVersion>,
    max_failures: u32,
) -> EngineVersionObject {
    let old = current.map(|version| &version.manifest);
    let mut spec = manifest.spec.clone();
    spec.relaxations.clone_from(&valid.entry.relaxations);
    let resumed = valid.resume.or(old.and_then(|old| old.spec.resume_generation));
    spec.resume_generation = Some(resumed.unwrap_or_default());
    let mut metadata = settled_meta(&manifest.metadata, old.map(|old| &old.metadata));
    metadata.uid = None;
    if old.is_some_and(|old| old.spec != spec) {
        metadata.generation = metadata.generation.map(|generation| generation + 1);
    }
    let manifest = EngineVersionManifest::new(metadata, spec);
    let usage = current.map(|version| version.usage.clone()).unwrap_or_default();
    EngineVersionObject::new(StoredVersion { manifest, managed: Managed::default(), usage }, max_failures)
}

/// What the server writes stays; labels and annotations are the manifest's.
fn settled_meta(new: &ObjectMeta, old: Option<&ObjectMeta>) -> ObjectMeta {
    let kept = old.cloned().unwrap_or_else(|| ObjectMeta {
        uid: Some(uuid::Uuid::new_v4().to_string()),
        generation: Some(1),
        creation_timestamp: Some(Timestamp::now()),
        ..ObjectMeta::default()
    });
    ObjectMeta {
        name: new.name.clone(),
        namespace: new.namespace.clone(),
        labels: new.labels.clone(),
        annotations: new.annotations.clone(),
        ..kept
    }
}

/// A spec as it is shown once stored: by the way of the columns, with what is unmanaged as it was.
fn settled(new: &GameSpecManifest, valid: &ValidGame, old: Option<&GameSpecManifest>) -> GameSpecManifest {
    let turns = new.turns.clone().unwrap_or_default();
    let counter = |new: Option<i64>, old: Option<i64>| new.or(old).unwrap_or_default();
    let columns = GameColumns {
        desired_status: new.desired_status.as_row().to_owned(),
        paused: new.paused,
        backup_before_turn: new.backup_before_turn,
        display_name: new.display_name.clone(),
        target_engine_version: new.engine_version.clone(),
        allow_incompatible_version: new.allow_incompatible_version.clone(),
        turn_schedule: turns.schedule,
        time_zone: turns.time_zone.unwrap_or_default(),
        missed_turns: turns.missed.as_row().to_owned(),
        turn_not_before: turns.not_before,
        force_mode: turns.force_mode.as_row().to_owned(),
        resources: new.resources.as_ref().map(|resources| serde_json::json!(resources)),
        deletion_policy: new.deletion_policy.as_row().to_owned(),
        stop_now: new.stop_now.or(old.and_then(|old| old.stop_now)).unwrap_or_default(),
        restart_generation: counter(new.restart_generation, old.and_then(|old| old.restart_generation)),
        force_turn_generation: counter(
            new.force_turn_generation,
            old.and_then(|old| old.force_turn_generation),
        ),
        patch_generation: counter(new.patch_generation, old.and_then(|old| old.patch_generation)),
        unblock_generation: counter(new.unblock_generation, old.and_then(|old| old.unblock_generation)),
        restore_generation: counter(new.restore_generation, old.and_then(|old| old.restore_generation)),
        restore_backup_id: new
            .restore_backup_id
            .clone()
            .or_else(|| old.and_then(|old| old.restore_backup_id.clone())),
        backup_generation: counter(new.backup_generation, old.and_then(|old| old.backup_generation)),
    };
    // What was validated has a place in every column.
    let (mut spec, _) = columns.to_spec();
    spec.players = match &valid.spec.members {
        Some(members) => Some(members.iter().map(PlayerManifest::from).collect()),
        None => old.map_or_else(|| Some(Vec::new()), |old| old.players.clone()),
    };
    spec
}
