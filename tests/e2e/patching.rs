//! Another engine version for a game with state: it works, or everything is as it was.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::patching_many::Watching;
use crate::world::{Status, World, container, docker, force, inspect, set};

/// Versions beside those that every world has.
async fn with_versions(world: &World) {
    world.register("1.5.0", "gamekeeper/reference-engine:1.5.0").await;
    world.register("1.4.9", "gamekeeper/reference-engine:not-there").await;
}

async fn version(world: &World, game: &str) -> String {
    let query =
        format!("SELECT coalesce(current_engine_version, '') FROM runtime_records WHERE game_id = '{game}'");
    world.rows(&query).await[0].get(0)
}

async fn failed_patch(world: &World, game: &str) -> serde_json::Value {
    let query =
        format!("SELECT coalesce(failed_patch, 'null') FROM runtime_records WHERE game_id = '{game}'");
    world.rows(&query).await[0].get::<String>(0).parse().unwrap()
}

/// Runs again, and nothing is left to do but what the spec says is refused.
fn runs(status: &Status) -> bool {
    status.phase == "running" && status.endpoint.is_some()
}

/// Every file of a game's state with its content, but what a start alone writes.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path());
            found.extend(below.into_iter().map(|(path, content)| (format!("{name}/{path}"), content)));
        } else if !name.ends_with(".jsonl") && name != "engine.lock" {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// The numbers that the engine's journal says were generated, in order.
fn generated(world: &World, game: &str) -> Vec<i64> {
    let of =
        |line: &serde_json::Value| (line["event"] == "turn-done").then(|| line["turn"].as_i64().unwrap());
    world.journal(game).iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_patch_keeps_turn_players_and_files() {
    let world = World::started().await;
    let game = world.running("andromeda").await;
    force(&world, &game, 1).await;
    set(&world, &game, "desired_status = 'running'").await;
    let before = files(&world.state_root().join(&game));
    let players = format!("SELECT user_id, engine_player_uuid FROM player_mappings WHERE game_id = '{game}'");
    let players_before = world.rows(&players).await;
    set(&world, &game, "target_engine_version = '1.4.1', requested_by = 'ann', request_id = 'patch-1'").await;
    world.eventually("it is patched", async || version(&world, &game).await == "1.4.1").await;
    world.until(&game, "running", runs).await;
    assert_eq!(inspect(&game, "{{.Config.Image}}"), inspect(&game, "{{.Image}}"), "its image is pinned");
    assert_eq!(files(&world.state_root().join(&game)), before);
    assert_eq!(world.rows(&players).await, players_before);
    force(&world, &game, 2).await;
    assert_eq!((generated(&world, &game), world.inits(&game)), (vec![1, 2], 1));
    let operations = world.operations(&game).await;
    assert!(operations.contains(&"patch succeeded".to_owned()), "{operations:?}");
    let settled = format!("SELECT settled FROM game_status WHERE game_id = '{game}'");
    world.eventually("settled", async || world.count(&settled).await == 1).await;
    // And forth again: either direction is allowed.
    set(&world, &game, "target_engine_version = '1.4.2'").await;
    world.eventually("it is patched again", async || version(&world, &game).await == "1.4.2").await;
    force(&world, &game, 3).await;
    assert_eq!(generated(&world, &game), [1, 2, 3]);
}

#[tokio::test]
async fn whatever_the_new_engine_does_wrong_the_old_one_has_the_old_state() {
    let mut world = World::new().with(&["--max-failures", "9", "--start-deadline", "4s"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    for (misbehaviour, reason) in [
        (json!({ "neverHealthy": true }), "NeverHealthy"),
        (json!({ "exitAtStart": 3 }), "Exited"),
        (json!({ "lowerTurnBy": 1 }), "WrongTurn"),
        (json!({ "denyGame": true }), "StateUnreadable"),
    ] {
        let name = format!("try-{}", reason.to_lowercase());
        let game = world.running(&name).await;
        force(&world, &game, 1).await;
        let before = files(&world.state_root().join(&game));
        // The copy has it too, so it ends with the attempt.
        let mut only_new = misbehaviour.clone();
        only_new["onlyVersion"] = "1.4.1".into();
        world.misbehave(&game, &only_new);
        set(&world, &game, "target_engine_version = '1.4.1'").await;
        world
            .eventually(&format!("{reason}: it failed"), async || {
                failed_patch(&world, &game).await["reason"] == reason
            })
            .await;
        world.until(&game, "running", runs).await;
        assert_eq!(version(&world, &game).await, "1.4.2", "{reason}");
        let mut after = files(&world.state_root().join(&game));
        after.remove("misbehave.json");
        assert_eq!(after, before, "{reason}");
        let operations = world.operations(&game).await;
        assert!(operations.contains(&"patch failed".to_owned()), "{reason}: {operations:?}");
        assert!(operations.contains(&"rollback succeeded".to_owned()), "{reason}: {operations:?}");
        force(&world, &game, 2).await;
        assert_eq!((generated(&world, &game), world.inits(&game)), (vec![1, 2], 1), "{reason}");
        set(&world, &game, "desired_status = 'stopped'").await;
    }
}

#[tokio::test]
async fn an_incompatible_version_or_one_that_cannot_be_had_leaves_the_old_engine_alone() {
    let world = World::started().await;
    with_versions(&world).await;
    let game = world.running("andromeda").await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    for (wanted, reason) in [("1.5.0", "PatchSemverIncompatible"), ("1.4.9", "PatchPending")] {
        set(&world, &game, &format!("target_engine_version = '{wanted}'")).await;
        world.until(&game, reason, |status| status.reason == reason).await;
    }
    let delayed =
        format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND patch_delay IS NOT NULL");
    world.eventually("the failed pull is told", async || world.count(&delayed).await == 1).await;
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    force(&world, &game, 1).await;
    set(&world, &game, "target_engine_version = '1.5.0', allow_incompatible_version = '1.5.0'").await;
    world.eventually("the word is taken", async || version(&world, &game).await == "1.5.0").await;
    world.until(&game, "running", runs).await;
    force(&world, &game, 2).await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_kept_copy_is_restored_and_the_lobby_told() {
    let mut world = World::new().with(&["--lobby-mode", "pull"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("andromeda").await;
    force(&world, &game, 1).await;
    set(&world, &game, "target_engine_version = '1.4.1'").await;
    world.eventually("it is patched", async || version(&world, &game).await == "1.4.1").await;
    world.until(&game, "running", runs).await;
    force(&world, &game, 2).await;
    force(&world, &game, 3).await;
    let copies = world.state_root().join(".gamekeeper/backups").join(&game);
    let copy = std::fs::read_dir(copies).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    set(
        &world,
        &game,
        &format!("target_engine_version = '1.4.2', restore_backup_id = '{copy}', restore_generation = 1"),
    )
    .await;
    let timeline = format!("SELECT timeline FROM runtime_records WHERE game_id = '{game}'");
    world.eventually("another timeline", async || world.count(&timeline).await == 2).await;
    world.until(&game, "running", |status| runs(status) && status.reason == "Running").await;
    assert_eq!(version(&world, &game).await, "1.4.2");
    force(&world, &game, 2).await;
    assert_eq!(generated(&world, &game), [1, 2], "the restored history");
    let ledger = format!(
        "SELECT timeline || ' ' || number || ' ' || state FROM turns WHERE game_id = '{game}' ORDER BY timeline, number"
    );
    let ledger: Vec<String> = world.rows(&ledger).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(ledger, ["1 1 done", "1 2 rolled_back", "1 3 rolled_back", "2 2 done"]);
    let told =
        format!("SELECT payload FROM lobby_outbox WHERE game_id = '{game}' AND type LIKE '%rolled-back%'");
    let told = world.rows(&told).await;
    let told: serde_json::Value = told[0].get::<String>(0).parse().unwrap();
    assert_eq!(
        (&told["cause"], &told["previousTimeline"], &told["timeline"]),
        (&json!("Restore"), &json!(1), &json!(2))
    );
    // What was there is kept aside, and an unknown copy is refused.
    let aside = world.state_root().join(".gamekeeper/failed").join(&game);
    assert_eq!(std::fs::read_dir(aside).unwrap().count(), 1);
    set(&world, &game, "restore_backup_id = 'nowhere', restore_generation = 2").await;
    world
        .eventually("it is refused", async || {
            world.operations(&game).await.contains(&"restore failed".to_owned())
        })
        .await;
    assert_eq!(world.status(&game).await.phase, "running");
}

#[tokio::test]
async fn a_controller_killed_at_any_time_of_a_patch_ends_on_one_version() {
    let mut world = World::started().await;
    for wait in [0, 30, 60, 100, 150, 200, 300, 450] {
        let game = world.running(&format!("killed-{wait}")).await;
        force(&world, &game, 1).await;
        set(&world, &game, "target_engine_version = '1.4.1'").await;
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        world.kill_keeper();
        world.start();
        world.eventually("it is patched", async || version(&world, &game).await == "1.4.1").await;
        world.until(&game, "running", |status| runs(status) && status.reason == "Running").await;
        force(&world, &game, 2).await;
        assert_eq!((generated(&world, &game), world.inits(&game)), (vec![1, 2], 1), "after {wait} ms");
        assert_eq!(
            docker(&["ps", "-q", "--filter", &format!("name={}", container(&game))]).stdout.lines().count(),
            1
        );
        set(&world, &game, "desired_status = 'stopped'").await;
    }
}

/// The longest time that the engine of a game did not answer, from when it was asked for a version
/// until `done`.
async fn downtime(world: &World, game: &str, version: &str, done: impl AsyncFnMut() -> bool) -> f64 {
    let (games, network) = (vec![game.to_owned()], world.network().to_owned());
    let watching = Watching::begin(games, network);
    set(world, game, &format!("target_engine_version = '{version}'")).await;
    world.eventually("it ends", done).await;
    world.until(game, "running", runs).await;
    watching.end().longest().as_secs_f64()
}

#[tokio::test]
async fn what_a_new_engine_wrote_over_the_state_goes_with_it_and_the_downtimes_are_known() {
    let mut world = World::new().with(&["--start-deadline", "6s"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("andromeda").await;
    force(&world, &game, 1).await;
    let directory = world.state_root().join(&game);
    let before = files(&directory);
    world.misbehave(&game, &json!({ "neverHealthy": true, "onlyVersion": "1.4.1" }));
    let mut is_ruined = false;
    let failed = downtime(&world, &game, "1.4.1", async || {
        // What a new engine may do to the state before it dies: overwrite, add, remove.
        let tries = inspect(&game, "{{.Config.Labels}} {{.State.Running}}");
        if !is_ruined && tries.contains("engine-version:1.4.1") && tries.ends_with("true") {
            std::fs::write(directory.join(&game).join("state.json"), "nonsense").unwrap();
            std::fs::write(directory.join(&game).join("left-over"), "more of it").unwrap();
            std::fs::remove_file(directory.join(&game).join("journal.jsonl")).unwrap();
            docker(&["kill", "-s", "KILL", &container(&game)]);
            is_ruined = true;
        }
        failed_patch(&world, &game).await["version"] == "1.4.1" && version(&world, &game).await == "1.4.2"
    })
    .await;
    assert!(is_ruined);
    let mut after = files(&directory);
    after.remove("misbehave.json");
    assert_eq!(after, before);
    force(&world, &game, 2).await;
    assert_eq!((generated(&world, &game), world.inits(&game)), (vec![1, 2], 1));
    world.misbehave(&game, &json!({}));
    set(&world, &game, "patch_generation = patch_generation + 1").await;
    world.eventually("it is patched", async || version(&world, &game).await == "1.4.1").await;
    force(&world, &game, 3).await;
    let worked = downtime(&world, &game, "1.4.2", async || version(&world, &game).await == "1.4.2").await;
    eprintln!("down for {worked:.2} s by a patch that worked, for {failed:.2} s by one that was rolled back");
    // Which of them is the longer depends on how soon the new engine dies.
    assert!(worked > 0.0 && failed > 0.0, "{worked} {failed}");
}

#[tokio::test]
async fn a_new_engine_that_dies_on_its_first_turn_or_never_ends_it_is_rolled_back() {
    let mut world = World::new().with(&["--turn-deadline", "3s"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    // Whose process ended says whether there is such a turn; whose turn hangs cannot be asked any more,
    // so what follows is another history. In both the old engine makes the turn that was asked for.
    for (name, mut how, reason, timeline) in [
        ("dies", json!({ "crashOnTurn": 2, "crashWhen": "during" }), "DiedOnFirstTurn", 1),
        ("hangs", json!({ "hangOnTurn": 2 }), "TurnOverdue", 2),
    ] {
        let game = world.running(name).await;
        force(&world, &game, 1).await;
        how["onlyVersion"] = "1.4.1".into();
        world.misbehave(&game, &how);
        set(&world, &game, "target_engine_version = '1.4.1'").await;
        world.eventually("it is patched", async || version(&world, &game).await == "1.4.1").await;
        world.until(&game, "running", runs).await;
        set(&world, &game, "force_turn_generation = force_turn_generation + 1").await;
        world.eventually("it failed", async || failed_patch(&world, &game).await["reason"] == reason).await;
        world.eventually("it is back", async || version(&world, &game).await == "1.4.2").await;
        world.until(&game, "running", runs).await;
        let query = format!("SELECT timeline FROM runtime_records WHERE game_id = '{game}'");
        assert_eq!(world.count(&query).await, timeline, "{name}");
        let turn = format!("SELECT current_turn FROM runtime_records WHERE game_id = '{game}'");
        world.eventually("turn 2", async || world.count(&turn).await == 2).await;
        assert_eq!((generated(&world, &game), world.inits(&game)), (vec![1, 2], 1), "{name}");
        set(&world, &game, "desired_status = 'stopped'").await;
    }
}
