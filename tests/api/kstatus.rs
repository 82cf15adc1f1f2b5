//! What tools that wait for any kind of object make of a game: kstatus, which Flux and others use, and
//! which is done here after its published rules (`sigs.k8s.io/cli-utils/pkg/kstatus`), without its code.

use gamekeeper::game::record::Record;
use gamekeeper::game::spec::Requests;
use gamekeeper::game::{Condition, ConditionStatus, ConditionType, GameId, Phase};
use gamekeeper::store::Recording;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{GAMES, VERSIONS, World, game, version};

/// What kstatus says of an object whose kind it does not know.
fn verdict(object: &Value) -> &'static str {
    let condition = |kind: &str| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.clone().find(|condition| condition["type"] == kind).map(|found| &found["status"])
    };
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return "InProgress";
    }
    if condition("Reconciling") == Some(&json!("True")) {
        return "InProgress";
    }
    if condition("Stalled") == Some(&json!("True")) {
        return "Failed";
    }
    match condition("Ready") {
        Some(ready) if *ready == "True" => "Current",
        Some(_) => "InProgress",
        None => "Current",
    }
}

/// Which verdict each phase has once the controller has seen the spec: the table of docs/kubectl.md.
fn expected(phase: Phase) -> (ConditionStatus, &'static str) {
    use ConditionStatus::{False, True, Unknown};
    match phase {
        Phase::Pending | Phase::Starting | Phase::Stopping | Phase::Patching => (False, "InProgress"),
        Phase::Running | Phase::Stopped | Phase::Finished => (True, "Current"),
        // It is tried again by itself.
        Phase::EngineUnreachable | Phase::CrashLoop => (False, "InProgress"),
        Phase::Unknown => (Unknown, "InProgress"),
        // Somebody has to do something.
        Phase::Invalid | Phase::Blocked => (False, "Failed"),
    }
}

fn condition(kind: ConditionType, status: ConditionStatus, generation: i64) -> Condition {
    Condition {
        kind,
        status,
        reason: "Because".into(),
        message: "It is so.".into(),
        last_transition_time: Timestamp::UNIX_EPOCH,
        observed_generation: generation,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phase_has_the_verdict_that_the_documentation_promises() {
    let world = World::new().await;
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kubectl.md")).unwrap();
    let path = format!("{GAMES}/andromeda");
    let created = world.post(GAMES, &game("andromeda")).await.ok(201);
    assert_eq!(verdict(&created), "InProgress", "nobody has looked at it: {created:#}");
    assert_eq!(created["status"]["phase"], "Pending");
    let id: GameId = created["metadata"]["uid"].as_str().unwrap().parse().unwrap();
    let generation = created["metadata"]["generation"].as_i64().unwrap();
    let (recorder, writer) = world.store.recorder(world.store.take_lead("test").await.unwrap());
    let record = async |phase: Phase, conditions: Vec<Condition>| {
        let record = Record {
            phase,
            observed_generation: generation,
            conditions,
            ..Record::first_seen(Requests::default())
        };
        let recording = Recording::of(id, "default".parse().unwrap(), "andromeda".parse().unwrap(), record);
        recorder.record(recording).await.unwrap();
        world.get(&path).await.ok(200)
    };
    for phase in Phase::ALL {
        let (ready, expected) = expected(phase);
        let shown = record(phase, vec![condition(ConditionType::Ready, ready, generation)]).await;
        assert_eq!(verdict(&shown), expected, "{shown:#}");
        let row = format!("| `{phase:?}` | `{}` | {expected} |", json!(ready).as_str().unwrap());
        assert!(docs.contains(&row), "docs/kubectl.md has no row {row}");
    }
    // It runs, but not as its spec says: the spec has to be mended, or it is about to be met.
    let unmet = condition(ConditionType::Ready, ConditionStatus::False, generation);
    let pending = Condition { reason: "PatchPending".into(), ..unmet.clone() };
    assert_eq!(verdict(&record(Phase::Running, vec![pending]).await), "InProgress");
    // Its engine is gone, and that is looked at.
    let leaving = Condition { reason: "Running".into(), ..unmet.clone() };
    assert_eq!(verdict(&record(Phase::Running, vec![leaving]).await), "InProgress");
    let shown = record(Phase::Running, vec![unmet]).await;
    assert_eq!(verdict(&shown), "Failed");
    let stalled = shown["status"]["conditions"].as_array().unwrap().last().unwrap();
    assert_eq!((&stalled["type"], &stalled["reason"]), (&json!("Stalled"), &json!("Because")));

    // A new spec is on its way until the controller has seen it, and a deletion until it is done.
    let running =
        record(Phase::Running, vec![condition(ConditionType::Ready, ConditionStatus::True, generation)]);
    assert_eq!(verdict(&running.await), "Current");
    let changed = world.patch(&path, &json!({ "spec": { "paused": true } })).await.ok(200);
    assert_eq!(verdict(&changed), "InProgress");
    let labelled = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "paused": false } });
    world.patch(&path, &labelled).await.ok(200);
    assert_eq!(verdict(&world.delete(&path).await.ok(200)), "Terminating");
    // An engine version is done as soon as it is there.
    assert_eq!(verdict(&world.post(VERSIONS, &version("1.4.2")).await.ok(201)), "Current");
    drop(recorder);
    writer.await.unwrap();
    world.end().await;
}
