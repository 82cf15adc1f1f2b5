//! The whole controller touches nothing: an old database, a disk that is not mounted, another Docker
//! Engine, another database, an operator's word.

use std::path::Path;
use std::process::Command;

use crate::world::{World, container, docker, exists, inspect};

/// A directory that is mounted on another, as a disk would be.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mounted(from: &Path, on: &'a Path) -> Self {
        run("mount", &["--bind", from.to_str().unwrap(), on.to_str().unwrap()]);
        Self(on)
    }

    fn unmount(&self) {
        // Lazily: whoever has something open on it keeps it.
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", self.0.to_str().unwrap()]).output();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?} (this needs root): {output:?}");
}

/// Waits until every game shows this reason, blocked.
async fn until_frozen(world: &World, games: &[String], reason: &str) {
    for game in games {
        let status = world.until(game, reason, |status| status.reason == reason).await;
        assert_eq!(status.phase, "blocked", "{status:?}");
    }
    let told = format!("SELECT count(*) FROM events WHERE kind = 'Controller' AND reason = '{reason}'");
    world.eventually("the controller says so", async || world.count(&told).await >= 1).await;
    let each = format!("SELECT count(*) FROM events WHERE kind = 'Game' AND reason = '{reason}'");
    assert_eq!(world.count(&each).await, 0, "one event speaks for all games");
}

fn lives(games: &[String]) -> Vec<String> {
    games.iter().map(|game| inspect(game, "{{.Id}} {{.State.StartedAt}} {{.State.Running}}")).collect()
}

