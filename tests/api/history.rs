//! Operations, events and logs.

use gamekeeper::game::operation::{Ending, NewOperation, OperationKind};
use gamekeeper::game::record::Record;
use gamekeeper::game::spec::{Requests, Source};
use gamekeeper::game::{GameId, OperationId, Phase};
use gamekeeper::store::recorder::RecordedEvent;
use gamekeeper::store::{Recorder, Recording};
use serde_json::{Value, json};

use crate::world::{GAMES, World, game};

const OPERATIONS: &str = "/apis/gamekeeper.dev/v1/namespaces/default/operations";

fn begun(kind: OperationKind, generation: i64) -> (OperationId, NewOperation) {
    let new = NewOperation {
        kind,
        cause: "the spec says so".into(),
        source: Source::Operator,
        generation,
        requested_by: "admin".into(),
        request_id: "r-1".into(),
        from_version: None,
        to_version: Some("1.4.2".parse().unwrap()),
    };
    (OperationId(uuid::Uuid::new_v4()), new)
}

pub(crate) fn recording(game: GameId, name: &str) -> Recording {
    let mut record = Record::first_seen(Requests::default());
    record.phase = Phase::EngineUnreachable;
    Recording {
        requested_by: "admin".into(),
        request_id: "r-1".into(),
        ..Recording::of(game, "default".parse().unwrap(), name.parse().unwrap(), record)
    }
}

async fn recorder(world: &World) -> Recorder {
    let lease = world.store.take_lead("test").await.unwrap();
    world.store.recorder(lease).0
}

async fn id_of(world: &World, name: &str) -> GameId {
    world.store.game("default", name).await.unwrap().unwrap().id
}

