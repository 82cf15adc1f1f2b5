//! Events in the shape of Kubernetes' events group.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EVENTS_OF_GROUP;

/// An `events.k8s.io/v1` Event: the same as the core one, in other words.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Event")]
pub struct GroupEvent {
    /// `events.k8s.io/v1`.
    pub api_version: &'static str,
    /// `Event`.
    pub kind: &'static str,
    /// Its name, and the namespace of its object.
    #[schemars(schema_with = "object")]
    pub metadata: Value,
    /// When it happened first.
    #[schemars(extend("format" = "date-time"))]
    pub event_time: String,
    /// Who tells it.
    pub reporting_controller: String,
    /// Which of several; there is one.
    pub reporting_instance: String,
    /// What was done, in a word: the reason.
    pub action: String,
    /// What happened, in a word.
    pub reason: String,
    /// What happened, in a sentence.
    pub note: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind_of_event: String,
    /// What it is about.
    #[schemars(schema_with = "object")]
    pub regarding: Value,
    /// How often it happened, if more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// Who tells it.
    #[schemars(schema_with = "object")]
    pub deprecated_source: Value,
    /// When it happened first.
    #[schemars(extend("format" = "date-time"))]
    pub deprecated_first_timestamp: String,
    /// When it happened last.
    #[schemars(extend("format" = "date-time"))]
    pub deprecated_last_timestamp: String,
    /// How often it happened.
    pub deprecated_count: i64,
}

/// Something that happened more than once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// How often.
    pub count: i64,
    /// When it was last seen to happen.
    #[schemars(extend("format" = "date-time"))]
    pub last_observed_time: String,
}

fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

/// What is read of a core event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Core {
    metadata: Value,
    involved_object: Value,
    reason: String,
    message: String,
    source: Value,
    first_timestamp: String,
    last_timestamp: String,
    count: i64,
    #[serde(rename = "type")]
    kind_of_event: String,
    reporting_component: String,
    reporting_instance: String,
}

impl From<Core> for GroupEvent {
    fn from(core: Core) -> Self {
        let last = micro(&core.last_timestamp);
        Self {
            api_version: "events.k8s.io/v1",
            kind: EVENTS_OF_GROUP.kind,
            metadata: core.metadata,
            event_time: micro(&core.first_timestamp),
            reporting_controller: core.reporting_component,
            reporting_instance: core.reporting_instance,
            action: core.reason.clone(),
            reason: core.reason,
            note: core.message,
            kind_of_event: core.kind_of_event,
            regarding: core.involved_object,
            series: (core.count > 1).then_some(Series { count: core.count, last_observed_time: last }),
            deprecated_source: core.source,
            deprecated_first_timestamp: core.first_timestamp,
            deprecated_last_timestamp: core.last_timestamp,
            deprecated_count: core.count,
        }
    }
}

impl GroupEvent {
    /// Of a core event, as it is served.
    ///
    /// # Errors
    /// It is none.
    pub fn of(core: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Core>(core).map(Self::from)
    }

    /// What a field of a core event is called here, by which it can be selected.
    pub fn field(core: &'static str) -> &'static str {
        match core {
            "involvedObject.apiVersion" => "regarding.apiVersion",
            "involvedObject.kind" => "regarding.kind",
            "involvedObject.namespace" => "regarding.namespace",
            "involvedObject.name" => "regarding.name",
            "involvedObject.uid" => "regarding.uid",
            same => same,
        }
    }
}

/// Clients read such times with exactly six digits behind the point.
fn micro(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => format!("{time:.6}"),
        Err(_) => time.to_owned(),
    }
}
