//! Connections that die without a word, all at once, while the server is there for new ones.

use std::time::{Duration, Instant};

use gamekeeper::store::Store;

use crate::changes::by_a_router;
use crate::chaos::readiness;
use crate::cluster::Cluster;
use crate::world::{World, container, docker};

/// Within this time everything works again: an answer that does not come is given up after twelve
/// seconds, what its transaction held is let go by the server after five.
const RECOVERED: Duration = Duration::from_secs(30);

/// A process that is told to end does so within this time, whatever the database does.
const ENDED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_may_fall_silent_and_the_leader_goes_on() {
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (way, routed, direct) = by_a_router(&cluster, dir.path()).await;
    let mut world = World::on(routed);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("one").await;
    for round in 1..=2 {
        // It is busy when they fall silent, and idle.
        if round == 2 {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let restart =
            format!("UPDATE games SET restart_generation = restart_generation + 1 WHERE game_id = '{game}'");
        direct.sql(&restart).await;
        way.silence();
        let silent = Instant::now();
        docker(&["kill", &container(&game)]);
        let mut slowest = Duration::ZERO;
        loop {
            let asked = Instant::now();
            let answered = world.gk(&["get", "games"]).code == 0;
            slowest = slowest.max(asked.elapsed());
            if answered {
                break;
            }
            assert!(silent.elapsed() < RECOVERED, "the API does not answer\n{}", world.log());
        }
        let answered = silent.elapsed();
        let done = format!(
            "SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND op = 'restart' AND status = 'succeeded'"
        );
        while direct.count(&done).await < round || world.status(&game).await.phase != "running" {
            assert!(silent.elapsed() < RECOVERED, "it does not go on\n{}", world.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let went_on = silent.elapsed();
        eprintln!("answered after {answered:?} (slowest {slowest:?}), went on after {went_on:?}");
    }
    assert_eq!(direct.count("SELECT epoch FROM leases").await, 1, "the lead is kept");
    assert_eq!(world.inits(&game), 1);
    // Everything is silent, and stays so for new connections too.
    way.silence();
    way.hang();
    let told = Instant::now();
    world.stop_keeper();
    assert!(told.elapsed() < ENDED, "{:?}", told.elapsed());
    way.restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lead_to_a_silent_database_is_not_ready_until_that_answers() {
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (way, routed, _) = by_a_router(&cluster, dir.path()).await;
    let mut world = World::on(routed);
    world.start();
    let kubeconfig = world.data_dir().join("kubeconfig");
    let ready = async || readiness(&kubeconfig).await.expect("it answers");
    assert!(ready().await.0);
    way.silence();
    way.hang();
    let silent = Instant::now();
    let mut said = None;
    // It has lost the lead, and stands by: the first question of a candidate is given up after twelve seconds.
    while silent.elapsed() < RECOVERED {
        let (is_ready, why) = ready().await;
        if said.is_some() || silent.elapsed() > ENDED {
            assert!(!is_ready && why.contains("database"), "after {:?}: {why}", silent.elapsed());
        }
        if !is_ready {
            said.get_or_insert(silent.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.log().contains("the lead is lost"), "{}", world.log());
    way.restore().await;
    let restored = Instant::now();
    while !ready().await.0 {
        assert!(restored.elapsed() < RECOVERED, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_at_all_is_told_within_seconds() {
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (way, routed, direct) = by_a_router(&cluster, dir.path()).await;
    direct.open().await;
    way.hang();
    let asked = Instant::now();
    let place = routed.place();
    let (opened, examined) = tokio::join!(Store::open(&place), Store::examine(&place));
    assert!(asked.elapsed() < ENDED, "{:?}", asked.elapsed());
    for told in [format!("{:?}", opened.unwrap_err()), format!("{:?}", examined.unwrap_err())] {
        assert!(told.contains("did not answer in time"), "{told}");
    }
    way.restore().await;
}
