//! What the controller would do about a game, and why.

use schemars::JsonSchema;
use serde::Serialize;

use crate::game::manifest::API_VERSION;
use crate::reconcile::explain::Explanation;

/// An explanation as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Explanation")]
pub struct ExplanationObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Explanation`.
    pub kind: String,
    /// Of which game.
    pub metadata: ExplanationMeta,
    /// What should be, what is, what would be done.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// The game that is explained.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExplanationMeta {
    /// Its handle.
    pub name: String,
    /// The handle's namespace.
    pub namespace: String,
    /// Its id; none of a game that is not there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl ExplanationObject {
    /// This game's explanation.
    pub fn new(metadata: ExplanationMeta, explanation: Explanation) -> Self {
        Self { api_version: API_VERSION.into(), kind: "Explanation".into(), metadata, explanation }
    }
}
