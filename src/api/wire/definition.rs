//! The kinds of our own group as CustomResourceDefinitions, for clients that look for them there.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::DEFINITIONS;
use super::columns::of_kind;
use super::kinds::{Entry, GROUPS, VERSION};
use super::openapi::{SCHEMAS, documents};
use crate::game::manifest::GROUP;

/// An `apiextensions.k8s.io/v1` CustomResourceDefinition, of a kind that is built in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomResourceDefinition {
    /// `apiextensions.k8s.io/v1`.
    pub api_version: &'static str,
    /// `CustomResourceDefinition`.
    pub kind: &'static str,
    /// Its name: the plural of the kind and its group.
    #[schemars(schema_with = "object")]
    pub metadata: Value,
    /// The names of the kind, and what its objects are made of.
    #[schemars(schema_with = "object")]
    pub spec: Value,
    /// That the kind is there.
    #[schemars(schema_with = "object")]
    pub status: Value,
}

fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

/// One of each kind.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let own = GROUPS.iter().find(|group| group.name == GROUP);
    let Some(group) = own else { return Vec::new() };
    let path = group.path();
    let document = documents().iter().find(|document| document.path == path);
    let document: Value =
        document.and_then(|document| serde_json::from_str(&document.text).ok()).unwrap_or_default();
    let schemas = &document["components"]["schemas"];
    let definition = |entry: &Entry| {
        let schema = &schemas[format!("{}{}", group.prefix, entry.resource.kind)];
        of_entry(entry, whole(schema, schemas))
    };
    group.entries.iter().map(definition).collect()
}

impl CustomResourceDefinition {
    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata["name"].as_str().unwrap_or_default()
    }
}

fn of_entry(entry: &Entry, schema: Value) -> CustomResourceDefinition {
    let kind = entry.resource.kind;
    let names = json!({
        "plural": entry.resource.plural,
        "singular": entry.singular,
        "kind": kind,
        "listKind": format!("{kind}List"),
        "shortNames": entry.short_names,
        "categories": entry.categories,
    });
    let below = |name: &str| entry.below.iter().any(|below| below.name == name);
    let mut subresources = Map::new();
    if below("status") {
        subresources.insert("status".into(), json!({}));
    }
    let version = json!({
        "name": VERSION,
        "served": true,
        "storage": true,
        "schema": { "openAPIV3Schema": schema },
        "subresources": subresources,
        "additionalPrinterColumns": columns(kind),
    });
    let scope = if entry.namespaced { "Namespaced" } else { "Cluster" };
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "reason": reason, "message": message });
    let name = entry.resource.qualified();
    CustomResourceDefinition {
        api_version: "apiextensions.k8s.io/v1",
        kind: DEFINITIONS.kind,
        metadata: json!({
            "name": name,
            "uid": Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("definition/{name}").as_bytes()),
            "generation": 1,
        }),
        spec: json!({
            "group": GROUP,
            "names": names,
            "scope": scope,
            "conversion": { "strategy": "None" },
            "versions": [version],
        }),
        status: json!({
            "acceptedNames": names,
            "storedVersions": [VERSION],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the kind is built in"),
            ],
        }),
    }
}

/// Those that stand in the object as they are shown.
fn columns(kind: &str) -> Vec<Value> {
    let column = |column: &super::columns::Column| {
        let pointer = column.pointer()?;
        (column.name != "Name").then(|| {
            json!({
                "name": column.name,
                "type": column.kind,
                "description": column.description,
                "jsonPath": pointer.replace('/', "."),
                "priority": i32::from(column.wide),
            })
        })
    };
    of_kind(kind).iter().filter_map(column).collect()
}

/// A schema with everything that it refers to, in the words that a definition may have.
fn whole(schema: &Value, schemas: &Value) -> Value {
    match schema {
        Value::Array(parts) => parts.iter().map(|part| whole(part, schemas)).collect(),
        Value::Object(fields) => {
            let referred = |value: &Value| {
                let name = value.get("$ref")?.as_str()?.strip_prefix(SCHEMAS)?;
                Some(whole(&schemas[name], schemas))
            };
            let alone = fields.get("allOf").and_then(Value::as_array).filter(|parts| parts.len() == 1);
            let mut shown = match referred(schema).or_else(|| alone.and_then(|parts| referred(&parts[0]))) {
                Some(Value::Object(shown)) => shown,
                _ => Map::new(),
            };
            let told_already = !shown.is_empty();
            for (name, value) in fields {
                let skipped = name == "$ref"
                    || name == "x-kubernetes-group-version-kind"
                    || (told_already && name == "allOf");
                if !skipped {
                    shown.insert(name.clone(), whole(value, schemas));
                }
            }
            Value::Object(shown)
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_ours_has_a_definition_that_refers_to_nothing() {
        let definitions = definitions();
        let names: Vec<&str> = definitions.iter().map(CustomResourceDefinition::name).collect();
        assert!(
            names.contains(&"games.gamekeeper.dev") && names.contains(&"turns.gamekeeper.dev"),
            "{names:?}"
        );
        for definition in &definitions {
            let text = definition.spec.to_string();
            assert!(!text.contains("$ref"), "{}", definition.name());
            let schema = &definition.spec["versions"][0]["schema"]["openAPIV3Schema"];
            assert_eq!(schema["type"], "object", "{}", definition.name());
            assert!(schema["properties"]["metadata"].is_object());
        }
        let game = definitions.iter().find(|definition| definition.name() == "games.gamekeeper.dev").unwrap();
        assert_eq!(game.spec["names"]["shortNames"], json!(["gm"]));
        let version = &game.spec["versions"][0];
        let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        assert_eq!(spec["turns"]["properties"]["schedule"]["type"], "string", "{spec:#}");
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        assert!(columns.iter().any(|column| column["jsonPath"] == ".spec.desiredStatus"), "{columns:?}");
    }
}
