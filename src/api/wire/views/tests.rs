use serde_json::{Value, json};

use super::*;

fn game(change: Value) -> Source {
    let mut game = json!({
        "metadata": {
            "name": "andromeda", "namespace": "default", "uid": "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10",
            "generation": 3, "labels": { "season": "7" }, "creationTimestamp": "2026-11-01T00:00:00.5Z",
        },
        "spec": {
            "desiredStatus": "Running", "restartGeneration": 1, "resources": { "cpu": "500m" },
        },
        "status": {
            "observedGeneration": 3, "phase": "Running", "reason": "Running", "message": "It runs.",
            "containerId": "c0ffee", "containerStartedAt": "2026-11-01T00:01:00.123456789Z",
            "image": "engine:1", "imageId": "sha256:00", "restartCount": 2, "observedRestartGeneration": 1,
            "endpoints": { "address": "172.18.0.3:8080" },
            "conditions": [truth_of("ContainerRunning", "True"), truth_of("EngineHealthy", "True")],
        },
    });
    json_patch::merge(&mut game, &change);
    serde_json::from_value(game).unwrap()
}

fn truth_of(kind: &str, status: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "R", "message": "m",
        "lastTransitionTime": "2026-11-01T00:01:05Z", "observedGeneration": 3,
    })
}

fn pod(change: Value) -> Value {
    json!(Pod::of(&game(change)))
}

/// Generation and what was observed of it; replicas, updated and available ones.
fn rollout(change: Value) -> [i64; 5] {
    let shown = json!(Deployment::of(&game(change)));
    let of = |field: &str| shown["status"][field].as_i64().unwrap();
    [
        shown["metadata"]["generation"].as_i64().unwrap(),
        of("observedGeneration"),
        of("replicas"),
        of("updatedReplicas"),
        of("availableReplicas"),
    ]
}

#[test]
fn a_game_that_runs_is_a_pod_that_is_ready() {
    let pod = pod(json!({}));
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!((&pod["status"]["podIP"], &pod["spec"]["nodeName"]), (&json!("172.18.0.3"), &json!("docker")));
    let engine = &pod["status"]["containerStatuses"][0];
    assert_eq!((&engine["ready"], &engine["restartCount"]), (&json!(true), &json!(2)));
    assert_eq!(engine["containerID"], "docker://c0ffee");
    assert_eq!(engine["state"], json!({ "running": { "startedAt": "2026-11-01T00:01:00Z" } }));
    let container = &pod["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["image"]), (&json!("engine"), &json!("engine:1")));
    assert_eq!(container["ports"][0]["containerPort"], 8080);
    assert_eq!(container["resources"], json!({ "limits": { "cpu": "500m" } }));
    assert_eq!(
        pod["metadata"]["labels"],
        json!({ "season": "7", "gamekeeper.dev/game": "andromeda" }),
        "by which it is found"
    );
}

#[test]
fn views_have_identities_of_their_own_which_stay_and_lead_to_the_game() {
    let game = game(json!({}));
    let (pod, deployment) = (json!(Pod::of(&game)), json!(Deployment::of(&game)));
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(uid(&pod), self::pod(json!({ "status": { "containerId": "another" } }))["metadata"]["uid"]);
    assert!(uid(&pod) != uid(&deployment) && uid(&pod) != game.uid() && uid(&deployment) != game.uid());
    let owner = |object: &Value| object["metadata"]["ownerReferences"][0].clone();
    assert_eq!((&owner(&pod)["kind"], &owner(&pod)["uid"]), (&json!("Deployment"), &json!(uid(&deployment))));
    assert_eq!(
        (&owner(&deployment)["kind"], &owner(&deployment)["uid"]),
        (&json!("Game"), &json!(game.uid()))
    );
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], json!({ "gamekeeper.dev/game": "andromeda" }));
}

