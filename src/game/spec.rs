//! What should be true of a game, validated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{BackupId, GameId, ImageRef, Name, Namespace, RaceName, UserId};
use super::manifest::{FaultySpec, SpecProblem};
use super::resources::Resources;
use super::version::{EngineVersion, VersionWish};

/// Whether the game's engine should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DesiredStatus {
    /// An engine serves the game; it is healed when it dies.
    Running,
    /// No engine runs; the state directory stays.
    Stopped,
}

/// What becomes of the state directory when the game is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It is removed, for ever.
    Delete,
}

/// What happens to slots that passed while nobody could fire them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum MissedTurns {
    /// One turn for all of them.
    #[default]
    Once,
    /// None.
    Skip,
}

/// How a forced turn relates to the next slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ForceMode {
    /// It takes the next slot's place.
    #[default]
    Advance,
    /// It comes on top.
    Extra,
}

/// When turns happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnSpec {
    /// Cron, five fields or six with seconds first; `None` means by hand only.
    pub schedule: Option<String>,
    /// IANA name of the zone the schedule is meant in.
    pub time_zone: String,
    /// What happens to missed slots.
    pub missed: MissedTurns,
    /// No slot fires earlier.
    pub not_before: Option<Timestamp>,
    /// How a forced turn relates to the next slot.
    pub force_mode: ForceMode,
}

impl TurnSpec {
    /// Turns only when they are asked for.
    pub fn by_hand() -> Self {
        Self {
            schedule: None,
            time_zone: "UTC".to_owned(),
            missed: MissedTurns::default(),
            not_before: None,
            force_mode: ForceMode::default(),
        }
    }
}

/// Requests: one more asks for one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Restarts asked for.
    pub restart: i64,
    /// Turns asked for now.
    pub force_turn: i64,
    /// Another attempt at a failed patch.
    pub patch: i64,
    /// Restores asked for.
    pub restore: i64,
    /// Copies of the state asked for.
    pub backup: i64,
    /// Times a person said that what blocks the game has been looked at.
    pub unblock: i64,
}

impl Requests {
    /// None of them further than these.
    #[must_use]
    pub fn at_most(self, most: Self) -> Self {
        let Self { restart, force_turn, patch, restore, backup, unblock } = self;
        Self {
            restart: restart.min(most.restart),
            force_turn: force_turn.min(most.force_turn),
            patch: patch.min(most.patch),
            restore: restore.min(most.restore),
            backup: backup.min(most.backup),
            unblock: unblock.min(most.unblock),
        }
    }
}

impl Requests {
    /// Each of them as far as these, at least.
    #[must_use]
    pub fn at_least(self, least: Self) -> Self {
        let Self { restart, force_turn, patch, restore, backup, unblock } = self;
        Self {
            restart: restart.max(least.restart),
            force_turn: force_turn.max(least.force_turn),
            patch: patch.max(least.patch),
            restore: restore.max(least.restore),
            backup: backup.max(least.backup),
            unblock: unblock.max(least.unblock),
        }
    }
}

/// The specification of a game, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GameSpec {
    /// The version its engine should have; none is a spec error, reported when it matters.
    pub engine_version: Option<VersionWish>,
    /// A version to which an incompatible move is allowed.
    pub allow_incompatible_version: Option<EngineVersion>,
    /// When turns happen.
    pub turns: TurnSpec,
    /// Limits of its container.
    pub resources: Resources,
}

/// Who wrote the desired state last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The lobby, by rows or by its token.
    Lobby,
    /// An operator, by command.
    Operator,
    /// A manifest that was applied.
    Manifest,
    /// A slot of the game's schedule.
    Schedule,
    /// The controller, by itself: a heal, for example.
    Controller,
}

/// An active membership.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Who plays.
    pub user_id: UserId,
    /// Under which name.
    pub race_name: RaceName,
}

/// A registered engine version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    /// Its key.
    pub version: EngineVersion,
    /// The image, immutable.
    pub image: ImageRef,
    /// A disabled version starts no new game.
    pub enabled: bool,
    /// The port its engine listens on.
    pub port: u16,
    /// What the engine speaks.
    pub contract: Contract,
    /// Which user its process is.
    pub run_as: RunAs,
    /// What hardening it cannot live with.
    pub relaxations: Vec<Relaxation>,
    /// Limits, where the game sets none.
    pub resources: Resources,
}

/// What an engine speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Contract {
    /// With identity, token and precondition.
    #[default]
    #[serde(rename = "gamekeeper/v1")]
    GamekeeperV1,
    /// The old service's: none of these.
    #[serde(rename = "plain/v0")]
    PlainV0,
}

/// Which user an engine's process is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunAs {
    /// The controller's own user when that is not root, else 10001:10001.
    #[default]
    Auto,
    /// The image's user.
    Image,
    /// This user and group.
    User {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

/// A piece of hardening that an engine version cannot live with.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxation {
    /// Its process may gain privileges (set-user-id programs).
    NewPrivileges,
    /// It keeps Docker's default capabilities.
    Capabilities,
    /// Its root file system is writable.
    WritableRoot,
}

/// How it came that a game is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Somebody asked for it: it begins at once.
    Requested,
    /// Its row is gone and left a tombstone: it begins after a grace period, in which the row may
    /// come back.
    RowGone,
}

/// A game as declared: the row, read once into types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Identity.
    pub id: GameId,
    /// Namespace of its name.
    pub namespace: Namespace,
    /// Its handle.
    pub name: Name,
    /// Counts changes of the spec.
    pub generation: i64,
    /// Whether its engine should run.
    pub status: DesiredStatus,
    /// Do not wait for a turn in flight when stopping.
    pub stop_now: bool,
    /// No turn begins.
    pub paused: bool,
    /// No turn is sent before there is a copy of the state as it is.
    pub backup_before_turn: bool,
    /// What becomes of the state directory.
    pub deletion_policy: DeletionPolicy,
    /// It is to be deleted.
    pub deletion: Option<Deletion>,
    /// What was asked for by counter.
    pub requests: Requests,
    /// The kept copy that a restore puts back.
    pub restore_backup: Option<BackupId>,
    /// Counts changes of its memberships.
    pub membership_revision: i64,
    /// Active members, in the order of their race names.
    pub members: Vec<Member>,
    /// The rest of the spec; or what is wrong with it, and what could be read of it all the same.
    pub spec: Result<GameSpec, FaultySpec>,
    /// The row of the version asked for, if there is one.
    pub version: Option<VersionEntry>,
    /// Counts the times a person said that patches to that version go on.
    pub version_resumed: i64,
    /// When its row was made; none of a row that is gone.
    pub created_at: Option<Timestamp>,
    /// Columns that only people read (labels, annotations, the display name, who wrote last) and that
    /// cannot be read. They are no spec.
    pub cosmetic: Vec<SpecProblem>,
    /// Who wrote last, for the audit.
    pub source: Source,
    /// The user behind it.
    pub requested_by: String,
    /// The request behind it.
    pub request_id: String,
    /// For selectors.
    pub labels: BTreeMap<String, String>,
}

impl Desired {
    /// When turns happen; none if that cannot be read. A mistake elsewhere in the spec is none of theirs.
    pub fn turns(&self) -> Option<&TurnSpec> {
        match &self.spec {
            Ok(spec) => Some(&spec.turns),
            Err(faulty) => faulty.turns.as_ref(),
        }
    }

    /// Who plays can be read.
    pub fn knows_members(&self) -> bool {
        self.spec.as_ref().err().is_none_or(|faulty| faulty.knows_members)
    }
}
