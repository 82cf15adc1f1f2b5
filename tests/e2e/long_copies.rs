//! Copies that would take for ever, or longer than anybody wants them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{World, exists, inspect, set};

fn own(world: &World, kind: &str, game: &str) -> PathBuf {
    world.state_root().join(".gamekeeper").join(kind).join(game)
}

#[tokio::test]
async fn a_state_with_an_endless_file_is_not_copied_and_everything_says_why() {
    let world = World::started().await;
    let game = world.running("andromeda").await;
    let other = world.running("other").await;
    let endless = std::fs::File::create(world.state_root().join(&game).join("endless")).unwrap();
    endless.set_len(15 << 40).unwrap();
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    let began = Instant::now();
    let refused = world.gk(&["backup", "andromeda", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("endless alone is 15360 GiB"), "{refused:?}");
    // The old engine is not touched for a change of version.
    set(&world, &game, "target_engine_version = '1.4.1'").await;
    let pending = world.until(&game, "it waits", |status| status.message.contains("15360 GiB")).await;
    assert_eq!((pending.phase.as_str(), pending.reason.as_str()), ("running", "PatchPending"));
    set(&world, &game, "target_engine_version = '1.4.2'").await;
    // A turn that wants its copy waits and says why; without that wish it is made.
    set(&world, &game, "backup_before_turn = true, force_turn_generation = 1").await;
    let waits = world.until(&game, "it waits", |status| status.reason == "TurnWaitsForCopy").await;
    assert!(waits.message.contains("15360 GiB"), "{waits:?}");
    set(&world, &game, "backup_before_turn = false").await;
    let turn = format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND current_turn = 1");
    world.eventually("turn 1", async || world.count(&turn).await == 1).await;
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    // Others are copied meanwhile, and a deletion takes it away at once.
    world.ok(&["backup", "other", "--wait"]);
    assert!(exists(&other));
    set(&world, &game, "deletion_policy = 'delete'").await;
    world.ok(&["delete", "andromeda"]);
    world.ok(&["wait", "andromeda", "--for=delete", "--timeout=60s"]);
    assert!(!world.state_root().join(&game).exists());
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_copy_that_nobody_wants_any_more_ends_at_once_and_holds_up_no_deletion() {
    let mut world = World::started().await;
    for verb in ["delete", "stop", "shutdown"] {
        let game = world.running(&format!("large-{verb}")).await;
        // So much that copying takes many seconds.
        let ballast = world.state_root().join(&game).join("ballast");
        std::fs::write(&ballast, vec![7; 512 << 20]).unwrap();
        set(&world, &game, "deletion_policy = 'delete', target_engine_version = '1.4.1'").await;
        let kept = own(&world, "backups", &game);
        let is_copying = || names(&kept).iter().any(|name| name.starts_with(".making-"));
        world.eventually("it is copied", async || is_copying()).await;
        // The request counts, and not how long a client takes to begin.
        let asked = Instant::now();
        match verb {
            "delete" => set(&world, &game, "deletion_requested_at = '2026-01-01T00:00:00Z'").await,
            "stop" => set(&world, &game, "desired_status = 'stopped'").await,
            _ => assert_eq!(world.stop_keeper(), Some(0)),
        }
        if verb != "shutdown" {
            world.eventually("nothing of it is left", async || !is_copying()).await;
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "{verb}: {:?}", asked.elapsed());
        match verb {
            "delete" => {
                world.ok(&["wait", "large-delete", "--for=delete", "--timeout=60s"]);
                assert!(!kept.exists() && !world.state_root().join(&game).exists());
                let conflicts = world.log().matches("other work on this game's copies").count();
                assert_eq!(conflicts, 0, "a removal waits for what was called off");
            }
            "stop" => {
                world.until(&game, "stopped", |status| status.phase == "stopped").await;
                assert!(names(&kept).is_empty(), "no copy was taken");
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_game_on_a_version_that_cannot_initialise_is_taken_to_a_good_one() {
    for (name, how) in [
        ("fails", json!({ "failInit": "before", "onlyVersion": "1.4.2" })),
        ("crashes", json!({ "exitAtStart": 3, "onlyVersion": "1.4.2" })),
    ] {
        let world = World::started().await;
        let id = uuid::Uuid::new_v4().to_string();
        world.misbehave(&id, &how);
        world.game_with_id(&id, name, "1.4.2").await;
        world.until(&id, "it fails", |status| status.failures >= 2).await;
        set(&world, &id, "target_engine_version = '1.4.1'").await;
        let runs = format!(
            "SELECT count(*) FROM runtime_records WHERE game_id = '{id}' AND status = 'running'
                AND current_engine_version = '1.4.1' AND failed_patch IS NULL"
        );
        world.eventually("the good one runs", async || world.count(&runs).await == 1).await;
        assert_eq!(world.inits(&id), 1);
        assert_eq!(world.count("SELECT count(*) FROM operation_log WHERE op = 'rollback'").await, 0);
        assert!(!own(&world, "failed", &id).exists(), "nothing was put back");
        assert!(!world.ok(&["versions", "list"]).contains("halted"));
    }
}
