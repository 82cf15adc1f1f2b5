//! Docker says what is not so, says it late, or by another clock.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ground::{NOTHING, behind, containers, want};
use crate::meddler::{Action, Call, Counts, Meddler, When};
use crate::world::{Status, container, docker, inspect};

const ONE_HEALING: Counts = Counts { starts: 1, ..NOTHING };

fn healed(status: &Status) -> bool {
    status.phase == "running" && status.restarts == 1
}

fn kill(game: &str) {
    assert_eq!(docker(&["kill", "-s", "KILL", &container(game)]).code, 0);
}

/// Changes what an inspect says of a container's state.
fn state(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Action {
    Action::rewrite(move |mut inspected| {
        change(&mut inspected["State"]);
        inspected
    })
}

#[tokio::test]
async fn while_a_container_is_being_removed_there_is_no_other_one() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "1s"]).await;
    let game = world.running("removing").await;
    let before = meddler.done();
    let half_gone = state(|state| {
        state["Status"] = json!("removing");
        state["Running"] = json!(false);
    });
    let limbo = meddler.set(When::call(Call::Inspect).about(&container(&game)), half_gone);
    kill(&game);
    let status = world.until(&game, "waited for", |s| s.reason == "Removing").await;
    assert_eq!((status.phase.as_str(), status.endpoint), ("starting", None));
    limbo.sprung_times(limbo.times() + 3).await;
    assert_eq!((meddler.done() - before, containers(&game).len()), (NOTHING, 1));
    // Docker finishes what it was at.
    assert_eq!(docker(&["rm", "-f", &container(&game)]).code, 0);
    limbo.let_go();
    world.until(&game, "healed", healed).await;
    assert_eq!(meddler.done() - before, Counts { creates: 1, starts: 1, ..NOTHING });
    assert_eq!((containers(&game).len(), world.inits(&game)), (1, 1));
}

/// A file in a container that nobody can remove, not even Docker. It can again at drop.
struct Immovable(String);

impl Immovable {
    fn within(game: &str) -> Self {
        let file = format!("{}/immovable", inspect(game, "{{.GraphDriver.Data.UpperDir}}"));
        std::fs::write(&file, "x").expect("a file in the container");
        Self::set(&file, "+i");
        Self(file)
    }

    fn set(file: &str, flag: &str) {
        let set = std::process::Command::new("chattr").args([flag, file]).status();
        assert!(set.expect("chattr").success(), "chattr {flag} {file}");
    }
}

impl Drop for Immovable {
    fn drop(&mut self) {
        Self::set(&self.0, "-i");
    }
}

#[tokio::test]
async fn what_docker_removed_by_halves_is_told_and_removed_in_the_end_and_only_then_followed() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "1s"]).await;
    for (name, verb) in [("again", "restart"), ("down", "stop")] {
        let game = world.running(name).await;
        let before = meddler.done();
        let immovable = Immovable::within(&game);
        world.ok(&[verb, name]);
        let told = |s: &Status| s.message.contains("docker rm -f") && s.failures > 2;
        let status = world.until(&game, "told, and tried again", told).await;
        assert_eq!(status.reason, "RemoveFailed", "{status:?}");
        assert_eq!(inspect(&game, "{{.State.Status}}"), "dead");
        let done = meddler.done() - before;
        assert_eq!((done.creates, done.starts, containers(&game).len()), (0, 0, 1), "{verb}");
        drop(immovable);
        let (phase, left) = if verb == "stop" { ("stopped", 0) } else { ("running", 1) };
        world.until(&game, "gone on with", |s| s.phase == phase).await;
        assert_eq!((containers(&game).len(), world.inits(&game)), (left, 1), "{verb}");
    }
}

#[tokio::test]
async fn a_container_that_runs_without_a_process_is_not_started_before_it_is_proven_dead() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "1s"]).await;
    let game = world.running("no-process").await;
    let before = meddler.done();
    let ghost = state(|state| {
        state["Status"] = json!("running");
        state["Running"] = json!(true);
        state["Pid"] = json!(0);
    });
    let ghost = meddler.set(When::call(Call::Inspect), ghost);
    kill(&game);
    let status = world.until(&game, "unsettled", |s| s.reason == "ContainerUnsettled").await;
    assert_eq!((status.phase.as_str(), status.endpoint), ("engine_unreachable", None));
    ghost.sprung_times(ghost.times() + 3).await;
    assert_eq!(meddler.done() - before, NOTHING);
    ghost.let_go();
    world.until(&game, "healed", healed).await;
    assert_eq!((meddler.done() - before, world.inits(&game)), (ONE_HEALING, 1));
}

