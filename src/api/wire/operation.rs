//! Operations: what was done to a game, why, and how it ended.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::HistoryMeta;
use crate::game::manifest::API_VERSION;
use crate::store::{GameOperation, StoredOperation};

/// One audited convergence.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Operation`.
    pub kind: String,
    /// Its identity.
    pub metadata: HistoryMeta,
    /// What it is.
    pub spec: OperationSpec,
    /// How far it is.
    pub status: OperationStatus,
}

/// What an operation is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationSpec {
    /// The name of its game.
    pub game: String,
    /// The id of its game: another game may have had the name before.
    pub game_id: String,
    /// What it does: `start`, `heal` …
    pub op: String,
    /// The generation that it serves.
    pub generation: i64,
    /// Why it began.
    pub cause: String,
    /// What kind of writer is behind it.
    pub source: String,
    /// The user behind it.
    pub requested_by: String,
    /// The request behind it.
    pub request_id: String,
    /// The engine version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_version: Option<String>,
    /// The engine version that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_version: Option<String>,
}

/// How far an operation is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// `Queued`, `Running`, `Succeeded`, `Failed` or `Superseded`.
    pub phase: String,
    /// One CamelCase word, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// A sentence, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
}

impl Operation {
    /// What it can be selected by beside name and namespace.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("spec.game", self.spec.game.clone()),
            ("spec.gameId", self.spec.game_id.clone()),
            ("spec.generation", self.spec.generation.to_string()),
            ("spec.op", self.spec.op.clone()),
        ]
    }
}

impl From<GameOperation> for Operation {
    fn from(GameOperation { namespace, name, operation }: GameOperation) -> Self {
        let StoredOperation {
            id,
            game,
            op,
            source,
            requested_by,
            request_id,
            generation,
            cause,
            from_version,
            to_version,
            status,
            error_code,
            error_message,
            created_at,
            finished_at,
        } = operation;
        Self {
            api_version: API_VERSION.into(),
            kind: "Operation".into(),
            metadata: HistoryMeta { name: id.to_string(), namespace, creation_timestamp: created_at },
            spec: OperationSpec {
                game: name,
                game_id: game.to_string(),
                op,
                generation,
                cause,
                source,
                requested_by,
                request_id,
                from_version,
                to_version,
            },
            status: OperationStatus { phase: capitalised(&status), error_code, error_message, finished_at },
        }
    }
}

/// The database's word as the API has it.
pub(super) fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}

/// A word of several parts (`rolled_back`) as the API has it (`RolledBack`).
pub(in crate::api) fn camel(words: &str) -> String {
    words.split('_').map(capitalised).collect()
}
