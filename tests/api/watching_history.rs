//! Watches of turns and operations: what begins, what it becomes, and what is undone.

use gamekeeper::api::HubLimits;
use serde_json::json;

use crate::kubectl::Kubectl;
use crate::stream::{Line, Watch};
use crate::world::{GAMES, World, game};

const TURNS: &str = "/apis/gamekeeper.dev/v1/namespaces/default/turns";
const OPERATIONS: &str = "/apis/gamekeeper.dev/v1/namespaces/default/operations";

/// A game that the controller knows; its id.
async fn known(world: &World, name: &str) -> String {
    let made = world.post(GAMES, &game(name)).await.ok(201);
    let id = made["metadata"]["uid"].as_str().unwrap().to_owned();
    world
        .sql(&format!(
            "INSERT INTO runtime_records (game_id, name, status) VALUES ('{id}', '{name}', 'running')"
        ))
        .await;
    id
}

/// As the controller writes: what happened, and the record with it.
async fn recorded(world: &World, id: &str, statements: &str) {
    let record = format!("UPDATE runtime_records SET message = message || '.' WHERE game_id = '{id}'");
    world.sql(&format!("BEGIN; {statements}; {record}; COMMIT")).await;
}

fn opened(id: &str, timeline: i64, number: i64, at: &str) -> String {
    format!(
        "INSERT INTO turns (game_id, timeline, number, cause, state, opened_at)
         VALUES ('{id}', {timeline}, {number}, 'forced', 'pending', '{at}')"
    )
}

fn told(line: &Line) -> String {
    let (spec, status) = (&line.object["spec"], &line.object["status"]);
    let number = format!("{}.{}", spec["timeline"], spec["number"]);
    format!("{} {number} {}", line.kind, status["phase"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_watched_from_their_list_on_whenever_they_began() {
    let world = World::new().await;
    let id = known(&world, "andromeda").await;
    let long_ago = opened(&id, 1, 1, "2026-01-01T00:00:00+00:00");
    recorded(&world, &id, &format!("{long_ago}; {}", opened(&id, 1, 2, "2026-03-01T00:00:00+00:00"))).await;
    let list = world.get(TURNS).await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    // Another game's writes move the version too.
    known(&world, "borealis").await;
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = Watch::open(&world, &format!("{TURNS}?watch=true&resourceVersion={from}")).await;
    watch.is_silent().await;
    recorded(&world, &id, "UPDATE turns SET state = 'dispatched', attempts = 1 WHERE number = 1").await;
    assert_eq!(told(&watch.next().await), "MODIFIED 1.1 Dispatched");
    recorded(&world, &id, "UPDATE turns SET state = 'done' WHERE number = 1").await;
    assert_eq!(told(&watch.next().await), "MODIFIED 1.1 Done");
    recorded(&world, &id, &opened(&id, 1, 3, "2026-03-01T00:00:01+00:00")).await;
    assert_eq!(told(&watch.next().await), "ADDED 1.3 Pending");
    // A copy is put back: a new timeline, in which what is done counts no longer.
    let undone = "UPDATE turns SET state = 'rolled_back' WHERE number = 1;
                  UPDATE runtime_records SET timeline = 2";
    recorded(&world, &id, undone).await;
    assert_eq!(told(&watch.next().await), "MODIFIED 1.1 RolledBack");
    watch.is_silent().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_turns_begins_with_the_latest_and_tells_those_of_one_game_or_phase() {
    let limits = HubLimits { history: 2, ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    let (one, other) = (known(&world, "andromeda").await, known(&world, "borealis").await);
    for number in 1..=3 {
        let at = format!("2026-03-0{number}T00:00:00+00:00");
        recorded(&world, &one, &opened(&one, 1, number, &at)).await;
    }
    let mut all = Watch::open(&world, &format!("{TURNS}?watch=true")).await;
    let mut first = [told(&all.next().await), told(&all.next().await)];
    first.sort();
    assert_eq!(first, ["ADDED 1.2 Pending", "ADDED 1.3 Pending"]);
    let selected = format!("{TURNS}?watch=true&fieldSelector=spec.game=borealis,status.phase=Done");
    let mut selected = Watch::open(&world, &selected).await;
    recorded(&world, &other, &opened(&other, 1, 7, "2026-03-04T00:00:00+00:00")).await;
    // The oldest is no longer held, and nobody is told that it went: it is there.
    assert_eq!(told(&all.next().await), "ADDED 1.7 Pending");
    assert_eq!(world.get(TURNS).await.ok(200)["items"].as_array().unwrap().len(), 4);
    recorded(&world, &other, "UPDATE turns SET state = 'done' WHERE number = 7").await;
    assert_eq!(told(&selected.next().await), "ADDED 1.7 Done");
    assert_eq!(told(&all.next().await), "MODIFIED 1.7 Done");
    all.is_silent().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_read_by_name_and_watched_until_they_end() {
    let world = World::new().await;
    let id = known(&world, "andromeda").await;
    let operation = uuid::Uuid::new_v4();
    let mut watch = Watch::open(&world, &format!("{OPERATIONS}?watch=true")).await;
    let begun = format!(
        "INSERT INTO operation_log (operation_id, game_id, op, source, generation, status, created_at)
         VALUES ('{operation}', '{id}', 'patch', 'operator', 1, 'running', '2026-03-01T00:00:00+00:00')"
    );
    recorded(&world, &id, &begun).await;
    let phase = |line: &Line| (line.kind.clone(), line.object["status"]["phase"].clone());
    assert_eq!(phase(&watch.next().await), ("ADDED".into(), json!("Running")));
    let path = format!("{OPERATIONS}/{operation}");
    assert_eq!(world.get(&path).await.ok(200)["spec"]["op"], "patch");
    let by_field = format!("{OPERATIONS}?fieldSelector=metadata.name={operation}");
    assert_eq!(world.get(&by_field).await.ok(200)["items"].as_array().unwrap().len(), 1);
    for none in ["nonsense", "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10"] {
        world.get(&format!("{OPERATIONS}/{none}")).await.refused(404, "NotFound");
        let by_field = format!("{OPERATIONS}?fieldSelector=metadata.name={none}");
        assert_eq!(world.get(&by_field).await.ok(200)["items"], json!([]), "{none}");
    }
    let ended = "UPDATE operation_log SET status = 'succeeded', finished_at = '2026-03-01T01:00:00+00:00'";
    recorded(&world, &id, ended).await;
    assert_eq!(phase(&watch.next().await), ("MODIFIED".into(), json!("Succeeded")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_prints_turns_as_they_come_and_as_they_end() {
    let world = World::new().await;
    let id = known(&world, "andromeda").await;
    for (number, kubectl) in (1..).zip(Kubectl::all(&world)) {
        let mut rows = kubectl.rows(&["get", "turns", "-w", "--no-headers"]);
        for before in 1..number {
            assert!(rows.next().await.starts_with(&format!("{id}.1.{}", number - before)));
        }
        recorded(&world, &id, &opened(&id, 1, number, "2026-03-01T00:00:00+00:00")).await;
        let name = format!("{id}.1.{number}");
        let row = rows.next().await;
        assert!(row.starts_with(&name) && row.contains("Pending"), "{row}");
        recorded(&world, &id, "UPDATE turns SET state = 'done'").await;
        let row = rows.next().await;
        assert!(row.starts_with(&name) && row.contains("Done"), "{row}");
    }
    world.end().await;
}
