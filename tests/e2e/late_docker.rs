//! Docker is slow: what it says late takes the place of nothing that was said since.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gamekeeper::controller::Limits;

use crate::crowd::world::{Crowd, Docker};

/// Waits until this is so.
async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_is_asked_for_while_docker_is_slow_is_not_lifted_by_the_look_that_was_under_way() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 3, Limits::default(), Duration::from_secs(1)).await;
    docker.lists.send_replace(false);
    let lists = docker.lists_begun.load(Ordering::SeqCst);
    eventually("a list begins", async || docker.lists_begun.load(Ordering::SeqCst) > lists).await;
    // It has read that nobody wants a freeze.
    crowd.sql("UPDATE controller_spec SET frozen = 1, frozen_because = 'a test'").await;
    let frozen = "SELECT count(*) FROM runtime_records WHERE reason = 'FrozenByHand'";
    crowd.until("all are frozen", frozen).await;
    let lists = docker.lists_begun.load(Ordering::SeqCst);
    docker.lists.send_replace(true);
    eventually("two more", async || docker.lists_begun.load(Ordering::SeqCst) > lists + 2).await;
    let told = "SELECT count(*) FROM events WHERE reason = 'Unfrozen'";
    assert_eq!((crowd.count(told).await, crowd.count(frozen).await), (0, 3));
    crowd.sql("UPDATE controller_spec SET frozen = 0").await;
    crowd.until("they go on", "SELECT count(*) FROM runtime_records WHERE reason = 'Running'").await;
    assert_eq!(crowd.count(told).await, 1);
    crowd.end().await;
}
