//! What a Pod tells of its one container.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// An engine's container.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// `engine`.
    pub name: &'static str,
    /// The image that it is built from, once that is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where it listens, while it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// What the game's spec says about its limits.
    pub resources: Resources,
}

/// Where a container listens.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Its number.
    pub container_port: u16,
    /// `TCP`.
    pub protocol: &'static str,
}

/// The limits of a container.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Resources {
    /// `cpu` and `memory`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<&'static str, String>,
}

/// An address of a Pod.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// How a container is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// `engine`.
    pub name: &'static str,
    /// It serves its game.
    pub ready: bool,
    /// Its process runs.
    pub started: bool,
    /// How often it was healed by a restart.
    pub restart_count: u32,
    /// The image that it is built from.
    pub image: String,
    /// What that image stood for.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// `docker://` and its id.
    #[serde(rename = "containerID", skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// How it is.
    pub state: ContainerState,
    /// How its last life ended.
    pub last_state: ContainerState,
}

/// One of three; of a life that there was none of, none.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// It runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningState>,
    /// It does not run yet, or not any more for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingState>,
    /// It has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<TerminatedState>,
}

/// A container runs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningState {
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
}

/// A container is waited for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WaitingState {
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// A container has ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminatedState {
    /// The process's exit code; 137 if nobody knows it, as Kubernetes has it.
    pub exit_code: i64,
    /// One CamelCase word.
    pub reason: String,
    /// How the controller saw it, in a word of its own.
    pub message: String,
    /// When that was.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub finished_at: Timestamp,
}
