//! Specs that go back and forth, rows that are replaced by hand, limits beyond sense, links in the
//! place of state.

use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, container, docker, exists, inspect};

const LIFE: &str = "{{.Id}} {{.State.StartedAt}}";

/// Everything that a container is made of, less what is new with each.
fn shape(game: &str) -> Value {
    let text = docker(&["inspect", &container(game)]).stdout;
    let seen: Value = serde_json::from_str(&text).unwrap();
    let (mut config, host) = (seen[0]["Config"].clone(), seen[0]["HostConfig"].clone());
    config["Env"]
        .as_array_mut()
        .unwrap()
        .retain(|variable| !variable.to_string().contains("GAME_ADMIN_TOKEN"));
    json!({ "config": config, "host": host, "image": seen[0]["Image"], "mounts": seen[0]["Mounts"] })
}

#[tokio::test]
async fn there_and_back_is_where_it_began() {
    let world = World::started().await;
    let game = world.running("pendulum").await;
    let (first, life) = (shape(&game), inspect(&game, LIFE));
    let set = |memory: &str| {
        format!("UPDATE games SET resources = '{{\"memory\": \"{memory}\"}}' WHERE game_id = '{game}';")
    };
    let generation = format!("SELECT generation FROM games WHERE game_id = '{game}'");
    let before = world.count(&generation).await;
    let settled = async || {
        let generation = world.count(&generation).await;
        let seen = |s: &crate::world::Status| s.phase == "running" && s.observed_generation == generation;
        world.until(&game, "settled", seen).await;
    };

    // Faster than anybody looks: nothing happened.
    let back = format!("UPDATE games SET resources = '{{}}' WHERE game_id = '{game}';");
    world.sql(&format!("BEGIN IMMEDIATE; {} {back} COMMIT", set("128Mi"))).await;
    settled().await;
    assert_eq!(inspect(&game, LIFE), life);
    // A transaction is one change on PostgreSQL, a statement on SQLite.
    assert!(world.count(&generation).await > before);

    // Slowly: each is made true, and the last one is the first one.
    for (change, memory) in [(set("128Mi"), 128 << 20), (back, 256 << 20)] {
        world.sql(&change).await;
        settled().await;
        let made = || inspect(&game, "{{.HostConfig.Memory}}");
        world.eventually("it is made so", async || made() == memory.to_string()).await;
        settled().await;
    }
    assert_eq!(shape(&game), first);
    assert_eq!(world.inits(&game), 1);
    assert_eq!(world.operations(&game).await, ["start succeeded", "restart succeeded", "restart succeeded"]);
}

