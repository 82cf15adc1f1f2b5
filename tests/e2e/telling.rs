//! What the lobby is told by a controller at work, pushed to a real server or read from the table.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::receiver::{Answer, Lobby, Received, in_order};
use crate::understood::understood;
use crate::world::{World, set, turn_is};

const SECRET: &str = "whsec_dGhpcy1pcy1hLXNlY3JldC1vZi0zMi1ieXRlcyEhIQ==";
const STRANGER: &str = "whsec_YW5vdGhlci1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE=";

/// A controller that pushes to this lobby.
async fn telling(lobby: &Lobby) -> World {
    let mut world = World::new();
    let secret = world.file("lobby-secret", SECRET);
    world =
        world.with(&["--lobby-url", &lobby.url(), "--lobby-secret-file", &secret, "--lobby-deadline", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    world
}

/// A game with these players, each under its race.
async fn game_of(world: &World, name: &str, players: &[(Uuid, &str)]) -> String {
    let id = Uuid::new_v4().to_string();
    let members: Vec<_> =
        players.iter().map(|(user, race)| format!("('{id}', '{user}', '{race}')")).collect();
    world
        .sql(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO games (game_id, name, desired_status, target_engine_version, requested_by, request_id)
             VALUES ('{id}', '{name}', 'running', '1.4.2', 'ann', 'create-1');
             INSERT INTO memberships (game_id, user_id, race_name) VALUES {};
             COMMIT",
            members.join(", ")
        ))
        .await;
    world.until(&id, "running", |status| status.phase == "running").await;
    id
}

async fn all_delivered(world: &World) {
    let open = "SELECT count(*) FROM lobby_outbox WHERE delivered_at IS NULL";
    world.eventually("everything is told", async || world.count(open).await == 0).await;
}

fn word(event: &Received) -> &str {
    event.body["type"]
        .as_str()
        .unwrap()
        .strip_prefix("dev.gamekeeper.game.")
        .unwrap()
        .strip_suffix(".v1")
        .unwrap()
}

/// The payloads of one kind.
fn of<'e>(events: &'e [Received], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| word(event) == kind).map(|event| &event.body["data"]).collect()
}

