//! What the database, the API, `get`, `describe`, `explain`, `wait` and kubectl's columns say of a game in
//! states that it really comes into: the same.

use gamekeeper::game::agreement::Shown;
use gamekeeper::game::{Condition, DesiredStatus, Phase};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{World, container, docker};

/// A game as everybody shows it.
#[derive(Debug, PartialEq)]
struct Told {
    phase: String,
    reason: String,
    message: String,
    settled: bool,
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_empty(value: &Value, at: &str) -> bool {
    value.pointer(at).and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// By the view, in SQL.
async fn by_view(world: &World, game: &str) -> Told {
    let query = format!(
        "SELECT status, reason, message, CASE WHEN settled THEN 'yes' ELSE 'no' END FROM game_status WHERE game_id = '{game}'"
    );
    let rows = world.rows(&query).await;
    let settled: String = rows[0].get(3);
    let phase: String = rows[0].get(0);
    let phase = Phase::from_row(&phase).map(|phase| format!("{phase:?}")).unwrap_or_default();
    Told { phase, reason: rows[0].get(1), message: rows[0].get(2), settled: settled == "yes" }
}

/// By the API, which is held to the table, too.
fn by_api(world: &World, name: &str) -> Told {
    let game: Value =
        serde_json::from_str(&world.ok(&["get", &format!("game/{name}"), "-o", "json"])).unwrap();
    let status = &game["status"];
    let conditions: Vec<Condition> = serde_json::from_value(status["conditions"].clone()).unwrap();
    let is_there = |field: &str| !status[field].is_null();
    let stopped = text(&game, "/spec/desiredStatus") == "Stopped";
    let settled = is_empty(&game, "/status/leftToDo")
        && game["metadata"]["generation"] == status["observedGeneration"]
        && game["metadata"]["deletionTimestamp"].is_null();
    let shown = Shown {
        desired: if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running },
        phase: serde_json::from_value(status["phase"].clone()).unwrap(),
        reason: text(&game, "/status/reason"),
        observed_generation: status["observedGeneration"].as_i64().unwrap(),
        conditions,
        has_container: is_there("containerId"),
        has_endpoint: is_there("endpoint"),
        is_initialized: is_there("initializedAt"),
        is_finished: is_there("finishedAt"),
        has_open_turn: true,
        is_settled: is_empty(&game, "/status/leftToDo"),
        next_turn_at: text(&game, "/status/nextTurnAt").parse().ok(),
    };
    assert_eq!(shown.contradictions(Timestamp::now()), Vec::<&str>::new(), "{game:#}");
    Told {
        phase: text(&game, "/status/phase"),
        reason: text(&game, "/status/reason"),
        message: text(&game, "/status/message"),
        settled,
    }
}

/// By `explain`, with its text.
fn by_explanation(world: &World, name: &str) -> (Told, String) {
    let explained: Value = serde_json::from_str(&world.ok(&["explain", name, "-o", "json"])).unwrap();
    let told = Told {
        phase: text(&explained, "/phase"),
        reason: text(&explained, "/reason"),
        message: text(&explained, "/message"),
        settled: explained["settled"].as_bool().unwrap(),
    };
    (told, world.ok(&["explain", name]))
}

/// The number of the last write to the game's record.
async fn version(world: &World, game: &str) -> i64 {
    world.count(&format!("SELECT record_version FROM runtime_records WHERE game_id = '{game}'")).await
}

/// Waits until the game is so, and compares what everybody says of it while nothing is written. Returns the
/// explanation.
async fn agree(world: &World, game: &str, name: &str, phase: &str, reason: &str, settled: bool) -> String {
    let mut seen = None;
    let what = format!("{phase} ({reason}), settled: {settled}");
    world
        .eventually(&what, async || {
            let before = version(world, game).await;
            let view = by_view(world, game).await;
            let is_so = view.phase == phase && view.reason == reason && view.settled == settled;
            // (The API follows the database.)
            if !is_so || by_api(world, name) != view {
                return false;
            }
            let explained = by_explanation(world, name);
            let described = world.ok(&["describe", &format!("game/{name}")]);
            let table = world.ok(&["get", &format!("game/{name}"), "-o", "wide"]);
            if version(world, game).await != before {
                return false;
            }
            seen = Some((view, explained, described, table));
            true
        })
        .await;
    let (view, (explained, words), described, table) = seen.unwrap();
    assert_eq!(explained, view, "{words}");
    assert_eq!(words.contains("nothing is left to do"), settled, "{words}");
    assert_eq!(words.contains("What is left:\n"), !settled, "{words}");
    assert_eq!(words.contains("Waiting on:\n"), !settled, "{words}");
    for said in [phase, reason, view.message.as_str()] {
        assert!(described.contains(said), "{said}: {described}");
    }
    assert_eq!(described.contains("Waiting on:"), !settled, "{described}");
    assert!(table.contains(phase) && table.contains(reason), "{table}");
    let waited = world.gk(&["wait", name, "--for", &format!("phase={phase}"), "--timeout", "20s"]);
    assert_eq!(waited.code, 0, "{waited:?}");
    words
}

#[tokio::test]
async fn everybody_says_the_same_of_a_game_whatever_becomes_of_it() {
    let world = World::started().await;
    let game = world.running("told").await;
    let set =
        async |what: &str| world.sql(&format!("UPDATE games SET {what} WHERE game_id = '{game}'")).await;
    agree(&world, &game, "told", "Running", "Running", true).await;

    set("paused = TRUE, force_turn_generation = 1").await;
    let words = agree(&world, &game, "told", "Running", "Running", false).await;
    assert!(words.contains("- the turn that was forced\n"), "{words}");
    assert!(words.contains("- the end of the pause: it ends with `gamekeeper resume`\n"), "{words}");
    set("paused = FALSE").await;
    agree(&world, &game, "told", "Running", "Running", true).await;

    set(r#"resources = '{"cpu": "lots"}'"#).await;
    let words = agree(&world, &game, "told", "Running", "InvalidSpec", false).await;
    assert!(
        words.contains("- a spec that is valid\n") && words.contains("- a changed spec: it ends"),
        "{words}"
    );
    set("resources = '{}'").await;
    agree(&world, &game, "told", "Running", "Running", true).await;

    // A requirement that nothing fits, and one that is fulfilled.
    set("target_engine_version = '~1.5'").await;
    agree(&world, &game, "told", "Running", "NoMatchingVersion", false).await;
    set("target_engine_version = '~1.4'").await;
    agree(&world, &game, "told", "Running", "Running", true).await;

    world.ok(&["freeze", "--because", "a look", "--wait"]);
    let words = agree(&world, &game, "told", "Blocked", "FrozenByHand", false).await;
    assert!(words.contains("Nothing is done for it now"), "{words}");
    world.ok(&["unfreeze", "--wait"]);
    agree(&world, &game, "told", "Running", "Running", true).await;

    world.misbehave(&game, &json!({ "exitAtStart": 3 }));
    docker(&["kill", &container(&game)]);
    world.until(&game, "it fails again and again", |s| s.failures >= 3).await;
    let words = agree(&world, &game, "told", "CrashLoop", "Exited", false).await;
    assert!(words.contains("- the next attempt: it ends by itself"), "{words}");
    world.misbehave(&game, &json!({}));
    set("restart_generation = 1").await;
    agree(&world, &game, "told", "Running", "Running", true).await;

    set("patch_generation = 7, desired_status = 'stopped'").await;
    agree(&world, &game, "told", "Stopped", "Stopped", true).await;
    let aside = world.dir.path().join("aside");
    std::fs::rename(world.state_root().join(&game), &aside).unwrap();
    set("desired_status = 'running'").await;
    let words = agree(&world, &game, "told", "Blocked", "StateMissing", false).await;
    assert!(words.contains("- a person: it ends when somebody follows the way out"), "{words}");
    let doctor = world.gk(&["doctor", "--state-root", world.state_root().to_str().unwrap()]);
    assert!(
        doctor.stdout.contains("games: default/told waits for a person: Blocked (StateMissing)"),
        "{doctor:?}"
    );
    std::fs::rename(aside, world.state_root().join(&game)).unwrap();
    agree(&world, &game, "told", "Running", "Running", true).await;

    world.misbehave(&game, &json!({ "finishAtTurn": 2 }));
    set("restart_generation = 2, force_turn_generation = 2").await;
    agree(&world, &game, "told", "Finished", "Finished", true).await;
}