#[tokio::test]
async fn last_nights_database_put_back_under_running_games_touches_none_of_them() {
    let mut world = World::new().with(&["--lobby-mode", "pull"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let old = world.running("old").await;
    assert_eq!(world.stop_keeper(), Some(0));
    let backup = world.dir.path().join("backup.db");
    std::fs::copy(world.data_dir().join("gamekeeper.db"), &backup).unwrap();
    world.start();
    // The night: one game comes, one is restarted, one is to be stopped.
    let new = world.running("new").await;
    world.sql(&format!("UPDATE games SET restart_generation = 1 WHERE game_id = '{old}'")).await;
    world
        .eventually("restarted", async || {
            world.operations(&old).await.contains(&"restart succeeded".to_owned())
        })
        .await;
    let told = format!("SELECT max(seq) FROM lobby_outbox WHERE game_id = '{old}'");
    let told_that_night = world.count(&told).await;
    let before = lives(&[old.clone(), new.clone()]);
    assert_eq!(world.stop_keeper(), Some(0));
    std::fs::copy(&backup, world.data_dir().join("gamekeeper.db")).unwrap();
    // What the old database asks for would now be wrong.
    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{old}'")).await;

    world.start();
    until_frozen(&world, std::slice::from_ref(&old), "DatabaseOlder").await;
    assert_eq!(lives(&[old.clone(), new.clone()]), before);
    // Crashed engines are not healed, rows are not followed, and a restart does not thaw it.
    docker(&["kill", &container(&new)]);
    world.kill_keeper();
    world.start();
    until_frozen(&world, std::slice::from_ref(&old), "DatabaseOlder").await;
    let kept = std::fs::read_to_string(world.state_root().join(".gamekeeper/high-water")).unwrap();
    assert_eq!(inspect(&new, "{{.State.Running}}"), "false");
    assert_eq!(inspect(&old, "{{.State.Running}}"), "true");
    // The lobby is not told of the past under numbers that it knows.
    assert!(world.count(&told).await < told_that_night);

    // An operator says that this database shall be the truth: then it is followed.
    let ground = format!(
        "UPDATE controller_spec SET rebind_generation = 1, rebind_high_water = {}, rebind_state_root =
            (SELECT instance_id FROM instance), rebind_docker_engine_id = (SELECT docker_engine_id FROM instance)",
        kept.trim()
    );
    world.sql(&ground).await;
    world.until(&old, "stopped", |status| status.phase == "stopped").await;
    // What the lobby is told now goes on beyond what it has been told that night.
    let lowest = format!(
        "SELECT min(seq) FROM lobby_outbox WHERE game_id = '{old}' AND type LIKE '%status-changed%' AND payload LIKE '%Stopped%'"
    );
    assert!(world.count(&lowest).await > told_that_night);
    // What it does not know of is an orphan, and still left alone.
    assert_eq!(inspect(&new, "{{.State.Running}}"), "false");
}

#[tokio::test]
async fn a_database_file_that_is_moved_away_takes_no_write_and_no_engine_is_touched() {
    let world = World::started().await;
    let game = world.running("andromeda").await;
    let before = lives(std::slice::from_ref(&game));
    let file = world.data_dir().join("gamekeeper.db");
    let away = world.data_dir().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    let refused = world.gk(&["stop", "andromeda"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("the database file was replaced"), "{refused:?}");
    let frozen = async || world.gk(&["status"]).stdout.contains("DatabaseReplaced");
    world.eventually("frozen", frozen).await;
    assert_eq!(lives(std::slice::from_ref(&game)), before);

    std::fs::rename(&away, &file).unwrap();
    world.eventually("it goes on", async || !world.gk(&["status"]).stdout.contains("DatabaseReplaced")).await;
    world.ok(&["stop", "andromeda", "--wait", "--timeout", "60s"]);
}

#[tokio::test]
async fn a_state_root_that_is_not_mounted_freezes_and_goes_on_when_it_is_again() {
    let mut world = World::new();
    let disk = world.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let root = world.state_root();
    let mounted = Disk::mounted(&disk, &root);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("on-disk").await;
    let games = [game.clone()];
    let before = lives(&games);

    // While it runs.
    mounted.unmount();
    assert!(!root.join(&game).exists(), "the disk is still there");
    let fresh = world.game("fresh", "1.4.2").await;
    until_frozen(&world, &games, "StateRootMissing").await;
    assert_eq!(lives(&games), before);
    docker(&["kill", &container(&game)]);
    // And at the start.
    world.kill_keeper();
    world.start();
    until_frozen(&world, &[game.clone(), fresh.clone()], "StateRootMissing").await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "something was made below the mount point");

    let mounted = Disk::mounted(&disk, &root);
    for game in [&game, &fresh] {
        world.until(game, "running", |status| status.phase == "running").await;
        assert_eq!(world.inits(game), 1);
    }
    world.stop_keeper();
    drop(mounted);
}

#[tokio::test]
async fn a_state_root_that_docker_would_mount_from_elsewhere_freezes_until_it_is_the_right_one() {
    const REASON: &str = "OtherStateRootInDocker";
    let world = World::new();
    let elsewhere = world.dir.path().join("on-host");
    let mut world =
        world.with(&["--state-root-on-host", elsewhere.to_str().unwrap(), "--relist-interval", "1s"]);
    let root = world.state_root();
    let right = || std::os::unix::fs::symlink(&root, &elsewhere).unwrap();
    // At the first start, mistyped: nothing is made.
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.game("elsewhere", "1.4.2").await;
    let games = [game.clone()];
    until_frozen(&world, &games, REASON).await;
    let message = world.status(&game).await.message;
    assert!(message.contains(elsewhere.to_str().unwrap()) && message.contains("no directory"), "{message}");
    assert!(!elsewhere.exists() && !exists(&game));
    assert!(world.gk(&["status"]).stdout.contains("--state-root-on-host"));
    right();
    world.until(&game, "running", |status| status.phase == "running").await;
    let before = lives(&games);

    // While it runs: a place that has the game's directory, and then a copy of the whole.
    let beside = elsewhere.with_file_name("made-beside");
    let wrong: [(&str, &dyn Fn()); 2] = [
        ("no state root", &|| std::fs::create_dir_all(beside.join(&game)).unwrap()),
        ("a copy of this state root", &|| {
            run("cp", &["-a", root.to_str().unwrap(), beside.to_str().unwrap()]);
        }),
    ];
    for (what, make) in wrong {
        make();
        std::fs::remove_file(&elsewhere).unwrap();
        std::fs::rename(&beside, &elsewhere).unwrap();
        until_frozen(&world, &games, REASON).await;
        // A look in between has found nothing there.
        world.until(&game, what, |status| status.message.contains(what)).await;
        assert_eq!(lives(&games), before, "what runs goes on");
        std::fs::remove_dir_all(&elsewhere).unwrap();
        right();
        world.until(&game, "running", |status| status.phase == "running").await;
    }
    assert_eq!((lives(&games), world.inits(&game)), (before, 1));
}

#[tokio::test]
async fn an_operator_freezes_and_thaws() {
    let world = World::started().await;
    let game = world.running("calm").await;
    world.sql("UPDATE controller_spec SET frozen = true, frozen_because = 'the disk is being moved'").await;
    let games = [game.clone()];
    until_frozen(&world, &games, "FrozenByHand").await;
    assert!(world.status(&game).await.message.contains("the disk is being moved"));
    docker(&["kill", &container(&game)]);
    world.sql(&format!("UPDATE games SET restart_generation = 1 WHERE game_id = '{game}'")).await;
    // A relist passes, and more than the first backoff.
    let epoch = world.count("SELECT count(*) FROM operation_log").await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    assert_eq!(world.count("SELECT count(*) FROM operation_log").await, epoch);
    world.sql("UPDATE controller_spec SET frozen = false").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn another_database_does_not_touch_the_state_root_it_is_pointed_at() {
    let mut world = World::started().await;
    let game = world.running("mine").await;
    let before = lives(std::slice::from_ref(&game));
    assert_eq!(world.stop_keeper(), Some(0));
    std::fs::rename(world.data_dir(), world.dir.path().join("elsewhere")).unwrap();
    // An empty database, with a row of the same game.
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    world.game_with_id(&game, "mine", "1.4.2").await;
    until_frozen(&world, std::slice::from_ref(&game), "StateRootOfAnother").await;
    assert_eq!(lives(std::slice::from_ref(&game)), before);
    assert_eq!(world.inits(&game), 1);
}
