//! OpenAPI 3.0 documents, made from the types that are parsed and shown.
//!
//! kubectl reads three things of them: the descriptions (`kubectl explain`), whether a PATCH knows
//! `fieldValidation`, and the shapes. Everything else is there for tools that read more.

use std::sync::LazyLock;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::kinds::{Entry, GROUPS, Group, VERSION};

/// Where schemas are, in a document.
const SCHEMAS: &str = "#/components/schemas/";

/// A document of one group and version.
pub struct Document {
    /// As the index names it.
    pub path: String,
    /// The document, written out.
    pub text: String,
    /// Changes when the document does; clients keep it for as long as this stays.
    pub hash: String,
}

static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| GROUPS.iter().map(document).collect());

/// Every document.
pub fn documents() -> &'static [Document] {
    &DOCUMENTS
}

/// `/openapi/v3`: where each document is, with the hash that it has now.
pub fn openapi_index() -> Value {
    let entry = |document: &Document| {
        let url = format!("/openapi/v3/{}?hash={}", document.path, document.hash);
        (document.path.clone(), json!({ "serverRelativeURL": url }))
    };
    let paths: Map<String, Value> = documents().iter().map(entry).collect();
    json!({ "paths": paths })
}

fn generator() -> SchemaGenerator {
    // What is sent may leave out what has a default; what is shown has it.
    SchemaSettings::openapi3().for_deserialize().into_generator()
}

fn document(group: &Group) -> Document {
    let mut generator = generator();
    (group.schemas)(&mut generator);
    let (path, prefix) = (group.path(), group.prefix);
    let definitions = generator.take_definitions(true);
    let mut schemas: Map<String, Value> = Map::new();
    for (name, mut schema) in definitions {
        plain(&mut schema, prefix);
        if name.ends_with("Status") || name == "Controller" {
            // What the server alone writes is required of nobody.
            if let Some(fields) = schema.as_object_mut() {
                fields.remove("required");
            }
        }
        schemas.insert(format!("{prefix}{name}"), schema);
    }
    let mut paths = Map::new();
    for entry in group.entries.iter().filter(|entry| !entry.verbs.is_empty()) {
        let kind = entry.resource.kind;
        let of = |kind: &str| json!([{ "group": group.name, "kind": kind, "version": VERSION }]);
        if let Some(schema) = schemas.get_mut(&format!("{prefix}{kind}")) {
            schema["x-kubernetes-group-version-kind"] = of(kind);
        }
        let list = list(kind, prefix, of(&format!("{kind}List")));
        schemas.insert(format!("{prefix}{kind}List"), list);
        put_paths(&mut paths, &path, entry, prefix, group.name);
    }
    let info = json!({ "title": "Gamekeeper", "version": env!("CARGO_PKG_VERSION") });
    let whole = json!({
        "openapi": "3.0.0", "info": info, "paths": paths, "components": { "schemas": schemas },
    });
    let text = whole.to_string();
    let hash = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02X}")).collect();
    Document { path, text, hash }
}

/// What OpenAPI 3.0 and kubectl's reading of it have no words for, said in theirs.
fn plain(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(|part| plain(part, prefix)),
        Value::Object(fields) => {
            for field in ["$schema", "nullable"] {
                fields.remove(field);
            }
            if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
                fields.remove("additionalProperties");
            }
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(SCHEMAS)
            {
                *reference = format!("{SCHEMAS}{prefix}{name}");
            }
            if let Some(format) = fields.get("format").and_then(Value::as_str) {
                let known = match format {
                    "uint64" | "uint" => Some("int64"),
                    "uint32" | "uint16" | "uint8" => Some("int32"),
                    _ => None,
                };
                if let Some(known) = known {
                    fields.insert("format".into(), known.into());
                }
            }
            if let Some(bound) = fields.get("exclusiveMinimum").filter(|bound| bound.is_number()).cloned() {
                fields.insert("minimum".into(), bound);
                fields.insert("exclusiveMinimum".into(), true.into());
            }
            words(fields);
            alone(fields);
            fields.values_mut().for_each(|value| plain(value, prefix));
        }
        _ => {}
    }
}

