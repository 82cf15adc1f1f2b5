//! From the raw shape into the domain: every problem is told, not only the first.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::image::parse_image;
use super::labels::{check_annotations, check_labels};
use super::problem::{SpecProblem, shorten};
use super::schedule::parse_schedule;
use super::wire::{
    API_VERSION, ENGINE_VERSION_KIND, EngineVersionManifest, GAME_KIND, GameManifest, GameSpecManifest,
    Manifest, ObjectMeta, PlayerManifest, ResourcesManifest, TurnsManifest,
};
use crate::game::id::{BackupId, Name, Namespace};
use crate::game::resources::{Resources, parse_cpu, parse_memory, parse_pids};
use crate::game::spec::{DeletionPolicy, DesiredStatus, GameSpec, Member, TurnSpec, VersionEntry};
use crate::game::version::{EngineVersion, VersionWish};
use crate::game::zone::zone;

/// The namespace of a game that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// A manifest, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidManifest {
    /// A game.
    Game(Box<ValidGame>),
    /// An engine version.
    EngineVersion(Box<ValidEngineVersion>),
}

/// Labels, annotations and preconditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidMeta {
    /// For selectors.
    pub labels: BTreeMap<String, String>,
    /// Notes of people and tools.
    pub annotations: BTreeMap<String, String>,
    /// If present, the write is refused when the object is another one.
    pub uid: Option<String>,
    /// If present, the write is refused when the object has moved on.
    pub resource_version: Option<String>,
}

/// A game's manifest, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidGame {
    /// Namespace of its name.
    pub namespace: Namespace,
    /// Its handle.
    pub name: Name,
    /// Labels, annotations and preconditions.
    pub meta: ValidMeta,
    /// What should be true.
    pub spec: ValidSpec,
}

/// A game's spec as a manifest has it, validated. `None` leaves what is there as it is, except in
/// `display_name`, where it means that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidSpec {
    /// Whether the engine should run.
    pub status: DesiredStatus,
    /// No turn begins.
    pub paused: bool,
    /// No turn is sent before there is a copy of the state as it is.
    pub backup_before_turn: bool,
    /// What people call it.
    pub display_name: Option<String>,
    /// What becomes of the state directory.
    pub deletion_policy: DeletionPolicy,
    /// Do not wait for a turn in flight when stopping.
    pub stop_now: Option<bool>,
    /// Version, turns and limits.
    pub game: GameSpec,
    /// Who plays, in the order of their race names.
    pub members: Option<Vec<Member>>,
    /// What is asked for by counter.
    pub requests: RequestCounters,
}

/// The request counters of a manifest; what is absent is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestCounters {
    /// Restarts asked for.
    pub restart: Option<i64>,
    /// Turns asked for now.
    pub force_turn: Option<i64>,
    /// Another attempt at a failed patch.
    pub patch: Option<i64>,
    /// Times what blocks the game was looked at.
    pub unblock: Option<i64>,
    /// Restores asked for.
    pub restore: Option<i64>,
    /// The kept copy that a restore puts back.
    pub restore_backup_id: Option<String>,
    /// Copies of the state asked for.
    pub backup: Option<i64>,
}

/// An engine version's manifest, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidEngineVersion {
    /// Labels, annotations and preconditions.
    pub meta: ValidMeta,
    /// The version.
    pub entry: VersionEntry,
    /// How often it was said that halted changes to it go on; none: left as it is.
    pub resume: Option<i64>,
}

/// Validates a manifest of either kind.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate(manifest: &Manifest) -> Result<ValidManifest, Vec<SpecProblem>> {
    match manifest {
        Manifest::Game(game) => validate_game(game).map(|game| ValidManifest::Game(Box::new(game))),
        Manifest::EngineVersion(version) => {
            validate_engine_version(version).map(|version| ValidManifest::EngineVersion(Box::new(version)))
        }
    }
}

/// Validates a game's manifest.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate_game(game: &GameManifest) -> Result<ValidGame, Vec<SpecProblem>> {
    let mut problems = Vec::new();
    check_type(&game.api_version, &game.kind, GAME_KIND, &mut problems);
    let name = take(game.metadata.name.parse(), "metadata.name", &mut problems);
    let namespace = game.metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let namespace = take(namespace.unwrap_or(DEFAULT_NAMESPACE).parse(), "metadata.namespace", &mut problems);
    let meta = valid_meta(&game.metadata, &mut problems);
    let spec = valid_spec(&game.spec, &mut problems);
    match (name, namespace, spec) {
        (Some(name), Some(namespace), Some(spec)) if problems.is_empty() => {
            Ok(ValidGame { namespace, name, meta, spec })
        }
        _ => Err(problems),
    }
}

/// Validates a game's spec alone.
///
/// A missing engine version and a missing player list are no problems here: they matter, and are
/// reported, when an engine is to be started.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate_spec(spec: &GameSpecManifest) -> Result<ValidSpec, Vec<SpecProblem>> {
    let mut problems = Vec::new();
    match valid_spec(spec, &mut problems) {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => Err(problems),
    }
}

