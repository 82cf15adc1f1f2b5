//! Restores and rollbacks: what speaks against one is found out while the engine runs, and there is a
//! way out of each that cannot be done.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::world::{World, exists, force, inspect, set};

/// A disk in memory on a directory.
struct Disk(PathBuf);

impl Disk {
    fn on(directory: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&directory).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&directory);
        assert!(mount.status().unwrap().success());
        Self(directory)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn own(world: &World, kind: &str, game: &str) -> PathBuf {
    world.state_root().join(".gamekeeper").join(kind).join(game)
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn backup(world: &World, name: &str) -> String {
    let told = world.ok(&["backup", name, "--wait"]);
    told.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned()
}

/// One byte of the copy is another one.
fn harm(world: &World, game: &str, copy: &str) {
    let ballast = own(world, "backups", game).join(copy).join("state/ballast");
    let mut content = std::fs::read(&ballast).unwrap();
    content[1000] ^= 1;
    std::fs::write(&ballast, content).unwrap();
}

fn ballast(world: &World, game: &str, size: usize) {
    std::fs::write(world.state_root().join(game).join("ballast"), vec![7; size]).unwrap();
}

#[tokio::test]
async fn a_copy_that_cannot_be_put_back_leaves_the_engine_alone_and_a_dry_run_says_no() {
    let mut world = World::new();
    let _disk = Disk::on(world.state_root(), "24m");
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    let game = world.running("andromeda").await;
    ballast(&world, &game, 1 << 20);
    let good = backup(&world, "andromeda");
    let damaged = backup(&world, "andromeda");
    harm(&world, &game, &damaged);
    force(&world, &game, 1).await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    let turn = format!("SELECT current_turn FROM runtime_records WHERE game_id = '{game}'");
    let goes_on = async |place: &str| {
        assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life, "{place}");
        let status = world.status(&game).await;
        assert_eq!((status.phase.as_str(), status.reason.as_str()), ("running", "Running"), "{place}");
        assert_eq!(world.count(&turn).await, 1, "{place}");
    };

    // One byte is another one.
    let tried = world.gk(&["restore", "andromeda", &damaged, "--dry-run"]);
    assert!(tried.code != 0 && tried.stderr.contains("is not what was copied"), "{tried:?}");
    let refused = world.gk(&["restore", "andromeda", &damaged, "--yes", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("is not what was copied"), "{refused:?}");
    goes_on("damaged").await;

    // It went away after it was asked for.
    let gone = backup(&world, "andromeda");
    std::fs::remove_dir_all(own(&world, "backups", &game).join(&gone)).unwrap();
    let asks = format!("restore_backup_id = '{gone}', restore_generation = restore_generation + 1");
    set(&world, &game, &asks).await;
    let refusals = format!(
        "SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND op = 'restore' AND status = 'failed'"
    );
    world.eventually("it is refused", async || world.count(&refusals).await == 2).await;
    goes_on("gone").await;

    // There is no room beside the state.
    let filler = world.state_root().join("filler");
    std::fs::write(&filler, vec![1; 41 << 19]).unwrap();
    let tried = world.gk(&["restore", "andromeda", &good, "--dry-run"]);
    assert!(tried.code != 0 && tried.stderr.contains("there is no room"), "{tried:?}");
    let refused = world.gk(&["restore", "andromeda", &good, "--yes", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("there is no room"), "{refused:?}");
    goes_on("no room").await;
    // Nor for a change of version, which copies the state there and back.
    std::fs::write(&filler, vec![1; 39 << 19]).unwrap();
    set(&world, &game, "target_engine_version = '1.4.1'").await;
    let pending = world.until(&game, "it waits", |status| status.message.contains("there is no room")).await;
    assert_eq!(pending.reason, "PatchPending");
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    let operations = world.operations(&game).await;
    assert!(operations.contains(&"patch failed".to_owned()), "{operations:?}");
    set(&world, &game, "target_engine_version = '1.4.2'").await;
    std::fs::remove_file(&filler).unwrap();

    // With room it is done, and the engine was never touched before.
    world.ok(&["restore", "andromeda", &good, "--dry-run"]);
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    world.ok(&["restore", "andromeda", &good, "--yes", "--wait"]);
    assert_eq!(world.count(&turn).await, 0);
    assert_eq!(names(&own(&world, "restoring", &game)), [""; 0]);
}

#[tokio::test]
async fn a_rollback_whose_copy_was_harmed_has_ways_out() {
    for way_out in ["restore", "unblock", "stop", "delete"] {
        let mut world = World::new().with(&["--start-deadline", "3s"]);
        world.start();
        world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
        world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
        let game = world.running("andromeda").await;
        ballast(&world, &game, 1 << 20);
        let other = backup(&world, "andromeda");
        world.misbehave(&game, &json!({ "neverHealthy": true, "onlyVersion": "1.4.1" }));
        set(&world, &game, "target_engine_version = '1.4.1'").await;
        let kept = own(&world, "backups", &game);
        let copy = || names(&kept).into_iter().find(|name| name.ends_with("-before-1.4.1"));
        world.eventually("it is copied", async || copy().is_some()).await;
        harm(&world, &game, &copy().unwrap());
        let blocked = world.until(&game, "blocked", |status| status.phase == "blocked").await;
        assert_eq!(blocked.reason, "BackupDamaged", "{blocked:?}");
        assert!(!exists(&game));
        std::fs::write(world.state_root().join(&game).join("misbehave.json"), "{}").unwrap();
        let version = format!(
            "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND status = 'running' AND current_engine_version = "
        );
        match way_out {
            "restore" => {
                set(&world, &game, "target_engine_version = '1.4.2'").await;
                world.ok(&["restore", "andromeda", &other, "--yes", "--wait"]);
                assert_eq!(world.count(&format!("{version} '1.4.2'")).await, 1);
            }
            "unblock" => {
                world.ok(&["unblock", "andromeda", "--yes"]);
                let runs = format!("{version} '1.4.1'");
                world.eventually("it goes on", async || world.count(&runs).await == 1).await;
            }
            "stop" => {
                world.ok(&["stop", "andromeda", "--wait", "--timeout", "30s"]);
                // Between two attempts it is shown as stopped, with the reason.
                let told =
                    |status: &crate::world::Status| status.message.contains("could not be put back yet");
                world.until(&game, "told", told).await;
            }
            _ => {
                world.ok(&["delete", "andromeda"]);
                world.ok(&["wait", "andromeda", "--for=delete", "--timeout=60s"]);
            }
        }
    }
}

/// The same numbers as before, after an older database was put back: the copy is put back all the same.
#[tokio::test]
async fn a_restore_by_an_older_database_is_done_again_and_not_taken_for_done() {
    let mut world = World::started().await;
    if world.database.is_postgres() {
        return;
    }
    let game = world.running("andromeda").await;
    let copy = backup(&world, "andromeda");
    force(&world, &game, 1).await;
    world.stop_keeper();
    let files = |place: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().contains(".db")).collect()
    };
    let aside = world.dir.path().join("older");
    std::fs::create_dir(&aside).unwrap();
    for file in files(&world.data_dir()) {
        std::fs::copy(&file, aside.join(file.file_name().unwrap())).unwrap();
    }
    world.start();
    world.ok(&["restore", "andromeda", &copy, "--yes", "--wait"]);
    for turn in 1..=3 {
        force(&world, &game, turn).await;
    }
    world.stop_keeper();
    for file in files(&world.data_dir()) {
        std::fs::remove_file(file).unwrap();
    }
    for file in files(&aside) {
        std::fs::copy(&file, world.data_dir().join(file.file_name().unwrap())).unwrap();
    }
    world.start();
    world.eventually("frozen", async || world.gk(&["status"]).code == 1).await;
    world.ok(&["rebind", "--yes", "--wait"]);
    world.until(&game, "running", |status| status.reason == "Running").await;
    world.ok(&["restore", "andromeda", &copy, "--yes", "--wait"]);
    let turn = format!("SELECT current_turn FROM runtime_records WHERE game_id = '{game}'");
    assert_eq!(world.count(&turn).await, 0);
    force(&world, &game, 1).await;
}
