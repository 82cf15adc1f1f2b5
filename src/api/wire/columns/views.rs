//! The columns of Kubernetes' own kinds, as people know them.

use serde_json::Value;

use super::{AGE, Column, NAME, NONE, at, number, said, text, time, wide};
use crate::api::wire::table::short_span;

pub(super) const POD: &[Column] = &[
    NAME,
    text("Ready", "How many of its containers serve.", |pod, _| {
        let engine = &pod["status"]["containerStatuses"][0];
        format!("{}/1", u8::from(engine["ready"] == true)).into()
    }),
    text("Status", "How it is, in a word.", |pod, _| status(pod)),
    text("Restarts", "How often its engine was healed by a restart.", |pod, now| {
        let engine = &pod["status"]["containerStatuses"][0];
        let restarts = engine["restartCount"].as_u64().unwrap_or_default();
        match time(engine, "/lastState/terminated/finishedAt").filter(|_| restarts > 0) {
            Some(last) => format!("{restarts} ({} ago)", short_span(now.duration_since(last))).into(),
            None => restarts.to_string().into(),
        }
    }),
    AGE,
    wide(said("IP", "Its address on its network.", "/status/podIP")),
    wide(said("Node", "Where its container is.", "/spec/nodeName")),
];

/// As kubectl's own words have it: how its container is says more than its phase.
fn status(pod: &Value) -> Value {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".into();
    }
    let state = &pod["status"]["containerStatuses"][0]["state"];
    let told = ["waiting", "terminated"].iter().find_map(|word| state[word]["reason"].as_str());
    told.map_or_else(|| at(pod, "/status/phase"), Value::from)
}

pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    text("Ready", "How many of the wanted engines serve.", |deployment, _| {
        let of = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        format!("{}/{}", of("/status/readyReplicas"), of("/spec/replicas")).into()
    }),
    number("Up-to-date", "How many are as they should be.", "/status/updatedReplicas"),
    number("Available", "How many serve.", "/status/availableReplicas"),
    AGE,
    wide(said("Containers", "What its container is called.", "/spec/template/spec/containers/0/name")),
    wide(said(
        "Images",
        "The image that its engine was built from.",
        "/spec/template/spec/containers/0/image",
    )),
    wide(text("Selector", "The label by which its Pod is found.", |deployment, _| selector(deployment))),
];

fn selector(deployment: &Value) -> Value {
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object();
    let told = labels.into_iter().flatten().map(|(name, value)| match value.as_str() {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { NONE.into() } else { told.join(",").into() }
}

pub(super) const NAMESPACE: &[Column] = &[NAME, said("Status", "That it is there.", "/status/phase"), AGE];

pub(super) const DEFINITION: &[Column] =
    &[NAME, said("Created At", "When it was made; it was never.", "/metadata/creationTimestamp")];

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn cells(columns: &[Column], object: &Value) -> Vec<Value> {
        let now = "2026-11-01T01:00:00Z".parse::<Timestamp>().unwrap();
        columns.iter().map(|column| column.cell(object, now)).collect()
    }

    #[test]
    fn a_pod_s_row_says_what_its_container_does() {
        let engine = json!({
            "ready": false, "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
            "lastState": { "terminated": { "finishedAt": "2026-11-01T00:55:00Z" } },
        });
        let mut pod = json!({
            "metadata": { "name": "a", "creationTimestamp": "2026-11-01T00:00:00Z" },
            "status": { "phase": "Running", "containerStatuses": [engine] },
        });
        let expected = ["a", "0/1", "CrashLoopBackOff", "3 (5m ago)", "60m", "<none>", "<none>"];
        assert_eq!(cells(POD, &pod), expected);
        pod["metadata"]["deletionTimestamp"] = "2026-11-01T00:59:00Z".into();
        assert_eq!(cells(POD, &pod)[2], "Terminating");
    }
}
