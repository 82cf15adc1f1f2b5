//! What Docker tells is late, lost, doubled, in the wrong order, or not all of it.

use crate::ground::{ONE_START, behind, containers, want};
use crate::meddler::{Action, Call, Counts, Meddler, Meddling, When};
use crate::world::{Status, World, container, docker, inspect};

const LIFE: &str = "{{.Id}} {{.State.StartedAt}}";
/// A dead engine is started again, and no more.
const ONE_HEALING: Counts = Counts { networks: 0, creates: 0, starts: 1, stops: 0, removes: 0 };

fn healed(status: &Status) -> bool {
    status.phase == "running" && status.restarts == 1
}

fn kill(game: &str) {
    assert_eq!(docker(&["kill", "-s", "KILL", &container(game)]).code, 0);
}

/// Waits for so many more of these calls.
async fn more_calls(world: &World, meddler: &Meddler, call: Call, more: usize) {
    let wanted = meddler.times(call) + more;
    world.eventually("more calls", async || meddler.times(call) >= wanted).await;
}

#[tokio::test]
async fn a_lost_die_event_is_made_up_for_by_the_relist() {
    let meddler = Meddler::before_docker();
    // No probe is due that could find it.
    let world = behind(&meddler, &["--relist-interval", "1s", "--probe-interval", "10m"]).await;
    let game = world.running("unheard").await;
    let before = meddler.done();
    // Nor does it hear that the dead one left the network.
    let lost = meddler.meddle_with_events(Meddling::Drop(|event| {
        event["Action"] == "die" || event["Action"] == "disconnect"
    }));
    kill(&game);
    lost.sprung().await;
    world.until(&game, "healed", healed).await;
    assert_eq!((meddler.done() - before, world.inits(&game)), (ONE_HEALING, 1));
    assert!(lost.times() >= 1);
}

#[tokio::test]
async fn a_stream_of_events_that_stalls_is_made_up_for_by_the_relist() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "1s", "--probe-interval", "10m"]).await;
    let game = world.running("stalled").await;
    let (before, subscriptions) = (meddler.done(), meddler.times(Call::Events));
    let stalled = meddler.meddle_with_events(Meddling::Stall);
    kill(&game);
    stalled.sprung().await;
    world.until(&game, "healed", healed).await;
    assert_eq!((meddler.done() - before, world.inits(&game)), (ONE_HEALING, 1));
    assert_eq!(meddler.times(Call::Events), subscriptions, "the stream never ended");
}

#[tokio::test]
async fn a_stream_of_events_that_ends_is_begun_anew_and_everything_is_looked_at() {
    let meddler = Meddler::before_docker();
    // Neither the relist's clock nor a probe is due: what finds it is the new subscription.
    let world = behind(&meddler, &["--relist-interval", "10m", "--probe-interval", "10m"]).await;
    let game = world.running("cut").await;
    let before = meddler.done();
    let ended = meddler.meddle_with_events(Meddling::End);
    ended.sprung_times(2).await;
    let (subscriptions, lists) = (meddler.times(Call::Events), meddler.times(Call::List));
    kill(&game);
    world.until(&game, "healed", healed).await;
    meddler.clear();
    more_calls(&world, &meddler, Call::Events, 0).await;
    assert!(meddler.times(Call::Events) > subscriptions && meddler.times(Call::List) > lists);
    assert_eq!((meddler.done() - before, world.inits(&game)), (ONE_HEALING, 1));
}

#[tokio::test]
async fn events_that_come_twice_or_in_the_wrong_order_are_only_nudges() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    for (meddling, name) in [(Meddling::Repeat(3), "thrice"), (Meddling::Reorder(2), "reordered")] {
        let trap = meddler.meddle_with_events(meddling);
        let before = meddler.done();
        let game = world.running(name).await;
        let started = meddler.done() - before;
        assert_eq!(Counts { networks: 0, ..started }, ONE_START, "{name}");
        kill(&game);
        world.until(&game, "healed", healed).await;
        want(&world, &game, "stopped").await;
        world.until(&game, "stopped", |s| s.phase == "stopped").await;
        trap.sprung_times(3).await;
        let done = meddler.done() - before;
        assert_eq!((done.creates, done.starts, done.stops, done.removes), (1, 2, 1, 1), "{name}");
        assert_eq!(world.operations(&game).await, ["start succeeded", "heal succeeded", "stop succeeded"]);
        assert_eq!(world.status(&game).await.restarts, 1);
    }
}

#[tokio::test]
async fn a_list_that_fails_is_never_taken_for_an_empty_one() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "500ms", "--silence", "1s"]).await;
    let game = world.running("unlisted").await;
    let (before, life, operations) = (meddler.done(), inspect(&game, LIFE), world.operations(&game).await);
    let broken = serde_json::json!({ "message": "the daemon is out of its mind" });
    let failing = meddler.set(When::call(Call::List), Action::Respond(500, broken));
    failing.sprung_times(3).await;
    let status = world.until(&game, "unknown", |s| s.phase == "unknown").await;
    assert!(status.container.is_some() && status.message.contains("out of its mind"), "{status:?}");
    failing.let_go();
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!((meddler.done() - before, inspect(&game, LIFE)), (crate::ground::NOTHING, life));
    assert_eq!(world.operations(&game).await, operations);
}

#[tokio::test]
async fn a_list_that_leaves_games_out_is_never_taken_for_their_absence() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "500ms"]).await;
    let (one, two) = (world.running("left-out").await, world.running("listed").await);
    let (before, life) = (meddler.done(), inspect(&one, LIFE));
    let missing = container(&one);
    let partial = Action::rewrite(move |mut list| {
        let is_missing = |listed: &serde_json::Value| listed["Names"][0] == format!("/{missing}");
        list.as_array_mut().unwrap().retain(|listed| !is_missing(listed));
        list
    });
    let partial = meddler.set(When::call(Call::List).about("gamekeeper.dev/instance="), partial);
    partial.sprung_times(4).await;
    for game in [&one, &two] {
        let status = world.status(game).await;
        assert_eq!((status.phase.as_str(), status.restarts), ("running", 0), "{status:?}");
    }
    // An empty one is no better.
    let empty = Action::rewrite(|_| serde_json::json!([]));
    partial.let_go();
    meddler.set(When::call(Call::List).about("gamekeeper.dev/instance="), empty).sprung_times(4).await;
    meddler.clear();
    more_calls(&world, &meddler, Call::List, 2).await;
    assert_eq!((meddler.done() - before, inspect(&one, LIFE)), (crate::ground::NOTHING, life));
    assert_eq!(containers(&one).len() + containers(&two).len(), 2);
    assert_eq!(world.operations(&one).await, ["start succeeded"]);
}
