//! What there is: discovery documents, plain and aggregated, from one table of groups and kinds.

use serde_json::{Value, json};

use super::kinds::{Below, Entry, GROUPS, Group, VERSION};

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
    json!({ "kind": "APIVersions", "versions": [VERSION], "serverAddressByClientCIDRs": [] })
}

/// The groups that have a name.
fn named() -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().filter(|group| !group.name.is_empty())
}

/// `/apis`.
pub fn api_groups() -> Value {
    let groups: Vec<Value> = named().map(of_group).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/<group>` of each group: the path, and what is there.
pub fn groups() -> Vec<(String, Value)> {
    let document = |group: &Group| {
        let mut shown = of_group(group);
        shown["kind"] = "APIGroup".into();
        shown["apiVersion"] = "v1".into();
        (format!("/apis/{}", group.name), shown)
    };
    named().map(document).collect()
}

fn of_group(group: &Group) -> Value {
    let version = json!({ "groupVersion": group.api_version(), "version": VERSION });
    json!({ "name": group.name, "versions": [version], "preferredVersion": version })
}

/// `/api`, aggregated.
pub fn core_discovery() -> Value {
    aggregated(GROUPS.iter().filter(|group| group.name.is_empty()))
}

/// `/apis`, aggregated.
pub fn group_discovery() -> Value {
    aggregated(named())
}

fn aggregated(groups: impl Iterator<Item = &'static Group>) -> Value {
    let item = |group: &Group| {
        let resources: Vec<Value> = group.entries.iter().map(aggregated_entry).collect();
        json!({
            "metadata": { "name": group.name, "creationTimestamp": null },
            "versions": [{ "version": VERSION, "resources": resources, "freshness": "Current" }],
        })
    };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": groups.map(item).collect::<Vec<_>>(),
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

/// `/api/v1` and `/apis/<group>/v1` of each group: the path, and what is there.
pub fn resources() -> Vec<(String, Value)> {
    let document = |group: &Group| {
        let resources: Vec<Value> = group.entries.iter().flat_map(plain_entry).collect();
        let shown = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group.api_version(),
            "resources": resources,
        });
        (format!("/{}", group.path()), shown)
    };
    GROUPS.iter().map(document).collect()
}

/// An object, if it has a path, and what is below it.
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
    let shown = (!verbs.is_empty()).then_some(shown);
    shown.into_iter().chain(below).collect()
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
        let aggregated = [core_discovery(), group_discovery()];
        let groups = aggregated.iter().flat_map(|document| document["items"].as_array().unwrap());
        for (group, (path, plain)) in groups.zip(resources()) {
            let mut told = Vec::new();
            for entry in group["versions"][0]["resources"].as_array().unwrap() {
                let name = entry["resource"].as_str().unwrap();
                if entry["verbs"] != json!([]) {
                    told.push((name.to_owned(), entry["verbs"].clone()));
                }
                for below in entry["subresources"].as_array().into_iter().flatten() {
                    let below_name = below["subresource"].as_str().unwrap();
                    told.push((format!("{name}/{below_name}"), below["verbs"].clone()));
                }
            }
            let plain = plain["resources"].as_array().unwrap();
            let expected: Vec<_> = plain
                .iter()
                .map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry["verbs"].clone()))
                .collect();
            assert_eq!(told, expected, "{path}");
        }
    }

    #[test]
    fn groups_are_told_once_and_lead_to_their_kinds() {
        let paths: Vec<String> = resources().into_iter().map(|(path, _)| path).collect();
        let told = api_groups();
        for (group, (path, shown)) in told["groups"].as_array().unwrap().iter().zip(groups()) {
            assert_eq!((&group["name"], &group["versions"]), (&shown["name"], &shown["versions"]));
            let leads_to = format!("/apis/{}", shown["preferredVersion"]["groupVersion"].as_str().unwrap());
            assert!(paths.contains(&leads_to) && leads_to.starts_with(&path), "{leads_to}");
        }
        assert_eq!(paths.len(), told["groups"].as_array().unwrap().len() + 1);
    }

    #[test]
    fn no_two_kinds_have_a_short_name() {
        let entries = || GROUPS.iter().flat_map(|group| group.entries);
        // A kind may be in two groups.
        let mut names: Vec<(&str, &str)> = entries()
            .flat_map(|entry| {
                entry.short_names.iter().chain([&entry.singular]).map(|name| (*name, entry.resource.plural))
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut short: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let all = short.len();
        short.dedup();
        assert_eq!(short.len(), all);
    }
}
