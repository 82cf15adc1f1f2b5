//! What there is: discovery documents, plain and aggregated, from one table of kinds.

use serde_json::{Value, json};

use super::kinds::{Below, CORE, CORE_BELOW, Entry, OWN};
use crate::game::manifest::{API_VERSION, GROUP};

/// The version of Kubernetes' API whose shapes are spoken.
const KUBERNETES_MINOR: &str = "31";

/// What an aggregated document is sent as.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Whether this Accept header asks for aggregated discovery in the version that we speak. Clients
/// that know only an older one cannot read ours.
pub fn wants_aggregated(accept: &str) -> bool {
    accept.split(',').any(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let json = parts.next() == Some("application/json");
        let parts: Vec<&str> = parts.collect();
        json && ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|wanted| parts.contains(wanted))
    })
}

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

/// `/api`, aggregated.
pub fn core_discovery() -> Value {
    let pods = CORE_BELOW.iter().map(|(plural, below)| {
        json!({
            "resource": plural, "singularResource": "pod", "scope": "Namespaced", "verbs": [],
            "responseKind": kind(below.kind, None), "subresources": [subresource(below)],
        })
    });
    aggregated("", CORE.iter().map(aggregated_entry).chain(pods).collect())
}

/// `/apis`, aggregated.
pub fn group_discovery() -> Value {
    aggregated(GROUP, OWN.iter().map(aggregated_entry).collect())
}

fn aggregated(group: &str, resources: Vec<Value>) -> Value {
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": { "name": group, "creationTimestamp": null },
            "versions": [{ "version": "v1", "resources": resources, "freshness": "Current" }],
        }],
    })
}

fn aggregated_entry(entry: &Entry) -> Value {
    let Entry { resource, singular, namespaced, verbs, short_names, categories, below } = entry;
    let mut shown = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.kind, None),
        "scope": if *namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": singular,
        "verbs": verbs,
    });
    put_lists(&mut shown, short_names, categories);
    if !below.is_empty() {
        shown["subresources"] = below.iter().map(subresource).collect();
    }
    shown
}

fn subresource(below: &Below) -> Value {
    let response = kind(below.kind, below.group_version);
    json!({ "subresource": below.name, "responseKind": response, "verbs": below.verbs })
}

/// Empty group and version are those of the document.
fn kind(kind: &str, group_version: Option<(&str, &str)>) -> Value {
    let (group, version) = group_version.unwrap_or_default();
    json!({ "group": group, "version": version, "kind": kind })
}

fn put_lists(shown: &mut Value, short_names: &[&str], categories: &[&str]) {
    if !short_names.is_empty() {
        shown["shortNames"] = json!(short_names);
    }
    if !categories.is_empty() {
        shown["categories"] = json!(categories);
    }
}

/// `/api/v1`.
pub fn core_resources() -> Value {
    let mut resources: Vec<Value> = CORE.iter().flat_map(plain_entry).collect();
    resources.extend(CORE_BELOW.iter().map(|(plural, below)| plain_below(plural, true, below)));
    json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": resources })
}

/// `/apis/gamekeeper.dev/v1`.
pub fn group_resources() -> Value {
    let resources: Vec<Value> = OWN.iter().flat_map(plain_entry).collect();
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": resources,
    })
}

/// An object, and what is below it.
fn plain_entry(entry: &Entry) -> Vec<Value> {
    let Entry { resource, singular, namespaced, verbs, short_names, categories, below } = entry;
    let mut shown = json!({
        "name": resource.plural,
        "singularName": singular,
        "namespaced": namespaced,
        "kind": resource.kind,
        "verbs": verbs,
    });
    put_lists(&mut shown, short_names, categories);
    let below = below.iter().map(|below| plain_below(resource.plural, *namespaced, below));
    std::iter::once(shown).chain(below).collect()
}

fn plain_below(plural: &str, namespaced: bool, below: &Below) -> Value {
    let mut shown = json!({
        "name": format!("{plural}/{}", below.name),
        "singularName": "",
        "namespaced": namespaced,
        "kind": below.kind,
        "verbs": below.verbs,
    });
    if let Some((group, version)) = below.group_version {
        shown["group"] = group.into();
        shown["version"] = version.into();
    }
    shown
}

/// `/version`.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": KUBERNETES_MINOR,
        "gitVersion": format!("v1.{KUBERNETES_MINOR}.0+gamekeeper-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_version_2_gets_aggregated_discovery() {
        let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let old =
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert!(wants_aggregated(new) && !wants_aggregated(old) && !wants_aggregated("application/json"));
    }

    #[test]
    fn both_forms_tell_of_the_same_kinds_and_verbs() {
        let plain = group_resources();
        let aggregated = group_discovery();
        let mut told = Vec::new();
        for entry in aggregated["items"][0]["versions"][0]["resources"].as_array().unwrap() {
            told.push((entry["resource"].as_str().unwrap().to_owned(), entry["verbs"].clone()));
            for below in entry["subresources"].as_array().into_iter().flatten() {
                let name = format!(
                    "{}/{}",
                    told.last().unwrap().0.split('/').next().unwrap(),
                    below["subresource"].as_str().unwrap()
                );
                told.push((name, below["verbs"].clone()));
            }
        }
        let plain = plain["resources"].as_array().unwrap();
        let expected: Vec<_> = plain
            .iter()
            .map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry["verbs"].clone()))
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn no_two_kinds_have_a_short_name() {
        let mut names: Vec<&str> = OWN
            .iter()
            .chain(CORE)
            .flat_map(|entry| entry.short_names.iter().chain([&entry.singular]))
            .copied()
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
