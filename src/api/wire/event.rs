//! Events in the shape of Kubernetes' core group.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::game::manifest::API_VERSION;
use crate::game::manifest::wire::GAME_KIND;
use crate::store::{ObjectEvent, StoredEvent};

use super::operation::capitalised;

/// A core `v1` Event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    api_version: &'static str,
    kind: &'static str,
    metadata: EventMeta,
    /// What it is about.
    pub involved_object: ObjectReference,
    reason: String,
    message: String,
    source: Component,
    first_timestamp: String,
    last_timestamp: String,
    count: i64,
    #[serde(rename = "type")]
    kind_of_event: String,
    reporting_component: &'static str,
    reporting_instance: &'static str,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EventMeta {
    name: String,
    namespace: String,
    creation_timestamp: String,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// `gamekeeper.dev/v1`.
    pub api_version: &'static str,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Component {
    component: &'static str,
}

const COMPONENT: &str = "gamekeeper";

impl From<ObjectEvent> for Event {
    fn from(ObjectEvent { namespace, kind, name, uid, event }: ObjectEvent) -> Self {
        // Only games are in a namespace; what happens to anything else is told in one all the same.
        let own = if kind == GAME_KIND { namespace.clone() } else { String::new() };
        let StoredEvent { id, kind: kind_of_event, reason, message, count, first_at, last_at } = event;
        Self {
            api_version: "v1",
            kind: "Event",
            metadata: EventMeta {
                name: Self::name(&name, id),
                namespace,
                creation_timestamp: to_the_second(first_at),
            },
            involved_object: ObjectReference { api_version: API_VERSION, kind, namespace: own, name, uid },
            reason,
            message,
            source: Component { component: COMPONENT },
            first_timestamp: to_the_second(first_at),
            last_timestamp: to_the_second(last_at),
            count,
            kind_of_event: capitalised(&kind_of_event),
            reporting_component: COMPONENT,
            reporting_instance: "",
        }
    }
}

impl Event {
    /// The name of the event of this row about an object of this name.
    pub fn name(object: &str, id: i64) -> String {
        format!("{}.{id}", object.to_ascii_lowercase())
    }

    /// What it can be selected by.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let ObjectReference { api_version, kind, namespace, name, uid } = &self.involved_object;
        vec![
            ("involvedObject.apiVersion", (*api_version).to_owned()),
            ("involvedObject.kind", kind.clone()),
            ("involvedObject.namespace", namespace.clone()),
            ("involvedObject.name", name.clone()),
            ("involvedObject.uid", uid.clone()),
            ("reason", self.reason.clone()),
            ("type", self.kind_of_event.clone()),
        ]
    }
}

/// Kubernetes' own events have no fractions of a second.
fn to_the_second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
