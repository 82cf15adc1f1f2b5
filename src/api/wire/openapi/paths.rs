//! The paths of a document: what can be asked of each kind, what is sent, and what comes back.
//!
//! `watch` is left out of the parameters: it makes an answer without an end of a list, for which
//! OpenAPI has no words. Discovery tells which kinds have it.

use serde_json::{Map, Value, json};

use super::super::kinds::{Below, Entry, Group, VERSION};
use super::SCHEMAS;

/// What an object can be sent as.
const WHOLE: &[&str] = &["application/json", "application/yaml"];

/// What nothing that is below an object can be sent as.
const APPLY: &str = "application/apply-patch+yaml";

/// Puts in the paths of a kind.
pub(super) fn put_paths(paths: &mut Map<String, Value>, group: &Group, entry: &Entry) {
    let kind = Kind { group, entry };
    let (mut many, mut one) = (Map::new(), Map::new());
    for verb in entry.verbs {
        match *verb {
            "list" => many.insert("get".into(), kind.list("")),
            "create" => many.insert("post".into(), kind.write("post", WHOLE, &["201"])),
            "get" => one.insert("get".into(), kind.operation("get", "", &["200"], &kind.reference())),
            "update" => one.insert("put".into(), kind.write("put", WHOLE, &["200"])),
            "patch" => one.insert("patch".into(), kind.patch()),
            "delete" => one.insert("delete".into(), kind.delete()),
            _ => None,
        };
    }
    let base = format!("/{}", group.path());
    let (plural, namespace) = (entry.resource.plural, place("namespace"));
    let mut here = base.clone();
    let mut places = Vec::new();
    if entry.namespaced {
        if many.contains_key("get") {
            paths.insert(format!("{base}/{plural}"), json!({ "get": kind.list("ForAllNamespaces") }));
        }
        here.push_str("/namespaces/{namespace}");
        places.push(namespace);
    }
    let all = format!("{here}/{plural}");
    many.insert("parameters".into(), places.clone().into());
    paths.insert(all.clone(), many.into());
    // What cannot be read one by one has what is below it below the whole.
    let mut above = all;
    if !one.is_empty() {
        above.push_str("/{name}");
        places.push(place("name"));
        one.insert("parameters".into(), places.clone().into());
        paths.insert(above.clone(), one.into());
    }
    for below in entry.below {
        let mut at = kind.below(below);
        at.insert("parameters".into(), places.clone().into());
        paths.insert(format!("{above}/{}", below.name), at.into());
    }
}

struct Kind<'a> {
    group: &'a Group,
    entry: &'a Entry,
}

