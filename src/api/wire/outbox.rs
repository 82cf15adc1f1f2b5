//! Events of the outbox: what the lobby is told, and how far the telling is.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{HistoryMeta, OUTBOX};
use crate::game::manifest::API_VERSION;
use crate::store::outbox::OutboxEvent;

/// An event for the lobby.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OutboxEvent")]
pub struct OutboxEventObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `OutboxEvent`.
    pub kind: String,
    /// Its identity.
    pub metadata: HistoryMeta,
    /// What it is.
    pub spec: OutboxEventSpec,
    /// How far it is.
    pub status: OutboxEventStatus,
}

/// What an event is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboxEventSpec {
    /// The name of its game.
    pub game: String,
    /// The id of its game: another game may have had the name before.
    pub game_id: String,
    /// 1, 2, 3 … for each game.
    pub seq: i64,
    /// The history of the game that it belongs to.
    pub timeline: i64,
    /// `dev.gamekeeper.game.snapshot.v1` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it tells.
    pub data: Value,
}

/// How far an event is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboxEventStatus {
    /// `Pending`, `Retrying`, `Delivered` or `SetAside`.
    pub phase: String,
    /// How often it was tried.
    pub attempts: i64,
    /// How often the lobby refused it.
    pub refusals: i64,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was pushed; absent if the lobby acknowledged it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub delivered_at: Option<Timestamp>,
}

impl From<OutboxEvent> for OutboxEventObject {
    fn from(row: OutboxEvent) -> Self {
        let OutboxEvent {
            event,
            game,
            namespace,
            name,
            seq,
            timeline,
            kind,
            occurred_at,
            payload,
            state,
            attempts,
            refusals,
            next_attempt_at,
            last_error,
            delivered_at,
        } = row;
        Self {
            api_version: API_VERSION.into(),
            kind: OUTBOX.kind.into(),
            metadata: HistoryMeta { name: event.to_string(), namespace, creation_timestamp: occurred_at },
            spec: OutboxEventSpec {
                game: name,
                game_id: game.to_string(),
                seq,
                timeline,
                kind,
                data: payload,
            },
            status: OutboxEventStatus {
                phase: state.word().into(),
                attempts,
                refusals,
                next_attempt_at,
                last_error,
                delivered_at,
            },
        }
    }
}
