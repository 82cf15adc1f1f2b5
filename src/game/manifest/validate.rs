//! From the raw shape into the domain: every problem is told, not only the first.

use std::collections::BTreeMap;

use crate::game::id::{Name, Namespace};
use crate::game::spec::{DeletionPolicy, DesiredStatus, GameSpec, Member, VersionEntry};

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
    /// Restores asked for.
    pub restore: Option<i64>,
    /// The kept copy that a restore puts back.
    pub restore_backup_id: Option<String>,
}

/// An engine version's manifest, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidEngineVersion {
    /// Labels, annotations and preconditions.
    pub meta: ValidMeta,
    /// The version.
    pub entry: VersionEntry,
}