#[tokio::test]
async fn a_container_that_is_said_to_run_for_ever_is_asked_to_end_without_haste() {
    let meddler = Meddler::before_docker();
    let few = ["--relist-interval", "1s", "--restart-after", "3", "--unreachable-after", "2"];
    let world = behind(&meddler, &few).await;
    let game = world.running("undead").await;
    let before = meddler.done();
    let undead = state(|state| {
        state["Status"] = json!("running");
        state["Running"] = json!(true);
        state["Pid"] = json!(1);
    });
    let undead = meddler.set(When::call(Call::Inspect), undead);
    let stops = meddler.set(When::call(Call::Stop), Action::Forward);
    kill(&game);
    // Docker answers that it has stopped it, and goes on saying that it runs.
    stops.sprung().await;
    let began = Instant::now();
    stops.sprung_times(4).await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1_500), "asked three times more in {took:?}");
    assert!(undead.times() > 4 && world.status(&game).await.failures > 1);
    let done = meddler.done() - before;
    assert_eq!((done.creates, done.starts, done.removes), (0, 0, 0), "it is not proven dead");
    undead.let_go();
    world.until(&game, "running", |s| s.phase == "running" && s.restarts == 1).await;
    let done = meddler.done() - before;
    assert_eq!((done.creates, done.starts, world.inits(&game)), (0, 1, 1), "{done:?}");
}

#[tokio::test]
async fn an_inspect_and_a_list_that_hang_hold_up_nobody_else_and_end_at_their_deadline() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--relist-interval", "1s", "--silence", "1s"]).await;
    let (hung, other) = (world.running("hung").await, world.running("other").await);
    let before = meddler.done();
    let inspect_hangs = meddler.set(When::call(Call::Inspect).about(&container(&hung)), Action::HoldBefore);
    let list_hangs =
        meddler.set(When::call(Call::List).about("gamekeeper.dev/instance="), Action::HoldBefore);
    let began = Instant::now();
    kill(&hung);
    inspect_hangs.sprung().await;
    list_hangs.sprung().await;
    kill(&other);
    world.until(&other, "healed", healed).await;
    let took = began.elapsed();
    // Long before the deadline of what hangs, which is 30 s.
    assert!(took < Duration::from_secs(20), "the other game waited {took:?}");
    assert_eq!((inspect_hangs.times(), world.status(&hung).await.restarts), (1, 0));
    assert_eq!(meddler.done() - before, ONE_HEALING);

    let status = world.until(&hung, "unknown", |s| s.phase == "unknown").await;
    assert!(status.message.contains("30 s"), "{status:?}");
    assert_eq!(meddler.done() - before, ONE_HEALING);
    inspect_hangs.let_go();
    list_hangs.let_go();
    world.until(&hung, "healed", healed).await;
    assert_eq!(meddler.done() - before, Counts { starts: 2, ..NOTHING });
    assert_eq!((world.inits(&hung), world.inits(&other)), (1, 1));
}

#[tokio::test]
async fn a_daemon_whose_clock_is_an_hour_off_changes_nothing() {
    for hours in [-1, 1] {
        let meddler = Meddler::before_docker();
        let world = behind(&meddler, &[]).await;
        let shifted = state(move |state| {
            for time in ["StartedAt", "FinishedAt"] {
                let told: jiff::Timestamp = state[time].as_str().unwrap().parse().unwrap();
                let shifted = told.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
                state[time] = json!(shifted.to_string());
            }
        });
        let shifted = meddler.set(When::call(Call::Inspect), shifted);
        let game = world.running("elsewhen").await;
        let query =
            format!("SELECT current_container_started_at FROM runtime_records WHERE game_id = '{game}'");
        let kept: String = world.rows(&query).await[0].get(0);
        let apart = kept.parse::<jiff::Timestamp>().unwrap().duration_since(jiff::Timestamp::now());
        assert!((apart.as_secs() - hours * 3_600).abs() < 600, "the shifted time is what was seen: {kept}");
        let status = world.status(&game).await;
        assert_eq!((status.failures, status.restarts), (0, 0));
        kill(&game);
        world.until(&game, "healed", healed).await;
        want(&world, &game, "stopped").await;
        world.until(&game, "stopped", |s| s.phase == "stopped").await;
        assert!(shifted.times() > 3 && world.inits(&game) == 1);
        let life = Counts { networks: 1, creates: 1, starts: 2, stops: 1, removes: 1 };
        assert_eq!(meddler.done(), life, "{hours} h");
        assert_eq!(inspect(&game, "{{.Id}}"), "");
    }
}
