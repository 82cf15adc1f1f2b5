//! What cannot be so, and what the database does not take: it is told, it holds up nobody else, and
//! the truth is on record as soon as it is told again.

use std::fs;

use serde_json::{Value, json};

use crate::world::{Status, World, container, docker};

/// The engine's own state, as it is written down.
fn state_file(world: &World, game: &str) -> std::path::PathBuf {
    world.state_root().join(game).join(game).join("state.json")
}

/// What an engine is made to say.
type Lie = fn(&mut Value);

#[tokio::test]
async fn an_engine_that_says_what_cannot_be_is_not_believed_and_heals_with_the_truth() {
    let world = World::started().await;
    let (game, other) = (world.running("boaster").await, world.running("honest").await);
    let file = state_file(&world, &game);
    let truth = fs::read(&file).unwrap();
    let lies: [(Lie, &str); 2] = [
        (|state| state["turn"] = json!(i64::MAX), "turn 9223372036854775807"),
        (|state| state["players"][0]["raceName"] = json!("Ter\0rans"), "U+0000"),
    ];
    for (number, (lie, why)) in (1..).zip(lies) {
        let mut state: Value = serde_json::from_slice(&truth).unwrap();
        lie(&mut state);
        fs::write(&file, state.to_string()).unwrap();
        docker(&["kill", &container(&game)]);
        let told = |s: &Status| s.reason == "EngineNotUnderstood" && s.message.contains(why);
        let status = world.until(&game, "told", told).await;
        assert!(status.endpoint.is_none() && status.phase != "running", "{status:?}");
        let explained = world.ok(&["explain", "boaster"]);
        assert!(explained.contains("not understood"), "{explained}");
        // Nobody else notices.
        world
            .sql(&format!("UPDATE games SET force_turn_generation = {number} WHERE game_id = '{other}'"))
            .await;
        let turn = format!(
            "SELECT count(*) FROM runtime_records WHERE game_id = '{other}' AND current_turn = {number}"
        );
        world.eventually("the other's turn", async || world.count(&turn).await == 1).await;
        fs::write(&file, &truth).unwrap();
        docker(&["kill", &container(&game)]);
        world.until(&game, "running again", |s| s.phase == "running" && s.endpoint.is_some()).await;
    }
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_statistic_beyond_its_bound_holds_up_no_turn() {
    let world = World::started().await;
    let game = world.running("crowded").await;
    let file = state_file(&world, &game);
    let mut state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    state["players"][0]["population"] = json!(i64::MAX);
    fs::write(&file, state.to_string()).unwrap();
    docker(&["kill", &container(&game)]);
    world.sql(&format!("UPDATE games SET force_turn_generation = 1 WHERE game_id = '{game}'")).await;
    let turn = format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND current_turn = 1");
    world.eventually("its turn", async || world.count(&turn).await == 1).await;
    let most = 9_007_199_254_740_991_i64;
    let counted = format!("SELECT count(*) FROM player_stats WHERE population = {most}");
    world.eventually("its bound is on record", async || world.count(&counted).await == 1).await;
}

#[tokio::test]
async fn a_record_that_the_database_refuses_says_so_and_holds_up_nobody() {
    let mut world = World::new().with(&["--lobby-mode", "pull"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let (game, other) = (world.running("refused").await, world.running("other").await);
    world
        .sql(&format!(
            "CREATE TRIGGER refuses BEFORE UPDATE ON runtime_records
             WHEN NEW.game_id = '{game}' AND NEW.current_turn = 1
             BEGIN SELECT RAISE(ABORT, 'no turn 1 here'); END"
        ))
        .await;
    world.sql("UPDATE games SET force_turn_generation = 1").await;
    let told = |s: &Status| s.reason == "RecordRefused" && s.message.contains("no turn 1 here");
    let status = world.until(&game, "told", told).await;
    assert_eq!(status.phase, "blocked");
    let ready = format!("SELECT count(*) FROM game_status WHERE game_id = '{game}' AND (ready OR settled)");
    assert_eq!(world.count(&ready).await, 0);
    let turn = format!("SELECT count(*) FROM runtime_records WHERE game_id = '{other}' AND current_turn = 1");
    world.eventually("the other's turn", async || world.count(&turn).await == 1).await;
    let explained = world.ok(&["explain", "refused"]);
    assert!(explained.contains("RecordRefused"), "{explained}");

    // One that never came up is asked again, too, and that is no news each time.
    let late = uuid::Uuid::new_v4().to_string();
    world
        .sql(&format!(
            "CREATE TRIGGER refuses_another BEFORE UPDATE ON runtime_records
             WHEN NEW.game_id = '{late}' AND NEW.status = 'running'
             BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        ))
        .await;
    world.game_with_id(&late, "late", "1.4.2").await;
    world.until(&late, "told", |s| s.reason == "RecordRefused").await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    let told = format!("SELECT count(*) FROM lobby_outbox WHERE game_id = '{late}'");
    let events = world.count(&told).await;
    assert!(events <= 6, "{events} events in ten seconds");
    let told = format!("SELECT sum(count) FROM events WHERE uid = '{late}' AND reason = 'RecordRefused'");
    assert_eq!(world.count(&told).await, 1);
    world.sql("DROP TRIGGER refuses_another").await;
    world.until(&late, "running", |s| s.phase == "running").await;

    world.sql("DROP TRIGGER refuses").await;
    let healed = format!(
        "SELECT count(*) FROM game_status WHERE game_id = '{game}' AND current_turn = 1 AND ready AND settled"
    );
    world.eventually("its own truth is on record", async || world.count(&healed).await == 1).await;
    let generated = world.journal(&game);
    let turns = generated.iter().filter(|line| line["event"] == "turn-done").count();
    assert!(turns <= 1, "{generated:?}");
}
