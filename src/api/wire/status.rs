//! `Status`: how every error, and the end of some deletions, is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Resource;

/// Kubernetes' `Status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `Status`.
    pub kind: String,
    /// `v1`.
    pub api_version: String,
    /// Always empty.
    pub metadata: Map<String, Value>,
    /// `Success` or `Failure`.
    pub status: String,
    /// A sentence for people: what is wrong, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// One CamelCase word for machines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status.
    pub code: u16,
}

/// What a [`Status`] is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object's group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The object's kind; in Kubernetes' tradition the plural of errors.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Each thing that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds to wait before another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Path of the field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

impl Status {
    /// A failure.
    pub fn failure(code: u16, reason: &str, message: String, details: Option<Details>) -> Self {
        Self {
            kind: "Status".into(),
            api_version: "v1".into(),
            metadata: Map::new(),
            status: "Failure".into(),
            message,
            reason: reason.into(),
            details,
            code,
        }
    }

    /// The end of a deletion that took place at once.
    pub fn deleted(resource: Resource, name: &str) -> Self {
        Self::success(resource, name, String::new())
    }

    /// Something was done about an object, as this sentence says.
    pub fn success(resource: Resource, name: &str, message: String) -> Self {
        let details = Details {
            name: name.into(),
            group: resource.group.into(),
            kind: resource.plural.into(),
            ..Details::default()
        };
        Self { status: "Success".into(), ..Self::failure(200, "", message, Some(details)) }
    }
}
