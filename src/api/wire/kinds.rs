//! What there is, in one place: each kind with what its routes do. Discovery and OpenAPI are made
//! from it.

use super::{
    ACCESS_TOKENS, BACKUPS, CONTROLLERS, ENGINE_VERSIONS, EVENTS, GAMES, OPERATIONS, OUTBOX, PLAYER_MAPPINGS,
    Resource, TURN_SLOTS, TURNS,
};

/// A kind that has paths of its own.
pub(super) struct Entry {
    pub(super) resource: Resource,
    pub(super) singular: &'static str,
    pub(super) namespaced: bool,
    /// True to the routes: a client believes them.
    pub(super) verbs: &'static [&'static str],
    pub(super) short_names: &'static [&'static str],
    pub(super) categories: &'static [&'static str],
    pub(super) below: &'static [Below],
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

const fn below(name: &'static str, kind: &'static str, verbs: &'static [&'static str]) -> Below {
    Below { name, kind, group_version: None, verbs }
}

const fn read(resource: Resource, singular: &'static str, verbs: &'static [&'static str]) -> Entry {
    Entry { resource, singular, namespaced: true, verbs, short_names: &[], categories: &[], below: &[] }
}

/// The kinds of our own group.
pub(super) const OWN: &[Entry] = &[
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
    read(OPERATIONS, "operation", &["list"]),
    read(TURNS, "turn", READ),
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
pub(super) const CORE: &[Entry] = &[read(EVENTS, "event", &["list", "watch"])];

/// Paths below objects of the core group that have no path themselves.
pub(super) const CORE_BELOW: &[(&str, Below)] = &[("pods", below("log", "Pod", &["get"]))];
