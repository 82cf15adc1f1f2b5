//! The stream of events, and what an interruption does to it.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use gamekeeper::game::GameId;
use gamekeeper::runtime::{Runtime, RuntimeEvent};

use crate::cut_socket::CutSocket;
use crate::meddler::{Meddler, Meddling};
use crate::world::{World, docker};

/// Reads until this event; gives what came before it.
async fn until(
    events: &mut BoxStream<'static, RuntimeEvent>,
    game: Option<GameId>,
    action: &str,
) -> Vec<RuntimeEvent> {
    let mut before = Vec::new();
    let search = async {
        while let Some(event) = events.next().await {
            if event.game == game && event.action == action {
                return;
            }
            before.push(event);
        }
        panic!("the stream ended");
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect("the event within 20 s");
    before
}

#[tokio::test]
async fn what_happens_to_a_container_is_told_at_once_and_other_instances_are_not_heard() {
    let world = World::new().prepared().await;
    let other = World::new().prepared().await;
    let mut events = world.docker.events();
    until(&mut events, None, "connected").await;
    other.running().await;
    let id = world.running().await.id;
    let before = until(&mut events, Some(world.game), "start").await;
    let ours = |event: &RuntimeEvent| event.game == Some(world.game) || event.container.as_ref() == Some(&id);
    assert!(before.iter().all(ours), "{before:?}");
    assert!(before.iter().any(|event| event.action == "connect"), "{before:?}");
    docker(&["kill", id.as_str()]);
    until(&mut events, Some(world.game), "die").await;
    world.docker.remove(world.game, &id).await.expect("a removal");
    until(&mut events, Some(world.game), "destroy").await;
}

#[tokio::test]
async fn after_an_interruption_everything_is_looked_at_and_what_was_missed_is_told() {
    let socket = CutSocket::to_docker().await;
    let host = socket.host();
    let world = World::with(|settings| settings.host = Some(host)).prepared().await;
    let mut events = world.docker.events();
    until(&mut events, None, "connected").await;
    let id = world.running().await.id;
    until(&mut events, Some(world.game), "start").await;

    socket.cut().await;
    until(&mut events, None, "disconnected").await;
    docker(&["kill", id.as_str()]);
    assert!(world.docker.list().await.is_err(), "the socket is cut");

    socket.restore().await;
    until(&mut events, None, "connected").await;
    until(&mut events, Some(world.game), "die").await;
    assert_eq!(world.docker.list().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn a_stream_nobody_reads_any_more_ends_its_task() {
    let socket = CutSocket::to_docker().await;
    let host = socket.host();
    let world = World::with(|settings| settings.host = Some(host));
    let events = world.docker.events();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let with = tasks();
    drop(events);
    crate::world::eventually("the task ends", || async move { (tasks() < with).then_some(()) }).await;
}

#[tokio::test]
async fn a_receiver_that_is_too_slow_for_a_flood_is_told_that_events_were_lost() {
    let meddler = Meddler::before_docker();
    let host = meddler.host();
    let world = World::with(|settings| settings.host = Some(host)).prepared().await;
    let mut events = world.docker.events();
    until(&mut events, None, "connected").await;
    let flood = meddler.meddle_with_events(Meddling::Repeat(4_000));
    world.created().await;
    flood.sprung().await;
    // The slow receiver: many times longer than the flood takes to come in.
    tokio::time::sleep(Duration::from_secs(2)).await;
    meddler.clear();
    let before = until(&mut events, None, "overflow").await;
    assert!(before.len() < 4_000, "nothing was lost");
    // And the stream goes on.
    docker(&["rm", &world.container_name()]);
    until(&mut events, Some(world.game), "destroy").await;
}
