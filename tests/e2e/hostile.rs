//! Rows full of nonsense, rows that come back, hands that meddle.

use crate::world::{World, container, docker, exists, inspect};

#[tokio::test]
async fn rows_of_nonsense_are_alone_in_their_misery() {
    let world = World::started().await;
    let good = world.running("good").await;
    let (cron, image, unreadable) = (
        world.game("cron", "1.4.2").await,
        world.game("quantity", "1.4.2").await,
        world.game("unreadable", "1.4.2").await,
    );
    world.sql(&format!("UPDATE games SET turn_schedule = '0 0 30 2 *', time_zone = 'Mars/Olympus' WHERE game_id = '{cron}'")).await;
    world
        .sql(&format!("UPDATE games SET resources = '{{\"memory\": \"-1Mi\"}}' WHERE game_id = '{image}'"))
        .await;
    // SQLite takes this for JSON; nobody else does.
    world
        .sql(&format!("UPDATE games SET labels = '{{\"x\": \"\\ud800\"}}' WHERE game_id = '{unreadable}'"))
        .await;
    world.ok(&["restart", "good"]);
    let restarted = format!(
        "SELECT count(*) FROM operation_log WHERE game_id = '{good}' AND op = 'restart' AND status = 'succeeded'"
    );
    world.eventually("the good one is served", async || world.count(&restarted).await == 1).await;
    let table = world.ok(&["get", "games"]);
    assert!(table.contains("good") && table.contains("cron"), "{table}");
    let later = world.running("later").await;
    assert!(exists(&later));
    // A spec that is nonsense from the first is invalid, and says where.
    let late = uuid::Uuid::new_v4().to_string();
    world.sql(&format!("INSERT INTO games (game_id, name, desired_status, target_engine_version, turn_schedule) VALUES ('{late}', 'late', 'running', '1.4.2', 'often')")).await;
    let status = world.until(&late, "invalid", |s| s.phase == "invalid").await;
    assert!(status.message.contains("spec.turns.schedule"), "{status:?}");
}

#[tokio::test]
async fn a_row_that_is_deleted_and_comes_back_finds_its_engine_untouched() {
    let world = World::started().await;
    let game = world.running("undone").await;
    let life = "{{.Id}} {{.State.StartedAt}}";
    let before = inspect(&game, life);
    world.sql(&format!("DELETE FROM games WHERE game_id = '{game}'")).await;
    let look = "SELECT count(*) FROM games";
    world.eventually("the row is gone", async || world.count(look).await == 0).await;
    let other = world.running("meanwhile").await;
    assert!(exists(&game) && exists(&other));
    world.game_with_id(&game, "undone", "1.4.2").await;
    world.ok(&["wait", "game/undone", "--for=condition=Ready", "--timeout=30s"]);
    assert_eq!((inspect(&game, life), world.inits(&game)), (before, 1));
}

#[tokio::test]
async fn a_start_during_a_stop_is_no_crash() {
    let world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &serde_json::json!({ "ignoreSigterm": true }));
    world.game_with_id(&game, "hesitant", "1.4.2").await;
    world.until(&game, "running", |s| s.phase == "running").await;
    let before = inspect(&game, "{{.Id}}");
    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
    world.until(&game, "stopping", |s| s.phase == "stopping").await;
    world.sql(&format!("UPDATE games SET desired_status = 'running' WHERE game_id = '{game}'")).await;
    world.until(&game, "no longer served", |s| s.phase == "starting").await;
    let status = world.until(&game, "running", |s| s.phase == "running").await;
    assert_ne!(inspect(&game, "{{.Id}}"), before);
    assert_eq!((status.restarts, status.failures), (0, 0));
    assert_eq!(world.operations(&game).await, ["start succeeded", "stop superseded", "start succeeded"]);
}

#[tokio::test]
async fn a_container_cut_off_its_network_is_replaced() {
    let world = World::started().await;
    let game = world.running("cut-off").await;
    let before = inspect(&game, "{{.Id}}");
    let network = inspect(&game, "{{.HostConfig.NetworkMode}}");
    assert_eq!(docker(&["network", "disconnect", "-f", &network, &container(&game)]).code, 0);
    let replaced =
        |s: &crate::world::Status| s.phase == "running" && s.container.as_deref() != Some(before.as_str());
    world.until(&game, "replaced", replaced).await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_container_that_loses_its_address_is_heard_of_at_once() {
    // Neither a probe nor the relist is due that could find it.
    let mut world = World::new().with(&["--probe-interval", "10m", "--relist-interval", "10m"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("unplugged").await;
    let before = inspect(&game, "{{.Id}}");
    let network = inspect(&game, "{{.HostConfig.NetworkMode}}");
    assert_eq!(docker(&["network", "disconnect", "-f", &network, &container(&game)]).code, 0);
    let replaced =
        |s: &crate::world::Status| s.phase == "running" && s.container.as_deref() != Some(before.as_str());
    world.until(&game, "replaced", replaced).await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_renamed_container_is_still_ours() {
    let world = World::started().await;
    let game = world.running("renamed").await;
    let id = inspect(&game, "{{.Id}}");
    let other = format!("somebody-{game}");
    assert_eq!(docker(&["rename", &container(&game), &other]).code, 0);
    world.ok(&["stop", "renamed", "--wait", "--timeout", "60s"]);
    assert_ne!(docker(&["inspect", &id]).code, 0, "stopped is stopped, whatever its name");
    world.until(&game, "stopped", |s| s.phase == "stopped").await;
}

#[tokio::test]
async fn an_init_that_is_slower_than_the_controller_lives_is_not_sent_in_a_loop() {
    let mut world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &serde_json::json!({ "slowInitMs": 4_000 }));
    world.game_with_id(&game, "slow-init", "1.4.2").await;
    world.until(&game, "initialising", |s| s.reason == "Initialising").await;
    world.kill_keeper();
    world.start();
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
    let sent = world.log().matches("initialise engine with").count();
    assert!(sent <= 4, "sent {sent} times in four seconds");
}
