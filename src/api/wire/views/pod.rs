//! An engine's container as a Pod.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::super::{DEPLOYMENTS, PODS};
use super::container::{
    Container, ContainerState, ContainerStatus, PodIp, Port, Resources, RunningState, TerminatedState,
    WaitingState,
};
use super::source::{LastExit, Source, Status};
use super::{ViewCondition, ViewMeta, to_the_second, truth};
use crate::game::{ConditionType, Phase};

/// What the one container of every Pod is called.
pub const CONTAINER: &str = "engine";

/// The Docker Engine that holds all of them.
const NODE: &str = "docker";

/// A core `v1` Pod: the container of a game's engine, or the one that it is going to have.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// `v1`.
    pub api_version: &'static str,
    /// `Pod`.
    pub kind: &'static str,
    /// The game's name and labels.
    pub metadata: ViewMeta,
    /// What the container is made of.
    pub spec: PodSpec,
    /// How it is.
    pub status: PodStatus,
}

/// What a container is made of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The engine.
    pub containers: Vec<Container>,
    /// The Docker Engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<&'static str>,
    /// `Always`: an engine that ends is healed.
    pub restart_policy: &'static str,
}

/// How a Pod is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// `Pending`, `Running`, `Failed` or `Unknown`.
    pub phase: &'static str,
    /// The headline of the game.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The truths in detail.
    pub conditions: Vec<ViewCondition>,
    /// The beginning of the container's present life.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub start_time: Option<Timestamp>,
    /// Its address on its network, while it serves.
    #[serde(rename = "podIP", skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    /// The same.
    #[serde(rename = "podIPs", default, skip_serializing_if = "Vec::is_empty")]
    pub pod_ips: Vec<PodIp>,
    /// The engine's container.
    pub container_statuses: Vec<ContainerStatus>,
}

impl Pod {
    /// The Pod of a game, if it has a container or is going to have one.
    pub fn of(game: &Source) -> Option<Self> {
        let status = game.status.as_ref();
        let has_container = status.is_some_and(|status| status.container_id.is_some());
        if !has_container && !game.should_run() {
            return None;
        }
        let pod_ip = status.and_then(address).map(|(ip, _)| ip.to_owned());
        let started = status.and_then(started_at);
        let spec = PodSpec {
            containers: vec![container(game)],
            node_name: has_container.then_some(NODE),
            restart_policy: "Always",
        };
        let status = PodStatus {
            phase: phase(status),
            message: status.map(|status| status.message.clone()).unwrap_or_default(),
            conditions: conditions(game),
            start_time: started.or(game.metadata.creation_timestamp.map(to_the_second)),
            pod_ips: pod_ip.iter().map(|ip| PodIp { ip: ip.clone() }).collect(),
            pod_ip,
            container_statuses: vec![container_status(status)],
        };
        let metadata = game.meta(PODS, Some(DEPLOYMENTS));
        Some(Self { api_version: "v1", kind: PODS.kind, metadata, spec, status })
    }

    /// What it can be selected by beside name and namespace.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("status.phase", self.status.phase.to_owned()),
            ("spec.nodeName", self.spec.node_name.unwrap_or_default().to_owned()),
            ("spec.restartPolicy", self.spec.restart_policy.to_owned()),
            ("status.podIP", self.status.pod_ip.clone().unwrap_or_default()),
        ]
    }
}

/// The container that is, or is wanted.
pub(super) fn container(game: &Source) -> Container {
    let limits = &game.spec.resources;
    let limits = [("cpu", &limits.cpu), ("memory", &limits.memory)];
    let port = game.status.as_ref().and_then(address).map(|(_, port)| port);
    Container {
        name: CONTAINER,
        image: game.status.as_ref().and_then(|status| status.image.clone()),
        ports: port.map(|container_port| Port { container_port, protocol: "TCP" }).into_iter().collect(),
        resources: Resources {
            limits: limits.into_iter().filter_map(|(name, limit)| Some((name, limit.clone()?))).collect(),
        },
    }
}