#[test]
fn a_pod_tells_honestly_how_its_engine_is() {
    let down = json!([truth_of("ContainerRunning", "False")]);
    let exit = json!({ "code": 1, "outOfMemory": false, "reason": "Exited", "at": "2026-11-01T00:02:00Z" });
    let of = |phase: &str, more: Value| {
        let mut change = json!({ "status": { "phase": phase, "reason": phase, "conditions": down } });
        for (field, value) in more["status"].as_object().into_iter().flatten() {
            change["status"][field] = value.clone();
        }
        let pod = pod(change);
        let engine = pod["status"]["containerStatuses"][0].clone();
        assert_eq!(engine["ready"], false);
        (pod["status"]["phase"].as_str().unwrap().to_owned(), engine)
    };
    let (phase, engine) = of("CrashLoop", json!({ "status": { "lastExit": exit } }));
    assert_eq!(
        (phase.as_str(), &engine["state"]["waiting"]["reason"]),
        ("Running", &json!("CrashLoopBackOff"))
    );
    assert_eq!(engine["lastState"]["terminated"]["exitCode"], 1);
    let (phase, engine) = of("Blocked", json!({ "status": { "lastExit": exit } }));
    assert_eq!((phase.as_str(), &engine["state"]["terminated"]["reason"]), ("Failed", &json!("Error")));
    let unknown = json!({ "status": { "containerId": null, "lastExit": { "code": null, "outOfMemory": false, "reason": "Removed", "at": "2026-11-01T00:02:00Z" } } });
    let (phase, engine) = of("CrashLoop", unknown);
    assert_eq!((phase.as_str(), &engine["lastState"]["terminated"]["exitCode"]), ("Pending", &json!(137)));
    let (phase, engine) =
        of("Starting", json!({ "status": { "containerId": null, "reason": "PullingImage" } }));
    assert_eq!((phase.as_str(), &engine["state"]["waiting"]["reason"]), ("Pending", &json!("PullingImage")));
    assert_eq!(of("Unknown", json!({})).0, "Unknown");
    // Nothing is known of it yet.
    let new = pod(json!({ "status": null }));
    assert_eq!(new["status"]["phase"], "Pending");
    // It is stopped, or on its way there.
    let stopped = json!({ "spec": { "desiredStatus": "Stopped" }, "status": { "containerId": null } });
    assert_eq!(pod(stopped), Value::Null);
    assert_eq!(pod(json!({ "spec": { "desiredStatus": "Stopped" } }))["status"]["phase"], "Running");
}

#[test]
fn a_rollout_is_complete_only_when_the_restart_has_come_true() {
    assert_eq!(rollout(json!({})), [3, 3, 1, 1, 1]);
    let asked = json!({ "metadata": { "generation": 4 }, "spec": { "restartGeneration": 2 } });
    assert_eq!(rollout(asked.clone()), [4, 3, 1, 1, 1], "nobody has seen it");
    let mut waits = asked;
    waits["status"] = json!({ "observedGeneration": 4 });
    assert_eq!(rollout(waits.clone()), [4, 3, 1, 1, 1], "it was seen, and waits for a turn in flight");
    waits["status"]["observedRestartGeneration"] = 2.into();
    waits["status"]["operation"] = json!({ "kind": "restart" });
    assert_eq!(rollout(waits.clone()), [4, 4, 1, 0, 1], "the old engine is still there");
    waits["status"]["containerId"] = Value::Null;
    assert_eq!(rollout(waits.clone()), [4, 4, 0, 0, 0]);
    waits["status"]["containerId"] = "new".into();
    waits["status"]["phase"] = "Starting".into();
    assert_eq!(rollout(waits), [4, 4, 1, 0, 0], "the new one does not serve yet");
    assert_eq!(rollout(json!({ "status": { "operation": { "kind": "turn" } } })), [3, 3, 1, 1, 1]);
    let stopping = json!({ "spec": { "desiredStatus": "Stopped" } });
    assert_eq!(rollout(stopping), [3, 3, 1, 0, 1], "an old one is pending termination");
    assert_eq!(rollout(json!({ "status": null })), [3, 0, 0, 0, 0]);
}

#[test]
fn a_game_that_does_not_go_on_by_itself_has_exceeded_its_deadline() {
    let reason = |change: Value| {
        let shown = json!(Deployment::of(&game(change)));
        let conditions = shown["status"]["conditions"].as_array().unwrap();
        let progress = conditions.iter().find(|condition| condition["type"] == "Progressing").unwrap();
        (progress["status"] == "True", progress["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(reason(json!({})), (true, "NewReplicaSetAvailable".into()));
    assert_eq!(reason(json!({ "status": { "phase": "Starting" } })), (true, "ReplicaSetUpdated".into()));
    for stuck in [json!({ "phase": "Blocked" }), json!({ "failedPatch": { "to": "2" } })] {
        let told = reason(json!({ "status": stuck }));
        assert_eq!(told, (false, "ProgressDeadlineExceeded".into()));
    }
}
