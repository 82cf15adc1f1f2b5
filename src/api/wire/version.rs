//! An engine version.

use schemars::JsonSchema;
use serde::Serialize;

use crate::game::manifest::{EngineVersionManifest, EngineVersionSpecManifest, ObjectMeta};
use crate::store::StoredVersion;
use crate::store::version_records::VersionUsage;

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
    /// How it does across games.
    pub status: EngineVersionStatus,
}

/// How an engine version does across games.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineVersionStatus {
    /// Games that ask for it, by its number or by a requirement of which it is the newest that fits.
    pub games: u64,
    /// Games that have a container of it.
    pub running: u64,
    /// Games on which a change to it failed since a person last let them go on.
    pub patch_failures: u32,
    /// Changes to it failed on too many games: nobody is moved to it until `resumeGeneration` grows.
    pub halted: bool,
    /// One CamelCase word for the change that failed last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl EngineVersionObject {
    /// With what is known of it; so many failures halt changes to it.
    pub fn new(StoredVersion { manifest, managed: _, usage }: StoredVersion, max_failures: u32) -> Self {
        let EngineVersionManifest { api_version, kind, metadata, spec, status: _ } = manifest;
        let VersionUsage { games, running, failures, reason, message } = usage;
        let halted = failures > 0 && failures >= max_failures;
        let status =
            EngineVersionStatus { games, running, patch_failures: failures, halted, reason, message };
        Self { api_version, kind, metadata, spec, status }
    }
}
