//! A kept copy of a game's state.

use schemars::JsonSchema;
use serde::Serialize;

use super::{BACKUPS, HistoryMeta};
use crate::game::backup::{Backup, BackupReason};
use crate::game::manifest::API_VERSION;

/// A kept copy as the API shows it; when it was taken is its creation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Backup")]
pub struct BackupObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Backup`.
    pub kind: String,
    /// Its identity.
    pub metadata: HistoryMeta,
    /// What it is a copy of.
    pub spec: BackupSpec,
    /// What is in it.
    pub status: BackupStatus,
}

/// What a copy is a copy of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// The name of its game.
    pub game: String,
    /// The id of its game: another game may have had the name before.
    pub game_id: String,
    /// `Patch`, `Turn` (before one or the other) or `Demand`.
    pub reason: String,
    /// The turn that the state was at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// The timeline that this is a turn of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<i64>,
    /// The engine version that had run on it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// The image of that version, as registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image that had run, for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
}

/// What is in a copy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Regular files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Sockets and pipes that were left out: a process makes them anew.
    pub left_out: u64,
    /// SHA-256 of names, owners, modes, times and contents, in hexadecimal digits.
    pub digest: String,
}

/// A reason, as the API has it.
pub(super) fn reason(reason: BackupReason) -> &'static str {
    match reason {
        BackupReason::Patch => "Patch",
        BackupReason::Turn => "Turn",
        BackupReason::Demand => "Demand",
    }
}

impl BackupObject {
    /// A field that the list can be selected by.
    pub fn field(&self, field: &str) -> Option<&str> {
        match field {
            "metadata.name" => Some(&self.metadata.name),
            "spec.reason" => Some(&self.spec.reason),
            "spec.engineVersion" => self.spec.engine_version.as_deref(),
            _ => None,
        }
    }

    /// A copy of the game that has this name.
    pub fn new(namespace: &str, name: &str, backup: Backup) -> Self {
        let Backup { id, game, taken_at, reason, turn, timeline, build, files, bytes, left_out, digest } =
            backup;
        let reason = self::reason(reason);
        let (inputs, image_id) = build.map(|build| (build.inputs, build.image.to_string())).unzip();
        let (engine_version, image) =
            inputs.map(|inputs| (inputs.engine_version.to_string(), inputs.image.to_string())).unzip();
        Self {
            api_version: API_VERSION.into(),
            kind: BACKUPS.kind.into(),
            metadata: HistoryMeta {
                name: id.to_string(),
                namespace: namespace.to_owned(),
                creation_timestamp: taken_at,
            },
            spec: BackupSpec {
                game: name.to_owned(),
                game_id: game.to_string(),
                reason: reason.to_owned(),
                turn,
                timeline,
                engine_version,
                image,
                image_id,
            },
            status: BackupStatus { files, bytes, left_out, digest },
        }
    }
}