#[tokio::test]
async fn an_invalid_column_holds_up_what_depends_on_it_and_nothing_else() {
    let world = World::started().await;
    let game = world.running("spoilt").await;
    let life = inspect(&game, LIFE);
    let set =
        async |what: &str| world.sql(&format!("UPDATE games SET {what} WHERE game_id = '{game}'")).await;
    let turn = format!("SELECT coalesce(max(current_turn), 0) FROM runtime_records WHERE game_id = '{game}'");
    let status = async |what: &str| {
        world.count(&format!("SELECT count(*) FROM game_status WHERE game_id = '{game}' AND {what}")).await
            == 1
    };
    let mut forced = 0;
    let mut goes_on = async |what: &str| {
        let before = world.count(&turn).await;
        world
            .eventually(&format!("{what}: turns go on"), async || world.count(&turn).await >= before + 2)
            .await;
        forced += 1;
        set(&format!("force_turn_generation = {forced}")).await;
        let granted = format!("observed_force_turn_generation = {forced}");
        let granted = format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND {granted}");
        world
            .eventually(&format!("{what}: a turn is forced"), async || world.count(&granted).await == 1)
            .await;
    };
    set("turn_schedule = '* * * * * *'").await;
    goes_on("whole").await;
    for name in ["'two\nlines'", &format!("'{}'", "x".repeat(254))] {
        set(&format!("display_name = {name}")).await;
        goes_on(name).await;
        // The turn that was forced is on its way at first.
        let settled = format!("{name}: how it is called is no spec");
        world.eventually(&settled, async || status("ready AND settled").await).await;
    }
    let lots = r#"resources = '{"cpu": "lots"}'"#;
    set(lots).await;
    world.until(&game, "told", |s| s.reason == "InvalidSpec" && s.message.contains("resources.cpu")).await;
    goes_on(lots).await;
    assert!(status("NOT ready AND NOT settled AND status = 'running'").await);
    set("resources = '{}'").await;
    world.eventually("mended", async || status("ready AND settled").await).await;

    set("time_zone = 'Mars/Olympus'").await;
    world.until(&game, "told", |s| s.reason == "InvalidSpec" && s.message.contains("timeZone")).await;
    let held = format!(
        "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND CAST(conditions AS TEXT) LIKE '%\"InvalidSchedule\"%'"
    );
    world.eventually("TurnsOnTime says so", async || world.count(&held).await == 1).await;
    let waits = format!(
        "SELECT count(*) FROM turn_slots WHERE game_id = '{game}' AND decision = 'deferred' AND reason = 'InvalidSchedule'"
    );
    world.eventually("slots wait", async || world.count(&waits).await >= 1).await;
    assert!(status("NOT settled AND next_turn_at IS NULL").await);
    let explained = world.ok(&["explain", "spoilt"]);
    assert!(explained.contains("InvalidSchedule") && explained.contains("timeZone"), "{explained}");
    let before = world.count(&turn).await;
    set("force_turn_generation = 99").await;
    world
        .eventually("a forced turn needs no schedule", async || world.count(&turn).await == before + 1)
        .await;
    set("time_zone = 'UTC'").await;
    world.eventually("mended", async || world.count(&turn).await >= before + 4).await;
    world.eventually("settled", async || status("ready AND settled").await).await;
    assert_eq!(inspect(&game, LIFE), life);
}

#[tokio::test]
async fn a_row_replaced_by_hand_keeps_its_counters_and_its_engine() {
    let world = World::started().await;
    let game = world.running("replaced").await;
    let life = inspect(&game, LIFE);
    let counters =
        format!("SELECT generation * 1000 + membership_revision FROM games WHERE game_id = '{game}'");
    let before = world.count(&counters).await;
    for pragma in ["OFF", "ON"] {
        world
            .sql(&format!(
                "PRAGMA recursive_triggers = {pragma};
                 INSERT OR REPLACE INTO games (game_id, name, desired_status, target_engine_version)
                 VALUES ('{game}', 'replaced', 'running', '1.4.2');
                 UPDATE games SET generation = 99, row_version = 99, membership_revision = 99 WHERE game_id = '{game}'"
            ))
            .await;
        assert_eq!(world.count(&counters).await, before, "{pragma}");
        // By the time that a later row has come true, this one was looked at.
        world.running(if pragma == "ON" { "later" } else { "sooner" }).await;
        assert_eq!(inspect(&game, LIFE), life, "{pragma}");
    }
    assert_eq!(world.count("SELECT count(*) FROM game_tombstones WHERE handled_at IS NULL").await, 0);
    assert_eq!(world.status(&game).await.phase, "running");
    assert_eq!(world.operations(&game).await, ["start succeeded"]);
}