impl Kind<'_> {
    fn schema(&self, name: &str) -> Value {
        json!({ "$ref": format!("{SCHEMAS}{}{name}", self.group.prefix) })
    }

    fn reference(&self) -> Value {
        self.schema(self.entry.resource.kind)
    }

    /// An operation that answers with this, and with a Status where it cannot.
    fn operation(&self, verb: &str, of: &str, codes: &[&str], shown: &Value) -> Value {
        let kind = self.entry.resource.kind;
        let answer = |told: &str, shown: &Value| json!({ "description": told, "content": { "application/json": { "schema": shown } } });
        let mut responses: Map<String, Value> =
            codes.iter().map(|code| ((*code).to_owned(), answer("OK", shown))).collect();
        responses.insert("default".into(), answer("Why not.", &self.schema("Status")));
        json!({
            "operationId": format!("{verb}{kind}{of}"),
            "x-kubernetes-action": verb,
            "x-kubernetes-group-version-kind": { "group": self.group.name, "kind": kind, "version": VERSION },
            "responses": responses,
        })
    }

    fn list(&self, of: &str) -> Value {
        let shown = self.schema(&format!("{}List", self.entry.resource.kind));
        let mut operation = self.operation("list", of, &["200"], &shown);
        let matched = json!({ "type": "string", "enum": ["Exact", "NotOlderThan"] });
        operation["parameters"] = json!([
            query("labelSelector", &json!({ "type": "string" })),
            query("fieldSelector", &json!({ "type": "string" })),
            query("limit", &json!({ "type": "integer", "minimum": 0 })),
            query("continue", &json!({ "type": "string" })),
            query("resourceVersion", &json!({ "type": "string" })),
            query("resourceVersionMatch", &matched),
        ]);
        operation
    }

    fn write(&self, verb: &str, sent: &[&str], codes: &[&str]) -> Value {
        let mut operation = self.operation(verb, "", codes, &self.reference());
        // Of a question, which is all that can be created of its kind, clients send an empty answer along in
        // words of their own.
        let asks = self.entry.verbs == ["create"];
        let body = if asks { json!({ "type": "object" }) } else { self.reference() };
        send(&mut operation, sent.iter().map(|sent| (*sent, body.clone())));
        operation["parameters"] = written(&["dryRun", "fieldManager", "fieldValidation"]).into();
        operation
    }

    fn patch(&self) -> Value {
        let mut operation = self.operation("patch", "", &["200", "201"], &self.reference());
        send(&mut operation, patches(self.entry.patches));
        let mut parameters = written(&["dryRun", "fieldManager", "fieldValidation"]);
        parameters.push(query("force", &json!({ "type": "boolean" })));
        operation["parameters"] = parameters.into();
        operation
    }

    fn delete(&self) -> Value {
        let shown = json!({ "anyOf": [self.reference(), self.schema("Status")] });
        let mut operation = self.operation("delete", "", &["200"], &shown);
        send(&mut operation, [("application/json", json!({ "type": "object" }))]);
        operation["requestBody"]["required"] = false.into();
        operation["parameters"] = written(&["dryRun"]).into();
        operation
    }

    /// What is below an object: the object itself, or what has no schema here.
    fn below(&self, below: &Below) -> Map<String, Value> {
        let any = json!({ "type": "object" });
        let shown = if below.kind == self.entry.resource.kind { self.reference() } else { any.clone() };
        let mut at = Map::new();
        for verb in below.verbs {
            let (method, codes): (_, &[&str]) = match *verb {
                "get" => ("get", &["200"]),
                "create" => ("post", &["200", "201"]),
                "update" => ("put", &["200"]),
                "patch" => ("patch", &["200"]),
                _ => continue,
            };
            let mut operation = self.operation(method, &capitalised(below.name), codes, &shown);
            if let Some((group, version)) = below.group_version {
                operation["x-kubernetes-group-version-kind"] =
                    json!({ "group": group, "kind": below.kind, "version": version });
            }
            match method {
                "get" => {}
                "patch" => {
                    let not_applied = |(kind, _): &(&str, Value)| *kind != APPLY;
                    send(&mut operation, patches(self.entry.patches).filter(not_applied));
                }
                _ => send(&mut operation, WHOLE.iter().map(|sent| (*sent, any.clone()))),
            }
            at.insert(method.into(), operation);
        }
        at
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Each of these kinds of patch, with what it is.
fn patches(kinds: &'static [&'static str]) -> impl Iterator<Item = (&'static str, Value)> {
    kinds.iter().map(|kind| match *kind {
        "application/json-patch+json" => (*kind, json!({ "type": "array", "items": { "type": "object" } })),
        _ => (*kind, json!({ "type": "object" })),
    })
}

fn send<'a>(operation: &mut Value, sent: impl IntoIterator<Item = (&'a str, Value)>) {
    let sent = sent.into_iter().map(|(sent, schema)| (sent.to_owned(), json!({ "schema": schema })));
    let content: Map<String, Value> = sent.collect();
    operation["requestBody"] = json!({ "required": true, "content": content });
}

fn written(names: &[&str]) -> Vec<Value> {
    let schema = |name: &str| match name {
        "dryRun" => json!({ "type": "string", "enum": ["All"] }),
        "fieldValidation" => json!({ "type": "string", "enum": ["Ignore", "Strict", "Warn"] }),
        _ => json!({ "type": "string", "maxLength": 128 }),
    };
    names.iter().map(|name| query(name, &schema(name))).collect()
}

fn query(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}

fn place(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}
