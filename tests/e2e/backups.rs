//! Copies of the state: on demand, before turns, too many of them, and what becomes of them with the game.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{World, force, inspect, set};

/// Where copies of a game are kept, or what was moved aside.
fn own(world: &World, kind: &str, game: &str) -> PathBuf {
    world.state_root().join(".gamekeeper").join(kind).join(game)
}

/// The names in a directory, in order; none where there is no such directory.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file below a directory with its content.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path());
            found.extend(below.into_iter().map(|(path, content)| (format!("{name}/{path}"), content)));
        } else {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// What a start alone does not write.
fn state(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(directory);
    files.retain(|name, _| !name.ends_with(".jsonl") && !name.ends_with("engine.lock"));
    files
}

#[tokio::test]
async fn a_copy_on_demand_of_a_running_and_of_a_stopped_game_is_restored_byte_for_byte() {
    let world = World::started().await;
    let game = world.running("andromeda").await;
    let place = world.state_root().join(&game);
    force(&world, &game, 1).await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    let before = state(&place);
    let told = world.ok(&["backup", "andromeda", "--wait"]);
    let running = told.lines().last().unwrap().strip_prefix("game/andromeda copied as ").unwrap().to_owned();
    assert!(running.ends_with("-demand-1"), "{told}");
    assert_eq!(names(&own(&world, "backups", &game)), [running.as_str()]);
    assert_eq!(state(&own(&world, "backups", &game).join(&running).join("state")), before);
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life, "the engine went on");

    force(&world, &game, 2).await;
    world.ok(&["stop", "andromeda", "--wait"]);
    let (stopped, all) = (state(&place), files(&place));
    let told = world.ok(&["backup", "andromeda", "--wait"]);
    let second = told.lines().last().unwrap().strip_prefix("game/andromeda copied as ").unwrap().to_owned();
    assert!(second.ends_with("-demand-2"), "{told}");
    assert_eq!(files(&own(&world, "backups", &game).join(&second).join("state")), all, "whole");
    assert_eq!(world.status(&game).await.phase, "stopped");

    // Restored, each is there again, byte for byte.
    for (copy, wanted) in [(&running, &before), (&second, &stopped)] {
        world.ok(&["restore", "andromeda", copy, "--yes", "--wait"]);
        assert_eq!(&state(&place), wanted, "{copy}");
    }
    world.ok(&["start", "andromeda", "--wait"]);
    force(&world, &game, 3).await;
    let operations = world.operations(&game).await;
    assert_eq!(
        operations.iter().filter(|operation| *operation == "backup succeeded").count(),
        2,
        "{operations:?}"
    );
    assert!(!operations.iter().any(|operation| operation.ends_with("running")), "{operations:?}");

    // A game without state has nothing to copy, and says so.
    let file = world.file(
        "empty.yaml",
        "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: empty }\nspec: { desiredStatus: Stopped }\n",
    );
    world.ok(&["apply", "-f", &file]);
    world.ok(&["wait", "empty"]);
    let refused = world.gk(&["backup", "empty", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("the game has no state yet"), "{refused:?}");
}

#[tokio::test]
async fn each_turn_has_a_copy_before_it_and_of_each_reason_the_latest_are_kept() {
    let mut world = World::new().with(&["--keep-backups", "2"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("andromeda").await;
    set(&world, &game, "target_engine_version = '1.4.1'").await;
    let version = format!(
        "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND current_engine_version = '1.4.1' AND status = 'running'"
    );
    world.eventually("it is patched", async || world.count(&version).await == 1).await;
    world.ok(&["backup", "andromeda", "--wait"]);
    set(&world, &game, "backup_before_turn = true").await;
    let place = world.state_root().join(&game);
    for turn in 1..=4 {
        let before = state(&place);
        force(&world, &game, turn).await;
        let kept = names(&own(&world, "backups", &game));
        let copy = kept.iter().find(|name| name.ends_with(&format!("-before-turn-{turn}")));
        let copy = copy.unwrap_or_else(|| panic!("turn {turn} without its copy: {kept:?}"));
        assert_eq!(state(&own(&world, "backups", &game).join(copy).join("state")), before, "turn {turn}");
    }
    // What is too much goes after the copy, and nobody waits for it.
    let kept = ["-before-1.4.1", "-demand-1", "-before-turn-3", "-before-turn-4"];
    world
        .eventually("what is too much is gone", async || {
            let names = names(&own(&world, "backups", &game));
            names.iter().map(|name| &name["20261123T180000000Z-00000000".len()..]).eq(kept)
        })
        .await;
    // What the copies before turns did not push out is what a rollback needs.
    world.ok(&["rollback", "andromeda", "--yes", "--wait"]);
    // What is aside goes by the same numbers, with the next copy.
    for copy in 1..=3 {
        let told = world.ok(&["backup", "andromeda", "--wait"]);
        let name = told.lines().last().unwrap().strip_prefix("game/andromeda copied as ").unwrap();
        world.ok(&["restore", "andromeda", name, "--yes", "--wait"]);
        world
            .eventually(&format!("few are aside after {copy}"), async || {
                names(&own(&world, "failed", &game)).len() <= 3
            })
            .await;
    }
    world.ok(&["backup", "andromeda", "--wait"]);
    world.eventually("two are aside", async || names(&own(&world, "failed", &game)).len() == 2).await;
}

/// A disk in memory of one MiB on a directory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn on(directory: PathBuf) -> Self {
        std::fs::create_dir_all(&directory).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&directory);
        assert!(mount.status().unwrap().success());
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn without_room_for_its_copy_a_turn_waits_and_says_so_until_there_is_room() {
    let mut world = World::new().with(&["--backoff-longest", "5s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("andromeda").await;
    std::fs::write(world.state_root().join(&game).join("ballast"), vec![7; 4 << 20]).unwrap();
    let disk = SmallDisk::on(world.state_root().join(".gamekeeper/backups"));
    set(&world, &game, "backup_before_turn = true, force_turn_generation = 1").await;
    let waits = world.until(&game, "it waits", |status| status.reason == "TurnWaitsForCopy").await;
    assert!(waits.message.contains("there is no room for a copy of the state"), "{}", waits.message);
    assert_eq!(waits.phase, "running");
    let late = world.ok(&["get", "andromeda", "-o", "json"]);
    assert!(late.contains("\"TurnsOnTime\"") && late.contains("\"NoRoom\""), "{late}");
    // Nobody waits for a copy on demand that has no room either; and a pause calls the turn off.
    world.ok(&["pause", "andromeda", "--wait"]);
    let refused = world.gk(&["backup", "andromeda", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("no room for a copy"), "{refused:?}");
    let turn = format!("SELECT current_turn FROM runtime_records WHERE game_id = '{game}'");
    assert_eq!(world.count(&turn).await, 0);
    drop(disk);
    world.ok(&["resume", "andromeda", "--wait"]);
    force(&world, &game, 1).await;
    assert!(names(&own(&world, "backups", &game)).iter().any(|name| name.ends_with("-before-turn-1")));
    world.until(&game, "running", |status| status.reason == "Running").await;
}

#[tokio::test]
async fn a_deletion_takes_the_copies_along_or_keeps_them_by_policy() {
    let world = World::started().await;
    for (name, policy, stays) in [("kept", "retain", true), ("gone", "delete", false)] {
        let game = world.running(name).await;
        let told = world.ok(&["backup", name, "--wait"]);
        let copy = told.lines().last().unwrap().rsplit(' ').next().unwrap();
        world.ok(&["restore", name, copy, "--yes", "--wait"]);
        assert_eq!(
            (names(&own(&world, "backups", &game)).len(), names(&own(&world, "failed", &game)).len()),
            (1, 1)
        );
        set(&world, &game, &format!("deletion_policy = '{policy}'")).await;
        world.ok(&["delete", name]);
        world.ok(&["wait", name, "--for=delete", "--timeout=60s"]);
        for kind in ["backups", "failed"] {
            assert_eq!(own(&world, kind, &game).exists(), stays, "{name}: {kind}");
        }
        assert_eq!(world.state_root().join(&game).exists(), stays, "{name}");
    }
}
