//! What goes over the wire, in Kubernetes' shapes. Only the API names these types.

mod access;
mod backup;
mod columns;
mod controller;
mod definition;
mod discovery;
mod event;
mod event_of_group;
mod explanation;
mod game;
mod kinds;
mod list;
mod moment;
mod openapi;
mod operation;
mod outbox;
mod patch;
mod player;
mod review;
mod status;
mod table;
mod turn;
mod verdict;
mod version;
mod views;

pub use access::{AccessTokenManifest, AccessTokenObject, AccessTokenSpec, AccessTokenStatus};
pub use backup::BackupObject;
pub use controller::{
    ControllerObject, ControllerParts, ControllerPhase, ControllerSpecManifest, ControllerState, OrphanState,
    RebindManifest, is_ready,
};
pub use definition::{CustomResourceDefinition, definitions};
pub use discovery::{
    AGGREGATED, api_groups, api_versions, core_discovery, group_discovery, groups, resources, version,
    wants_aggregated,
};
pub use event::{Event, ObjectReference};
pub use event_of_group::GroupEvent;
pub use explanation::{ExplanationMeta, ExplanationObject};
pub use game::{EndpointsStatus, GameObject, GameStatus, LastExit, OperationReference};
pub use kinds::{Route, routes};
pub use list::{HistoryMeta, List, ListMeta};
pub use moment::{EngineSaid, GameChange, MomentObject, SpecState};
pub use openapi::{Document, documents, openapi_index};
pub(in crate::api) use operation::camel;
pub use operation::{Operation, OperationSpec, OperationStatus};
pub use outbox::OutboxEventObject;
pub use patch::{CopyingStatus, FailedPatchStatus, PatchDelayStatus, PatchStatus, PutBackStatus};
pub use player::PlayerMappingObject;
pub use review::{
    AccessReview, AccessReviewSpec, AccessReviewStatus, NonResourceAttributes, NonResourceRule,
    ResourceAttributes, ResourceRule, RulesReview, RulesReviewSpec, RulesReviewStatus, SelfReview,
    SelfReviewStatus, UserInfo,
};
pub use status::{Cause, Details, Status};
pub use table::{IncludeObject, META, Table, metadata_of_one, partial, row, short_span, table};
pub use turn::{TurnObject, TurnSlotObject};
pub use version::{EngineVersionObject, EngineVersionStatus};
pub use views::{CONTAINER, Deployment, GAME_LABEL, Namespace, Pod, RESTARTED_AT, Source, uid_of};

/// A kind of object, as paths and messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for Kubernetes' own.
    pub group: &'static str,
    /// As paths have it.
    pub plural: &'static str,
    /// As `kind` has it.
    pub kind: &'static str,
}

/// Games.
pub const GAMES: Resource = Resource { group: "gamekeeper.dev", plural: "games", kind: "Game" };
/// Engine versions.
pub const ENGINE_VERSIONS: Resource =
    Resource { group: "gamekeeper.dev", plural: "engineversions", kind: "EngineVersion" };
/// The whole controller.
pub const CONTROLLERS: Resource =
    Resource { group: "gamekeeper.dev", plural: "controllers", kind: crate::game::controller::KIND };
/// What the lobby is told.
pub const OUTBOX: Resource = Resource { group: "gamekeeper.dev", plural: "outbox", kind: "OutboxEvent" };
/// What was done, and why.
pub const OPERATIONS: Resource =
    Resource { group: "gamekeeper.dev", plural: "operations", kind: "Operation" };
/// The ledger of turns.
pub const TURNS: Resource = Resource { group: "gamekeeper.dev", plural: "turns", kind: "Turn" };
/// What became of slots.
pub const TURN_SLOTS: Resource = Resource { group: "gamekeeper.dev", plural: "turnslots", kind: "TurnSlot" };
/// Who is which player of the engine.
pub const PLAYER_MAPPINGS: Resource =
    Resource { group: "gamekeeper.dev", plural: "playermappings", kind: "PlayerMapping" };
/// Kept copies of a game's state.
pub const BACKUPS: Resource = Resource { group: "gamekeeper.dev", plural: "backups", kind: "Backup" };
/// Who may ask.
pub const ACCESS_TOKENS: Resource =
    Resource { group: "gamekeeper.dev", plural: "accesstokens", kind: "AccessToken" };
/// What happened.
pub const EVENTS: Resource = Resource { group: "", plural: "events", kind: "Event" };
/// The same, in the words of their own group.
pub const EVENTS_OF_GROUP: Resource = Resource { group: "events.k8s.io", plural: "events", kind: "Event" };
/// The engines' containers.
pub const PODS: Resource = Resource { group: "", plural: "pods", kind: "Pod" };
/// Our own kinds, as clients look for them.
pub const DEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    plural: "customresourcedefinitions",
    kind: "CustomResourceDefinition",
};
/// Where games are.
pub const NAMESPACES: Resource = Resource { group: "", plural: "namespaces", kind: "Namespace" };
/// What is wanted of the games' engines.
pub const DEPLOYMENTS: Resource = Resource { group: "apps", plural: "deployments", kind: "Deployment" };

/// Whether something would be allowed.
pub const ACCESS_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    plural: "selfsubjectaccessreviews",
    kind: "SelfSubjectAccessReview",
};
/// What is allowed.
pub const RULES_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    plural: "selfsubjectrulesreviews",
    kind: "SelfSubjectRulesReview",
};
/// Who one is.
pub const SELF_REVIEWS: Resource =
    Resource { group: "authentication.k8s.io", plural: "selfsubjectreviews", kind: "SelfSubjectReview" };

impl Resource {
    /// `games.gamekeeper.dev`, as Kubernetes' messages have it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}
