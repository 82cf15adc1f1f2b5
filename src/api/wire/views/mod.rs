//! Games in the words of Kubernetes' own kinds, for the verbs of its clients that know no others: a
//! Pod for the engine's container, a Deployment for what is wanted of it, a Namespace for where games
//! are.
//!
//! Pure functions of a game as it is served: nothing of a view is kept anywhere.

mod container;
mod deployment;
mod namespace;
mod pod;
mod source;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

pub use deployment::{Deployment, RESTARTED_AT};
pub use namespace::Namespace;
pub use pod::{CONTAINER, Pod};
pub use source::Source;

/// The label by which a game's Deployment finds its Pod; its value is the game's name.
pub const GAME_LABEL: &str = "gamekeeper.dev/game";

/// The identity of a view.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewMeta {
    /// The game's name.
    pub name: String,
    /// The game's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its own, which stays for as long as the game is there.
    pub uid: String,
    /// That of the game's spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// When the game was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub creation_timestamp: Option<Timestamp>,
    /// When the game's deletion was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub deletion_timestamp: Option<Timestamp>,
    /// The game's, and the one by which its Pod is found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner_references: Vec<OwnerReference>,
}

/// What a view belongs to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// Its group and version.
    pub api_version: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// It decides what becomes of the view.
    pub controller: bool,
}

/// A truth about a view.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewCondition {
    /// Which truth.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One CamelCase word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When `status` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_transition_time: Option<Timestamp>,
}

/// The identity of a view of the object with this one.
pub fn uid_of(kind: &str, uid: &str) -> String {
    let space = uid.parse().unwrap_or(Uuid::NAMESPACE_OID);
    Uuid::new_v5(&space, kind.as_bytes()).to_string()
}

fn truth(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

/// Kubernetes' own objects have no fractions of a second.
fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
