//! Docker's API is out of reach for a while: a socket that is cut, while the daemon lives.

use crate::cut_socket::CutSocket;
use crate::world::{World, container, docker, inspect};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_docker_is_ridden_out_then_shown_and_recovers_by_itself() {
    let socket = CutSocket::to_docker().await;
    let mut world = World::new().with(&["--docker-host", &socket.host(), "--silence", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("steady").await;
    let life = "{{.Id}} {{.State.StartedAt}}";
    let before = inspect(&game, life);
    let operations = world.operations(&game).await;

    socket.cut().await;
    let status = world.until(&game, "unknown", |s| s.phase == "unknown").await;
    assert_eq!(status.reason, "DockerUnreachable");
    assert!(status.container.is_some(), "last known facts are kept");
    assert_eq!(inspect(&game, life), before, "nothing was done to it");
    socket.restore().await;
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!(inspect(&game, life), before);
    assert_eq!(world.operations(&game).await, operations, "nothing had to be done");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_died_while_docker_was_silent_is_healed_afterwards() {
    let socket = CutSocket::to_docker().await;
    let mut world = World::new().with(&["--docker-host", &socket.host(), "--silence", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("died-unseen").await;
    socket.cut().await;
    docker(&["kill", "-s", "KILL", &container(&game)]);
    world.until(&game, "unknown", |s| s.phase == "unknown").await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    socket.restore().await;
    world.until(&game, "healed", |s| s.phase == "running" && s.restarts == 1).await;
    assert_eq!(world.inits(&game), 1);
}
