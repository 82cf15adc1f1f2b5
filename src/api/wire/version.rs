//! An engine version.

use schemars::JsonSchema;
use serde::Serialize;

use crate::game::manifest::{EngineVersionManifest, EngineVersionSpecManifest, ObjectMeta};
use crate::store::StoredVersion;

/// An engine version as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EngineVersion")]
pub struct EngineVersionObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `EngineVersion`.
    pub kind: String,
    /// Its number, labels and versions.
    pub metadata: ObjectMeta,
    /// What it stands for.
    pub spec: EngineVersionSpecManifest,
}

impl From<StoredVersion> for EngineVersionObject {
    fn from(version: StoredVersion) -> Self {
        let EngineVersionManifest { api_version, kind, metadata, spec, status: _ } = version.manifest;
        Self { api_version, kind, metadata, spec }
    }
}
