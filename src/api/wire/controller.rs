//! The whole controller, as one object: what operators want of it, and how it is.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::game::controller::{
    ControllerSpec, ControllerStatus, DOCKER_WAY_OUT, Freeze, Ground, HeldDeletions, Instance, KIND, NAME,
    Orphan,
};
use crate::game::manifest::{API_VERSION, ObjectMeta};
use crate::game::{Condition, ConditionStatus, ConditionType};
use crate::store::Lead;

/// The controller as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Controller")]
pub struct ControllerObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Controller`.
    pub kind: String,
    /// Always the same name; the uid is the instance's.
    pub metadata: ObjectMeta,
    /// What operators want of it.
    pub spec: ControllerSpecManifest,
    /// How it is.
    pub status: ControllerState,
}

/// What operators want of the controller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ControllerSpecManifest {
    /// Look, show, and touch nothing.
    pub frozen: bool,
    /// Why, in the operator's words.
    pub frozen_because: String,
    /// The held deletions that were seen up to this time are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub deletions_confirmed_at: Option<Timestamp>,
    /// One more confirms a deliberate move to what `rebind` names.
    pub rebind_generation: i64,
    /// Exactly what is found now (`status.ground`).
    pub rebind: RebindManifest,
}

/// What the games belong to from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RebindManifest {
    /// The Docker Engine that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_engine_id: Option<String>,
    /// The instance that the state root's sentinel names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_root: Option<String>,
    /// The high-water counter kept in the state root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_water: Option<i64>,
}

/// How the controller is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ControllerPhase {
    /// It has not looked at everything yet.
    Starting,
    /// It acts.
    Active,
    /// Another process acts.
    StandingBy,
    /// It touches nothing.
    Frozen,
}

/// How the controller is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ControllerStatus")]
pub struct ControllerState {
    /// The headline.
    pub phase: ControllerPhase,
    /// The truth in Kubernetes' shape: `Ready`.
    pub conditions: Vec<Condition>,
    /// Why it touches nothing, each with the way out; empty if it acts.
    pub freezes: Vec<Freeze>,
    /// What its games stand on, as it is found.
    pub ground: Ground,
    /// What they should stand on.
    pub expected: Ground,
    /// The last confirmation of a move that came true.
    pub observed_rebind_generation: i64,
    /// Another process leads, or may.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stands_by: bool,
    /// Deletions that wait for an operator's word. Absent where that is not known: this process does not
    /// lead, or has not looked yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_deletions: Option<HeldDeletions>,
    /// Containers of ours that belong to no game. Absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphans: Option<Vec<OrphanState>>,
    /// Why Docker does not answer, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_down: Option<String>,
    /// Why the database does not answer the controller, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_down: Option<String>,
    /// Whose database this is.
    pub instance_id: String,
    /// The number of the present leadership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// The process that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Whether it still has it; if not, nobody leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_holds: Option<bool>,
}

/// A container of ours that belongs to no game.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Orphan")]
pub struct OrphanState {
    /// The container, and the game that its labels name.
    #[serde(flatten)]
    pub orphan: Orphan,
    /// The state directory of that game on the engine's host, which stays whatever is decided.
    pub state_path: String,
}

/// Everything that a controller's object is put together from.
#[derive(Debug, Clone)]
pub struct ControllerParts {
    /// What operators want.
    pub spec: ControllerSpec,
    /// Whose database it is.
    pub instance: Instance,
    /// Who leads.
    pub lead: Option<Lead>,
    /// How it is.
    pub status: ControllerStatus,
    /// The state directories of the orphans, in their order.
    pub state_paths: Vec<String>,
    /// Since when it is ready, or not.
    pub since: Timestamp,
}

impl From<ControllerParts> for ControllerObject {
    fn from(parts: ControllerParts) -> Self {
        let ControllerParts { spec, instance, lead, status, state_paths, since } = parts;
        let condition = ready(&spec, &status, since);
        // Every field is named, so that a new one breaks the build where it must be thought of.
        let phase = phase(&status);
        let ControllerStatus {
            stands_by,
            started: _,
            freezes,
            ground,
            held_deletions,
            orphans,
            docker_down,
            database_down,
        } = status;
        let state = |(orphan, state_path)| OrphanState { orphan, state_path };
        Self {
            api_version: API_VERSION.into(),
            kind: KIND.into(),
            metadata: ObjectMeta {
                name: NAME.into(),
                uid: Some(instance.id.to_string()),
                resource_version: Some(spec.row_version.to_string()),
                generation: Some(spec.row_version),
                ..ObjectMeta::default()
            },
            spec: ControllerSpecManifest::from(spec),
            status: ControllerState {
                phase,
                conditions: vec![condition],
                freezes,
                ground,
                expected: Ground {
                    docker_engine_id: instance.docker_engine_id,
                    state_root: instance.state_root_bound.then(|| instance.id.to_string()),
                    high_water: Some(instance.high_water),
                },
                observed_rebind_generation: instance.observed_rebind_generation,
                stands_by,
                held_deletions,
                orphans: orphans.map(|orphans| orphans.into_iter().zip(state_paths).map(state).collect()),
                docker_down,
                database_down,
                instance_id: instance.id.to_string(),
                epoch: lead.as_ref().map(|lead| lead.epoch.0),
                lease_holds: lead.as_ref().map(|lead| lead.holds),
                leader: lead.map(|lead| lead.holder),
            },
        }
    }
}

fn phase(status: &ControllerStatus) -> ControllerPhase {
    match (status.freezes.is_empty(), status.stands_by, status.started) {
        // A controller that is frozen from the first moment on may never have looked at everything.
        (false, ..) => ControllerPhase::Frozen,
        (true, true, _) => ControllerPhase::StandingBy,
        (true, false, false) => ControllerPhase::Starting,
        (true, false, true) => ControllerPhase::Active,
    }
}

/// Whether the controller does what it is there for.
pub fn is_ready(status: &ControllerStatus) -> bool {
    matches!(phase(status), ControllerPhase::Active | ControllerPhase::StandingBy)
        && status.docker_down.is_none()
        && status.database_down.is_none()
}

fn ready(spec: &ControllerSpec, status: &ControllerStatus, since: Timestamp) -> Condition {
    let frozen: Vec<String> =
        status.freezes.iter().map(|freeze| format!("{} {}", freeze.message, freeze.way_out)).collect();
    let (reason, message) = match (status.freezes.first(), &status.docker_down, &status.database_down) {
        (Some(first), ..) => (first.reason.to_string(), frozen.join(" ")),
        (None, Some(why), _) => {
            ("DockerDown".into(), format!("Docker does not answer: {why}; {DOCKER_WAY_OUT}"))
        }
        (None, None, Some(why)) => ("DatabaseDown".into(), format!("the database does not answer: {why}")),
        (None, None, None) if status.stands_by => {
            ("StandingBy".into(), "another controller leads; this one takes over if that one ends".into())
        }
        (None, None, None) if !status.started => {
            ("Starting".into(), "the controller has not looked at everything yet".into())
        }
        (None, None, None) => ("Active".into(), "the controller acts".into()),
    };
    // What it has made of the spec shows where it can be seen: in whether it is frozen by hand.
    let by_hand = status
        .freezes
        .iter()
        .any(|freeze| freeze.reason == crate::game::controller::FreezeReason::FrozenByHand);
    let seen = by_hand == spec.frozen;
    Condition {
        kind: ConditionType::Ready,
        status: if is_ready(status) { ConditionStatus::True } else { ConditionStatus::False },
        reason,
        message,
        last_transition_time: since,
        observed_generation: if seen { spec.row_version } else { spec.row_version - 1 },
    }
}

impl From<ControllerSpec> for ControllerSpecManifest {
    fn from(spec: ControllerSpec) -> Self {
        let ControllerSpec {
            frozen,
            frozen_because,
            deletions_confirmed_at,
            rebind_generation,
            rebind: Ground { docker_engine_id, state_root, high_water },
            requested_by: _,
            row_version: _,
        } = spec;
        Self {
            frozen,
            frozen_because,
            deletions_confirmed_at,
            rebind_generation,
            rebind: RebindManifest { docker_engine_id, state_root, high_water },
        }
    }
}

impl From<RebindManifest> for Ground {
    fn from(RebindManifest { docker_engine_id, state_root, high_water }: RebindManifest) -> Self {
        Self { docker_engine_id, state_root, high_water }
    }
}
