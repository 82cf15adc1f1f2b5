//! Engines that die, by any hand, come back.

use serde_json::json;

use crate::world::{World, container, docker, inspect};

#[tokio::test]
async fn a_killed_engine_is_healed_in_the_same_container() {
    let world = World::started().await;
    let game = world.running("killed").await;
    let before = world.status(&game).await;
    docker(&["kill", "-s", "KILL", &container(&game)]);
    let status = world.until(&game, "healed", |s| s.restarts == 1 && s.phase == "running").await;
    assert_eq!((status.container, status.last_exit_code), (before.container, Some(137)));
    assert!(status.last_log_lines.is_some_and(|lines| !lines.is_empty()));
    assert_eq!(world.inits(&game), 1);
    assert_eq!(world.operations(&game).await, ["start succeeded", "heal succeeded"]);
}

#[tokio::test]
async fn a_container_removed_by_hand_is_made_again() {
    let world = World::started().await;
    let game = world.running("removed").await;
    let before = world.status(&game).await;
    docker(&["rm", "-f", &container(&game)]);
    let healed = |s: &crate::world::Status| s.phase == "running" && s.container != before.container;
    world.until(&game, "healed", healed).await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_container_stopped_by_hand_is_started_again() {
    let world = World::started().await;
    let game = world.running("stopped-by-hand").await;
    docker(&["stop", "-t", "5", &container(&game)]);
    let status = world.until(&game, "healed", |s| s.restarts == 1 && s.phase == "running").await;
    assert_eq!(status.last_exit_code, Some(0));
}

#[tokio::test]
async fn a_finished_games_engine_that_ends_stays_down_until_a_restart_is_asked_for() {
    let mut world = World::new().with(&["--lobby-mode", "pull"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("over").await;
    world.misbehave(&game, &json!({ "finishAtTurn": 1 }));
    let set =
        async |what: &str| world.sql(&format!("UPDATE games SET {what} WHERE game_id = '{game}'")).await;
    set("force_turn_generation = 1").await;
    world.until(&game, "finished", |s| s.phase == "finished").await;
    let told = format!("SELECT count(*) FROM lobby_outbox WHERE game_id = '{game}'");
    let before = world.count(&told).await;
    docker(&["stop", "-t", "5", &container(&game)]);
    let ended = format!(
        "SELECT count(*) FROM game_status WHERE game_id = '{game}' AND status = 'finished' AND reason = 'EngineEnded' AND settled AND ready"
    );
    world.eventually("it is left down", async || world.count(&ended).await == 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let status = world.status(&game).await;
    assert_eq!((status.phase.as_str(), status.restarts, status.last_exit_code), ("finished", 0, Some(0)));
    assert_eq!(inspect(&game, "{{.State.Status}}"), "exited");
    assert_eq!(world.count(&told).await, before + 1, "one event");
    let explained = world.ok(&["explain", "over"]);
    assert!(explained.contains("ended by itself"), "{explained}");
    set("restart_generation = 1").await;
    let serves = format!(
        "SELECT count(*) FROM game_status WHERE game_id = '{game}' AND reason = 'Finished' AND engine_endpoint IS NOT NULL"
    );
    world.eventually("it is up for reports", async || world.count(&serves).await == 1).await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn an_engine_that_stops_answering_becomes_unreachable_and_is_restarted() {
    let mut world = World::new().with(&["--restart-after", "6"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("mute").await;
    let before = inspect(&game, "{{.State.StartedAt}}");
    world.misbehave(&game, &json!({ "neverHealthy": true }));
    world.until(&game, "unreachable", |s| s.phase == "engine_unreachable").await;
    world.until(&game, "given up", |s| s.restarts >= 1).await;
    world.misbehave(&game, &json!({}));
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_ne!(inspect(&game, "{{.State.StartedAt}}"), before);
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_controller_that_restarts_touches_no_running_engine() {
    let mut world = World::started().await;
    let game = world.running("left-alone").await;
    let life = "{{.Id}} {{.State.StartedAt}}";
    let before = inspect(&game, life);
    assert_eq!(world.stop_keeper(), Some(0), "a clean end");
    assert_eq!(inspect(&game, life), before, "engines go on without the controller");
    world.start();
    let rounds = world.count("SELECT count(*) FROM operation_log").await;
    world.kill_keeper();
    world.start();
    world.ok(&["wait", "game/left-alone", "--for=condition=Ready", "--timeout=30s"]);
    assert_eq!(inspect(&game, life), before);
    assert_eq!(world.count("SELECT count(*) FROM operation_log").await, rounds);
}

#[tokio::test]
async fn an_engine_that_died_while_the_controller_was_away_is_healed() {
    let mut world = World::started().await;
    let game = world.running("died-alone").await;
    world.kill_keeper();
    docker(&["kill", "-s", "KILL", &container(&game)]);
    world.start();
    world.until(&game, "healed", |s| s.restarts == 1 && s.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}