/// Validates an engine version's manifest.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate_engine_version(
    manifest: &EngineVersionManifest,
) -> Result<ValidEngineVersion, Vec<SpecProblem>> {
    let mut problems = Vec::new();
    check_type(&manifest.api_version, &manifest.kind, ENGINE_VERSION_KIND, &mut problems);
    if manifest.metadata.namespace.is_some() {
        problems
            .push(SpecProblem::new("metadata.namespace", "engine versions have no namespace; leave it out"));
    }
    let meta = valid_meta(&manifest.metadata, &mut problems);
    let version = take(manifest.metadata.name.parse(), "metadata.name", &mut problems);
    let spec = &manifest.spec;
    let image = take(parse_image(&spec.image), "spec.image", &mut problems);
    if spec.port == 0 {
        problems.push(SpecProblem::new("spec.port", "`0` is not a port (1 to 65535)"));
    }
    let run_as = take(spec.run_as.parse(), "spec.runAs", &mut problems);
    let mut relaxations = spec.relaxations.clone();
    relaxations.sort_unstable();
    relaxations.dedup();
    let resources = valid_resources(spec.resources.as_ref(), &mut problems);
    let resume = counter("spec.resumeGeneration", spec.resume_generation, &mut problems);
    match (version, image, run_as) {
        (Some(version), Some(image), Some(run_as)) if problems.is_empty() => Ok(ValidEngineVersion {
            meta,
            entry: VersionEntry {
                version,
                image,
                enabled: spec.enabled,
                port: spec.port,
                contract: spec.contract,
                run_as,
                relaxations,
                resources,
            },
            resume,
        }),
        _ => Err(problems),
    }
}

fn check_type(api_version: &str, kind: &str, expected: &str, problems: &mut Vec<SpecProblem>) {
    if api_version != API_VERSION {
        problems.push(SpecProblem::new(
            "apiVersion",
            format!("`{}` is not known; write {API_VERSION}", shorten(api_version)),
        ));
    }
    if kind != expected {
        problems.push(SpecProblem::new("kind", format!("`{}` is not {expected}", shorten(kind))));
    }
}

fn valid_meta(meta: &ObjectMeta, problems: &mut Vec<SpecProblem>) -> ValidMeta {
    check_labels(&meta.labels, problems);
    check_annotations(&meta.annotations, problems);
    ValidMeta {
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
    }
}

fn valid_spec(spec: &GameSpecManifest, problems: &mut Vec<SpecProblem>) -> Option<ValidSpec> {
    // Every field is named, so that a new one breaks the build where it must be thought of.
    let GameSpecManifest {
        desired_status,
        paused,
        backup_before_turn,
        display_name,
        engine_version,
        allow_incompatible_version,
        turns,
        players,
        resources,
        deletion_policy,
        stop_now,
        restart_generation,
        force_turn_generation,
        patch_generation,
        unblock_generation,
        restore_generation,
        restore_backup_id,
        backup_generation,
    } = spec;
    check_display_name(display_name.as_deref(), problems);
    if let Some(id) = not_empty(restore_backup_id.as_deref()) {
        take(id.parse::<BackupId>(), "spec.restoreBackupId", problems);
    }
    let engine_version = not_empty(engine_version.as_deref())
        .and_then(|text| take(text.parse::<VersionWish>(), "spec.engineVersion", problems));
    let allowed =
        valid_version("spec.allowIncompatibleVersion", allow_incompatible_version.as_deref(), problems);
    let turns = valid_turns(turns.as_ref(), problems);
    let resources = valid_resources(resources.as_ref(), problems);
    let members = players.as_deref().map(|players| valid_members(players, problems));
    let mut counter = |field: &str, count: Option<i64>| counter(field, count, problems);
    let requests = RequestCounters {
        restart: counter("spec.restartGeneration", *restart_generation),
        force_turn: counter("spec.forceTurnGeneration", *force_turn_generation),
        patch: counter("spec.patchGeneration", *patch_generation),
        unblock: counter("spec.unblockGeneration", *unblock_generation),
        restore: counter("spec.restoreGeneration", *restore_generation),
        backup: counter("spec.backupGeneration", *backup_generation),
        restore_backup_id: not_empty(restore_backup_id.as_deref()).map(str::to_owned),
    };
    Some(ValidSpec {
        status: *desired_status,
        paused: *paused,
        backup_before_turn: *backup_before_turn,
        display_name: not_empty(display_name.as_deref()).map(str::to_owned),
        deletion_policy: *deletion_policy,
        stop_now: *stop_now,
        game: GameSpec { engine_version, allow_incompatible_version: allowed, turns: turns?, resources },
        members,
        requests,
    })
}

