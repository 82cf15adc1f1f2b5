//! Turns, slots and moments, on rows written by hand.

use serde_json::{Value, json};

use crate::world::{GAMES, World, game};

const TURNS: &str = "/apis/gamekeeper.dev/v1/namespaces/default/turns";
const SLOTS: &str = "/apis/gamekeeper.dev/v1/namespaces/default/turnslots";

/// A server with a game that has a schedule; its id.
async fn scheduled() -> (World, String) {
    let world = World::new().await;
    let mut manifest = game("andromeda");
    manifest["spec"]["turns"] = json!({ "schedule": "0 18 * * *", "timeZone": "Europe/Berlin" });
    let made = world.post(GAMES, &manifest).await.ok(201);
    let id = made["metadata"]["uid"].as_str().unwrap().to_owned();
    world.sql(&format!(
        "INSERT INTO runtime_records (game_id, name, status, initialized_at) VALUES ('{id}', 'andromeda', 'running', '2026-01-01T00:00:00+00:00');
         INSERT INTO turns (game_id, timeline, number, cause, slot, state, attempts, requested_by, request_id, opened_at, dispatched_at, finished_at, error_code, error_message) VALUES
         ('{id}', 1, 1, 'schedule', '2026-01-10T17:00:00+00:00', 'done', 1, '', '', '2026-01-10T17:00:00.010+00:00', '2026-01-10T17:00:00.125+00:00', '2026-01-10T17:00:02.625+00:00', NULL, NULL),
         ('{id}', 1, 2, 'forced', '2026-01-11T17:00:00+00:00', 'rolled_back', 2, 'ann', 'r-9', '2026-01-11T10:00:00+00:00', '2026-01-11T10:00:01+00:00', NULL, 'TurnOverdue', 'Too late.'),
         ('{id}', 2, 2, 'schedule', '2026-01-12T17:00:00+00:00', 'dispatched', 1, '', '', '2026-01-12T17:00:00+00:00', '2026-01-12T17:00:00+00:00', NULL, NULL, NULL);
         INSERT INTO turn_slots (game_id, timeline, slot, decision, reason, message, turn_number, decided_at) VALUES
         ('{id}', 1, '2026-01-10T17:00:00+00:00', 'fired', 'OnTime', 'Its turn began.', 1, '2026-01-10T17:00:00+00:00'),
         ('{id}', 1, '2026-01-11T17:00:00+00:00', 'skipped', 'Paused', 'The game was paused.', NULL, '2026-01-11T17:00:00+00:00'),
         ('{id}', 2, '2026-01-12T17:00:00+00:00', 'fired', 'OnTime', 'Its turn began.', 2, '2026-01-12T17:00:00+00:00');"
    ))
    .await;
    (world, id)
}

