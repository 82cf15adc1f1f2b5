//! Between rows and domain: times, words, and rows into the raw shape that is then validated.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use sea_orm::JsonValue;

use crate::game::manifest::{
    GameSpecManifest, ObjectMeta, PlayerManifest, Quantity, ResourcesManifest, SpecProblem, TurnsManifest, validate_spec,
};
use crate::game::spec::{
    Contract, DeletionPolicy, Desired, DesiredStatus, ForceMode, MissedTurns, Requests, Source, VersionEntry,
};
use crate::game::{GameId, Name, Namespace};

use super::entity::{engine_versions, games, memberships};

/// The database's time of ours, to the microsecond that both databases keep.
pub(super) fn to_db(time: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.as_microsecond()).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Our time of the database's.
pub(super) fn from_db(time: DateTime<Utc>) -> Timestamp {
    Timestamp::from_microsecond(time.timestamp_micros()).unwrap_or(Timestamp::MAX)
}

fn strings(json: &JsonValue) -> BTreeMap<String, String> {
    let entries = json.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// `{"cpu": "500m", …}` as a manifest has it.
fn resources(json: &JsonValue) -> Result<Option<ResourcesManifest>, SpecProblem> {
    let field = |name: &str| json.get(name).and_then(JsonValue::as_str).map(str::to_owned);
    let pids = match field("pids") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| SpecProblem {
            field: "spec.resources.pids".into(),
            message: format!("`{text}` is not a whole number"),
        })?),
    };
    let (cpu, memory) = (field("cpu").map(Quantity), field("memory").map(Quantity));
    let empty = cpu.is_none() && memory.is_none() && pids.is_none();
    Ok((!empty).then_some(ResourcesManifest { cpu, memory, pids }))
}

/// `{"cpu": "500m", …}` as the database has it.
pub(super) fn resources_to_db(resources: Option<&ResourcesManifest>) -> JsonValue {
    let mut json = serde_json::Map::new();
    if let Some(ResourcesManifest { cpu, memory, pids }) = resources {
        let mut put = |key: &str, value: Option<String>| value.map(|value| json.insert(key.into(), value.into()));
        put("cpu", cpu.as_ref().map(ToString::to_string));
        put("memory", memory.as_ref().map(ToString::to_string));
        put("pids", pids.map(|pids| pids.to_string()));
    }
    json.into()
}

/// The metadata of a game's row.
pub(super) fn game_meta(row: &games::Model) -> ObjectMeta {
    ObjectMeta {
        name: name_of(row),
        namespace: Some(row.namespace.clone()),
        labels: strings(&row.labels),
        annotations: strings(&row.annotations),
        uid: Some(row.game_id.to_string()),
        resource_version: Some(row.row_version.to_string()),
        generation: Some(row.generation),
        creation_timestamp: Some(from_db(row.created_at)),
        deletion_timestamp: row.deletion_requested_at.map(from_db),
        finalizers: vec![super::desired::FINALIZER.to_owned()],
    }
}

fn name_of(row: &games::Model) -> String {
    row.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| row.game_id.to_string())
}

