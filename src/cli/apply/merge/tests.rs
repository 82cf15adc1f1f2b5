use super::*;

fn written(spec: Value) -> Value {
    json!({
        "apiVersion": "gamekeeper.dev/v1",
        "kind": "Game",
        "metadata": { "name": "andromeda", "labels": { "season": "7" } },
        "spec": spec,
    })
}

/// What is there after this was applied, as a server shows it: with every default.
fn applied(spec: Value) -> Object {
    let mut object = to_create(Kind::Game, "default", &written(spec));
    let spec = object["spec"].as_object_mut().unwrap();
    for (field, value) in [
        ("paused", json!(false)),
        ("deletionPolicy", json!("Retain")),
        ("restartGeneration", json!(0)),
        ("forceTurnGeneration", json!(0)),
    ] {
        spec.entry(field).or_insert(value);
    }
    object["metadata"]["generation"] = json!(1);
    object["metadata"]["resourceVersion"] = json!("17");
    Object(object)
}

fn patch(now: Value, live: &Object) -> Value {
    let mut patch = three_way(Kind::Game, &written(now), live).unwrap_or_default();
    if let Some(annotations) = patch.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        assert!(annotations.remove(LAST_APPLIED).is_some());
    }
    patch["spec"].clone()
}

const USER: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
const OTHER: &str = "0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21";

#[test]
fn the_same_again_is_nothing() {
    let spec = json!({
        "desiredStatus": "Running",
        "engineVersion": "1.4.2",
        "turns": { "schedule": "0 18 * * *", "timeZone": "UTC", "missed": "Once", "notBefore": null },
        "resources": { "cpu": 0.5, "memory": "256Mi" },
        "players": [{ "userId": USER, "raceName": "Terrans" }, { "userId": OTHER, "raceName": "Martians" }],
    });
    assert_eq!(three_way(Kind::Game, &written(spec.clone()), &applied(spec)), None);
}

#[test]
fn another_spelling_of_the_same_changes_no_spec() {
    let mut live = applied(json!({
        "desiredStatus": "Running",
        "resources": { "cpu": "0.5" },
        "turns": { "schedule": "0 18 * * *", "timeZone": "UTC", "notBefore": "2026-12-01T19:00:00+01:00" },
        "players": [{ "userId": USER, "raceName": "Terrans" }, { "userId": OTHER, "raceName": "Martians" }],
    }));
    // As the server spells it.
    live.0["spec"]["resources"] = json!({ "cpu": "500m" });
    live.0["spec"]["turns"] =
        json!({ "schedule": "0 18 * * *", "missed": "Once", "notBefore": "2026-12-01T18:00:00Z" });
    live.0["spec"]["players"].as_array_mut().unwrap().reverse();
    let again = json!({
        "desiredStatus": "Running",
        "resources": { "cpu": "0.5" },
        "turns": { "schedule": "0 18 * * *", "timeZone": "UTC", "notBefore": "2026-12-01T19:00:00+01:00" },
        "players": [{ "userId": USER, "raceName": "Terrans" }, { "userId": OTHER, "raceName": "Martians" }],
    });
    assert_eq!(three_way(Kind::Game, &written(again), &live), None);
}

#[test]
fn what_is_written_anew_is_set_as_it_was_written() {
    let live = applied(json!({ "desiredStatus": "Running", "resources": { "cpu": "1", "memory": "256Mi" } }));
    let now =
        json!({ "desiredStatus": "Stopped", "resources": { "cpu": "1", "memory": "1Gi" }, "paused": true });
    assert_eq!(
        patch(now, &live),
        json!({ "desiredStatus": "Stopped", "resources": { "memory": "1Gi" }, "paused": true })
    );
}

#[test]
fn what_is_no_longer_written_goes_back_to_its_default() {
    let live = applied(json!({
        "desiredStatus": "Running",
        "paused": true,
        "deletionPolicy": "Retain",
        "engineVersion": "1.4.2",
        "turns": { "schedule": "0 18 * * *", "missed": "Skip" },
    }));
    assert_eq!(
        patch(json!({ "desiredStatus": "Running", "turns": { "schedule": "0 18 * * *" } }), &live),
        json!({ "turns": { "missed": null }, "paused": null, "engineVersion": null })
    );
}

#[test]
fn what_others_wrote_is_left_to_them() {
    let mut live = applied(json!({ "desiredStatus": "Running" }));
    live.0["spec"]["paused"] = json!(true);
    live.0["spec"]["displayName"] = json!("Andromeda");
    live.0["spec"]["players"] = json!([{ "userId": USER, "raceName": "Terrans" }]);
    live.0["spec"]["restartGeneration"] = json!(4);
    live.0["metadata"]["labels"]["team"] = json!("a");
    assert_eq!(three_way(Kind::Game, &written(json!({ "desiredStatus": "Running" })), &live), None);
}

