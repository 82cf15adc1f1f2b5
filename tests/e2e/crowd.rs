//! Many games that are due in the same second. (`benches/turns.rs` measures it with 2,000.)

use std::sync::Arc;

use gamekeeper::controller::Limits;
use gamekeeper::game::GameId;
use gamekeeper::store::history::History;

#[path = "../support/crowd.rs"]
#[allow(unreachable_pub, reason = "shared with a benchmark")]
pub(crate) mod world;

use world::{Crowd, Docker};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_games_that_are_due_in_the_same_second_are_asked_at_once_and_once() {
    let crowd = Crowd::running(200, Limits::default()).await;
    let slot = crowd.due_in(8).await;
    let lags = crowd.until_done(slot).await;
    let (first, last) = (lags[0], lags[lags.len() - 1]);
    println!("asked between {first:.3} s and {last:.3} s after the slot");
    assert!(first >= 0.0, "before the slot");
    // On an idle machine a fraction of a second; other tests may run beside this one.
    assert!(last < 10.0, "{last:.3} s");
    let all = "SELECT count(*) FROM turn_slots WHERE decision = 'fired' AND reason = 'OnTime'";
    assert_eq!(crowd.count(all).await, 200);
    let closed = "SELECT count(*) FROM operation_log WHERE op = 'turn' AND status = 'succeeded' AND source = 'schedule' AND requested_by = ''";
    assert_eq!(crowd.count(closed).await, 200);
    // What was decided is kept for a while; what waits is not forgotten.
    crowd.sql("UPDATE turn_slots SET decision = 'deferred' WHERE rowid IN (SELECT rowid FROM turn_slots LIMIT 3)").await;
    let keep = History { decisions: jiff::SignedDuration::from_hours(1), ..History::default() };
    let now = jiff::Timestamp::now();
    let slots = "SELECT count(*) FROM turn_slots";
    crowd.store.prune_history(now, &keep).await.unwrap();
    assert_eq!(crowd.count(slots).await, 200);
    crowd.store.prune_history(now + jiff::SignedDuration::from_hours(2), &keep).await.unwrap();
    assert_eq!(crowd.count(slots).await, 3);
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_removals_on_a_slow_disk_hold_up_no_other_games_healing() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 601, Limits::default(), std::time::Duration::from_secs(30)).await;
    let (healed, going) = (crowd.games[600], 600);
    crowd.fates.disk_hangs(true);
    crowd
        .sql(&format!(
            "UPDATE games SET deletion_policy = 'delete', deletion_requested_at = '2026-01-01T00:00:00Z'
              WHERE game_id <> '{healed}'"
        ))
        .await;
    let erasing = "SELECT count(*) FROM runtime_records WHERE erasing_since IS NOT NULL";
    crowd.until_so_many(going, "all have come to their removal", erasing).await;
    let told = "SELECT count(*) FROM runtime_records WHERE reason = 'Deleting' AND message LIKE '%Being removed now: its state%'";
    crowd.until_so_many(going, "all say what they wait for", told).await;
    assert!(crowd.fates.removing() >= Limits::default().removals, "{}", crowd.fates.removing());
    until_healed(&crowd, healed).await;
    crowd.fates.disk_hangs(false);
    crowd.until_so_many(1, "all others are gone", "SELECT count(*) FROM games").await;
    let looks = docker.rivals_asked.load(std::sync::atomic::Ordering::SeqCst);
    // For each of them before its container, its state and its row go, however long it waits in between.
    assert!(looks <= 4 * 600, "{looks} looks for somebody else on the states");
    crowd.end().await;
}

/// Waits until this game's process, which ended, was started again.
async fn until_healed(crowd: &Crowd, game: GameId) {
    let began = std::time::Instant::now();
    crowd.fates.dies(game);
    while crowd.fates.started(game) == 0 {
        // On an idle machine a fraction of a second; other tests may run beside this one.
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "it is not healed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    println!("healed after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_containers_that_docker_does_not_remove_hold_up_no_other_games_healing() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 601, Limits::default(), std::time::Duration::from_secs(30)).await;
    let healed = crowd.games[600];
    docker.removals_hang.send_replace(true);
    crowd.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id <> '{healed}'")).await;
    // Each of them has come to the removal of its container: that is on record before.
    let stopping =
        "SELECT count(*) FROM runtime_records WHERE status = 'stopping' AND current_container_id IS NULL";
    crowd.until_so_many(600, "all are being removed", stopping).await;
    until_healed(&crowd, healed).await;
    docker.removals_hang.send_replace(false);
    let stopped = "SELECT count(*) FROM runtime_records WHERE status = 'stopped'";
    crowd.until_so_many(600, "all others are stopped", stopped).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_looks_at_images_that_hang_hold_up_no_other_games_healing() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 601, Limits::default(), std::time::Duration::from_secs(30)).await;
    let (healed, lost) = (crowd.games[600], &crowd.games[..600]);
    *docker.images_hang.lock().unwrap() = Some(std::time::Duration::from_secs(30));
    for game in lost {
        crowd.fates.vanishes(*game);
        docker.tell(*game);
    }
    let vanished = "SELECT count(*) FROM runtime_records WHERE restart_count > 0";
    crowd.until_so_many(600, "all are to be made anew", vanished).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    until_healed(&crowd, healed).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_there_before_what_is_too_much_goes_and_nobody_waits_for_that() {
    let crowd = Crowd::running(3, Limits::default()).await;
    crowd.fates.disk_hangs(true);
    crowd.sql("UPDATE games SET backup_generation = 1").await;
    let taken = "SELECT count(*) FROM operation_log WHERE op = 'backup' AND status = 'succeeded'";
    crowd.until("all have their copies", taken).await;
    while crowd.fates.removing() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The next one is taken meanwhile.
    crowd.sql("UPDATE games SET backup_generation = 2").await;
    crowd.until_so_many(6, "all have two", taken).await;
    // Neither does the controller wait for it when it ends.
    let began = std::time::Instant::now();
    crowd.end().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "{:?}", began.elapsed());
}
