//! What a view reads of a game as it is served.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::super::Resource;
use super::{GAME_LABEL, OwnerReference, ViewMeta, to_the_second, uid_of};
use crate::game::manifest::API_VERSION;
use crate::game::manifest::wire::GAME_KIND;
use crate::game::{Condition, ConditionStatus, ConditionType, DesiredStatus, Phase};

/// A game, as far as views show it.
#[derive(Debug, Deserialize)]
pub struct Source {
    pub(super) metadata: Meta,
    pub(super) spec: Spec,
    /// None until the controller has looked at it.
    #[serde(default, deserialize_with = "once_looked_at")]
    pub(super) status: Option<Status>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) uid: String,
    #[serde(default)]
    pub(super) generation: i64,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) creation_timestamp: Option<Timestamp>,
    pub(super) deletion_timestamp: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) desired_status: DesiredStatus,
    #[serde(default)]
    pub(super) resources: Limits,
    #[serde(default)]
    pub(super) restart_generation: i64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Limits {
    pub(super) cpu: Option<String>,
    pub(super) memory: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) observed_generation: i64,
    pub(super) phase: Phase,
    pub(super) reason: String,
    pub(super) message: String,
    #[serde(default)]
    pub(super) conditions: Vec<Condition>,
    pub(super) container_id: Option<String>,
    pub(super) container_started_at: Option<String>,
    pub(super) image: Option<String>,
    pub(super) image_id: Option<String>,
    pub(super) endpoints: Option<Endpoints>,
    pub(super) restart_count: u32,
    pub(super) last_exit: Option<LastExit>,
    #[serde(default)]
    pub(super) observed_restart_generation: i64,
    pub(super) operation: Option<Operation>,
    pub(super) patch: Option<Something>,
    pub(super) patch_delay: Option<Something>,
    pub(super) failed_patch: Option<Something>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Endpoints {
    pub(super) address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastExit {
    pub(super) code: Option<i64>,
    pub(super) out_of_memory: bool,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    pub(super) kind: String,
}

/// Only whether it is there matters.
#[derive(Debug, Deserialize)]
pub(super) struct Something {}

/// Before, a status says that nobody has.
fn once_looked_at<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Status>, D::Error> {
    let status = Option::<Status>::deserialize(from)?;
    Ok(status.filter(|status| status.observed_generation > 0))
}

impl Source {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The game's identity.
    pub fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// How often a restart was asked for.
    pub fn restarts(&self) -> i64 {
        self.spec.restart_generation
    }

    pub(super) fn should_run(&self) -> bool {
        self.spec.desired_status == DesiredStatus::Running && self.metadata.deletion_timestamp.is_none()
    }

    /// Its labels, and the one by which its Pod is found.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.metadata.labels.clone();
        labels.extend(self.selector());
        labels
    }

    pub(super) fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(GAME_LABEL.to_owned(), self.metadata.name.clone())])
    }

    /// The identity of a view of this kind, which belongs to a view of that one or to the game.
    pub(super) fn meta(&self, of: Resource, owner: Option<Resource>) -> ViewMeta {
        let Meta { name, namespace, uid, creation_timestamp, deletion_timestamp, .. } = &self.metadata;
        let owner = OwnerReference {
            api_version: if owner.is_some() { "apps/v1" } else { API_VERSION },
            kind: owner.map_or(GAME_KIND, |owner| owner.kind),
            name: name.clone(),
            uid: owner.map_or_else(|| uid.clone(), |owner| uid_of(owner.kind, uid)),
            controller: true,
        };
        ViewMeta {
            name: name.clone(),
            namespace: namespace.clone(),
            uid: uid_of(of.kind, uid),
            generation: None,
            creation_timestamp: creation_timestamp.map(to_the_second),
            deletion_timestamp: deletion_timestamp.map(to_the_second),
            labels: self.labels(),
            owner_references: vec![owner],
        }
    }
}

impl Status {
    fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    pub(super) fn holds(&self, kind: ConditionType) -> bool {
        self.condition(kind).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// When this truth last changed.
    pub(super) fn since(&self, kind: ConditionType) -> Option<Timestamp> {
        self.condition(kind).map(|condition| to_the_second(condition.last_transition_time))
    }

    /// Its process runs, as far as is known.
    pub(super) fn runs(&self) -> bool {
        self.container_id.is_some() && self.holds(ConditionType::ContainerRunning)
    }

    /// It serves its game.
    pub(super) fn serves(&self) -> bool {
        self.runs()
            && matches!(self.phase, Phase::Running | Phase::Finished)
            && self.holds(ConditionType::EngineHealthy)
    }

    /// Why it does not go on by itself, if it does not.
    pub(super) fn stuck(&self) -> bool {
        matches!(self.phase, Phase::Blocked | Phase::Invalid) || self.failed_patch.is_some()
    }

    /// Its container is not the one that is wanted: another one is on its way, or wanted.
    pub(super) fn is_being_replaced(&self) -> bool {
        let kinds = ["start", "heal", "restart", "patch", "rollback", "restore"];
        self.operation.as_ref().is_some_and(|operation| kinds.contains(&operation.kind.as_str()))
            || self.patch.is_some()
            || self.patch_delay.is_some()
            || self.failed_patch.is_some()
    }
}