fn counter(field: &str, count: Option<i64>, problems: &mut Vec<SpecProblem>) -> Option<i64> {
    if count.is_some_and(|count| count < 0) {
        problems.push(SpecProblem::new(field, "is negative; one more than it was asks for one"));
    }
    count
}

fn valid_version(field: &str, text: Option<&str>, problems: &mut Vec<SpecProblem>) -> Option<EngineVersion> {
    not_empty(text).and_then(|text| take(text.parse(), field, problems))
}

pub(super) fn valid_turns(
    turns: Option<&TurnsManifest>,
    problems: &mut Vec<SpecProblem>,
) -> Option<TurnSpec> {
    let none = TurnsManifest::default();
    let TurnsManifest { schedule, time_zone, missed, not_before, force_mode } = turns.unwrap_or(&none);
    let schedule = not_empty(schedule.as_deref());
    if let Some(text) = schedule {
        take(parse_schedule(text), "spec.turns.schedule", problems);
    }
    let zone = not_empty(time_zone.as_deref()).unwrap_or("UTC");
    let time_zone = take(parse_zone(zone), "spec.turns.timeZone", problems);
    let not_before = not_empty(not_before.as_deref())
        .and_then(|text| take(parse_time(text), "spec.turns.notBefore", problems));
    Some(TurnSpec {
        schedule: schedule.map(str::to_owned),
        time_zone: time_zone?,
        missed: *missed,
        not_before,
        force_mode: *force_mode,
    })
}

/// Checks the name of a zone; the name as its database spells it.
fn parse_zone(text: &str) -> Result<String, String> {
    let zone = zone(text)?;
    Ok(zone.iana_name().unwrap_or(text).to_owned())
}

/// 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let parsed = if text.len() <= 64 { text.parse::<Timestamp>().ok() } else { None };
    // Before it, a year is not written with four digits; the database takes no other.
    parsed.filter(|time| time.as_second() >= FIRST_SECOND).ok_or_else(|| {
        format!("`{}` is not a time; write RFC 3339, as in 2026-12-01T18:00:00Z", shorten(text))
    })
}

pub(super) fn valid_members(players: &[PlayerManifest], problems: &mut Vec<SpecProblem>) -> Vec<Member> {
    let mut users = HashMap::new();
    let mut races = HashMap::new();
    let mut members = Vec::with_capacity(players.len());
    for (index, PlayerManifest { user_id, race_name }) in players.iter().enumerate() {
        let field = |name: &str| format!("spec.players[{index}].{name}");
        if let Some(first) = users.insert(user_id.as_str(), index) {
            problems.push(SpecProblem::new(
                field("userId"),
                format!("`{}` is listed twice, first in players[{first}]", shorten(user_id)),
            ));
        }
        if let Some(first) = races.insert(race_name.as_str(), index) {
            problems.push(SpecProblem::new(
                field("raceName"),
                format!(
                    "`{}` is taken by players[{first}]; race names are unique in a game",
                    shorten(race_name)
                ),
            ));
        }
        let user_id = take(user_id.parse(), &field("userId"), problems);
        let race_name = take(race_name.parse(), &field("raceName"), problems);
        if let (Some(user_id), Some(race_name)) = (user_id, race_name) {
            members.push(Member { user_id, race_name });
        }
    }
    members.sort_by(|a, b| (&a.race_name, a.user_id).cmp(&(&b.race_name, b.user_id)));
    members
}

fn valid_resources(resources: Option<&ResourcesManifest>, problems: &mut Vec<SpecProblem>) -> Resources {
    let none = ResourcesManifest::default();
    let ResourcesManifest { cpu, memory, pids } = resources.unwrap_or(&none);
    let cpu = cpu.as_ref().map(|cpu| parse_cpu(&cpu.0));
    let memory = memory.as_ref().map(|memory| parse_memory(&memory.0));
    let pids = pids.map(parse_pids);
    Resources {
        cpu_millis: cpu.and_then(|cpu| take(cpu, "spec.resources.cpu", problems)),
        memory_bytes: memory.and_then(|memory| take(memory, "spec.resources.memory", problems)),
        pids: pids.and_then(|pids| take(pids, "spec.resources.pids", problems)),
    }
}

/// The longest name for people, in characters: what the database takes.
const LONGEST_DISPLAY_NAME: usize = 256;

/// What people call it is any text that the database takes; nothing depends on it.
fn check_display_name(text: Option<&str>, problems: &mut Vec<SpecProblem>) {
    let text = text.unwrap_or_default();
    if text.chars().count() > LONGEST_DISPLAY_NAME || text.contains('\0') {
        let message = format!("use at most {LONGEST_DISPLAY_NAME} characters, none of them U+0000");
        problems.push(SpecProblem::new("spec.displayName", message));
    }
}

fn not_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn take<T, E: std::fmt::Display>(
    result: Result<T, E>,
    field: &str,
    problems: &mut Vec<SpecProblem>,
) -> Option<T> {
    result.map_err(|error| problems.push(SpecProblem::new(field, error))).ok()
}