#[tokio::test]
async fn limits_beyond_sense_are_invalid_each_with_its_path() {
    let world = World::started().await;
    let mut games = Vec::new();
    for (column, value, path) in [
        ("resources", r#"{"cpu": "0"}"#, "spec.resources.cpu"),
        ("resources", r#"{"cpu": "-1"}"#, "spec.resources.cpu"),
        ("resources", r#"{"cpu": "NaN"}"#, "spec.resources.cpu"),
        ("resources", r#"{"memory": "0"}"#, "spec.resources.memory"),
        ("resources", r#"{"memory": "-1Mi"}"#, "spec.resources.memory"),
        ("resources", r#"{"memory": "99999999999Ti"}"#, "spec.resources.memory"),
        ("resources", r#"{"pids": "0"}"#, "spec.resources.pids"),
        ("resources", r#"{"pids": "-1"}"#, "spec.resources"),
        ("resources", r#"{"pids": "1e9"}"#, "spec.resources"),
        ("resources", r#"{"pids": "18446744073709551616"}"#, "spec.resources"),
        ("turn_schedule", "0 0 30 2 *", "spec.turns.schedule"),
        ("turn_schedule", "0 0 31 4 *", "spec.turns.schedule"),
        ("turn_schedule", "99 * * * *", "spec.turns.schedule"),
        ("turn_not_before", "9999-12-31 23:59", "spec.turns.notBefore"),
        ("target_engine_version", "1.4", "spec.engineVersion"),
        ("target_engine_version", "99999999999999999999.0.0", "spec.engineVersion"),
    ] {
        let game = Uuid::new_v4().to_string();
        world
            .sql(&format!(
                "INSERT INTO games (game_id, desired_status, {column}) VALUES ('{game}', 'running', '{value}')"
            ))
            .await;
        games.push((game, value, path));
    }
    for (game, value, path) in games {
        let status = world.until(&game, "invalid", |status| status.phase == "invalid").await;
        assert_eq!(status.reason, "InvalidSpec", "{value}: {status:?}");
        assert!(status.message.contains(path), "{value}: {status:?}");
        assert!(!exists(&game) && !world.state_root().join(&game).exists());
    }
}

#[tokio::test]
async fn a_counter_at_its_end_is_refused_in_words() {
    let world = World::started().await;
    let game = world.game("counted", "1.4.2").await;
    world.sql(&format!("UPDATE games SET restart_generation = {} WHERE game_id = '{game}'", i64::MAX)).await;
    world.until(&game, "running", |status| status.phase == "running").await;
    let ran = world.gk(&["restart", "counted"]);
    assert!(ran.code < 100 && ran.stderr.contains("at its end"), "{ran:?}");
    assert!(!world.log().contains("panicked"));
    let running = world.running("other").await;
    assert!(exists(&running) && exists(&game));
}

#[tokio::test]
async fn a_link_in_the_place_of_a_state_directory_leads_nowhere() {
    let world = World::started().await;
    let outside = world.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "x").unwrap();
    let facts = || {
        let found = std::fs::metadata(&outside).unwrap();
        (found.uid(), found.gid(), found.mode(), std::fs::read_dir(&outside).unwrap().count())
    };
    let before = facts();
    let game = Uuid::new_v4().to_string();
    let place = world.state_root().join(&game);
    symlink(&outside, &place).unwrap();
    world.game_with_id(&game, "linked", "1.4.2").await;
    let status =
        world.until(&game, "told", |status| status.message.contains("is a link or no directory")).await;
    assert!(!exists(&game), "{status:?}");
    assert_eq!(facts(), before);

    // Out of the way, and it starts.
    std::fs::remove_file(&place).unwrap();
    world.ok(&["restart", "linked"]);
    world.until(&game, "running", |status| status.phase == "running").await;

    // Back again before it is removed: what is outside stays.
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{game}'")).await;
    world.ok(&["stop", "linked", "--wait", "--timeout", "60s"]);
    std::fs::rename(&place, world.dir.path().join("moved")).unwrap();
    symlink(&outside, &place).unwrap();
    world.ok(&["delete", "linked"]);
    world.until(&game, "told", |status| status.message.contains("is a link or no directory")).await;
    assert_eq!(facts(), before);
    assert!(outside.join("precious").exists());
    std::fs::remove_file(&place).unwrap();
    world.ok(&["wait", "game/linked", "--for=delete", "--timeout=60s"]);
    assert_eq!(facts(), before);
}
