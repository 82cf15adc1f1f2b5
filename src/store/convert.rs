//! Between rows and domain: times, words, and rows into the raw shape that is then validated.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use sea_orm::JsonValue;

use crate::game::manifest::problem::{SpecProblem, shorten};
use crate::game::manifest::{
    EngineVersionManifest, GameColumns, GameSpecManifest, ObjectMeta, PlayerManifest, ResourcesManifest,
    VersionColumns,
};
use crate::game::spec::{Deletion, DeletionPolicy, Desired, DesiredStatus, Requests, Source, VersionEntry};
use crate::game::{GameId, Name, Namespace};

use super::entity::{engine_versions, games, memberships};
use super::readable::GameRow;
use super::registry::Registered;

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

/// Labels or annotations as the column has them. What is there and is no text is nobody's to write by a
/// manifest, where it cannot be seen: it stays, unless the manifest has that key.
pub(super) fn texts_to_db(texts: &BTreeMap<String, String>, there: Option<&JsonValue>) -> JsonValue {
    let mut column: serde_json::Map<String, JsonValue> = serde_json::Map::new();
    let odd =
        there.and_then(JsonValue::as_object).into_iter().flatten().filter(|(_, value)| !value.is_string());
    column.extend(odd.map(|(key, value)| (key.clone(), value.clone())));
    column.extend(texts.iter().map(|(key, text)| (key.clone(), text.clone().into())));
    column.into()
}

/// What of labels or annotations is no text, each with its field.
pub(super) fn no_texts(field: &str, column: &JsonValue) -> Vec<SpecProblem> {
    let problem = |(key, value): (&String, &JsonValue)| {
        let told = format!(
            "`{}` is no text, so nobody sees or selects by it; write it in quotes, or take it away",
            shorten(&value.to_string())
        );
        SpecProblem::new(format!("{field}[{}]", shorten(key)), told)
    };
    column.as_object().into_iter().flatten().filter(|(_, value)| !value.is_string()).map(problem).collect()
}

/// A row's `{"cpu": "500m", "pids": "128"}` as a manifest has it, where `pids` is a number.
fn resources(json: &JsonValue) -> Option<JsonValue> {
    let mut json = json.clone();
    let entries = json.as_object_mut().filter(|entries| !entries.is_empty())?;
    if let Some(pids) = entries.get_mut("pids") {
        // What is no number stays text, and is refused as such.
        if let Some(count) = pids.as_str().and_then(|text| text.parse::<u64>().ok()) {
            *pids = count.into();
        }
    }
    Some(json)
}

/// `{"cpu": "500m", …}` as the database has it.
pub(super) fn resources_to_db(resources: Option<&ResourcesManifest>) -> JsonValue {
    let mut json = serde_json::Map::new();
    if let Some(ResourcesManifest { cpu, memory, pids }) = resources {
        let mut put =
            |key: &str, value: Option<String>| value.map(|value| json.insert(key.into(), value.into()));
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
        managed_fields: Vec::new(),
    }
}

fn name_of(row: &games::Model) -> String {
    row.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| row.game_id.to_string())
}

fn columns(row: &games::Model) -> GameColumns {
    GameColumns {
        desired_status: row.desired_status.clone(),
        paused: row.paused,
        backup_before_turn: row.backup_before_turn,
        display_name: Some(row.display_name.clone()),
        target_engine_version: Some(row.target_engine_version.clone()),
        allow_incompatible_version: row.allow_incompatible_version.clone(),
        turn_schedule: Some(row.turn_schedule.clone()),
        time_zone: row.time_zone.clone(),
        missed_turns: row.missed_turns.clone(),
        turn_not_before: row.turn_not_before.clone().map(|time| time.0),
        force_mode: row.force_mode.clone(),
        resources: resources(&row.resources),
        deletion_policy: row.deletion_policy.clone(),
        stop_now: row.stop_now,
        restart_generation: row.restart_generation,
        force_turn_generation: row.force_turn_generation,
        patch_generation: row.patch_generation,
        unblock_generation: row.unblock_generation,
        restore_generation: row.restore_generation,
        restore_backup_id: row.restore_backup_id.clone(),
        backup_generation: row.backup_generation,
    }
}

fn active(members: &[memberships::Model]) -> impl Iterator<Item = &memberships::Model> {
    members.iter().filter(|member| member.status == "active")
}

/// The spec of a game's row in the raw shape, whatever nonsense it holds.
pub(super) fn raw_spec(row: &games::Model, members: &[memberships::Model]) -> GameSpecManifest {
    let (mut spec, _) = columns(row).to_spec();
    let player = |member: &memberships::Model| PlayerManifest {
        user_id: member.user_id.to_string(),
        race_name: member.race_name.clone(),
    };
    spec.players = Some(active(members).map(player).collect());
    spec
}