fn numbers(list: &Value) -> Vec<(i64, i64)> {
    let of =
        |item: &Value| (item["spec"]["timeline"].as_i64().unwrap(), item["spec"]["number"].as_i64().unwrap());
    list["items"].as_array().unwrap().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_listed_newest_first_and_read_by_name() {
    let (world, id) = scheduled().await;
    let all = world.get(TURNS).await.ok(200);
    assert_eq!((&all["kind"], numbers(&all)), (&json!("TurnList"), vec![(2, 2), (1, 2), (1, 1)]));
    let of_game = world.get(&format!("{TURNS}?fieldSelector=spec.game=andromeda&limit=2")).await.ok(200);
    assert_eq!(numbers(&of_game), [(2, 2), (1, 2)]);
    let by_id = format!("/apis/gamekeeper.dev/v1/turns?fieldSelector=spec.gameId={id},spec.timeline=1");
    assert_eq!(numbers(&world.get(&by_id).await.ok(200)), [(1, 2), (1, 1)]);
    let by_phase = world.get(&format!("{TURNS}?fieldSelector=status.phase=RolledBack")).await.ok(200);
    assert_eq!(numbers(&by_phase), [(1, 2)]);
    for none in ["spec.game=orion", "spec.number=9", "metadata.namespace=default,spec.number=9"] {
        let list = world.get(&format!("{TURNS}?fieldSelector={none}")).await.ok(200);
        assert_eq!(list["items"], json!([]), "{none}");
    }
    let other = "/apis/gamekeeper.dev/v1/namespaces/other/turns";
    assert_eq!(world.get(other).await.ok(200)["items"], json!([]));

    let first = world.get(&format!("{TURNS}/{id}.1.1")).await.ok(200);
    assert_eq!((&first["kind"], &first["metadata"]["namespace"]), (&json!("Turn"), &json!("default")));
    assert_eq!(
        (&first["spec"]["cause"], &first["spec"]["slot"]),
        (&json!("Schedule"), &json!("2026-01-10T17:00:00Z"))
    );
    let status = &first["status"];
    assert_eq!((&status["lagSeconds"], &status["durationSeconds"]), (&json!(0.125), &json!(2.5)));
    assert_eq!((&status["phase"], &status["attempts"]), (&json!("Done"), &json!(1)));
    let forced = world.get(&format!("{TURNS}/{id}.1.2")).await.ok(200);
    assert_eq!(forced["status"].get("lagSeconds"), None, "it waited for no slot");
    assert_eq!(
        (&forced["spec"]["requestedBy"], &forced["spec"]["requestId"], &forced["status"]["errorCode"]),
        (&json!("ann"), &json!("r-9"), &json!("TurnOverdue"))
    );
    for nowhere in
        [format!("{id}.1.3"), format!("{id}.1"), format!("{id}.1.1.1"), "x.1.1".into(), "..".into()]
    {
        world.get(&format!("{TURNS}/{nowhere}")).await.refused(404, "NotFound");
    }
    world.get(&format!("{other}/{id}.1.1")).await.refused(404, "NotFound");
    for wrong in ["status.phase=Gone", "spec.number=x", "spec.gameId=x", "spec.cause=Forced"] {
        world.get(&format!("{TURNS}?fieldSelector={wrong}")).await.refused(400, "BadRequest");
    }
    let known = world.get("/apis/gamekeeper.dev/v1").await.ok(200);
    for kind in ["Turn", "TurnSlot", "PlayerMapping", "Moment"] {
        assert!(known["resources"].as_array().unwrap().iter().any(|known| known["kind"] == kind), "{kind}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_slots_is_listed_and_read_by_name() {
    let (world, id) = scheduled().await;
    let all = world.get(&format!("{SLOTS}?fieldSelector=spec.game=andromeda")).await.ok(200);
    let decisions: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|item| &item["status"]["decision"]).collect();
    assert_eq!(decisions, ["Fired", "Skipped", "Fired"]);
    let skipped = world.get(&format!("{SLOTS}?fieldSelector=status.decision=Skipped")).await.ok(200);
    let row = &skipped["items"][0];
    assert_eq!(
        (&row["spec"]["slot"], &row["status"]["reason"]),
        (&json!("2026-01-11T17:00:00Z"), &json!("Paused"))
    );
    let name = row["metadata"]["name"].as_str().unwrap();
    let read = world.get(&format!("{SLOTS}/{name}")).await.ok(200);
    assert_eq!(read["status"]["message"], "The game was paused.");
    world.get(&format!("{SLOTS}/{id}.1.9223372036854775807")).await.refused(404, "NotFound");
    world.get(&format!("{SLOTS}?fieldSelector=status.decision=Lost")).await.refused(400, "BadRequest");
    assert_eq!(
        world.get("/apis/gamekeeper.dev/v1/turnslots?limit=1").await.ok(200)["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_says_what_was_decided_and_what_should_have_been() {
    let (world, id) = scheduled().await;
    // As if it had been made long ago, and paused and resumed since.
    world.sql(&format!(
        "UPDATE game_changes SET changed_at = '2026-01-01T00:00:00.000+00:00' WHERE game_id = '{id}';
         UPDATE games SET paused = true, requested_by = 'ann' WHERE game_id = '{id}';
         UPDATE game_changes SET changed_at = '2026-01-11T09:00:00.000+00:00' WHERE change_id = (SELECT max(change_id) FROM game_changes);
         UPDATE games SET paused = false, turn_schedule = '0 6 * * *' WHERE game_id = '{id}';
         INSERT INTO operation_log (operation_id, game_id, op, source, status, cause, created_at, finished_at)
         VALUES ('00000000-0000-4000-8000-000000000001', '{id}', 'heal', 'controller', 'succeeded', 'the engine exited', '2026-01-11T16:59:00+00:00', '2026-01-11T17:02:00+00:00');
         INSERT INTO events (kind, name, uid, type, reason, message, first_at, last_at)
         VALUES ('Game', 'andromeda', '{id}', 'warning', 'Healed', 'it did', '2026-01-11T16:59:00+00:00', '2026-01-11T16:59:00+00:00');
         INSERT INTO runtime_health_snapshots (game_id, observed_at, engine_health, turn, generating)
         VALUES ('{id}', '2026-01-11T16:00:00+00:00', 'healthy', 1, false);"
    ))
    .await;
    let path = format!("{GAMES}/andromeda/moment");
    let at = world.get(&format!("{path}?at=2026-01-11%2018:00")).await.ok(200);
    assert_eq!((&at["kind"], &at["timeZone"]), (&json!("Moment"), &json!("Europe/Berlin")));
    assert_eq!((&at["at"], &at["dueSlot"]), (&json!("2026-01-11T17:00:00Z"), &json!("2026-01-11T17:00:00Z")));
    assert_eq!(at["nextSlot"], "2026-01-12T17:00:00Z", "by the schedule of then");
    assert_eq!(
        at["summary"],
        "The slot of 2026-01-11 18:00:00 CET was skipped: The game was paused. Turn 2 was open. \
         An operation was under way: heal, because the engine exited."
    );
    assert_eq!((&at["spec"]["paused"], &at["spec"]["schedule"]), (&json!(true), &json!("0 18 * * *")));
    // The game and its players were made by one change.
    assert_eq!(at["changes"][1]["changes"], json!({ "paused": { "from": false, "to": true } }));
    assert_eq!(
        (&at["changes"][1]["requestedBy"], &at["changes"][2]["change"]),
        (&json!("ann"), &json!("Changed"))
    );
    assert_eq!((&at["events"][0]["reason"], &at["engine"]["turn"]), (&json!("Healed"), &json!(1)));
    assert_eq!(at["slots"].as_array().map(Vec::len), Some(3));

    let before = world.get(&format!("{path}?at=2025-12-31T00:00:00Z")).await.ok(200);
    assert_eq!((before.get("spec"), &before["slots"][0]["status"]["decision"]), (None, &json!("Fired")));
    assert_eq!(before["summary"], "Nothing is on record about a slot before that time.");
    let told = world.get(&format!("{path}?at=2999-01-01T00:00:00Z")).await.refused(400, "BadRequest");
    assert!(told["message"].as_str().unwrap().contains("yet to come"), "{told:#}");
    for wrong in ["?at=soon", "", "?at="] {
        let told = world.get(&format!("{path}{wrong}")).await.refused(400, "BadRequest");
        assert!(told["message"].as_str().unwrap().contains("2026-11-23 18:00"), "{told:#}");
    }
    world.get(&format!("{GAMES}/nobody/moment?at=18:00")).await.refused(404, "NotFound");
    world.end().await;
}