/// A choice between one thing and nothing is that thing, in the words in which kubectl follows it.
fn alone(fields: &mut Map<String, Value>) {
    for word in ["anyOf", "oneOf"] {
        let Some(Value::Array(choices)) = fields.get_mut(word) else { continue };
        choices.retain(|choice| choice["type"] != "null" && choice["enum"] != json!([null]));
        if choices.len() == 1
            && let Some(only) = fields.remove(word)
        {
            fields.insert("allOf".into(), only);
        }
    }
}

/// One word or another, each with its description, as an enumeration.
fn words(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let word = |choice: &Value| Some(choice["enum"].as_array()?.first()?.as_str()?.to_owned());
    let Some(words) = choices.iter().map(word).collect::<Option<Vec<String>>>() else { return };
    let told = choices
        .iter()
        .zip(&words)
        .filter_map(|(choice, word)| Some(format!("`{word}`: {}", choice["description"].as_str()?)));
    let whole = fields.get("description").and_then(Value::as_str).map(str::to_owned);
    let description: Vec<String> = whole.into_iter().chain(told).collect();
    fields.remove("oneOf");
    fields.insert("type".into(), "string".into());
    fields.insert("enum".into(), json!(words));
    fields.insert("description".into(), description.join(" ").into());
}

fn list(kind: &str, prefix: &str, of: Value) -> Value {
    json!({
        "description": format!("A list of objects of the kind {kind}."),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": { "type": "string", "description": "The group and version of the list." },
            "kind": { "type": "string", "description": format!("`{kind}List`.") },
            "metadata": { "type": "object", "description": "Of the list as a whole." },
            "items": {
                "type": "array",
                "description": "The objects.",
                "items": { "$ref": format!("{SCHEMAS}{prefix}{kind}") },
            },
        },
        "x-kubernetes-group-version-kind": of,
    })
}

