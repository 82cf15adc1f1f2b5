//! One spelling for what means the same: `0.5` and `500m` of CPU, players in any order, a default
//! that is written out and one that is not. Only for comparing; what is sent is what was written.

use serde_json::{Value, json};

use crate::cli::client::Kind;
use crate::game::Resources;
use crate::game::manifest::{
    API_VERSION, UnknownFields, ValidEngineVersion, ValidGame, ValidManifest, ValidSpec, from_json, validate,
};
use crate::game::spec::{TurnSpec, VersionEntry};

/// The spec with every field of its kind; none if it cannot be read.
pub(super) fn canonical(kind: Kind, name: &str, spec: &Value) -> Option<Value> {
    let body = json!({
        "apiVersion": API_VERSION,
        "kind": kind.manifest(),
        "metadata": { "name": name },
        "spec": spec,
    });
    let (manifest, _) = from_json(body, UnknownFields::Drop).ok()?;
    Some(match validate(&manifest).ok()? {
        ValidManifest::Game(game) => of_game(*game),
        ValidManifest::EngineVersion(version) => of_version(*version),
    })
}

/// What a spec is that says nothing but what it has to.
pub(super) fn defaults(kind: Kind, name: &str, spec: &Value) -> Option<Value> {
    let required = match kind {
        Kind::Game => "desiredStatus",
        Kind::EngineVersion => "image",
    };
    canonical(kind, name, &json!({ required: spec[required] }))
}

fn of_game(ValidGame { spec, .. }: ValidGame) -> Value {
    // Every field is named, so that a new one breaks the build where it must be thought of.
    let ValidSpec {
        status,
        paused,
        backup_before_turn,
        display_name,
        deletion_policy,
        stop_now,
        game,
        members,
        requests,
    } = spec;
    let TurnSpec { schedule, time_zone, missed, not_before, force_mode } = game.turns;
    json!({
        "desiredStatus": status,
        "paused": paused,
        "backupBeforeTurn": backup_before_turn,
        "displayName": display_name,
        "deletionPolicy": deletion_policy,
        "stopNow": stop_now.unwrap_or_default(),
        "engineVersion": game.engine_version,
        "allowIncompatibleVersion": game.allow_incompatible_version,
        "turns": {
            "schedule": schedule,
            "timeZone": time_zone,
            "missed": missed,
            "notBefore": not_before,
            "forceMode": force_mode,
        },
        "resources": of_resources(game.resources),
        "players": members.map(|members| {
            let player = |member: &crate::game::Member| {
                json!({ "userId": member.user_id.to_string(), "raceName": member.race_name.as_str() })
            };
            members.iter().map(player).collect::<Vec<_>>()
        }),
        "restartGeneration": requests.restart.unwrap_or_default(),
        "forceTurnGeneration": requests.force_turn.unwrap_or_default(),
        "patchGeneration": requests.patch.unwrap_or_default(),
        "unblockGeneration": requests.unblock.unwrap_or_default(),
        "restoreGeneration": requests.restore.unwrap_or_default(),
        "restoreBackupId": requests.restore_backup_id,
        "backupGeneration": requests.backup.unwrap_or_default(),
    })
}

fn of_version(ValidEngineVersion { entry, resume, .. }: ValidEngineVersion) -> Value {
    let VersionEntry { version: _, image, enabled, port, contract, run_as, relaxations, resources } = entry;
    json!({
        "image": image.as_str(),
        "enabled": enabled,
        "port": port,
        "contract": contract,
        "runAs": run_as.to_string(),
        "relaxations": relaxations,
        "resources": of_resources(resources),
        "resumeGeneration": resume.unwrap_or_default(),
    })
}

fn of_resources(Resources { cpu_millis, memory_bytes, pids }: Resources) -> Value {
    json!({ "cpu": cpu_millis, "memory": memory_bytes, "pids": pids })
}
