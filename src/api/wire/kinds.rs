//! What there is, in one place: the groups, and each kind with what its routes do. Discovery and
//! OpenAPI are made from it.

use schemars::generate::SchemaGenerator;

use super::{
    ACCESS_REVIEWS, ACCESS_TOKENS, AccessReview, AccessTokenObject, BACKUPS, BackupObject, CONTROLLERS,
    ControllerObject, CustomResourceDefinition, DEFINITIONS, DEPLOYMENTS, Deployment, ENGINE_VERSIONS,
    EVENTS, EVENTS_OF_GROUP, EngineVersionObject, Event, GAMES, GameObject, GroupEvent, NAMESPACES,
    Namespace, OPERATIONS, OUTBOX, Operation, OutboxEventObject, PLAYER_MAPPINGS, PODS, PlayerMappingObject,
    Pod, RULES_REVIEWS, Resource, RulesReview, SELF_REVIEWS, SelfReview, TURN_SLOTS, TURNS, TurnObject,
    TurnSlotObject,
};
use crate::game::manifest::GROUP;

/// The version that every group has.
pub(super) const VERSION: &str = "v1";

/// A group of kinds, in one version.
pub(super) struct Group {
    /// Empty for Kubernetes' core group.
    pub(super) name: &'static str,
    pub(super) entries: &'static [Entry],
    /// What the names of its schemas begin with.
    pub(super) prefix: &'static str,
    /// Generates the schemas of its kinds, which the types of the same name have.
    pub(super) schemas: fn(&mut SchemaGenerator),
}

impl Group {
    /// Below which path its kinds are.
    pub(super) fn path(&self) -> String {
        if self.name.is_empty() { format!("api/{VERSION}") } else { format!("apis/{}/{VERSION}", self.name) }
    }

    /// As `apiVersion` has it.
    pub(super) fn api_version(&self) -> String {
        if self.name.is_empty() { VERSION.to_owned() } else { format!("{}/{VERSION}", self.name) }
    }
}

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "",
        entries: CORE,
        prefix: "io.k8s.api.core.v1.",
        schemas: |generator| {
            generator.subschema_for::<Event>();
            generator.subschema_for::<Namespace>();
            generator.subschema_for::<Pod>();
        },
    },
    Group {
        name: GROUP,
        entries: OWN,
        prefix: "dev.gamekeeper.v1.",
        schemas: |generator| {
            generator.subschema_for::<GameObject>();
            generator.subschema_for::<EngineVersionObject>();
            generator.subschema_for::<ControllerObject>();
            generator.subschema_for::<AccessTokenObject>();
            generator.subschema_for::<Operation>();
            generator.subschema_for::<TurnObject>();
            generator.subschema_for::<TurnSlotObject>();
            generator.subschema_for::<PlayerMappingObject>();
            generator.subschema_for::<OutboxEventObject>();
            generator.subschema_for::<BackupObject>();
        },
    },
    Group {
        name: "apps",
        entries: APPS,
        prefix: "io.k8s.api.apps.v1.",
        schemas: |generator| {
            generator.subschema_for::<Deployment>();
        },
    },
    Group {
        name: DEFINITIONS.group,
        entries: EXTENSIONS,
        prefix: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
        schemas: |generator| {
            generator.subschema_for::<CustomResourceDefinition>();
        },
    },
    Group {
        name: "events.k8s.io",
        entries: EVENTS_GROUP,
        prefix: "io.k8s.api.events.v1.",
        schemas: |generator| {
            generator.subschema_for::<GroupEvent>();
        },
    },
    Group {
        name: ACCESS_REVIEWS.group,
        entries: AUTHORIZATION,
        prefix: "io.k8s.api.authorization.v1.",
        schemas: |generator| {
            generator.subschema_for::<AccessReview>();
            generator.subschema_for::<RulesReview>();
        },
    },
    Group {
        name: SELF_REVIEWS.group,
        entries: AUTHENTICATION,
        prefix: "io.k8s.api.authentication.v1.",
        schemas: |generator| {
            generator.subschema_for::<SelfReview>();
        },
    },
];

/// What can be done with a kind, or with what is below its objects.
pub struct Route {
    /// Its group; empty for Kubernetes' core group.
    pub group: &'static str,
    /// Its plural, with what is below behind a slash.
    pub resource: String,
    /// Whether it is in namespaces.
    pub namespaced: bool,
    /// What can be done.
    pub verbs: &'static [&'static str],
}

/// What can be done with every kind.
pub fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for Group { name: group, entries, .. } in GROUPS {
        for Entry { resource: Resource { plural, .. }, namespaced, verbs, below, .. } in *entries {
            let of = |resource, verbs| Route { group, resource, namespaced: *namespaced, verbs };
            routes.push(of((*plural).to_owned(), *verbs));
            routes.extend(below.iter().map(|below| of(format!("{plural}/{}", below.name), below.verbs)));
        }
    }
    routes
}

