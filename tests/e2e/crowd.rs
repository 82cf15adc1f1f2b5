//! Many games that are due in the same second. (`benches/turns.rs` measures it with 2,000.)

use gamekeeper::controller::Limits;
use gamekeeper::store::history::History;

#[path = "../support/crowd.rs"]
#[allow(unreachable_pub, reason = "shared with a benchmark")]
pub(crate) mod world;

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
