//! A token of the API.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ACCESS_TOKENS;
use crate::game::access::{AccessToken, Grant, NewToken};
use crate::game::manifest::{API_VERSION, ObjectMeta};

/// A token as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AccessToken")]
pub struct AccessTokenObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `AccessToken`.
    pub kind: String,
    /// Its name is what the audit calls whoever has it.
    pub metadata: ObjectMeta,
    /// What it is good for. It never changes.
    pub spec: AccessTokenSpec,
    /// What is known of it.
    pub status: AccessTokenStatus,
}

/// A token that is to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessTokenManifest {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `AccessToken`.
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
    /// What it is good for.
    pub spec: AccessTokenSpec,
    /// Written by the server alone.
    #[serde(default)]
    pub status: Option<serde_json::Value>,
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessTokenSpec {
    /// `viewer` reads; `lobby` writes games as well; `operator` everything but tokens; `admin` everything.
    pub role: String,
    /// The namespaces that it is good for. Absent: all of them, and what is in none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// From when on it is refused. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenStatus {
    /// The token itself: in the answer to its creation, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// Whether it is refused by now.
    pub expired: bool,
}

impl AccessTokenObject {
    /// As it is at this time.
    pub fn new(kept: AccessToken, now: Timestamp) -> Self {
        let expired = kept.has_expired(now);
        let AccessToken { id, token, digest: _, created_by, created_at } = kept;
        let NewToken { name, grant: Grant { role, namespaces }, expires_at } = token;
        let metadata = ObjectMeta {
            name: name.to_string(),
            uid: Some(id.to_string()),
            // It never changes.
            resource_version: Some("1".into()),
            creation_timestamp: Some(created_at),
            ..ObjectMeta::default()
        };
        let namespaces = namespaces.iter().map(ToString::to_string).collect();
        Self {
            api_version: API_VERSION.into(),
            kind: ACCESS_TOKENS.kind.into(),
            metadata,
            spec: AccessTokenSpec { role: role.word().into(), namespaces, expires_at },
            status: AccessTokenStatus { token: None, created_by, expired },
        }
    }
}
