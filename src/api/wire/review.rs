//! Questions about oneself: what would be allowed, and who one is.

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Clients send answers along, empty and in Go's way: `null` for a list of nothing.
fn ignored<'de, D: Deserializer<'de>, T: Default>(deserializer: D) -> Result<T, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| T::default())
}

/// Whether something would be allowed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SelfSubjectAccessReview")]
pub struct AccessReview {
    /// `authorization.k8s.io/v1`.
    pub api_version: String,
    /// `SelfSubjectAccessReview`.
    pub kind: String,
    /// Nothing of it is kept.
    #[serde(deserialize_with = "ignored")]
    pub metadata: Map<String, Value>,
    /// What is asked.
    pub spec: AccessReviewSpec,
    /// The answer.
    #[serde(deserialize_with = "ignored")]
    pub status: AccessReviewStatus,
}

/// What is asked: of one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SelfSubjectAccessReviewSpec")]
pub struct AccessReviewSpec {
    /// About objects.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub resource_attributes: Option<ResourceAttributes>,
    /// About a path.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub non_resource_attributes: Option<NonResourceAttributes>,
}

/// What is there is one: a null is none, and no client sends it.
fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// What would be done with which objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceAttributes {
    /// In which namespace; empty: in all of them, or in none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// What would be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// The group of the kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its version, which does not matter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The plural of the kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Which path below the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Which object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What would be done with which path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NonResourceAttributes {
    /// The path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What would be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
}

/// Whether it would be allowed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SubjectAccessReviewStatus")]
pub struct AccessReviewStatus {
    /// Whether it would.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Everything that is allowed in a namespace.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SelfSubjectRulesReview")]
pub struct RulesReview {
    /// `authorization.k8s.io/v1`.
    pub api_version: String,
    /// `SelfSubjectRulesReview`.
    pub kind: String,
    /// Nothing of it is kept.
    #[serde(deserialize_with = "ignored")]
    pub metadata: Map<String, Value>,
    /// Where.
    pub spec: RulesReviewSpec,
    /// The answer.
    #[serde(deserialize_with = "ignored")]
    pub status: RulesReviewStatus,
}

/// Where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SelfSubjectRulesReviewSpec")]
pub struct RulesReviewSpec {
    /// The namespace.
    pub namespace: String,
}

/// Everything that is allowed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SubjectRulesReviewStatus")]
pub struct RulesReviewStatus {
    /// With objects.
    pub resource_rules: Vec<ResourceRule>,
    /// With paths.
    pub non_resource_rules: Vec<NonResourceRule>,
    /// Whether there may be more; there never is.
    pub incomplete: bool,
}

/// What is allowed with kinds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRule {
    /// What may be done.
    pub verbs: Vec<String>,
    /// Their group.
    pub api_groups: Vec<String>,
    /// Their plurals.
    pub resources: Vec<String>,
}

/// What is allowed with paths.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NonResourceRule {
    /// What may be done.
    pub verbs: Vec<String>,
    /// Which paths.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

/// Who one is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SelfSubjectReview")]
pub struct SelfReview {
    /// `authentication.k8s.io/v1`.
    pub api_version: String,
    /// `SelfSubjectReview`.
    pub kind: String,
    /// Nothing of it is kept.
    #[serde(deserialize_with = "ignored")]
    pub metadata: Map<String, Value>,
    /// The answer.
    #[serde(deserialize_with = "ignored")]
    pub status: SelfReviewStatus,
}

/// Who one is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "SelfSubjectReviewStatus")]
pub struct SelfReviewStatus {
    /// Who.
    pub user_info: UserInfo,
}

/// Somebody, in Kubernetes' words.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserInfo {
    /// As the audit has it.
    pub username: String,
    /// What they may do: `gamekeeper:ROLE`, or `gamekeeper:ROLE:NAMESPACE`.
    pub groups: Vec<String>,
}
