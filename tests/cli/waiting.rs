//! `wait`, and `--wait` of the commands that change something.

use std::time::Duration;

use gamekeeper::game::{ConditionStatus, Phase};
use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_becomes_ready_is_waited_for() {
    let world = World::applied().await;
    world.record("andromeda", Phase::Starting, ConditionStatus::False).await;
    let (ran, ()) = tokio::join!(world.run(&["wait", "andromeda", "--timeout", "30s"]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    });
    assert_eq!(ran.ok(), "game/andromeda condition met\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_up_it_is_told_what_each_game_waits_for() {
    let world = World::applied().await;
    world.record("andromeda", Phase::Starting, ConditionStatus::False).await;
    let error = world.run(&["wait", "--all", "--timeout", "0s"]).await;
    assert_eq!(error.code, 5, "{error:?}");
    for expected in [
        "timed out after 0s waiting for condition=Ready",
        "game/andromeda: Starting (Because): So it is.",
        "hint: ",
    ] {
        assert!(error.stderr.contains(expected), "{error:?}");
    }
    assert!(
        world
            .run(&["wait", "andromeda", "--for=condition=Ready=False", "--timeout=1s"])
            .await
            .ok()
            .contains("met")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_computed_from_an_older_spec_does_not_count() {
    let world = World::applied().await;
    world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    let ran = world.run(&["restart", "andromeda", "--wait", "--timeout", "500ms"]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    world.run(&["wait", "andromeda", "--timeout", "5s"]).await.ok();
    let chosen = world.run(&["wait", "-l", "season=7", "--timeout", "5s"]).await.ok();
    assert_eq!(chosen, "game/andromeda condition met\n");
    assert_eq!(world.run(&["wait", "andromeda", "-l", "season=7"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_person_ends_the_wait_for_what_was_asked_for_with_the_reason() {
    let world = World::applied().await;
    // Blocked before anybody asked: that says nothing about what is asked for.
    world.record_as("andromeda", Phase::Blocked, "StrangeContainer").await;
    for (verb, counter, asked) in [
        (&["restart", "andromeda", "--wait", "--timeout", "30s"][..], "restartGeneration", json!(1)),
        (&["stop", "andromeda", "--wait", "--timeout", "30s"], "desiredStatus", json!("Stopped")),
        (&["start", "andromeda", "--wait", "--timeout", "30s"], "desiredStatus", json!("Running")),
        (&["pause", "andromeda", "--wait", "--timeout", "30s"], "paused", json!(true)),
    ] {
        let (ran, ()) = tokio::join!(world.run(verb), async {
            world.asked("andromeda", counter, asked).await;
            // A game that is blocked is refused what it is asked for.
            let mut seen = world.recording("andromeda", Phase::Blocked, ConditionStatus::False).await;
            seen.record.reason = "StrangeContainer".into();
            seen.record.observed_requests.restart = 1;
            world.written(seen).await;
        });
        assert_eq!(ran.code, 1, "{verb:?} {ran:?}");
        assert!(ran.stderr.contains("Blocked (StrangeContainer): So it is."), "{verb:?} {ran:?}");
        assert!(ran.stderr.contains("gamekeeper explain game/andromeda"), "{verb:?} {ran:?}");
    }
    // A wait by somebody who has not asked for anything waits for the person.
    assert_eq!(world.run(&["wait", "andromeda", "--timeout", "300ms"]).await.code, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_game_is_waited_for_by_its_phase() {
    let world = World::applied().await;
    world.run(&["stop", "andromeda"]).await.ok();
    world.record("andromeda", Phase::Stopped, ConditionStatus::True).await;
    world.run(&["wait", "andromeda", "--for=phase=Stopped", "--timeout=5s"]).await.ok();
    assert_eq!(world.run(&["stop", "andromeda", "--wait"]).await.ok().lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_waited_for_except_its_absence() {
    let world = World::applied().await;
    let error = world.run(&["wait", "nobody", "--timeout", "30s"]).await.failed(3);
    assert!(error.contains("game/nobody is not there"), "{error}");
    assert_eq!(world.run(&["wait", "nobody", "--for=delete"]).await.ok(), "game/nobody deleted\n");
    let ran = world.run(&["delete", "andromeda", "--wait", "--timeout", "500ms"]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("game/andromeda: Deleting"), "{ran:?}");
}