/// The spec of a game's row in the raw shape, whatever nonsense it holds.
pub(super) fn raw_spec(row: &games::Model, members: &[memberships::Model]) -> Result<GameSpecManifest, SpecProblem> {
    let word = |field: &str, value: &str| SpecProblem {
        field: field.to_owned(),
        message: format!("`{value}` is not one of the allowed words"),
    };
    let mut spec = GameSpecManifest::new(
        DesiredStatus::from_row(&row.desired_status).ok_or_else(|| word("spec.desiredStatus", &row.desired_status))?,
    );
    spec.paused = row.paused;
    spec.display_name = text(&row.display_name);
    spec.engine_version = text(&row.target_engine_version);
    spec.allow_incompatible_version.clone_from(&row.allow_incompatible_version);
    spec.turns = Some(TurnsManifest {
        schedule: text(&row.turn_schedule),
        time_zone: Some(row.time_zone.clone()),
        missed: MissedTurns::from_row(&row.missed_turns)
            .ok_or_else(|| word("spec.turns.missed", &row.missed_turns))?,
        not_before: row.turn_not_before.clone(),
        force_mode: ForceMode::from_row(&row.force_mode)
            .ok_or_else(|| word("spec.turns.forceMode", &row.force_mode))?,
    });
    let active = members.iter().filter(|member| member.status == "active");
    spec.players = Some(
        active
            .map(|member| PlayerManifest { user_id: member.user_id.to_string(), race_name: member.race_name.clone() })
            .collect(),
    );
    spec.resources = resources(&row.resources)?;
    spec.deletion_policy = DeletionPolicy::from_row(&row.deletion_policy)
        .ok_or_else(|| word("spec.deletionPolicy", &row.deletion_policy))?;
    spec.stop_now = Some(row.stop_now);
    spec.restart_generation = Some(row.restart_generation);
    spec.force_turn_generation = Some(row.force_turn_generation);
    spec.patch_generation = Some(row.patch_generation);
    spec.restore_generation = Some(row.restore_generation);
    spec.restore_backup_id.clone_from(&row.restore_backup_id);
    Ok(spec)
}

/// A game's row, read once into types. A row whose very identity is nonsense is none.
pub(super) fn desired(
    row: &games::Model,
    members: &[memberships::Model],
    version: Option<VersionEntry>,
) -> Option<Desired> {
    let id = GameId(row.game_id.0);
    let name: Name = name_of(row).parse().ok()?;
    let namespace: Namespace = row.namespace.parse().ok()?;
    let valid = raw_spec(row, members).map_err(|problem| vec![problem]).and_then(|raw| validate_spec(&raw));
    let (spec, members) = match valid {
        Ok(valid) => (Ok(valid.game), valid.members.unwrap_or_default()),
        Err(problems) => (Err(problems), Vec::new()),
    };
    Some(Desired {
        id,
        namespace,
        name,
        generation: row.generation,
        status: DesiredStatus::from_row(&row.desired_status)?,
        stop_now: row.stop_now,
        paused: row.paused,
        deletion_policy: DeletionPolicy::from_row(&row.deletion_policy).unwrap_or_default(),
        deletion_requested_at: row.deletion_requested_at.map(from_db),
        requests: Requests {
            restart: row.restart_generation,
            force_turn: row.force_turn_generation,
            patch: row.patch_generation,
            restore: row.restore_generation,
        },
        membership_revision: row.membership_revision,
        members,
        spec,
        version,
        source: Source::from_row(&row.source).unwrap_or(Source::Lobby),
        requested_by: row.requested_by.clone(),
        request_id: row.request_id.clone(),
        labels: strings(&row.labels),
    })
}

/// The raw manifest of an engine version's row.
pub(super) fn raw_version(row: &engine_versions::Model) -> crate::game::manifest::EngineVersionManifest {
    use crate::game::manifest::{EngineVersionManifest, EngineVersionSpecManifest};
    let mut spec = EngineVersionSpecManifest::new(row.image_ref.clone());
    spec.enabled = row.enabled;
    spec.port = u16::try_from(row.port).unwrap_or_default();
    spec.contract = Contract::from_row(&row.contract).unwrap_or_default();
    spec.run_as.clone_from(&row.run_as);
    let relaxations = row.relaxations.as_array().into_iter().flatten();
    spec.relaxations = relaxations
        .filter_map(|word| crate::game::spec::Relaxation::from_row(word.as_str()?))
        .collect();
    spec.resources = resources(&row.resources).unwrap_or_default();
    EngineVersionManifest::new(
        ObjectMeta {
            name: row.version.clone(),
            labels: strings(&row.labels),
            annotations: strings(&row.annotations),
            resource_version: Some(row.row_version.to_string()),
            generation: Some(row.generation),
            creation_timestamp: Some(from_db(row.created_at)),
            ..ObjectMeta::default()
        },
        spec,
    )
}

/// An engine version's row, validated; nonsense is no version.
pub(super) fn version(row: &engine_versions::Model) -> Option<VersionEntry> {
    crate::game::manifest::validate_engine_version(&raw_version(row)).ok().map(|valid| valid.entry)
}
