//! Stop, start, restart.

use serde_json::json;
use uuid::Uuid;

use crate::world::{World, exists, inspect};

#[tokio::test]
async fn stop_and_start_keep_the_state_and_initialise_nothing() {
    let world = World::started().await;
    let game = world.running("stopper").await;
    let said = world.ok(&["stop", "stopper"]);
    assert!(said.contains("generation"), "{said}");
    world.ok(&["wait", "game/stopper", "--for=phase=Stopped", "--timeout=60s"]);
    assert!(!exists(&game));
    assert!(world.state_root().join(&game).is_dir());
    let mappings = format!("SELECT count(*) FROM player_mappings WHERE game_id = '{game}'");
    assert_eq!(world.count(&mappings).await, 0);
    world.ok(&["start", "stopper"]);
    world.ok(&["wait", "game/stopper", "--for=condition=Ready", "--timeout=60s"]);
    assert_eq!(world.inits(&game), 1);
    assert_eq!(world.operations(&game).await, ["start succeeded", "stop succeeded", "start succeeded"]);
}

#[tokio::test]
async fn a_restart_makes_a_new_container_once_and_its_generation_finds_the_operation() {
    let world = World::started().await;
    let game = world.running("restarter").await;
    let before = inspect(&game, "{{.Id}}");
    let said = world.ok(&["restart", "restarter"]);
    let generation: String =
        said.split("generation ").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    let restarted =
        |s: &crate::world::Status| s.phase == "running" && s.container.as_deref() != Some(before.as_str());
    let status = world.until(&game, "restarted", restarted).await;
    assert_eq!(status.observed_generation.to_string(), generation);
    let operations = world.ok(&["ops", "restarter", "--generation", &generation]);
    assert!(operations.contains("restart") && operations.contains("Succeeded"), "{operations}");
    assert_eq!((world.inits(&game), status.restarts), (1, 0));
}

#[tokio::test]
async fn a_spec_changed_to_stopped_during_a_slow_start_takes_effect_at_once() {
    let world = World::started().await;
    let game = Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "startDelayMs": 60_000 }));
    world.game_with_id(&game, "slow", "1.4.2").await;
    world.until(&game, "waiting for health", |s| s.reason == "WaitingForHealth").await;
    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
    world.until(&game, "stopped", |s| s.phase == "stopped").await;
    assert!(!exists(&game));
    assert_eq!(world.inits(&game), 0);
    assert_eq!(world.operations(&game).await, ["start superseded", "stop succeeded"]);
}

#[tokio::test]
async fn an_engine_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut world = World::new().with(&["--stop-grace", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "ignoreSigterm": true }));
    world.game_with_id(&game, "deaf", "1.4.2").await;
    world.until(&game, "running", |s| s.phase == "running").await;
    world.ok(&["stop", "deaf"]);
    world.until(&game, "stopped", |s| s.phase == "stopped").await;
    assert!(!exists(&game));
}
