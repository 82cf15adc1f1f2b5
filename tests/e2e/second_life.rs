//! A game that is made again while its former life is still being removed.

use std::path::PathBuf;
use std::process::Command;

use crate::world::{World, exists, force};

/// Something that is mounted in a state, so that it cannot be removed.
struct InTheWay(PathBuf);

impl InTheWay {
    fn of(directory: PathBuf) -> Self {
        std::fs::create_dir_all(&directory).unwrap();
        let mut mount = Command::new("mount");
        assert!(mount.args(["-t", "tmpfs", "none"]).arg(&directory).status().unwrap().success());
        Self(directory)
    }
}

impl Drop for InTheWay {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_game_made_again_while_its_state_is_removed_begins_anew_once_nothing_is_left_of_it() {
    let mut world = World::new().with(&["--deletion-grace", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("phoenix").await;
    world.sql(&format!("UPDATE games SET force_turn_generation = 1 WHERE game_id = '{game}'")).await;
    let turn = |turn: i64, timeline: i64| {
        format!(
            "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND status = 'running' AND current_turn = {turn} AND timeline = {timeline}"
        )
    };
    world.eventually("a turn", async || world.count(&turn(1, 1)).await == 1).await;
    let in_the_way = InTheWay::of(world.state_root().join(&game).join("mounted"));
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{game}'")).await;
    world.sql(&format!("DELETE FROM games WHERE game_id = '{game}'")).await;
    let stuck = world.until(&game, "stuck", |status| status.message.contains("mounted")).await;
    assert!(stuck.message.contains(&format!(".gamekeeper/removed/{game}")), "{stuck:?}");
    assert!(!exists(&game) && !world.state_root().join(&game).exists(), "half of it is nowhere to be seen");

    // Its row comes back, and the controller dies as well.
    world.game_with_id(&game, "phoenix", "1.4.2").await;
    let told = |status: &crate::world::Status| status.failures >= 2 && status.message.contains("mounted");
    world.until(&game, "tried again", told).await;
    world.kill_keeper();
    world.start();
    world.until(&game, "tried again", told).await;
    assert!(!exists(&game) && !world.state_root().join(&game).exists());

    // What was in the way has moved with the directory.
    drop(InTheWay(find(world.state_root().join(".gamekeeper/removed").join(&game), "mounted")));
    world.eventually("a new game", async || world.count(&turn(0, 2)).await == 1).await;
    assert_eq!(world.inits(&game), 1);
    assert!(!world.state_root().join(".gamekeeper/removed").join(&game).exists());
    let operations = world.operations(&game).await;
    assert!(operations.contains(&"delete succeeded".to_owned()), "{operations:?}");
    world.ok(&["force-turn", "phoenix", "--wait", "--timeout=60s"]);
    assert_eq!(world.count(&turn(1, 2)).await, 1);
    std::mem::forget(in_the_way);
}

/// The path of this name, somewhere in a directory.
fn find(within: PathBuf, name: &str) -> PathBuf {
    let mut waiting = vec![within];
    while let Some(path) = waiting.pop() {
        if path.file_name().is_some_and(|it| it == name) {
            return path;
        }
        let inner = path.is_dir().then(|| std::fs::read_dir(&path).unwrap()).into_iter().flatten();
        waiting.extend(inner.map(|entry| entry.unwrap().path()));
    }
    panic!("no {name}");
}

#[tokio::test]
async fn a_deleted_game_that_was_let_go_of_goes_on_from_its_record_when_it_is_made_again() {
    let mut world = World::new().with(&["--deletion-grace", "1s", "--deletion-window", "2s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let (kept, gone) = (world.running("kept").await, world.running("gone").await);
    for game in [&kept, &gone] {
        force(&world, game, 1).await;
    }
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{gone}'")).await;
    world.sql("DELETE FROM games").await;
    for game in [&kept, &gone] {
        let is_told = |line: &str| line.contains("is let go of") && line.contains(game.as_str());
        world.eventually("it is let go of", async || world.log().lines().any(is_told)).await;
    }
    world.game_with_id(&kept, "kept", "1.4.2").await;
    world.game_with_id(&gone, "gone", "1.4.2").await;
    // With its state it is the same history; without, another one begins.
    for (game, timeline, turn) in [(&kept, 1, 1), (&gone, 2, 0)] {
        let query = format!(
            "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND status = 'running'
                AND timeline = {timeline} AND current_turn = {turn}"
        );
        world.eventually("it goes on", async || world.count(&query).await == 1).await;
    }
    force(&world, &kept, 2).await;
    force(&world, &gone, 1).await;
    assert_eq!((world.inits(&kept), world.inits(&gone)), (1, 1));
}