/// Each event once: what was told again is the same again.
fn once(received: Vec<Received>) -> Vec<Received> {
    let mut seen = std::collections::HashSet::new();
    received.into_iter().filter(|event| seen.insert(event.id().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lobby_is_told_of_a_games_whole_life() {
    let lobby = Lobby::new().await;
    let world = telling(&lobby).await;
    let (ann, bob, eve) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let game = game_of(&world, "andromeda", &[(ann, "Terrans"), (bob, "Martians")]).await;

    set(&world, &game, "force_turn_generation = 1, requested_by = 'ann', request_id = 'turn-1'").await;
    turn_is(&world, &game, 1).await;
    // Bob leaves, and Eve takes his race.
    world
        .sql(&format!(
            "BEGIN IMMEDIATE;
             UPDATE memberships SET status = 'removed' WHERE game_id = '{game}' AND user_id = '{bob}';
             INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{eve}', 'Martians');
             COMMIT"
        ))
        .await;
    let mapped =
        format!("SELECT count(*) FROM player_mappings WHERE game_id = '{game}' AND user_id = '{eve}'");
    world.eventually("Eve plays", async || world.count(&mapped).await == 1).await;
    world.misbehave(&game, &json!({ "finishAtTurn": 2 }));
    set(&world, &game, "force_turn_generation = 2, requested_by = 'eve', request_id = 'turn-2'").await;
    world.until(&game, "finished", |status| status.phase == "finished").await;
    let told = format!("SELECT outbox_seq FROM game_status WHERE game_id = '{game}'");
    let numbers = format!("SELECT max(seq) FROM lobby_outbox WHERE game_id = '{game}'");
    world
        .eventually("both know the last event", async || {
            world.count(&told).await == world.count(&numbers).await
        })
        .await;
    set(&world, &game, "desired_status = 'stopped', requested_by = 'ann', request_id = 'stop-1'").await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    set(&world, &game, "deletion_requested_at = CURRENT_TIMESTAMP, request_id = 'archive-1'").await;
    world.eventually("it is gone", async || world.count("SELECT count(*) FROM games").await == 0).await;
    all_delivered(&world).await;

    let received = once(lobby.received());
    let last = in_order(&received);
    assert_eq!(last, [(game.clone(), i64::try_from(received.len()).unwrap())].into());
    // Others verify and understand each of them.
    let deliveries: Vec<_> =
        received.iter().map(|event| (event.clone(), &[SECRET][..], &[STRANGER][..])).collect();
    assert_eq!(understood(&deliveries).len(), received.len());

    let statuses: Vec<_> =
        of(&received, "status-changed").iter().map(|data| data["status"].as_str().unwrap()).collect();
    assert_eq!(
        statuses,
        ["Pending", "Starting", "Running", "Finished", "Stopping", "Stopped", "Stopping", "Stopped"]
    );
    let running = of(&received, "status-changed")[2];
    assert_eq!(
        (&running["previousStatus"], &running["engineVersion"]),
        (&json!("Starting"), &json!("1.4.2"))
    );
    assert!(running["engineEndpoint"].as_str().is_some_and(|endpoint| endpoint.contains(':')), "{running}");

    let snapshots = of(&received, "snapshot");
    let mut said: Vec<_> =
        snapshots.iter().map(|data| (data["turn"].as_i64().unwrap(), data["finished"] == true)).collect();
    // Once more at turn 1: Eve was not among those who do well or badly before.
    said.dedup();
    assert_eq!(said, [(0, false), (1, false), (2, true)]);
    for data in &snapshots {
        let players = data["players"].as_array().unwrap();
        assert!(players.len() >= 2, "{data}");
        for player in players {
            assert!(player["highestPlanets"].as_i64() >= player["planets"].as_i64(), "{data}");
            assert!(player["population"].as_i64().unwrap() > 0, "{data}");
        }
    }

    let players = of(&received, "players-changed");
    let eve_is = |data: &&Value| {
        let all = data["players"].as_array().unwrap();
        let who = |user: Uuid| all.iter().find(|player| player["userId"] == user.to_string()).cloned();
        Some((who(bob)?, who(eve)?))
    };
    let (out, substitute) = players.iter().rev().find_map(eve_is).expect("both are spoken of");
    assert_eq!((&out["active"], &substitute["active"]), (&json!(false), &json!(true)));
    assert_eq!(out["enginePlayerId"], substitute["enginePlayerId"], "the race is the engine's player");
    assert_eq!(players.last().unwrap()["players"], json!([]), "without an engine nobody is a player");

    let operations: Vec<_> = of(&received, "operation-finished")
        .iter()
        .map(|data| {
            format!("{} {} {}", data["operation"], data["requestId"], data["result"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        operations,
        [
            "start create-1 Succeeded",
            "force_next_turn turn-1 Succeeded",
            "force_next_turn turn-2 Succeeded",
            "stop stop-1 Succeeded",
            "delete archive-1 Succeeded",
        ]
    );
    assert_eq!(word(received.last().unwrap()), "deleted");
    let state = received.last().unwrap().body["data"]["statePath"].as_str().unwrap().to_owned();
    assert!(std::path::Path::new(&state).is_dir(), "{state}");

    // What the engine reported is kept, and the results outlive the game.
    let kept = format!(
        "SELECT count(DISTINCT turn) FROM runtime_health_snapshots WHERE game_id = '{game}' AND engine_health = 'healthy'"
    );
    assert_eq!(world.count(&kept).await, 3);
    let results = format!(
        "SELECT count(*) FROM player_stats WHERE game_id = '{game}' AND max_planets >= planets AND turn = 2"
    );
    assert_eq!(world.count(&results).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lobby_that_misbehaves_is_told_everything_in_order_and_slows_no_turn() {
    let mut lobby = Lobby::new().await;
    let mut world = telling(&lobby).await;
    let game = game_of(&world, "swift", &[(Uuid::new_v4(), "Terrans")]).await;
    let elsewhere = Lobby::new().await;
    let away = elsewhere.url();
    let mut number = 0;
    lobby.answers(move |_| {
        number += 1;
        match number % 7 {
            0 => Answer::Status(500),
            1 => Answer::Slow(Duration::from_secs(3)),
            2 => Answer::Redirect(away.clone()),
            3 => Answer::Dies,
            4 => Answer::Status(429),
            _ => Answer::Status(204),
        }
    });
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    turn_is(&world, &game, 3).await;
    lobby.goes_away().await;
    turn_is(&world, &game, 6).await;
    let held_up = "game_id = '{game}' AND reason NOT IN ('OnTime', 'TurnInProgress', 'Missed')"
        .replace("{game}", &game);
    let held_up = format!("SELECT count(*) FROM turn_slots WHERE {held_up}");
    assert_eq!(world.count(&held_up).await, 0, "a lobby that is away holds up no turn");
    for turn in [8, 10] {
        world.kill_keeper();
        world.start();
        turn_is(&world, &game, turn).await;
    }
    set(&world, &game, "turn_schedule = ''").await;
    lobby.comes_back().await;
    lobby.answers(|_| Answer::Status(204));
    // What is tried again later would be told then; nobody has to wait for that.
    world.sql("UPDATE lobby_outbox SET next_attempt_at = NULL WHERE delivered_at IS NULL").await;
    all_delivered(&world).await;

    let received = lobby.received();
    in_order(&received);
    assert_eq!(elsewhere.received().len(), 0);
    let events = once(received);
    let written = format!("SELECT count(*) FROM lobby_outbox WHERE game_id = '{game}'");
    assert_eq!(world.count(&written).await, i64::try_from(events.len()).unwrap());
    let turns: Vec<_> = of(&events, "snapshot").iter().map(|data| data["turn"].as_i64().unwrap()).collect();
    let mut told = turns.clone();
    told.dedup();
    let reached = *turns.last().unwrap();
    assert!(reached >= 10, "{turns:?}");
    assert_eq!(told, (0..=reached).collect::<Vec<_>>(), "each turn is told of, in order");
    let done = of(&events, "operation-finished").iter().filter(|data| data["operation"] == "turn").count();
    assert_eq!(i64::try_from(done).unwrap(), reached);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_and_failed_starts_are_told_to_a_lobby_that_reads_the_table() {
    let mut world = World::new().with(&["--lobby-mode", "pull", "--start-deadline", "2s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.game("hasty", "9.9.9").await;
    let told = async |kind: &str| -> Vec<Value> {
        let query = format!(
            "SELECT payload FROM lobby_outbox WHERE game_id = '{game}' AND type = 'dev.gamekeeper.game.{kind}.v1' ORDER BY seq"
        );
        world.rows(&query).await.iter().map(|row| row.get::<String>(0).parse().unwrap()).collect()
    };
    let first = world.until(&game, "invalid", |status| status.phase == "invalid").await.observed_generation;
    let wrong = told("spec-invalid").await;
    assert_eq!((wrong.len(), &wrong[0]["reason"]), (1, &json!("UnknownEngineVersion")));
    // Once for each generation, however often it is looked at.
    set(&world, &game, "display_name = 'Hasty', turn_schedule = 'nonsense'").await;
    world.until(&game, "seen", |status| status.observed_generation > first).await;
    let wrong = told("spec-invalid").await;
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[1]["observedGeneration"].as_i64() > wrong[0]["observedGeneration"].as_i64());

    world.misbehave(&game, &json!({ "neverHealthy": true }));
    set(&world, &game, "target_engine_version = '1.4.2', turn_schedule = ''").await;
    world.eventually("a failed start is told", async || !told("start-failed").await.is_empty()).await;
    let failed = told("start-failed").await;
    assert_eq!(failed[0]["reason"], "NeverHealthy");
    assert!(failed[0]["failures"].as_i64() >= Some(1), "{failed:?}");
    world.misbehave(&game, &json!({}));
    world.until(&game, "running", |status| status.phase == "running").await;

    // Slots that pass while it is paused are told of as skipped.
    set(&world, &game, "turn_schedule = '* * * * * *', paused = true").await;
    world.eventually("skipped slots are told", async || told("slot-skipped").await.len() >= 2).await;
    assert_eq!(told("slot-skipped").await[0]["reason"], "Paused");
    let acknowledged =
        format!("UPDATE lobby_outbox SET acked_at = CURRENT_TIMESTAMP WHERE game_id = '{game}'");
    world.sql(&acknowledged).await;
    set(&world, &game, "paused = false, turn_schedule = ''").await;
    let new = format!("SELECT count(*) FROM lobby_outbox WHERE game_id = '{game}' AND acked_at IS NULL");
    world.eventually("more is told", async || world.count(&new).await > 0).await;
    let numbers = format!("SELECT max(seq) - count(*) FROM lobby_outbox WHERE game_id = '{game}'");
    assert_eq!(world.count(&numbers).await, 0, "without gaps");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_anything_where_no_lobby_is() {
    let world = World::started().await;
    world.running("alone").await;
    assert_eq!(world.count("SELECT count(*) FROM lobby_outbox").await, 0);
}
