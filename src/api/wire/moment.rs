//! What was decided about a game at a time, and why.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::operation::camel;
use super::{Event, ExplanationMeta, Operation, TurnObject, TurnSlotObject};
use crate::store::{SpecThen, StoredChange, StoredSnapshot};

/// What is on record about a game around a time. Lists are oldest first, from a little before the
/// time to a little after it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MomentObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Moment`.
    pub kind: String,
    /// Of which game.
    pub metadata: ExplanationMeta,
    /// The time.
    pub at: Timestamp,
    /// The zone in which times of day were read.
    pub time_zone: String,
    /// The whole in a few sentences.
    pub summary: String,
    /// What should have been; absent if that can no longer be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecState>,
    /// The last slot of that schedule, at the time or before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_slot: Option<Timestamp>,
    /// The first one after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_slot: Option<Timestamp>,
    /// What became of slots.
    pub slots: Vec<TurnSlotObject>,
    /// Turns.
    pub turns: Vec<TurnObject>,
    /// Operations.
    pub operations: Vec<Operation>,
    /// Changes of the spec.
    pub changes: Vec<GameChange>,
    /// Events.
    pub events: Vec<Event>,
    /// What the engine had said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineSaid>,
}

/// The part of a spec that decides about turns.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecState {
    /// `Running` or `Stopped`.
    pub desired_status: String,
    /// No turn begins.
    pub paused: bool,
    /// Cron; empty for turns by hand only.
    pub schedule: String,
    /// The schedule's zone.
    pub time_zone: String,
    /// No slot fires earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The engine version that should have run.
    pub engine_version: String,
}

/// A change of desired state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameChange {
    /// `Created`, `Changed` or `Deleted`.
    pub change: String,
    /// The generation after it.
    pub generation: i64,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub changed_at: Timestamp,
    /// Who.
    pub requested_by: String,
    /// By which request.
    pub request_id: String,
    /// What kind of writer.
    pub source: String,
    /// Which columns of the row from what to what.
    pub changes: Value,
}

/// What an engine said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineSaid {
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub observed_at: Timestamp,
    /// `healthy`, `unhealthy`, `starting` or `unknown`.
    pub health: String,
    /// At which turn it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// It was generating one.
    pub generating: bool,
    /// The game was over.
    pub finished: bool,
}

impl From<SpecThen> for SpecState {
    fn from(then: SpecThen) -> Self {
        let SpecThen { desired_status, paused, schedule, time_zone, not_before, engine_version } = then;
        let desired_status = camel(&desired_status);
        Self { desired_status, paused, schedule, time_zone, not_before, engine_version }
    }
}

impl From<StoredChange> for GameChange {
    fn from(row: StoredChange) -> Self {
        let StoredChange { change, generation, changed_at, requested_by, request_id, source, changes } = row;
        Self { change: camel(&change), generation, changed_at, requested_by, request_id, source, changes }
    }
}

impl From<StoredSnapshot> for EngineSaid {
    fn from(row: StoredSnapshot) -> Self {
        let StoredSnapshot { observed_at, health, turn, generating, finished } = row;
        Self { observed_at, health, turn, generating, finished }
    }
}
