//! Many games that are due in the same second. (`benches/turns.rs` measures it with 2,000.)

use gamekeeper::controller::Limits;

#[path = "../support/crowd.rs"]
#[allow(unreachable_pub, reason = "shared with a benchmark")]
mod world;

use world::Crowd;

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
    crowd.end().await;
}