fn words(list: &Value, pointer: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item.pointer(pointer).map_or_else(String::new, |v| v.as_str().unwrap_or("?").to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_told_newest_first_and_outlive_the_game() {
    let world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let (recorder, id) = (recorder(&world).await, id_of(&world, "andromeda").await);
    let start = begun(OperationKind::Start, 1);
    recorder.record(Recording { open: Some(start.clone()), ..recording(id, "andromeda") }).await.unwrap();
    let ending = Ending::Failed { code: "ImageMissing".into(), message: "no such image".into() };
    let heal = begun(OperationKind::ForceNextTurn, 2);
    let mut next = recording(id, "andromeda");
    next.record.operation = Some(heal.1.opened(heal.0));
    recorder
        .record(Recording { close: Some((start.0, ending)), open: Some(heal.clone()), ..next })
        .await
        .unwrap();

    let all = world.get(&format!("{OPERATIONS}?fieldSelector=spec.game=andromeda&limit=50")).await.ok(200);
    assert_eq!(all["kind"], "OperationList");
    assert_eq!(words(&all, "/spec/op"), ["force_next_turn", "start"]);
    assert_eq!(words(&all, "/status/phase"), ["Running", "Failed"]);
    assert_eq!(all["items"][1]["status"]["errorCode"], "ImageMissing");
    assert_eq!(all["items"][1]["spec"]["toVersion"], "1.4.2");
    assert_eq!(all["items"][1]["metadata"]["name"], start.0.to_string());
    let one =
        world.get(&format!("{OPERATIONS}?fieldSelector=spec.game=andromeda,spec.generation=2")).await.ok(200);
    assert_eq!(words(&one, "/spec/op"), ["force_next_turn"]);
    let shown = world.get(&format!("{GAMES}/andromeda")).await.ok(200);
    assert_eq!(shown["status"]["phase"], "EngineUnreachable");
    assert_eq!(shown["status"]["operation"]["kind"], "force_next_turn");
    assert_eq!(shown["status"]["observedRestartGeneration"], 0);

    world.delete(&format!("{GAMES}/andromeda")).await.ok(200);
    let done = Recording {
        close: Some((heal.0, Ending::Succeeded)),
        deleted: Some(gamekeeper::game::spec::Deletion::Requested),
        ..recording(id, "andromeda")
    };
    recorder.record(done).await.unwrap();
    world.get(&format!("{GAMES}/andromeda")).await.refused(404, "NotFound");
    let after = world.get(&format!("{OPERATIONS}?fieldSelector=spec.game%3Dandromeda")).await.ok(200);
    assert_eq!(words(&after, "/status/phase"), ["Succeeded", "Failed"]);

    // Another game takes the name: its generation 2 is not the old one's.
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let second =
        world.get(&format!("{OPERATIONS}?fieldSelector=spec.game=andromeda,spec.generation=2")).await.ok(200);
    assert_eq!(second["items"], json!([]));
    let old = format!("{OPERATIONS}?fieldSelector=spec.gameId={id},spec.generation=2");
    assert_eq!(world.get(&old).await.ok(200)["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        world.get("/apis/gamekeeper.dev/v1/namespaces/other/operations").await.ok(200)["items"],
        json!([])
    );
    assert_eq!(
        world.get(&format!("{OPERATIONS}?limit=1")).await.ok(200)["items"].as_array().map(Vec::len),
        Some(1)
    );
    world.get(&format!("{OPERATIONS}?fieldSelector=spec.generation=x")).await.refused(400, "BadRequest");
    world.get(&format!("{OPERATIONS}?fieldSelector=spec.game!%3Da")).await.refused(400, "BadRequest");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_core_events_of_the_object_they_are_about() {
    let world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let (recorder, id) = (recorder(&world).await, id_of(&world, "andromeda").await);
    for reason in ["Healed", "Healed", "BackOff"] {
        let event =
            RecordedEvent { warning: reason == "BackOff", reason: reason.into(), message: "it did".into() };
        recorder.record(Recording { event: Some(event), ..recording(id, "andromeda") }).await.unwrap();
    }
    let path = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=andromeda";
    let list = world.get(&format!("{path},involvedObject.kind=Game,involvedObject.uid={id}")).await.ok(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("EventList"), &json!("v1")));
    assert_eq!(words(&list, "/reason"), ["Healed", "BackOff"]);
    assert_eq!((&list["items"][0]["count"], &list["items"][1]["type"]), (&json!(2), &json!("Warning")));
    assert_eq!(list["items"][0]["involvedObject"]["uid"], id.to_string());
    assert_eq!(world.get("/api/v1/events").await.ok(200)["items"].as_array().map(Vec::len), Some(2));
    let other = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=other";
    assert_eq!(world.get(other).await.ok(200)["items"], json!([]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_object_a_hundred_events_are_kept_the_latest() {
    let world = World::new().await;
    for name in ["andromeda", "orion"] {
        world.post(GAMES, &game(name)).await.ok(201);
    }
    let recorder = recorder(&world).await;
    let (id, other) = (id_of(&world, "andromeda").await, id_of(&world, "orion").await);
    let event = |message: String| RecordedEvent { warning: true, reason: "Noise".into(), message };
    recorder.record(Recording { event: Some(event("0".into())), ..recording(other, "orion") }).await.unwrap();
    for n in 0..130 {
        let event = Some(event(format!("message {n}")));
        recorder.record(Recording { event, ..recording(id, "andromeda") }).await.unwrap();
    }
    let path = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=";
    let kept = words(&world.get(&format!("{path}andromeda")).await.ok(200), "/message");
    assert_eq!((kept.len(), kept[0].as_str(), kept[99].as_str()), (100, "message 30", "message 129"));
    assert_eq!(words(&world.get(&format!("{path}orion")).await.ok(200), "/message"), ["0"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_the_controller_are_counted_bounded_and_pruned_by_age() {
    let world = World::new().await;
    for n in 0..601 {
        world.store.controller_event(true, "Frozen", &format!("found {}", n % 120)).await.unwrap();
    }
    let path = "/api/v1/events?fieldSelector=involvedObject.kind=Controller";
    let list = world.get(path).await.ok(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 100);
    let about = json!({
        "apiVersion": "gamekeeper.dev/v1", "kind": "Controller", "name": "gamekeeper",
    });
    assert_eq!(
        (&items[99]["involvedObject"], &items[99]["metadata"]["namespace"]),
        (&about, &json!("default"))
    );
    // Whatever fell out is counted anew when it comes again.
    assert_eq!((&items[99]["message"], &items[99]["count"]), (&json!("found 0"), &json!(1)));
    world.store.controller_event(false, "Unfrozen", "it acts again").await.unwrap();
    world.store.controller_event(false, "Unfrozen", "it acts again").await.unwrap();
    let list = world.get(path).await.ok(200);
    assert_eq!((&list["items"][99]["type"], &list["items"][99]["count"]), (&json!("Normal"), &json!(2)));

    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(world.store.prune_events(now - hour).await.unwrap(), 0);
    assert_eq!(world.store.prune_events(now + hour).await.unwrap(), 100);
    assert_eq!(world.get(path).await.ok(200)["items"], json!([]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_one_batch_are_pruned_too() {
    let world = World::new().await;
    let recorder = recorder(&world).await;
    for n in 0..11 {
        for m in 0..100 {
            let event = RecordedEvent { warning: false, reason: "Noise".into(), message: m.to_string() };
            let id = GameId(uuid::Uuid::from_u128(n));
            recorder.record(Recording { event: Some(event), ..recording(id, "a") }).await.unwrap();
        }
    }
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(world.store.prune_events(later).await.unwrap(), 1_100);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_without_docker_are_unavailable_and_of_nobody_not_found() {
    let world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let log = "/api/v1/namespaces/default/pods/andromeda/log";
    let status =
        world.get(&format!("{log}?follow=true&tailLines=5")).await.refused(503, "ServiceUnavailable");
    assert!(status["message"].as_str().unwrap().contains("Docker"), "{status:#}");
    world.get(&format!("{log}?tailLines=all")).await.refused(400, "BadRequest");
    world.get(&format!("{log}?previous=true")).await.refused(404, "NotFound");
    world.get("/api/v1/namespaces/default/pods/none/log").await.refused(404, "NotFound");

    let (recorder, id) = (recorder(&world).await, id_of(&world, "andromeda").await);
    let mut crashed = recording(id, "andromeda");
    crashed.record.last_log_lines = Some("panic: out of planets\n".into());
    recorder.record(crashed).await.unwrap();
    assert_eq!(world.get(&format!("{log}?previous=true")).await.ok(200), json!("panic: out of planets\n"));
    world.end().await;
}