/// A game's row, read once into types. `status` is for a row that has no word for it.
pub(super) fn desired(
    GameRow { game: row, members, unreadable, odd }: &GameRow,
    meant: Option<&Registered>,
    status: DesiredStatus,
) -> Option<Desired> {
    let id = GameId(row.game_id.0);
    let name: Name = name_of(row).parse().ok()?;
    let namespace: Namespace = row.namespace.parse().ok()?;
    let players: Vec<(String, &str)> =
        active(members).map(|member| (member.user_id.to_string(), member.race_name.as_str())).collect();
    let players = players.iter().map(|(user, race)| (user.as_str(), *race));
    let (mut cosmetic, unreadable): (Vec<_>, Vec<_>) =
        unreadable.iter().cloned().partition(SpecProblem::is_cosmetic);
    cosmetic.extend(odd.iter().cloned());
    let (spec, members) = columns(row).read(players, &unreadable);
    Some(Desired {
        id,
        namespace,
        name,
        generation: row.generation,
        status: DesiredStatus::from_row(&row.desired_status).unwrap_or(status),
        stop_now: row.stop_now,
        paused: row.paused,
        backup_before_turn: row.backup_before_turn,
        deletion_policy: DeletionPolicy::from_row(&row.deletion_policy).unwrap_or_default(),
        deletion: row.deletion_requested_at.map(|_| Deletion::Requested),
        requests: Requests {
            restart: row.restart_generation,
            force_turn: row.force_turn_generation,
            patch: row.patch_generation,
            unblock: row.unblock_generation,
            restore: row.restore_generation,
            backup: row.backup_generation,
        },
        restore_backup: row.restore_backup_id.as_ref().and_then(|id| id.parse().ok()),
        membership_revision: row.membership_revision,
        members,
        spec,
        version: meant.map(|version| version.entry.clone()),
        version_resumed: meant.map_or(0, |version| version.resumed),
        created_at: Some(from_db(row.created_at)),
        cosmetic,
        source: Source::from_row(&row.source).unwrap_or(Source::Lobby),
        requested_by: row.requested_by.clone(),
        request_id: row.request_id.clone(),
        labels: strings(&row.labels),
    })
}

fn version_columns(row: &engine_versions::Model) -> VersionColumns {
    VersionColumns {
        version: row.version.clone(),
        image_ref: row.image_ref.clone(),
        enabled: row.enabled,
        port: row.port,
        contract: row.contract.clone(),
        run_as: row.run_as.clone(),
        relaxations: Some(row.relaxations.clone()),
        resources: resources(&row.resources),
        resume_generation: row.resume_generation,
    }
}

/// The raw manifest of an engine version's row.
pub(super) fn raw_version(row: &engine_versions::Model) -> EngineVersionManifest {
    let (spec, _) = version_columns(row).to_spec();
    let metadata = ObjectMeta {
        name: row.version.clone(),
        labels: strings(&row.labels),
        annotations: strings(&row.annotations),
        resource_version: Some(row.row_version.to_string()),
        generation: Some(row.generation),
        creation_timestamp: Some(from_db(row.created_at)),
        ..ObjectMeta::default()
    };
    EngineVersionManifest::new(metadata, spec)
}

/// An engine version's row, validated; nonsense is no version.
pub(super) fn version(row: &engine_versions::Model) -> Option<VersionEntry> {
    version_columns(row).validate().ok()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};
    use sea_orm::{ConnectionTrait, DbBackend, Statement};

    use crate::game::manifest::{GameManifest, validate_game};
    use crate::store::Store;

    fn text(random: &mut StdRng, of: &[&str], most: usize) -> String {
        (0..random.random_range(0..=most)).map(|_| of[random.random_range(0..of.len())]).collect()
    }

    /// What validation takes the schema takes, and nothing else.
    #[tokio::test]
    async fn labels_are_the_same_to_the_database_and_to_the_api() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("x.db").display());
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        let id = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
        let insert = format!("INSERT INTO games (game_id, desired_status) VALUES ('{id}', 'stopped')");
        store.db.execute_unprepared(&insert).await.unwrap();
        let long = "x".repeat(31);
        let keys = ["a", "Z", "0", "-", ".", "_", "/", " ", "ü", &long];
        let mut random = StdRng::seed_from_u64(7);
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..3_000 {
            let few = random.random_range(1..6);
            let (key, value) = (text(&mut random, &keys, few), text(&mut random, &keys, 3));
            for (field, column) in [("labels", "labels"), ("annotations", "annotations")] {
                let entries = serde_json::json!({ &key: &value });
                let manifest = serde_json::json!({
                    "apiVersion": "gamekeeper.dev/v1", "kind": "Game",
                    "metadata": { "name": "x", field: &entries }, "spec": { "desiredStatus": "Stopped" },
                });
                let manifest: GameManifest = serde_json::from_value(manifest).unwrap();
                let valid = validate_game(&manifest).is_ok();
                let update = format!("UPDATE games SET {column} = ?");
                let update =
                    Statement::from_sql_and_values(DbBackend::Sqlite, update, [entries.to_string().into()]);
                let stored = store.db.execute_raw(update).await.is_ok();
                assert_eq!(valid, stored, "{field}: {entries}");
                *(if valid { &mut taken } else { &mut refused }) += 1;
            }
        }
        assert!(taken > 500 && refused > 500, "{taken} {refused}");
    }
}