fn phase(status: Option<&Status>) -> &'static str {
    let Some(status) = status else { return "Pending" };
    match status.phase {
        Phase::Unknown => "Unknown",
        _ if status.runs() => "Running",
        // Its process has ended, and is going to be started again.
        Phase::CrashLoop if status.container_id.is_some() => "Running",
        // Its process has ended, and is not going to be started again by itself.
        Phase::Blocked if status.container_id.is_some() && status.last_exit.is_some() => "Failed",
        // The game is over, and its engine ended by itself.
        Phase::Finished if status.last_exit.is_some() => "Succeeded",
        Phase::Pending
        | Phase::Starting
        | Phase::Running
        | Phase::Stopping
        | Phase::Stopped
        | Phase::Finished
        | Phase::EngineUnreachable
        | Phase::CrashLoop
        | Phase::Patching
        | Phase::Invalid
        | Phase::Blocked => "Pending",
    }
}

fn conditions(game: &Source) -> Vec<ViewCondition> {
    let status = game.status.as_ref();
    let has_container = status.is_some_and(|status| status.container_id.is_some());
    let serves = status.is_some_and(Status::serves);
    let since = status.and_then(|status| status.since(ConditionType::Ready));
    let why = status.filter(|_| !serves);
    let condition = |kind, holds, last_transition_time| ViewCondition {
        kind,
        status: truth(holds),
        reason: String::new(),
        message: String::new(),
        last_transition_time,
    };
    let told = |condition: ViewCondition| ViewCondition {
        reason: why.map(|status| status.reason.clone()).unwrap_or_default(),
        message: why.map(|status| status.message.clone()).unwrap_or_default(),
        ..condition
    };
    let made = game.metadata.creation_timestamp.map(to_the_second);
    vec![
        condition("PodScheduled", true, made),
        condition("Initialized", has_container, made),
        told(condition("ContainersReady", serves, since)),
        told(condition("Ready", serves, since)),
    ]
}

fn container_status(status: Option<&Status>) -> ContainerStatus {
    let Some(status) = status else {
        let message = "The controller has not looked at it yet.".to_owned();
        let waiting = Some(WaitingState { reason: "ContainerCreating".into(), message });
        return ContainerStatus {
            name: CONTAINER,
            ready: false,
            started: false,
            restart_count: 0,
            image: String::new(),
            image_id: String::new(),
            container_id: None,
            state: ContainerState { waiting, ..ContainerState::default() },
            last_state: ContainerState::default(),
        };
    };
    ContainerStatus {
        name: CONTAINER,
        ready: status.serves(),
        started: status.runs(),
        restart_count: status.restart_count,
        image: status.image.clone().unwrap_or_default(),
        image_id: status.image_id.clone().unwrap_or_default(),
        container_id: status.container_id.as_ref().map(|id| format!("docker://{id}")),
        state: state(status),
        last_state: ContainerState {
            terminated: status.last_exit.as_ref().map(terminated),
            ..ContainerState::default()
        },
    }
}

fn state(status: &Status) -> ContainerState {
    if status.runs() {
        let running = Some(RunningState { started_at: started_at(status) });
        return ContainerState { running, ..ContainerState::default() };
    }
    if matches!(status.phase, Phase::Blocked | Phase::Finished) && status.container_id.is_some() {
        let terminated = status.last_exit.as_ref().map(terminated);
        if terminated.is_some() {
            return ContainerState { terminated, ..ContainerState::default() };
        }
    }
    let reason =
        if status.phase == Phase::CrashLoop { "CrashLoopBackOff".into() } else { status.reason.clone() };
    let waiting = Some(WaitingState { reason, message: status.message.clone() });
    ContainerState { waiting, ..ContainerState::default() }
}

fn terminated(exit: &LastExit) -> TerminatedState {
    let LastExit { code, out_of_memory, reason, at } = exit;
    let word = match code {
        _ if *out_of_memory => "OOMKilled",
        Some(0) => "Completed",
        Some(_) => "Error",
        None => "ContainerStatusUnknown",
    };
    TerminatedState {
        exit_code: code.unwrap_or(137),
        reason: word.into(),
        message: reason.clone(),
        finished_at: to_the_second(*at),
    }
}

/// Docker's own words, read; its fractions of a second are of no use to anybody here.
fn started_at(status: &Status) -> Option<Timestamp> {
    status.container_started_at.as_deref()?.parse().ok().map(to_the_second)
}

/// The address and the port on the container's network.
fn address(status: &Status) -> Option<(&str, u16)> {
    let (ip, port) = status.endpoints.as_ref()?.address.as_deref()?.rsplit_once(':')?;
    Some((ip.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
}