/// A kind that has paths of its own, or at least paths below its objects.
pub(super) struct Entry {
    pub(super) resource: Resource,
    pub(super) singular: &'static str,
    pub(super) namespaced: bool,
    /// True to the routes: a client believes them. None if there are only paths below the objects.
    pub(super) verbs: &'static [&'static str],
    pub(super) short_names: &'static [&'static str],
    pub(super) categories: &'static [&'static str],
    pub(super) below: &'static [Below],
    /// What a PATCH of it may be written in.
    pub(super) patches: &'static [&'static str],
}

/// A path below an object.
pub(super) struct Below {
    pub(super) name: &'static str,
    /// The kind of what is sent and answered there, and its group and version if they are others.
    pub(super) kind: &'static str,
    pub(super) group_version: Option<(&'static str, &'static str)>,
    pub(super) verbs: &'static [&'static str],
}

/// What can be done with an object that clients write.
const WRITABLE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const READ: &[&str] = &["get", "list"];
const SHOWN: &[&str] = &["get", "list", "watch"];

/// How what is ours is patched.
const PATCHES: &[&str] =
    &["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];

const fn below(name: &'static str, kind: &'static str, verbs: &'static [&'static str]) -> Below {
    Below { name, kind, group_version: None, verbs }
}

const fn read(resource: Resource, singular: &'static str, verbs: &'static [&'static str]) -> Entry {
    Entry {
        resource,
        singular,
        namespaced: true,
        verbs,
        short_names: &[],
        categories: &[],
        below: &[],
        patches: PATCHES,
    }
}

/// The kinds of our own group.
const OWN: &[Entry] = &[
    Entry {
        short_names: &["gm"],
        categories: &["all"],
        below: &[
            below("status", GAMES.kind, &["get"]),
            Below {
                group_version: Some(("autoscaling", "v1")),
                ..below("scale", "Scale", &["get", "patch", "update"])
            },
            below("explain", "Explanation", &["get"]),
            below("plan", "Explanation", &["create"]),
            below("moment", "Moment", &["get"]),
            below("backups", BACKUPS.kind, &["get"]),
        ],
        ..read(GAMES, "game", WRITABLE)
    },
    Entry {
        namespaced: false,
        // Kubernetes' own events go without a short name here, or `ev` would mean them.
        short_names: &["ev", "gmv"],
        below: &[below("status", ENGINE_VERSIONS.kind, &["get"])],
        ..read(ENGINE_VERSIONS, "engineversion", WRITABLE)
    },
    Entry {
        namespaced: false,
        below: &[below("adopt", GAMES.kind, &["create"]), below("remove", "Status", &["create"])],
        ..read(CONTROLLERS, "controller", &["get", "list", "patch", "watch"])
    },
    Entry { namespaced: false, ..read(ACCESS_TOKENS, "accesstoken", &["create", "delete", "get", "list"]) },
    read(OPERATIONS, "operation", SHOWN),
    read(TURNS, "turn", SHOWN),
    read(TURN_SLOTS, "turnslot", READ),
    read(PLAYER_MAPPINGS, "playermapping", READ),
    Entry {
        below: &[
            below("retry", "Status", &["create"]),
            below("skip", "Status", &["create"]),
            below("replay", "Status", &["create"]),
        ],
        ..read(OUTBOX, "outboxevent", &["list"])
    },
];

/// The kinds of Kubernetes' core group.
const CORE: &[Entry] = &[
    read(EVENTS, "event", &["list", "watch"]),
    Entry { namespaced: false, short_names: &["ns"], ..read(NAMESPACES, "namespace", SHOWN) },
    Entry { short_names: &["po"], below: &[below("log", PODS.kind, &["get"])], ..read(PODS, "pod", SHOWN) },
];

/// The kinds of Kubernetes' apps group.
const APPS: &[Entry] = &[Entry {
    short_names: &["deploy"],
    below: &[Below {
        group_version: Some(("autoscaling", "v1")),
        ..below("scale", "Scale", &["get", "patch", "update"])
    }],
    patches: &[
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ],
    ..read(DEPLOYMENTS, "deployment", &["get", "list", "patch", "update", "watch"])
}];

/// The kinds of Kubernetes' events group.
const EVENTS_GROUP: &[Entry] = &[read(EVENTS_OF_GROUP, "event", &["list", "watch"])];

/// Our own kinds, as clients look for them.
const EXTENSIONS: &[Entry] = &[Entry {
    namespaced: false,
    short_names: &["crd", "crds"],
    ..read(DEFINITIONS, "customresourcedefinition", SHOWN)
}];

const CREATED: &[&str] = &["create"];

/// What can be asked about what is allowed.
const AUTHORIZATION: &[Entry] = &[
    Entry { namespaced: false, ..read(ACCESS_REVIEWS, "selfsubjectaccessreview", CREATED) },
    Entry { namespaced: false, ..read(RULES_REVIEWS, "selfsubjectrulesreview", CREATED) },
];

/// What can be asked about oneself.
const AUTHENTICATION: &[Entry] =
    &[Entry { namespaced: false, ..read(SELF_REVIEWS, "selfsubjectreview", CREATED) }];
