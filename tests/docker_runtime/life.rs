//! Making, starting, stopping and removing; what the container is made of.

use std::time::{Duration, Instant};

use futures::StreamExt;
use gamekeeper::runtime::docker::EndpointMode;
use gamekeeper::runtime::{ContainerState, LogOptions, Owner, Runtime, RuntimeError};

use crate::world::{World, docker, eventually, health};

#[tokio::test]
async fn a_container_lives_its_life() {
    let world = World::new().prepared().await;
    assert!(world.docker.inspect(world.game).await.expect("an inspect").is_none());

    let begun = Instant::now();
    let id = world.created().await;
    let created = world.seen().await;
    assert_eq!((created.id.clone(), created.owner), (id.clone(), Owner::Game(world.game)));
    assert_eq!((created.state, created.epoch), (ContainerState::Created, Some(7)));
    assert_eq!(created.reachable_at, None);
    assert!(created.token.is_some_and(|token| token.reveal().len() == 64));

    world.docker.start(world.game, &id).await.expect("a start");
    eprintln!("created and started in {:?}", begun.elapsed());
    world.docker.start(world.game, &id).await.expect("a start of what runs");
    let running = world.seen().await;
    assert!(matches!(running.state, ContainerState::Running { .. }));
    assert_eq!(running.network_id, world.docker.network().await.expect("the network"));
    let address = running.reachable_at.expect("an address");
    eventually("the engine is healthy", || health(&address)).await;

    let listed = world.docker.list().await.expect("a list");
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].id.clone(), listed[0].game, listed[0].state.as_str()),
        (id.clone(), world.game, "running")
    );
    assert!(listed[0].address.as_ref().is_some_and(|listed| address.starts_with(listed.as_str())));

    let refused = world.docker.remove(world.game, &id).await;
    assert!(matches!(refused, Err(RuntimeError::Conflict(_))), "{refused:?}");

    let grace = Duration::from_secs(5);
    world.docker.stop(world.game, &id, grace).await.expect("a stop");
    world.docker.stop(world.game, &id, grace).await.expect("a stop of what has ended");
    let exited = world.seen().await;
    assert!(
        matches!(exited.state, ContainerState::Exited { code: 0, out_of_memory: false, .. }),
        "{exited:?}"
    );
    assert_eq!(exited.reachable_at, None);

    world.docker.remove(world.game, &id).await.expect("a removal");
    world.docker.remove(world.game, &id).await.expect("a removal of what is gone");
    world.docker.stop(world.game, &id, grace).await.expect("a stop of what is gone");
    assert!(world.docker.inspect(world.game).await.expect("an inspect").is_none());
    assert_eq!(world.docker.list().await.expect("a list"), []);
    let missing = world.docker.start(world.game, &id).await;
    assert!(matches!(missing, Err(RuntimeError::NotFound(_))), "{missing:?}");
}

#[tokio::test]
async fn engines_cannot_reach_each_other_where_the_mode_allows_it() {
    let world = World::with(|settings| settings.endpoint_mode = EndpointMode::Address).prepared().await;
    let option = "{{index .Options \"com.docker.network.bridge.enable_icc\"}}";
    assert_eq!(docker(&["network", "inspect", "-f", option, world.network()]), "false");
}

#[tokio::test]
async fn a_published_port_is_reached_on_loopback_and_changes_with_each_life() {
    let world = World::with(|settings| settings.endpoint_mode = EndpointMode::Published).prepared().await;
    let running = world.running().await;
    let address = running.reachable_at.expect("an address");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_eq!(running.endpoints.published.as_ref(), Some(&address));
    eventually("the engine is healthy", || health(&address)).await;
}

#[tokio::test]
async fn an_engine_that_ignores_the_request_to_end_is_killed_after_its_grace() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("misbehave.json"), r#"{"ignoreSigterm": true}"#).expect("a file");
    let running = world.running().await;
    let address = running.reachable_at.expect("an address");
    eventually("the engine is healthy", || health(&address)).await;
    world.docker.stop(world.game, &running.id, Duration::from_secs(1)).await.expect("a stop");
    assert!(matches!(world.seen().await.state, ContainerState::Exited { code: 137, .. }));
}

#[tokio::test]
async fn the_log_tail_is_of_this_life_and_bounded() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("misbehave.json"), r#"{"logLinesPerSecond": 2000}"#)
        .expect("a file");
    let id = world.running().await.id;
    let tail = eventually("there is a log", || async {
        let tail = world.docker.log_tail(&id, 100).await.expect("a log");
        (tail.lines().count() == 100).then_some(tail)
    })
    .await;
    assert!(tail.len() <= 16 << 10);
    let three = LogOptions { tail: Some(3), ..LogOptions::default() };
    let chunks = world.docker.log_stream(&id, &three).await.expect("a log");
    assert_eq!(chunks.filter_map(|chunk| async { chunk.ok() }).count().await, 3);

    std::fs::write(world.directory().join("misbehave.json"), r#"{"exitAtStart": 9}"#).expect("a file");
    world.docker.stop(world.game, &id, Duration::from_secs(5)).await.expect("a stop");
    world.docker.start(world.game, &id).await.expect("a start");
    let exited = world.exited().await;
    assert!(matches!(exited.state, ContainerState::Exited { code: 9, .. }), "{:?}", exited.state);
    let last = world.docker.log_tail(&id, 100).await.expect("a log");
    assert!(!last.is_empty() && last.lines().count() < 20, "{last}");
}

#[tokio::test]
async fn creating_and_starting_is_as_fast_as_docker() {
    let world = World::new().prepared().await;
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let id = world.created().await;
        let created = begun.elapsed();
        world.docker.start(world.game, &id).await.expect("a start");
        times.push((created, begun.elapsed() - created));
        world.docker.stop(world.game, &id, Duration::from_secs(5)).await.expect("a stop");
        world.docker.remove(world.game, &id).await.expect("a removal");
    }
    eprintln!("create, start: {times:?}");
}
