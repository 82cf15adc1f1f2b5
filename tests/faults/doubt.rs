//! Docker says at a start that a process of the container may be alive, and its host cannot be asked.

use std::path::PathBuf;

use serde_json::json;
use tokio::net::{TcpListener, UnixStream};

use crate::ground::{NOTHING, containers, want};
use crate::meddler::{Action, Call, Meddler, When};
use crate::world::{World, container, docker, inspect};

/// A socket of this host's by TCP, as on another host: whose processes are not seen.
async fn by_tcp(socket: String) -> (String, tokio::task::JoinHandle<()>) {
    let socket = PathBuf::from(socket.trim_start_matches("unix://"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let forwarding = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let Ok(mut upstream) = UnixStream::connect(socket).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    (address, forwarding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_may_be_alive_is_followed_by_no_other_until_a_person_removes_it() {
    let meddler = Meddler::before_docker();
    let (address, forwarding) = by_tcp(meddler.host()).await;
    let often = ["--relist-interval", "1s", "--backoff-longest", "2s"];
    let mut world = World::new().with(&["--docker-host", &address]).with(&often);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("undead").await;
    let first = containers(&game);
    let words = json!({"message": "id already in use"});
    let alive = meddler.set(When::call(Call::Start).about(&first[0]), Action::Respond(500, words));
    docker(&["kill", "-s", "KILL", &container(&game)]);
    let is_blocked = |s: &crate::world::Status| s.phase == "blocked" && s.reason == "StateInUse";
    world.until(&game, "blocked", is_blocked).await;
    let before = meddler.done();

    // Another controller knows it, too.
    world.kill_keeper();
    world.start();
    world.sql(&format!("UPDATE games SET restart_generation = 1 WHERE game_id = '{game}'")).await;
    let restarts = format!(
        "SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND op = 'restart' AND status = 'failed'"
    );
    world.eventually("the restart is refused", async || world.count(&restarts).await == 1).await;
    want(&world, &game, "stopped").await;
    let status =
        world.until(&game, "not stopped", |s| is_blocked(s) && s.message.contains("`docker rm")).await;
    assert!(status.message.contains(&first[0][..12]), "{status:?}");
    // Docker says something else at the next start, which proves nothing.
    alive.let_go();
    let words = json!({"message": "failed to create task: ttrpc: closed"});
    let fails = meddler.set(When::call(Call::Start).about(&first[0]), Action::Respond(500, words));
    want(&world, &game, "running").await;
    fails.sprung_times(2).await;
    assert_eq!((meddler.done() - before, containers(&game)), (NOTHING, first.clone()));
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");

    docker(&["rm", &first[0]]);
    world.until(&game, "made anew", |s| s.phase == "running").await;
    assert_ne!(containers(&game), first);
    assert_eq!(world.inits(&game), 1);
    forwarding.abort();
}
