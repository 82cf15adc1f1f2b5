//! What is wanted of a game's engine, as a Deployment of one replica or none.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::DEPLOYMENTS;
use super::container::Container;
use super::pod::container;
use super::source::{Source, Status};
use super::{ViewCondition, ViewMeta, truth};
use crate::game::ConditionType;

/// The annotation by which kubectl asks for a restart: another value is another one.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// An `apps/v1` Deployment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// `apps/v1`.
    pub api_version: &'static str,
    /// `Deployment`.
    pub kind: &'static str,
    /// The game's name and labels.
    pub metadata: ViewMeta,
    /// What is wanted.
    pub spec: DeploymentSpec,
    /// How far that has come.
    pub status: DeploymentStatus,
}

/// What is wanted of a game's engine.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// 1 if the game should run, else 0. The two are the game's `desiredStatus`.
    pub replicas: u8,
    /// Finds the game's Pod.
    pub selector: Selector,
    /// What its Pod is made of.
    pub template: Template,
    /// One engine ends before the next one begins.
    pub strategy: Strategy,
}

/// Which Pods belong to a Deployment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Those with all of these labels.
    pub match_labels: BTreeMap<String, String>,
}

/// What a Pod is made of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Template {
    /// Its labels, and when a restart was last asked for by way of the Deployment.
    pub metadata: TemplateMeta,
    /// Its container.
    pub spec: TemplateSpec,
}

/// What a Pod is labelled with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TemplateMeta {
    /// The game's, and the one by which its Pod is found.
    pub labels: BTreeMap<String, String>,
    /// `kubectl.kubernetes.io/restartedAt`; another value asks for a restart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is in a Pod.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TemplateSpec {
    /// The engine.
    pub containers: Vec<Container>,
}

/// How a new engine takes the place of an old one.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Strategy {
    /// `Recreate`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// How far a Deployment has come.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// The generation that this status was computed from; a restart that is asked for and not taken up
    /// keeps it back.
    pub observed_generation: i64,
    /// Containers that there are.
    pub replicas: u8,
    /// Those that are as they should be, and are not going to be replaced.
    pub updated_replicas: u8,
    /// Those that serve their game.
    pub ready_replicas: u8,
    /// The same.
    pub available_replicas: u8,
    /// Those that should be and do not serve.
    pub unavailable_replicas: u8,
    /// The truths in detail.
    pub conditions: Vec<ViewCondition>,
}

impl Deployment {
    /// The Deployment of a game.
    pub fn of(game: &Source) -> Self {
        let mut metadata = game.meta(DEPLOYMENTS, None);
        metadata.generation = Some(game.metadata.generation);
        let restarted = game.metadata.annotations.get(RESTARTED_AT);
        let annotations = restarted.map(|at| (RESTARTED_AT.to_owned(), at.clone())).into_iter().collect();
        Self {
            api_version: "apps/v1",
            kind: DEPLOYMENTS.kind,
            metadata,
            spec: DeploymentSpec {
                replicas: u8::from(game.should_run()),
                selector: Selector { match_labels: game.selector() },
                template: Template {
                    metadata: TemplateMeta { labels: game.labels(), annotations },
                    spec: TemplateSpec { containers: vec![container(game)] },
                },
                strategy: Strategy { kind: "Recreate" },
            },
            status: status(game),
        }
    }
}

fn status(game: &Source) -> DeploymentStatus {
    let wanted = game.should_run();
    let Some(status) = &game.status else {
        return DeploymentStatus {
            observed_generation: 0,
            replicas: 0,
            updated_replicas: 0,
            ready_replicas: 0,
            available_replicas: 0,
            unavailable_replicas: u8::from(wanted),
            conditions: Vec::new(),
        };
    };
    let generation = game.metadata.generation;
    let taken_up = status.observed_restart_generation >= game.spec.restart_generation;
    let there = status.container_id.is_some();
    let serves = status.serves();
    DeploymentStatus {
        observed_generation: status.observed_generation.min(generation - i64::from(!taken_up)),
        replicas: u8::from(there),
        updated_replicas: u8::from(there && wanted && !status.is_being_replaced()),
        ready_replicas: u8::from(serves),
        available_replicas: u8::from(serves),
        unavailable_replicas: u8::from(wanted && !serves),
        conditions: conditions(status, wanted),
    }
}

fn conditions(status: &Status, wanted: bool) -> Vec<ViewCondition> {
    let serves = status.serves();
    let stuck = status.stuck();
    // kubectl knows these words: it waits on or gives up by them.
    let progress = match (stuck, wanted && (!serves || status.is_being_replaced())) {
        (true, _) => "ProgressDeadlineExceeded",
        (false, true) => "ReplicaSetUpdated",
        (false, false) => "NewReplicaSetAvailable",
    };
    let available = serves || !wanted;
    let enough = if available { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" };
    let condition = |kind, holds, reason: &str| ViewCondition {
        kind,
        status: truth(holds),
        reason: reason.to_owned(),
        message: status.message.clone(),
        last_transition_time: status.since(ConditionType::Ready),
    };
    vec![condition("Available", available, enough), condition("Progressing", !stuck, progress)]
}
