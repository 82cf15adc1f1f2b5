//! Turns of the ledger, and what became of the slots of a schedule.
//!
//! They are two kinds, for neither is a part of the other: a slot may have no turn, and a forced
//! turn no slot. A turn is named `GAME-ID.TIMELINE.NUMBER`, a slot `GAME-ID.TIMELINE.SECONDS` (since
//! 1970).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::operation::camel;
use super::{HistoryMeta, TURN_SLOTS, TURNS};
use crate::game::manifest::API_VERSION;
use crate::store::{StoredSlot, StoredTurn};

/// A turn of the ledger.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Turn")]
pub struct TurnObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Turn`.
    pub kind: String,
    /// Its identity.
    pub metadata: HistoryMeta,
    /// What it is.
    pub spec: TurnObjectSpec,
    /// How far it is.
    pub status: TurnStatus,
}

/// What a turn is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnObjectSpec {
    /// The name of its game.
    pub game: String,
    /// The id of its game: another game may have had the name before.
    pub game_id: String,
    /// The history of the game that it belongs to.
    pub timeline: i64,
    /// The number that it leads to.
    pub number: i64,
    /// `Schedule` or `Forced`.
    pub cause: String,
    /// The slot that it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub slot: Option<Timestamp>,
    /// The user behind it.
    pub requested_by: String,
    /// The request behind it.
    pub request_id: String,
}

/// How far a turn is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnStatus {
    /// `Pending`, `Dispatched`, `Done`, `Failed`, `Abandoned` or `RolledBack`.
    pub phase: String,
    /// How often the engine was asked.
    pub attempts: i64,
    /// The operation that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When it was opened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub opened_at: Timestamp,
    /// When the engine was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub dispatched_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
    /// How long after its slot the engine was asked, in seconds. A forced turn waits for no slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<f64>,
    /// How long it took from the asking to the end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// One CamelCase word, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// A sentence, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

impl TurnObject {
    /// What it can be selected by beside name and namespace.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("spec.game", self.spec.game.clone()),
            ("spec.gameId", self.spec.game_id.clone()),
            ("spec.timeline", self.spec.timeline.to_string()),
            ("spec.number", self.spec.number.to_string()),
            ("status.phase", self.status.phase.clone()),
        ]
    }
}

impl From<StoredTurn> for TurnObject {
    fn from(row: StoredTurn) -> Self {
        let StoredTurn {
            game,
            namespace,
            name,
            timeline,
            number,
            cause,
            slot,
            state,
            attempts,
            operation,
            requested_by,
            request_id,
            opened_at,
            dispatched_at,
            finished_at,
            error_code,
            error_message,
        } = row;
        let due = slot.filter(|_| cause == "schedule");
        let seconds = |from: Option<Timestamp>, to: Option<Timestamp>| {
            Some(to?.duration_since(from?).as_millis() as f64 / 1_000.0)
        };
        Self {
            api_version: API_VERSION.into(),
            kind: TURNS.kind.into(),
            metadata: HistoryMeta {
                name: format!("{game}.{timeline}.{number}"),
                namespace,
                creation_timestamp: opened_at,
            },
            spec: TurnObjectSpec {
                game: name,
                game_id: game.to_string(),
                timeline,
                number,
                cause: camel(&cause),
                slot,
                requested_by,
                request_id,
            },
            status: TurnStatus {
                phase: camel(&state),
                attempts,
                operation: operation.map(|id| id.to_string()),
                opened_at,
                dispatched_at,
                finished_at,
                lag_seconds: seconds(due, dispatched_at),
                duration_seconds: seconds(dispatched_at, finished_at),
                error_code,
                error_message,
            },
        }
    }
}

/// What became of a slot.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TurnSlot")]
pub struct TurnSlotObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `TurnSlot`.
    pub kind: String,
    /// Its identity.
    pub metadata: HistoryMeta,
    /// What it is.
    pub spec: TurnSlotSpec,
    /// What became of it.
    pub status: TurnSlotStatus,
}

/// What a slot is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnSlotSpec {
    /// The name of its game.
    pub game: String,
    /// The id of its game: another game may have had the name before.
    pub game_id: String,
    /// The history of the game that it belongs to.
    pub timeline: i64,
    /// When it was due.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub slot: Timestamp,
}

/// What became of a slot.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnSlotStatus {
    /// `Fired`, `Coalesced`, `Skipped`, `Deferred` or `Consumed`.
    pub decision: String,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The turn that stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// When that was decided.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub decided_at: Timestamp,
}

impl From<StoredSlot> for TurnSlotObject {
    fn from(row: StoredSlot) -> Self {
        let StoredSlot { game, namespace, name, timeline, slot, decision, reason, message, turn, decided_at } =
            row;
        Self {
            api_version: API_VERSION.into(),
            kind: TURN_SLOTS.kind.into(),
            metadata: HistoryMeta {
                name: format!("{game}.{timeline}.{}", slot.as_second()),
                namespace,
                creation_timestamp: decided_at,
            },
            spec: TurnSlotSpec { game: name, game_id: game.to_string(), timeline, slot },
            status: TurnSlotStatus { decision: camel(&decision), reason, message, turn, decided_at },
        }
    }
}
