//! Rows of the database as the raw shape: the store reads columns, and everything else is as with
//! a manifest.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::SpecProblem;
use super::validate::{ValidSpec, validate_engine_version, validate_spec};
use super::wire::{
    EngineVersionManifest, EngineVersionSpecManifest, GameSpecManifest, ObjectMeta, PlayerManifest, Quantity,
    ResourcesManifest, TurnsManifest,
};
use crate::game::resources::Resources;
use crate::game::spec::{
    Contract, DeletionPolicy, DesiredStatus, ForceMode, Member, MissedTurns, Relaxation, VersionEntry,
};

/// The spec columns of a row of `games`, as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct GameColumns {
    /// `desired_status`.
    pub desired_status: String,
    /// `paused`.
    pub paused: bool,
    /// `backup_before_turn`.
    pub backup_before_turn: bool,
    /// `display_name`.
    pub display_name: Option<String>,
    /// `target_engine_version`; empty means none.
    pub target_engine_version: Option<String>,
    /// `allow_incompatible_version`; empty means none.
    pub allow_incompatible_version: Option<String>,
    /// `turn_schedule`; empty means by hand only.
    pub turn_schedule: Option<String>,
    /// `time_zone`; empty means UTC.
    pub time_zone: String,
    /// `missed_turns`.
    pub missed_turns: String,
    /// `turn_not_before`, in RFC 3339.
    pub turn_not_before: Option<String>,
    /// `force_mode`.
    pub force_mode: String,
    /// `resources`: the JSON of `spec.resources`.
    pub resources: Option<Value>,
    /// `deletion_policy`.
    pub deletion_policy: String,
    /// `stop_now`.
    pub stop_now: bool,
    /// `restart_generation`.
    pub restart_generation: i64,
    /// `force_turn_generation`.
    pub force_turn_generation: i64,
    /// `patch_generation`.
    pub patch_generation: i64,
    /// `unblock_generation`.
    pub unblock_generation: i64,
    /// `restore_generation`.
    pub restore_generation: i64,
    /// `restore_backup_id`.
    pub restore_backup_id: Option<String>,
    /// `backup_generation`.
    pub backup_generation: i64,
}

impl Default for GameColumns {
    /// The database's own defaults, and a stopped game.
    fn default() -> Self {
        Self {
            desired_status: "stopped".into(),
            paused: false,
            backup_before_turn: false,
            display_name: None,
            target_engine_version: None,
            allow_incompatible_version: None,
            turn_schedule: None,
            time_zone: "UTC".into(),
            missed_turns: "once".into(),
            turn_not_before: None,
            force_mode: "advance".into(),
            resources: None,
            deletion_policy: "retain".into(),
            stop_now: false,
            restart_generation: 0,
            force_turn_generation: 0,
            patch_generation: 0,
            unblock_generation: 0,
            restore_generation: 0,
            restore_backup_id: None,
            backup_generation: 0,
        }
    }
}

impl GameColumns {
    /// The raw spec that the row says, for showing it whatever is in it, without players; and what
    /// could not even be shown (a word that is none, JSON of the wrong shape), with a default in its
    /// place. A status that is none becomes `Stopped`: nothing starts by mistake.
    pub fn to_spec(&self) -> (GameSpecManifest, Vec<SpecProblem>) {
        let mut problems = Vec::new();
        let spec = GameSpecManifest {
            desired_status: word(
                DesiredStatus::from_row(&self.desired_status),
                &self.desired_status,
                "spec.desiredStatus",
                DesiredStatus::Stopped,
                &mut problems,
            ),
            paused: self.paused,
            backup_before_turn: self.backup_before_turn,
            display_name: text(self.display_name.as_deref()),
            engine_version: text(self.target_engine_version.as_deref()),
            allow_incompatible_version: text(self.allow_incompatible_version.as_deref()),
            turns: self.turns(&mut problems),
            players: None,
            resources: object(self.resources.as_ref(), "spec.resources", &mut problems),
            deletion_policy: word(
                DeletionPolicy::from_row(&self.deletion_policy),
                &self.deletion_policy,
                "spec.deletionPolicy",
                DeletionPolicy::Retain,
                &mut problems,
            ),
            stop_now: self.stop_now.then_some(true),
            restart_generation: Some(self.restart_generation),
            force_turn_generation: Some(self.force_turn_generation),
            patch_generation: Some(self.patch_generation),
            unblock_generation: Some(self.unblock_generation),
            restore_generation: Some(self.restore_generation),
            restore_backup_id: text(self.restore_backup_id.as_deref()),
            backup_generation: Some(self.backup_generation),
        };
        (spec, problems)
    }

