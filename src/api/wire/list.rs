//! Lists, and the identity of what is only ever listed: things that happened.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A list of objects.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The group and version of the list.
    pub api_version: String,
    /// `GameList` and so on.
    pub kind: String,
    /// Of the list as a whole.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<T>,
}

/// Of a list as a whole.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    /// Moves with every change of what is served; a watch goes on from it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// Asks for the next page; absent on the last one.
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub continued: String,
    /// How many are on the pages to come, where nothing was selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_item_count: Option<u64>,
}

/// The identity of something that happened to a game.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryMeta {
    /// What tells it from all others.
    pub name: String,
    /// The namespace of its game.
    pub namespace: String,
    /// When it happened, or began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub creation_timestamp: Timestamp,
}

impl<T> List<T> {
    /// A list of this kind (`Game` makes a `GameList`).
    pub fn new(api_version: &str, kind: &str, resource_version: u64, items: Vec<T>) -> Self {
        Self {
            api_version: api_version.into(),
            kind: format!("{kind}List"),
            metadata: ListMeta { resource_version: resource_version.to_string(), ..ListMeta::default() },
            items,
        }
    }
}
