//! Where games are, as a Namespace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::super::NAMESPACES;
use super::{ViewMeta, to_the_second};

/// A core `v1` Namespace: there while a game is in it. `default` is always there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// `v1`.
    pub api_version: &'static str,
    /// `Namespace`.
    pub kind: &'static str,
    /// Its name.
    pub metadata: ViewMeta,
    /// Nothing.
    pub spec: NamespaceSpec,
    /// That it is there.
    pub status: NamespaceStatus,
}

/// Nothing: there is nothing to want of a namespace.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NamespaceSpec {}

/// That a namespace is there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NamespaceStatus {
    /// `Active`.
    pub phase: &'static str,
}

impl Namespace {
    /// The namespace of this name, whose first game was made then.
    pub fn new(name: &str, first: Option<Timestamp>) -> Self {
        let labels = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]);
        let metadata = ViewMeta {
            name: name.to_owned(),
            namespace: None,
            uid: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("namespace/{name}").as_bytes()).to_string(),
            generation: None,
            creation_timestamp: first.map(to_the_second),
            deletion_timestamp: None,
            labels,
            owner_references: Vec::new(),
        };
        let status = NamespaceStatus { phase: "Active" };
        Self { api_version: "v1", kind: NAMESPACES.kind, metadata, spec: NamespaceSpec {}, status }
    }
}