    /// The row's spec, validated, and its active members, given as user ids and race names.
    ///
    /// # Errors
    /// Everything that is wrong, by the paths of the manifest's fields.
    pub fn validate<'a>(
        &self,
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<ValidSpec, Vec<SpecProblem>> {
        let (mut spec, mut problems) = self.to_spec();
        let player =
            |(user, race): (&str, &str)| PlayerManifest { user_id: user.into(), race_name: race.into() };
        spec.players = Some(members.into_iter().map(player).collect());
        match validate_spec(&spec) {
            Ok(spec) if problems.is_empty() => Ok(spec),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    fn turns(&self, problems: &mut Vec<SpecProblem>) -> Option<TurnsManifest> {
        let turns = TurnsManifest {
            schedule: text(self.turn_schedule.as_deref()),
            time_zone: text(Some(&self.time_zone)).filter(|zone| zone != "UTC"),
            missed: word(
                MissedTurns::from_row(&self.missed_turns),
                &self.missed_turns,
                "spec.turns.missed",
                MissedTurns::Once,
                problems,
            ),
            not_before: text(self.turn_not_before.as_deref()),
            force_mode: word(
                ForceMode::from_row(&self.force_mode),
                &self.force_mode,
                "spec.turns.forceMode",
                ForceMode::Advance,
                problems,
            ),
        };
        (turns != TurnsManifest::default()).then_some(turns)
    }
}

/// The columns of a row of `engine_versions`, as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionColumns {
    /// `version`.
    pub version: String,
    /// `image_ref`.
    pub image_ref: String,
    /// `enabled`.
    pub enabled: bool,
    /// `port`.
    pub port: i64,
    /// `contract`.
    pub contract: String,
    /// `run_as`.
    pub run_as: String,
    /// `relaxations`: a JSON list of words.
    pub relaxations: Option<Value>,
    /// `resources`: the JSON of `spec.resources`.
    pub resources: Option<Value>,
    /// `resume_generation`.
    pub resume_generation: i64,
}

impl VersionColumns {
    /// The raw spec that the row says, and what could not even be shown, as with a game's.
    pub fn to_spec(&self) -> (EngineVersionSpecManifest, Vec<SpecProblem>) {
        let mut problems = Vec::new();
        let port = u16::try_from(self.port).unwrap_or_else(|_| {
            problems
                .push(SpecProblem::new("spec.port", format!("`{}` is not a port (1 to 65535)", self.port)));
            8080
        });
        let spec = EngineVersionSpecManifest {
            image: self.image_ref.clone(),
            enabled: self.enabled,
            port,
            contract: word(
                Contract::from_row(&self.contract),
                &self.contract,
                "spec.contract",
                Contract::default(),
                &mut problems,
            ),
            run_as: text(Some(&self.run_as)).unwrap_or_else(|| "auto".into()),
            relaxations: object::<Vec<Relaxation>>(
                self.relaxations.as_ref(),
                "spec.relaxations",
                &mut problems,
            )
            .unwrap_or_default(),
            resources: object(self.resources.as_ref(), "spec.resources", &mut problems),
            resume_generation: Some(self.resume_generation),
        };
        (spec, problems)
    }

