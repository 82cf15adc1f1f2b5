//! Another Docker Engine answers where the games' one did. The tests have a dockerd of their own, for
//! which they need root.

use serde_json::json;

use crate::cut_socket::CutSocket;
use crate::meddler::{Action, Call, Meddler, When};
use crate::second_docker::SecondDocker;
use crate::world::{World, inspect};

const LIFE: &str = "{{.Id}} {{.State.StartedAt}} {{.State.Running}}";

async fn until_frozen(world: &World, game: &str) {
    let status = world.until(game, "frozen", |status| status.reason == "OtherDocker").await;
    assert_eq!(status.phase, "blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_docker_engine_freezes_until_the_right_one_answers_again() {
    let other = SecondDocker::running(&[]);
    let mut socket = CutSocket::to_docker().await;
    let mut world = World::new().with(&["--docker-host", &socket.host(), "--relist-interval", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("settled").await;
    let life = inspect(&game, LIFE);

    // In the middle of its life.
    socket.cut().await;
    let right = socket.lead_to(other.socket());
    socket.restore().await;
    until_frozen(&world, &game).await;
    let fresh = world.game("fresh", "1.4.2").await;
    until_frozen(&world, &fresh).await;
    // And at its start.
    world.kill_keeper();
    world.sql("UPDATE runtime_records SET reason = 'Running', status = 'running'").await;
    world.start();
    until_frozen(&world, &game).await;
    assert_eq!(other.docker(&["ps", "-aq"]), "", "something was made at the other Docker Engine");
    assert_eq!(inspect(&game, LIFE), life);

    socket.cut().await;
    socket.lead_to(right);
    socket.restore().await;
    for game in [&game, &fresh] {
        world.until(game, "running", |status| status.phase == "running").await;
        assert_eq!(world.inits(game), 1);
    }
    assert_eq!(inspect(&game, LIFE), life);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliberate_move_to_another_docker_engine_is_confirmed_once() {
    let other = SecondDocker::running(&[]);
    other.give("gamekeeper/reference-engine:1.4.2");
    let mut socket = CutSocket::to_docker().await;
    let mut world = World::new().with(&["--docker-host", &socket.host(), "--relist-interval", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("moves").await;
    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    socket.cut().await;
    socket.lead_to(other.socket());
    socket.restore().await;
    until_frozen(&world, &game).await;
    world.ok(&["rebind", "--yes", "--wait"]);
    world.sql(&format!("UPDATE games SET desired_status = 'running' WHERE game_id = '{game}'")).await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1, "its state moved with it");
    assert_eq!(other.docker(&["ps", "-q"]).lines().count(), 1);
    world.ok(&["stop", "moves", "--now", "--wait"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_engine_that_does_not_say_who_it_is_is_not_believed() {
    let other = SecondDocker::running(&[]);
    other.give("gamekeeper/reference-engine:1.4.2");
    let meddler = Meddler::before(other.socket());
    let nameless = meddler.set(When::call(Call::Info), Action::Respond(500, json!({ "message": "busy" })));
    let mut socket = CutSocket::to_docker().await;
    let mut world = World::new().with(&["--docker-host", &socket.host(), "--relist-interval", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("settled").await;
    let life = inspect(&game, LIFE);
    socket.cut().await;
    let right = socket.lead_to(meddler.host().trim_start_matches("unix://"));
    socket.restore().await;
    world.until(&game, "unknown", |status| status.phase == "unknown").await;
    assert!(nameless.times() > 0, "the fault did not happen");
    assert_eq!(other.docker(&["ps", "-aq"]), "", "something was made at the other Docker Engine");
    socket.cut().await;
    socket.lead_to(right);
    socket.restore().await;
    world.until(&game, "running", |status| status.phase == "running").await;
    let status = world.status(&game).await;
    assert_eq!((inspect(&game, LIFE), status.restarts), (life, 0));
}
