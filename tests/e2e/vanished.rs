//! Rows that vanish, one or many, and containers that no row speaks of.

use crate::world::{World, container, docker, exists, inspect};

/// Waits for the row of the game's tombstone to be dealt with.
async fn until_gone(world: &World, game: &str) {
    let open =
        format!("SELECT count(*) FROM game_tombstones WHERE game_id = '{game}' AND handled_at IS NULL");
    world.eventually("the deletion is done", async || world.count(&open).await == 0 && !exists(game)).await;
}

async fn delete_row(world: &World, game: &str) {
    world.sql(&format!("DELETE FROM games WHERE game_id = '{game}'")).await;
}

#[tokio::test]
async fn a_vanished_row_is_a_deletion_after_its_grace() {
    let mut world = World::new().with(&["--deletion-grace", "10s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let kept = world.running("kept").await;
    let removed = world.running("removed").await;
    let other = world.running("other").await;
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{removed}'")).await;
    let started = inspect(&other, "{{.State.StartedAt}}");
    for game in [&kept, &removed] {
        delete_row(&world, game).await;
        let status = world.until(game, "seen to be gone", |status| status.reason == "RowGone").await;
        assert_eq!(status.phase, "running");
        assert!(exists(game), "torn down within its grace");
    }
    for game in [&kept, &removed] {
        until_gone(&world, game).await;
        assert_eq!(world.operations(game).await, ["start succeeded", "delete succeeded"]);
    }
    assert!(world.state_root().join(&kept).join(&kept).is_dir());
    assert!(!world.state_root().join(&removed).exists());
    assert_eq!(inspect(&other, "{{.State.StartedAt}}"), started);
}

#[tokio::test]
async fn a_row_that_vanishes_while_the_controller_is_down_has_its_grace_too() {
    let mut world = World::new().with(&["--deletion-grace", "30s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("lost").await;
    let started = inspect(&game, "{{.State.StartedAt}}");
    world.kill_keeper();
    delete_row(&world, &game).await;
    world.start();
    world.until(&game, "seen to be gone", |status| status.reason == "RowGone").await;
    world.game_with_id(&game, "lost", "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running" && status.reason == "Running").await;
    assert_eq!(inspect(&game, "{{.State.StartedAt}}"), started);
}

#[tokio::test]
async fn ten_of_fifteen_rows_deleted_one_by_one_freeze_until_they_are_confirmed() {
    let mut world = World::new().with(&["--deletion-grace", "1ms"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let mut games = Vec::new();
    for n in 0..15 {
        games.push(world.game(&format!("game-{n}"), "1.4.2").await);
    }
    for game in &games {
        world.until(game, "running", |status| status.phase == "running").await;
    }
    // Games that are older than the window are protected.
    world.kill_keeper();
    world.sql("UPDATE runtime_records SET init_intent_at = '2020-01-01T00:00:00+00:00'").await;
    world.start();
    // Up to half of them may go.
    for game in &games[..7] {
        delete_row(&world, game).await;
        until_gone(&world, game).await;
    }
    for game in &games[7..10] {
        delete_row(&world, game).await;
        let status = world.until(game, "held", |status| status.reason == "DeletionsHeld").await;
        assert_eq!(status.phase, "blocked");
        assert!(status.message.contains("confirm-deletions"), "{}", status.message);
    }
    let lives: Vec<String> = games[7..].iter().map(|game| inspect(game, "{{.State.StartedAt}}")).collect();
    assert!(games[7..].iter().all(|game| exists(game)));
    // It holds over a restart of the controller.
    world.kill_keeper();
    world.start();
    world.eventually("it leads", async || world.count("SELECT epoch FROM leases").await == 3).await;
    for game in &games[7..10] {
        world.until(game, "held", |status| status.reason == "DeletionsHeld").await;
    }
    let now: Vec<String> = games[7..].iter().map(|game| inspect(game, "{{.State.StartedAt}}")).collect();
    assert_eq!(now, lives);
    let now = world.database.now();
    world.sql(&format!("UPDATE controller_spec SET deletions_confirmed_at = {now}")).await;
    for game in &games[7..10] {
        until_gone(&world, game).await;
    }
    let left: Vec<String> = games[10..].iter().map(|game| inspect(game, "{{.State.StartedAt}}")).collect();
    assert_eq!(left, lives[3..]);
}

#[tokio::test]
async fn many_requests_for_deletion_at_once_are_held_before_the_first_begins() {
    let mut world = World::new().with(&["--deletion-window", "1ms"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let mut games = Vec::new();
    for n in 0..6 {
        games.push(world.game(&format!("game-{n}"), "1.4.2").await);
    }
    for game in &games {
        world.until(game, "running", |status| status.phase == "running").await;
    }
    let now = world.database.now();
    world.sql(&format!("UPDATE games SET deletion_requested_at = {now}")).await;
    for game in &games {
        world.until(game, "held", |status| status.reason == "DeletionsHeld").await;
    }
    assert!(games.iter().all(|game| inspect(game, "{{.State.Running}}") == "true"));
    world.stop_keeper();
}

#[tokio::test]
async fn games_made_and_deleted_in_ordinary_work_are_not_held() {
    let world = World::started().await;
    for n in 0..6 {
        let game = world.game(&format!("game-{n}"), "1.4.2").await;
        world.until(&game, "running", |status| status.phase == "running").await;
        world.request_deletion(&game).await;
        let rows = format!("SELECT count(*) FROM games WHERE game_id = '{game}'");
        world.eventually("its row is gone", async || world.count(&rows).await == 0).await;
    }
}

#[tokio::test]
async fn a_container_without_row_or_tombstone_is_reported_and_left_alone() {
    let mut world = World::started().await;
    let game = world.running("stray").await;
    let started = inspect(&game, "{{.State.StartedAt}}");
    world.kill_keeper();
    // As if the row had never been: no trigger ran.
    world
        .sql(&format!(
            "DELETE FROM games WHERE game_id = '{game}';
             DELETE FROM game_tombstones WHERE game_id = '{game}'"
        ))
        .await;
    world.start();
    world
        .eventually("it is reported", async || {
            world
                .count("SELECT count(*) FROM events WHERE kind = 'Controller' AND reason = 'OrphanContainer'")
                .await
                == 1
        })
        .await;
    assert_eq!(inspect(&game, "{{.State.StartedAt}}"), started);
    // Its row comes back, and with it everything else.
    world.game_with_id(&game, "stray", "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(inspect(&game, "{{.State.StartedAt}}"), started);
    assert_eq!(world.inits(&game), 1);
    docker(&["kill", &container(&game)]);
    world.until(&game, "healed", |status| status.phase == "running" && status.restarts == 1).await;
}

#[tokio::test]
async fn a_row_that_is_made_anew_can_be_asked_again() {
    let world = World::started().await;
    let game = world.running("again").await;
    world.ok(&["restart", "again", "--wait"]);
    world.ok(&["restart", "again", "--wait"]);
    // Made anew and asked at once, maybe before anybody has read that the row was gone.
    for _ in 0..5 {
        let life = inspect(&game, "{{.Id}}");
        world.sql(&format!("BEGIN; DELETE FROM games WHERE game_id = '{game}'; COMMIT")).await;
        world.game_with_id(&game, "again", "1.4.2").await;
        world.ok(&["restart", "again", "--wait"]);
        assert_ne!(inspect(&game, "{{.Id}}"), life);
    }
}