fn put_paths(paths: &mut Map<String, Value>, root: &str, entry: &Entry, prefix: &str, group: &str) {
    let Entry { resource, namespaced, verbs, .. } = entry;
    let (plural, kind) = (resource.plural, resource.kind);
    let of = json!({ "group": group, "kind": kind, "version": VERSION });
    let reference = |kind: &str| json!({ "$ref": format!("{SCHEMAS}{prefix}{kind}") });
    let operation = |verb: &str, shown: &str, sends: &[&str]| {
        let mut operation = json!({
            "operationId": format!("{verb}{kind}"),
            "x-kubernetes-action": verb,
            "x-kubernetes-group-version-kind": of,
            "responses": {
                "200": { "description": "OK", "content": { "application/json": { "schema": reference(shown) } } },
            },
        });
        if !sends.is_empty() {
            let content: Map<String, Value> = sends
                .iter()
                .map(|sent| ((*sent).to_owned(), json!({ "schema": { "type": "object" } })))
                .collect();
            operation["requestBody"] = json!({ "required": true, "content": content });
            let names = ["dryRun", "fieldManager", "fieldValidation"];
            let force = (verb == "patch").then_some(("force", "boolean"));
            let names = names.iter().map(|name| (*name, "string")).chain(force);
            let parameter =
                |(name, of): (&str, &str)| json!({ "name": name, "in": "query", "schema": { "type": of } });
            operation["parameters"] = names.map(parameter).collect();
        }
        operation
    };
    let lists = format!("{kind}List");
    let body = ["application/json", "application/yaml"];
    let patches =
        ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
    let (mut many, mut one) = (Map::new(), Map::new());
    for verb in *verbs {
        match *verb {
            "list" => many.insert("get".into(), operation("list", &lists, &[])),
            "create" => many.insert("post".into(), operation("post", kind, &body)),
            "get" => one.insert("get".into(), operation("get", kind, &[])),
            "update" => one.insert("put".into(), operation("put", kind, &body)),
            "patch" => one.insert("patch".into(), operation("patch", kind, &patches)),
            "delete" => one.insert("delete".into(), operation("delete", kind, &[])),
            _ => None,
        };
    }
    let place =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let mut base = format!("/{root}");
    if *namespaced {
        base.push_str("/namespaces/{namespace}");
    }
    let of_namespace = namespaced.then(|| place("namespace"));
    many.insert("parameters".into(), of_namespace.iter().cloned().collect());
    paths.insert(format!("{base}/{plural}"), many.into());
    if !one.is_empty() {
        one.insert("parameters".into(), of_namespace.into_iter().chain([place("name")]).collect());
        paths.insert(format!("{base}/{plural}/{{name}}"), one.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        let own = documents().iter().find(|document| document.path == "apis/gamekeeper.dev/v1").unwrap();
        serde_json::from_str(&own.text).unwrap()
    }

    #[test]
    fn every_kind_has_a_schema_that_names_it_and_every_reference_leads_somewhere() {
        for (document, group) in documents().iter().zip(GROUPS) {
            let whole: Value = serde_json::from_str(&document.text).unwrap();
            let schemas = whole["components"]["schemas"].as_object().unwrap();
            let mut named: Vec<&str> = schemas
                .values()
                .flat_map(|schema| schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten())
                .filter_map(|of| of["kind"].as_str())
                .collect();
            named.sort_unstable();
            let mut kinds: Vec<String> = group
                .entries
                .iter()
                .filter(|entry| !entry.verbs.is_empty())
                .flat_map(|entry| [entry.resource.kind.to_owned(), format!("{}List", entry.resource.kind)])
                .collect();
            kinds.sort_unstable();
            assert_eq!(named, kinds);
            for reference in document.text.split("\"$ref\":\"").skip(1) {
                let name = reference.split('"').next().unwrap().strip_prefix(SCHEMAS).unwrap();
                assert!(schemas.contains_key(name), "{name}");
            }
        }
    }

    #[test]
    fn a_patch_knows_field_validation_and_every_field_is_described() {
        let own = own();
        for path in ["namespaces/{namespace}/games/{name}", "engineversions/{name}"] {
            let patch = &own["paths"][format!("/apis/gamekeeper.dev/v1/{path}")]["patch"];
            let names: Vec<_> = patch["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
            assert!(
                names.contains(&&json!("fieldValidation")) && names.contains(&&json!("force")),
                "{patch}"
            );
            assert!(patch["x-kubernetes-group-version-kind"]["kind"].is_string());
        }
        let spec = &own["components"]["schemas"]["dev.gamekeeper.v1.GameSpec"];
        for (name, field) in spec["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{name}: {field}");
        }
        assert_eq!(spec["required"], json!(["desiredStatus"]));
        let status = &own["components"]["schemas"]["dev.gamekeeper.v1.GameStatus"];
        assert_eq!(status["required"], Value::Null);
        assert!(status["properties"]["conditions"]["items"].is_object());
    }

    #[test]
    fn the_words_of_json_schema_that_openapi_3_0_does_not_have_are_gone() {
        for document in documents() {
            for word in ["\"const\"", "\"$defs\"", "\"null\"", "[null]", "\"$schema\"", "\"uint"] {
                assert!(!document.text.contains(word), "{word} in {}", document.path);
            }
        }
    }

    #[test]
    fn what_may_be_absent_leads_to_its_schema_all_the_same() {
        let own = own();
        let turns = &own["components"]["schemas"]["dev.gamekeeper.v1.GameSpec"]["properties"]["turns"];
        assert_eq!(
            turns["allOf"],
            json!([{ "$ref": format!("{SCHEMAS}dev.gamekeeper.v1.Turns") }]),
            "{turns}"
        );
    }

    #[test]
    fn the_index_names_each_document_with_its_hash() {
        let index = openapi_index();
        for document in documents() {
            let url = index["paths"][&document.path]["serverRelativeURL"].as_str().unwrap();
            assert_eq!(url, format!("/openapi/v3/{}?hash={}", document.path, document.hash));
        }
    }
}