    /// The row, validated.
    ///
    /// # Errors
    /// Everything that is wrong, by the paths of the manifest's fields.
    pub fn validate(&self) -> Result<VersionEntry, Vec<SpecProblem>> {
        let (spec, mut problems) = self.to_spec();
        let metadata = ObjectMeta { name: self.version.clone(), ..ObjectMeta::default() };
        match validate_engine_version(&EngineVersionManifest::new(metadata, spec)) {
            Ok(version) if problems.is_empty() => Ok(version.entry),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }
}

impl From<&VersionEntry> for EngineVersionSpecManifest {
    fn from(entry: &VersionEntry) -> Self {
        Self {
            image: entry.image.to_string(),
            enabled: entry.enabled,
            port: entry.port,
            contract: entry.contract,
            run_as: entry.run_as.to_string(),
            relaxations: entry.relaxations.clone(),
            resources: (entry.resources != Resources::default()).then(|| entry.resources.into()),
            resume_generation: None,
        }
    }
}

impl From<Resources> for ResourcesManifest {
    fn from(resources: Resources) -> Self {
        Self {
            cpu: resources.cpu_millis.map(|millis| match millis % 1_000 {
                0 => Quantity((millis / 1_000).to_string()),
                _ => Quantity(format!("{millis}m")),
            }),
            memory: resources.memory_bytes.map(|bytes| match bytes % (1 << 20) {
                0 => Quantity(format!("{}Mi", bytes >> 20)),
                _ => Quantity(bytes.to_string()),
            }),
            pids: resources.pids,
        }
    }
}

impl From<&Member> for PlayerManifest {
    fn from(member: &Member) -> Self {
        Self { user_id: member.user_id.to_string(), race_name: member.race_name.to_string() }
    }
}

fn word<T>(value: Option<T>, text: &str, field: &str, default: T, problems: &mut Vec<SpecProblem>) -> T {
    value.unwrap_or_else(|| {
        let shown = super::problem::shorten(text);
        problems.push(SpecProblem::new(field, format!("`{shown}` is not a known word")));
        default
    })
}

fn object<T: DeserializeOwned>(
    value: Option<&Value>,
    field: &str,
    problems: &mut Vec<SpecProblem>,
) -> Option<T> {
    // An empty object or list says nothing.
    let value = value.filter(|value| {
        !value.is_null()
            && value.as_object().is_none_or(|o| !o.is_empty())
            && value.as_array().is_none_or(|a| !a.is_empty())
    })?;
    T::deserialize(value)
        .map_err(|error| {
            let message = super::problem::shorten_to(&error.to_string(), 300);
            problems.push(SpecProblem::new(field, message));
        })
        .ok()
}

fn text(column: Option<&str>) -> Option<String> {
    column.filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(problems: &[SpecProblem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn a_row_without_version_and_members_is_valid() {
        let spec = GameColumns::default().validate([]).unwrap();
        assert_eq!(spec.status, DesiredStatus::Stopped);
        assert_eq!((spec.game.engine_version, spec.members), (None, Some(vec![])));
        assert_eq!(spec.game.turns.time_zone, "UTC");
    }

    #[test]
    fn a_poison_row_tells_everything_by_the_manifest_s_paths() {
        let row = GameColumns {
            desired_status: "flying".into(),
            target_engine_version: Some("latest".into()),
            turn_schedule: Some("0 0 30 2 *".into()),
            time_zone: "Mars/Olympus".into(),
            turn_not_before: Some("soon".into()),
            force_mode: "twice".into(),
            resources: Some(json!({ "cpu": "500m", "mount": "/" })),
            ..GameColumns::default()
        };
        let problems = row.validate([("not-a-user", "Terrans"), ("x", "")]).unwrap_err();
        assert_eq!(
            fields(&problems),
            [
                "spec.desiredStatus",
                "spec.turns.forceMode",
                "spec.resources",
                "spec.engineVersion",
                "spec.turns.schedule",
                "spec.turns.timeZone",
                "spec.turns.notBefore",
                "spec.players[0].userId",
                "spec.players[1].userId",
                "spec.players[1].raceName",
            ]
        );
    }

    #[test]
    fn a_version_s_row_and_its_manifest_are_one() {
        let row = VersionColumns {
            version: "1.4.2".into(),
            image_ref: "gamekeeper/reference-engine:1.4.2".into(),
            enabled: true,
            port: 8080,
            contract: "gamekeeper/v1".into(),
            run_as: "10001:10001".into(),
            relaxations: Some(json!(["capabilities"])),
            resources: Some(json!({ "cpu": 2, "memory": "256Mi" })),
            resume_generation: 0,
        };
        let entry = row.validate().unwrap();
        assert_eq!(entry.relaxations, [Relaxation::Capabilities]);
        let spec = EngineVersionSpecManifest::from(&entry);
        // A request is no part of what the version is.
        let shown = EngineVersionSpecManifest { resume_generation: None, ..row.to_spec().0 };
        assert_eq!(spec, shown);
    }

    #[test]
    fn a_poison_version_is_refused() {
        let row = VersionColumns {
            version: "1.4".into(),
            image_ref: "A B".into(),
            enabled: true,
            port: 70_000,
            contract: "magic/v9".into(),
            run_as: "root".into(),
            relaxations: Some(json!({ "a": 1 })),
            resources: None,
            resume_generation: 0,
        };
        assert_eq!(
            fields(&row.validate().unwrap_err()),
            ["spec.port", "spec.contract", "spec.relaxations", "metadata.name", "spec.image", "spec.runAs"]
        );
    }
}
