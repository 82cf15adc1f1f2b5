//! What needs a person: state that is gone, half-made or older, a directory that another has.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::world::{Status, World, container, docker, exists, inspect};

async fn until_blocked(world: &World, game: &str, reason: &str) -> Status {
    let status =
        world.until(game, reason, |status| status.phase == "blocked" && status.reason == reason).await;
    assert!(!status.message.is_empty());
    status
}

/// How often an initialisation came true, by the engine's own journal.
fn done(world: &World, game: &str) -> usize {
    world.journal(game).iter().filter(|line| line["event"] == "init-done").count()
}

async fn unblock(world: &World, game: &str) {
    world
        .sql(&format!(
            "UPDATE games SET unblock_generation = unblock_generation + 1 WHERE game_id = '{game}'"
        ))
        .await;
}

async fn count_of(world: &World, game: &str, op: &str) -> i64 {
    world.count(&format!("SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND op = '{op}'")).await
}

/// A container of somebody else's that has the game's state directory.
struct Rival(String);

impl Rival {
    fn on(world: &World, game: &str) -> Self {
        let name = format!("rival-{game}");
        let mount = format!("type=bind,source={},target=/data", world.state_root().join(game).display());
        let id = format!("GAME_ID={game}");
        let environment = ["-e", "GAME_STATE_PATH=/data/rival", "-e", &id, "-e", "GAME_ADMIN_TOKEN=x"];
        let mut arguments = vec!["run", "-d", "--user", "0", "--name", &name, "--mount", &mount];
        arguments.extend(environment);
        arguments.push("gamekeeper/reference-engine:1.4.2");
        let ran = docker(&arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        Self(name)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

/// A process that has the game's state directory in a mount namespace of its own, as an engine has, and
/// that Docker knows nothing of. Needs root.
struct Stray(Child);

impl Stray {
    fn on(world: &World, game: &str) -> Self {
        let place = world.data_dir().join("stray");
        std::fs::create_dir(&place).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount --bind \"$0\" \"$1\" && echo there && exec sleep 600"]);
        command.arg(world.state_root().join(game)).arg(&place).stdout(Stdio::piped());
        let mut stray = Self(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(stray.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "there\n", "mounting needs root; run this test as root");
        stray
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two relists pass.
async fn relists(world: &World) {
    let seen = world.log().matches("looked at everything").count();
    world
        .eventually("two relists", async || world.log().matches("looked at everything").count() >= seen + 2)
        .await;
}

#[tokio::test]
async fn state_that_vanishes_under_a_living_engine_is_reported_and_nothing_is_touched() {
    let world = World::started().await;
    let game = world.running("bereft").await;
    let started = inspect(&game, "{{.State.StartedAt}}");
    let (here, away) = (world.state_root().join(&game), world.dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    until_blocked(&world, &game, "StateMissing").await;
    // Stopping it would end what may be the last copy.
    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
    relists(&world).await;
    assert_eq!(inspect(&game, "{{.State.StartedAt}} {{.State.Running}}"), format!("{started} true"));
    assert!(!here.exists(), "made in its place");
    // It comes back, and what was asked for is done.
    std::fs::rename(&away, &here).unwrap();
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_game_whose_state_is_gone_is_never_begun_anew() {
    let mut world = World::started().await;
    let game = world.running("bereft").await;
    let here = world.state_root().join(&game);
    let away = world.dir.path().join("away");
    world.kill_keeper();
    std::fs::rename(&here, &away).unwrap();
    docker(&["kill", &container(&game)]);
    world.start();
    until_blocked(&world, &game, "StateMissing").await;
    assert!(!here.exists() && inspect(&game, "{{.State.Running}}") == "false");
    // An empty directory in its place is no state either.
    std::fs::create_dir(&here).unwrap();
    relists(&world).await;
    until_blocked(&world, &game, "StateMissing").await;
    // Nor does a person's word make it so.
    unblock(&world, &game).await;
    relists(&world).await;
    until_blocked(&world, &game, "StateMissing").await;
    assert_eq!(std::fs::read_dir(&here).unwrap().count(), 0);
    std::fs::remove_dir(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn an_engine_that_denies_its_game_is_not_initialised_again() {
    let world = World::started().await;
    let game = world.running("amnesiac").await;
    world.misbehave(&game, &json!({ "denyGame": true }));
    until_blocked(&world, &game, "StateMissing").await;
    relists(&world).await;
    assert_eq!(world.inits(&game), 1);
    world.misbehave(&game, &json!({}));
    world.until(&game, "running", |status| status.phase == "running").await;
}

#[tokio::test]
async fn an_initialisation_that_left_traces_and_no_game_waits_for_a_person() {
    let world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "crashInit": "during", "crashInitTimes": 1 }));
    world.game_with_id(&game, "torn", "1.4.2").await;
    until_blocked(&world, &game, "PartialInit").await;
    assert_eq!((world.inits(&game), done(&world, &game)), (1, 0), "the fault did not happen");
    relists(&world).await;
    until_blocked(&world, &game, "PartialInit").await;
    assert_eq!(world.inits(&game), 1, "sent again");
    unblock(&world, &game).await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(done(&world, &game), 1);
}

#[tokio::test]
async fn files_that_an_engine_makes_before_it_is_told_are_no_traces() {
    let world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    // The first answer is an error without effect.
    world.misbehave(&game, &json!({ "earlyFiles": true, "failInit": "before" }));
    world.game_with_id(&game, "early", "1.4.2").await;
    let failed = format!(
        "SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND status = 'failed' AND error_code LIKE 'Init%'"
    );
    world.eventually("an initialisation fails", async || world.count(&failed).await >= 1).await;
    world.misbehave(&game, &json!({ "earlyFiles": true }));
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn an_engine_at_an_earlier_turn_waits_for_a_person() {
    let world = World::started().await;
    let game = world.running("older").await;
    world.sql(&format!("UPDATE runtime_records SET current_turn = 7 WHERE game_id = '{game}'")).await;
    let mut world = world;
    world.kill_keeper();
    world.start();
    until_blocked(&world, &game, "TurnWentBack").await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "true");
    unblock(&world, &game).await;
    world.until(&game, "running", |status| status.phase == "running").await;
    let timeline =
        world.count(&format!("SELECT timeline FROM runtime_records WHERE game_id = '{game}'")).await;
    assert_eq!(timeline, 2, "another history of the game");
}

#[tokio::test]
async fn a_directory_that_another_container_has_is_left_to_it() {
    let world = World::started().await;
    let game = world.running("shared").await;
    let rival = Rival::on(&world, &game);
    docker(&["kill", &container(&game)]);
    let status = until_blocked(&world, &game, "DirectoryInUse").await;
    assert!(status.message.contains(&rival.0), "{}", status.message);
    let heals = count_of(&world, &game, "heal").await;
    relists(&world).await;
    until_blocked(&world, &game, "DirectoryInUse").await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    assert_eq!(count_of(&world, &game, "heal").await, heals, "a new attempt at every look");
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &rival.0]).stdout.trim(), "true");
    drop(rival);
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_deletion_leaves_a_directory_that_another_container_has() {
    let world = World::started().await;
    let game = world.running("shared").await;
    let directory = world.state_root().join(&game);
    let rival = Rival::on(&world, &game);
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{game}'")).await;
    world.request_deletion(&game).await;
    let status = world.until(&game, "blocked", |status| status.reason == "DirectoryInUse").await;
    let there = directory.join(&game).is_dir();
    drop(rival);
    assert!(status.phase == "blocked" && there, "{status:?}");
    world.eventually("the deletion goes on", async || !directory.exists() && !exists(&game)).await;
}

#[tokio::test]
async fn a_state_that_a_process_has_unknown_to_docker_is_left_to_it_until_it_ends() {
    let world = World::started().await;
    let game = world.running("outlived").await;
    let stray = Stray::on(&world, &game);
    docker(&["kill", &container(&game)]);
    let status = until_blocked(&world, &game, "StateInUse").await;
    assert!(status.message.contains(&format!("process {} (`sleep`", stray.0.id())), "{}", status.message);
    let explained = world.ok(&["explain", "outlived"]);
    assert!(explained.contains("StateInUse") && explained.contains("kill PID"), "{explained}");
    let mut doctor = world.command(&["doctor", "--state-root", &world.state_root().display().to_string()]);
    let examined = doctor.args(world.database.arguments()).output().unwrap();
    let examined = String::from_utf8_lossy(&examined.stdout).into_owned();
    let named = format!("process {} (`sleep`) has the state of game {game}", stray.0.id());
    assert!(examined.contains(&named), "{examined}");
    // Neither is it started nor, when somebody removed it, made anew.
    let heals = count_of(&world, &game, "heal").await;
    relists(&world).await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    assert_eq!(count_of(&world, &game, "heal").await, heals, "a new attempt at every look");
    docker(&["rm", &container(&game)]);
    relists(&world).await;
    until_blocked(&world, &game, "StateInUse").await;
    assert!(!exists(&game));
    drop(stray);
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_deletion_waits_for_a_process_that_would_outlive_its_game() {
    let world = World::started().await;
    let game = world.running("outlived").await;
    let stray = Stray::on(&world, &game);
    world.request_deletion(&game).await;
    // Its engine is stopped; the container stays, for whoever looks into what has the state.
    until_blocked(&world, &game, "StateInUse").await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    docker(&["rm", &container(&game)]);
    relists(&world).await;
    until_blocked(&world, &game, "StateInUse").await;
    drop(stray);
    let rows = format!("SELECT count(*) FROM games WHERE game_id = '{game}'");
    world.eventually("the deletion goes on", async || world.count(&rows).await == 0).await;
    assert!(world.state_root().join(&game).join(&game).is_dir(), "its policy is to retain the state");
}
