//! The payloads, field by field, as their JSON has them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::game::operation::{Ending, OperationKind};
use crate::game::{DeletionPolicy, OperationId, Phase, UserId};

/// The status changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusChanged {
    /// What it is now.
    pub status: Phase,
    /// What it was; absent of a game that was not seen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_status: Option<Phase>,
    /// One CamelCase word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The generation of the spec that this is about.
    pub observed_generation: i64,
    /// The version that the engine is; absent without an engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Where the engine is reached; absent unless it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_endpoint: Option<String>,
}

/// What the engine said.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The turn that the game is at.
    pub turn: i64,
    /// The game is over.
    pub finished: bool,
    /// How the engine is.
    pub engine_health: EngineHealth,
    /// When it was asked.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub observed_at: Timestamp,
    /// How each user does.
    pub players: Vec<PlayerStats>,
}

/// How an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineHealth {
    /// It answers.
    Healthy,
    /// It does not, or says that it is not well.
    Unhealthy,
    /// Nobody can tell.
    Unknown,
}

/// How a user does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerStats {
    /// Who.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub user_id: UserId,
    /// Planets now.
    pub planets: i64,
    /// Population now.
    pub population: i64,
    /// The most planets at any turn of this timeline.
    pub highest_planets: i64,
    /// The highest population at any turn of this timeline.
    pub highest_population: i64,
}

/// A start failed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartFailed {
    /// One CamelCase word for machines: `ImagePull`, `NeverHealthy` …
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The generation of the spec that this is about.
    pub observed_generation: i64,
    /// The game's status after it.
    pub status: Phase,
    /// How many starts failed in a row.
    pub failures: u32,
    /// When it is tried again; absent if that needs a change or a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// The operation that came to nothing by it (`operation_log.operation_id`). No
    /// `operation-finished` is told of it.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub operation_id: OperationId,
    /// What that did: `start`, `heal`, `restart`, `adopt`.
    pub operation: String,
    /// The user behind it; empty if nobody asked.
    pub requested_by: String,
    /// The request behind it; empty if nobody asked.
    pub request_id: String,
}

/// The spec cannot be met.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecInvalid {
    /// One CamelCase word for machines: `UnknownVersion`, `NoPlayers` …
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The generation of the spec that is wrong.
    pub observed_generation: i64,
}

/// There is no turn for a slot.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotSkipped {
    /// When the turn was due.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub slot: Timestamp,
    /// One CamelCase word for machines: `Paused`, `TurnOpen`, `Missed` …
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When the next turn is due, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_turn_at: Option<Timestamp>,
}

/// Who plays changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayersChanged {
    /// The memberships that this was computed from (`games.membership_revision`).
    pub observed_membership_revision: i64,
    /// Everybody who has or had a player.
    pub players: Vec<Player>,
}

/// Which player of the engine a user is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Player {
    /// Who.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub user_id: UserId,
    /// Under which name.
    pub race_name: String,
    /// The engine's id of the player; absent before there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_player_id: Option<String>,
    /// Whether the user may act; not any more once removed.
    pub active: bool,
}

/// An operation ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationFinished {
    /// Its identity (`operation_log.operation_id`).
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub operation_id: OperationId,
    /// What it did: `start`, `stop`, `restart`, `turn` …
    pub operation: String,
    /// The generation that it served.
    pub generation: i64,
    /// The user behind it; empty if nobody asked.
    pub requested_by: String,
    /// The request behind it; empty if nobody asked.
    pub request_id: String,
    /// How it ended.
    pub result: OperationResult,
    /// One CamelCase word, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// A sentence, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum OperationResult {
    /// It came true.
    Succeeded,
    /// It did not.
    Failed,
    /// Something else is wanted now.
    Superseded,
}

/// The game is at an older state or version again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// Why.
    pub cause: RollbackCause,
    /// One CamelCase word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The turn that the game is at now, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// The history that ended, if another began; `timeline` is the one that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_timeline: Option<i64>,
    /// The version that was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_version: Option<String>,
    /// The version that runs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_version: Option<String>,
}

/// Why a game is at an older state or version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum RollbackCause {
    /// A change of version failed.
    Patch,
    /// Somebody had a kept copy put back.
    Restore,
    /// The engine came back at a lower turn, and a person accepted that.
    TurnWentBack,
}

/// The game is deleted.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// What became of the state directory.
    pub deletion_policy: DeletionPolicy,
    /// Where the state directory is; absent if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_path: Option<String>,
}

impl EngineHealth {
    /// From the word that a record has.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("healthy") => Self::Healthy,
            Some("unhealthy") => Self::Unhealthy,
            Some(_) | None => Self::Unknown,
        }
    }
}

impl OperationFinished {
    /// An operation's end; `asked` are the user and the request behind it.
    pub fn of(
        operation_id: OperationId,
        kind: OperationKind,
        generation: i64,
        (requested_by, request_id): (&String, &String),
        ending: &Ending,
    ) -> Self {
        let (result, error_code, error_message) = match ending {
            Ending::Succeeded => (OperationResult::Succeeded, None, None),
            Ending::Superseded => (OperationResult::Superseded, None, None),
            Ending::Failed { code, message } => {
                (OperationResult::Failed, Some(code.clone()), Some(message.clone()))
            }
        };
        Self {
            operation_id,
            operation: kind.as_row().to_owned(),
            generation,
            requested_by: requested_by.clone(),
            request_id: request_id.clone(),
            result,
            error_code,
            error_message,
        }
    }
}
