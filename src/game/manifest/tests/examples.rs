use super::*;

const VERSIONS: &str = include_str!("../../../../manifests/demo/engine-versions.yaml");
const GAMES: &str = include_str!("../../../../manifests/demo/games.yaml");

#[test]
fn the_demo_is_right() {
    let manifests = parse_files([("engine-versions.yaml", VERSIONS), ("games.yaml", GAMES)]).unwrap();
    let names: Vec<_> =
        manifests.iter().map(|m| format!("{} {}", m.value.kind(), m.value.metadata().name)).collect();
    assert_eq!(
        names,
        ["EngineVersion 1.4.1", "EngineVersion 1.4.2", "Game andromeda", "Game borealis", "Game cygnus"]
    );
    assert_eq!(manifests[3].place.to_string(), "games.yaml:20:1");
}

#[test]
fn every_field_of_the_demo_is_in_the_schema() {
    let schema = json_schema(None).unwrap();
    for found in parse_files([("v", VERSIONS), ("g", GAMES)]).unwrap() {
        let value = serde_json::to_value(&found.value).unwrap();
        listed(&schema, &schema["$defs"][found.value.kind()], &value);
    }
}

/// Follows a value through the schema; every field has to be listed.
fn listed(schema: &serde_json::Value, at: &serde_json::Value, value: &serde_json::Value) {
    let at = match at.get("$ref").or_else(|| at["anyOf"][0].get("$ref")).and_then(|r| r.as_str()) {
        Some(reference) => &schema["$defs"][reference.trim_start_matches("#/$defs/")],
        None => at,
    };
    match value {
        serde_json::Value::Object(fields) if at["properties"].is_object() => {
            for (field, value) in fields {
                assert!(at["properties"].get(field).is_some(), "{field} is not in {at:#}");
                listed(schema, &at["properties"][field], value);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| listed(schema, &at["items"], item)),
        _ => {}
    }
}

#[test]
fn the_body_of_a_request_is_read_as_kubernetes_clients_send_it() {
    let body = serde_json::json!({
        "apiVersion": "gamekeeper.dev/v1",
        "kind": "Game",
        "metadata": {
            "name": "a", "creationTimestamp": null, "labels": null, "managedFields": [{ "manager": "kubectl" }],
            "resourceVersion": "7", "uid": "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10",
        },
        "spec": { "desiredStatus": "Running", "paused": null, "turns": null, "colour": "red" },
        "status": { "phase": "Running" },
    });
    let problems = from_json(body.clone(), UnknownFields::Refuse).unwrap_err();
    assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["spec.colour"]);
    let (manifest, dropped) = from_json(body, UnknownFields::Drop).unwrap();
    assert_eq!(dropped.len(), 1);
    let ValidManifest::Game(game) = validate(&manifest).unwrap() else { panic!("not a game") };
    assert_eq!(game.meta.resource_version.as_deref(), Some("7"));
    assert_eq!((game.spec.members, game.spec.requests), (None, RequestCounters::default()));
}

#[test]
fn several_objects_are_written_as_several_documents() {
    let read =
        |text: &str| parse_documents("f", text).unwrap().into_iter().map(|m| m.value).collect::<Vec<_>>();
    let manifests = read(GAMES);
    assert_eq!(read(&to_yaml_documents(&manifests).unwrap()), manifests);
}