#[test]
fn counters_and_players_are_never_taken_back() {
    let live = applied(json!({
        "desiredStatus": "Running",
        "restartGeneration": 3,
        "stopNow": true,
        "players": [{ "userId": USER, "raceName": "Terrans" }],
    }));
    let patch = three_way(Kind::Game, &written(json!({ "desiredStatus": "Running" })), &live).unwrap();
    assert_eq!(patch.get("spec"), None);
    // … and what is remembered no longer names them, so that the next time is quiet.
    let note = patch["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert!(!note.contains("players") && !note.contains("restartGeneration"), "{note}");
}

#[test]
fn players_are_replaced_as_a_whole() {
    let live = applied(json!({
        "desiredStatus": "Running",
        "players": [{ "userId": USER, "raceName": "Terrans" }, { "userId": OTHER, "raceName": "Martians" }],
    }));
    let now = json!({ "desiredStatus": "Running", "players": [{ "userId": USER, "raceName": "Terrans" }] });
    assert_eq!(patch(now, &live), json!({ "players": [{ "userId": USER, "raceName": "Terrans" }] }));
}

#[test]
fn labels_come_and_go() {
    let live = applied(json!({ "desiredStatus": "Running" }));
    let mut now = written(json!({ "desiredStatus": "Running" }));
    now["metadata"]["labels"] = json!({ "team": "b" });
    let patch = three_way(Kind::Game, &now, &live).unwrap();
    assert_eq!(patch["metadata"]["labels"], json!({ "team": "b", "season": null }));
}

#[test]
fn an_object_that_others_made_is_taken_over_with_a_note_alone() {
    let mut live = applied(json!({ "desiredStatus": "Running", "paused": true }));
    live.0["metadata"].as_object_mut().unwrap().remove("annotations");
    let patch = three_way(Kind::Game, &written(json!({ "desiredStatus": "Running" })), &live).unwrap();
    assert_eq!(patch.get("spec"), None);
    assert!(patch["metadata"]["annotations"][LAST_APPLIED].is_string());
}

#[test]
fn what_was_read_can_be_applied_again_unless_it_is_stale() {
    let live = applied(json!({ "desiredStatus": "Running" }));
    let mut again = live.0.clone();
    again["status"] = json!({ "phase": "Running" });
    let patch = three_way(Kind::Game, &again, &live);
    // All that is new is the note: what was read says more than what had been written.
    let patch = patch.unwrap();
    assert_eq!(patch.get("spec"), None);
    assert_eq!(patch["metadata"]["resourceVersion"], "17");
}

#[test]
fn a_spec_that_cannot_be_read_is_put_right() {
    let mut live = applied(json!({ "desiredStatus": "Running", "engineVersion": "1.4.2" }));
    live.0["spec"]["turns"] = json!({ "schedule": "whenever" });
    live.0["spec"]["engineVersion"] = json!("latest");
    let now = json!({ "desiredStatus": "Running", "engineVersion": "1.4.2", "turns": { "schedule": "0 18 * * *" } });
    assert_eq!(patch(now, &live), json!({ "engineVersion": "1.4.2", "turns": { "schedule": "0 18 * * *" } }));
}

#[test]
fn engine_versions_have_defaults_too() {
    let written = |spec: Value| json!({ "apiVersion": "gamekeeper.dev/v1", "kind": "EngineVersion", "metadata": { "name": "1.4.2" }, "spec": spec });
    let mut live = to_create(Kind::EngineVersion, "", &written(json!({ "image": "e:1", "enabled": true })));
    assert_eq!(live["metadata"].get("namespace"), None);
    live["spec"] = json!({ "image": "e:1", "enabled": true, "port": 8080, "contract": "gamekeeper/v1", "runAs": "auto" });
    let live = Object(live);
    assert_eq!(
        three_way(Kind::EngineVersion, &written(json!({ "image": "e:1", "enabled": true })), &live),
        None
    );
    let patch =
        three_way(Kind::EngineVersion, &written(json!({ "image": "e:1", "enabled": false })), &live).unwrap();
    assert_eq!(patch["spec"], json!({ "enabled": false }));
}

#[test]
fn what_is_kept_does_not_grow_with_the_players() {
    let players = |n: usize| -> Value {
        (0..n).map(|n| json!({ "userId": uuid::Uuid::from_u128(n as u128), "raceName": "r" })).collect()
    };
    let kept = |n| {
        let body = to_create(
            Kind::Game,
            "default",
            &written(json!({ "desiredStatus": "Running", "players": players(n) })),
        );
        assert_eq!(body["spec"]["players"].as_array().unwrap().len(), n);
        body["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap().to_owned()
    };
    assert_eq!(kept(1), kept(5_000));
}
