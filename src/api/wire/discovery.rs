//! What there is: plain discovery documents.

use serde_json::{Value, json};

use super::{BACKUPS, CONTROLLERS, ENGINE_VERSIONS, GAMES, OUTBOX, PLAYER_MAPPINGS, TURN_SLOTS, TURNS};
use crate::game::manifest::{API_VERSION, GROUP};

/// The version of Kubernetes' API whose shapes are spoken.
const KUBERNETES_MINOR: &str = "31";

/// What can be done with an object that clients write.
const WRITABLE: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

/// `/api`.
pub fn api_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// `/apis`.
pub fn api_groups() -> Value {
    let mut own = group();
    if let Some(fields) = own.as_object_mut() {
        fields.retain(|field, _| field != "kind" && field != "apiVersion");
    }
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [own] })
}

/// `/apis/gamekeeper.dev`.
pub fn group() -> Value {
    let version = json!({ "groupVersion": API_VERSION, "version": "v1" });
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [version],
        "preferredVersion": version,
    })
}

/// `/api/v1`.
pub fn core_resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": "events", "singularName": "event", "kind": "Event", "namespaced": true,
                "verbs": ["list", "watch"], "shortNames": ["ev"],
            },
            {
                "name": "pods/log", "singularName": "", "kind": "Pod", "namespaced": true,
                "verbs": ["get"],
            },
        ],
    })
}

/// `/apis/gamekeeper.dev/v1`.
pub fn group_resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": API_VERSION,
        "resources": [
            {
                "name": GAMES.plural, "singularName": "game", "kind": GAMES.kind, "namespaced": true,
                "verbs": WRITABLE, "shortNames": ["gm"],
            },
            {
                "name": format!("{}/explain", GAMES.plural), "singularName": "", "kind": "Explanation",
                "namespaced": true, "verbs": ["get"],
            },
            {
                "name": format!("{}/plan", GAMES.plural), "singularName": "", "kind": "Explanation",
                "namespaced": true, "verbs": ["create"],
            },
            {
                "name": format!("{}/moment", GAMES.plural), "singularName": "", "kind": "Moment",
                "namespaced": true, "verbs": ["get"],
            },
            {
                "name": format!("{}/{}", GAMES.plural, BACKUPS.plural), "singularName": "",
                "kind": BACKUPS.kind, "namespaced": true, "verbs": ["get"],
            },
            {
                "name": ENGINE_VERSIONS.plural, "singularName": "engineversion", "kind": ENGINE_VERSIONS.kind,
                "namespaced": false, "verbs": WRITABLE, "shortNames": ["gmv"],
            },
            {
                "name": CONTROLLERS.plural, "singularName": "controller", "kind": CONTROLLERS.kind,
                "namespaced": false, "verbs": ["get", "list", "patch", "watch"],
            },
            {
                "name": format!("{}/adopt", CONTROLLERS.plural), "singularName": "", "kind": GAMES.kind,
                "namespaced": false, "verbs": ["create"],
            },
            {
                "name": format!("{}/remove", CONTROLLERS.plural), "singularName": "", "kind": "Status",
                "namespaced": false, "verbs": ["create"],
            },
            {
                "name": "operations", "singularName": "operation", "kind": "Operation", "namespaced": true,
                "verbs": ["list"],
            },
            {
                "name": TURNS.plural, "singularName": "turn", "kind": TURNS.kind, "namespaced": true,
                "verbs": ["get", "list"],
            },
            {
                "name": TURN_SLOTS.plural, "singularName": "turnslot", "kind": TURN_SLOTS.kind,
                "namespaced": true, "verbs": ["get", "list"],
            },
            {
                "name": PLAYER_MAPPINGS.plural, "singularName": "playermapping", "kind": PLAYER_MAPPINGS.kind,
                "namespaced": true, "verbs": ["get", "list"],
            },
            {
                "name": OUTBOX.plural, "singularName": "outboxevent", "kind": OUTBOX.kind, "namespaced": true,
                "verbs": ["list"],
            },
            {
                "name": format!("{}/retry", OUTBOX.plural), "singularName": "", "kind": "Status",
                "namespaced": true, "verbs": ["create"],
            },
            {
                "name": format!("{}/skip", OUTBOX.plural), "singularName": "", "kind": "Status",
                "namespaced": true, "verbs": ["create"],
            },
            {
                "name": format!("{}/replay", OUTBOX.plural), "singularName": "", "kind": "Status",
                "namespaced": true, "verbs": ["create"],
            },
        ],
    })
}

/// `/version`.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": KUBERNETES_MINOR,
        "gitVersion": format!("v1.{KUBERNETES_MINOR}.0+gamekeeper-{}", env!("CARGO_PKG_VERSION")),
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
