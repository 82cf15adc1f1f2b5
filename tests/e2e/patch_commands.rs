//! The commands about engine versions and kept copies, on real engines.

use serde_json::Value;

use crate::world::World;

/// A field of a game's row, as the API has it.
fn field(world: &World, game: &str, pointer: &str) -> Value {
    let game: Value = serde_json::from_str(&world.ok(&["get", game, "-o", "json"])).unwrap();
    game.pointer(pointer).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_fleet_is_patched_and_one_game_goes_back_by_rollback_and_restore() {
    let mut world = World::new().with(&["--max-disruptions", "2"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let names = ["vega", "lyra", "draco", "orion"];
    let mut ids = Vec::new();
    for name in names {
        let game = world.game(name, "1.4.1").await;
        let labels = "labels = '{\"season\": \"7\"}'";
        world.sql(&format!("UPDATE games SET {labels} WHERE game_id = '{game}'")).await;
        ids.push(game);
    }
    world.ok(&["wait", "--all", "--timeout", "2m"]);
    world.ok(&["force-turn", "-l", "season=7", "--wait"]);
    // One of the new engines never gets healthy: its game stays, and is told.
    world.misbehave(&ids[3], &serde_json::json!({ "exitAtStart": 3, "onlyVersion": "1.4.2" }));
    let ran = world.gk(&["patch", "-l", "season=7", "--to", "latest", "--wait", "--timeout", "4m"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.stdout.matches("patched to 1.4.2, on probation").count(), 3, "{ran:?}");
    assert!(ran.stderr.contains("error: game/orion: the patch to 1.4.2 failed (Exited): "), "{ran:?}");
    assert!(ran.stderr.contains(" of 4 done"), "{ran:?}");
    for (name, version) in names.into_iter().zip(["1.4.2", "1.4.2", "1.4.2", "1.4.1"]) {
        assert_eq!(field(&world, name, "/status/engineVersion"), version, "{name}");
    }
    let versions = world.ok(&["versions", "list"]);
    let newest = versions.lines().find(|line| line.starts_with("1.4.2")).unwrap();
    let cells: Vec<&str> = newest.split_whitespace().collect();
    assert_eq!(cells[2..7], ["true", "4", "3", "1", "false"], "{versions}");
    let told = world.ok(&["explain", "orion"]);
    assert!(told.contains("Not of the version that is asked for, because:"), "{told}");

    // Played on, and taken back: the version, the state and the turn before the patch.
    world.ok(&["force-turn", "vega", "--wait"]);
    let copies = world.ok(&["backups", "vega"]);
    assert_eq!(copies.lines().count(), 2, "{copies}");
    let asked = world.gk(&["rollback", "vega"]);
    assert!(asked.code == 2 && asked.stderr.contains("turns 2 to 2 are void"), "{asked:?}");
    world.ok(&["rollback", "vega", "--yes", "--wait"]);
    for (pointer, is) in [
        ("/status/engineVersion", Value::from("1.4.1")),
        ("/spec/engineVersion", "1.4.1".into()),
        ("/status/currentTurn", 1.into()),
        ("/status/timeline", 2.into()),
    ] {
        assert_eq!(field(&world, "vega", pointer), is, "{pointer}");
    }
    world.ok(&["force-turn", "vega", "--wait"]);
    let copy = copies.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    world.ok(&["restore", "vega", copy, "--yes", "--wait"]);
    assert_eq!(field(&world, "vega", "/status/currentTurn"), 1);
    assert_eq!(field(&world, "vega", "/status/timeline"), 3);
    assert_eq!(world.inits(&ids[0]), 1);
    let operations = world.operations(&ids[0]).await;
    assert_eq!(operations.iter().filter(|said| *said == "restore succeeded").count(), 2, "{operations:?}");
}
