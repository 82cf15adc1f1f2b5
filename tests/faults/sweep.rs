//! Every request that changes something is a place to die at, in turn: start, stop, start, delete.

use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::ground::{NOTHING, behind, containers, kill_and_start_again, want};
use crate::meddler::{Action, Counts, Meddler, Trap, When};
use crate::world::World;

/// What the whole life makes Docker do, where the network is there.
const LIFE: Counts = Counts { networks: 0, creates: 2, starts: 2, stops: 2, removes: 2 };

/// So many requests that change something are in it.
const CHANGES: usize = 8;

/// The places to die at, so few in one world that nobody has to confirm the deletions.
const PLACES: [RangeInclusive<usize>; 2] = [1..=CHANGES / 2, CHANGES / 2 + 1..=CHANGES];

/// The stages of a life, by what is wanted and what is waited for.
const STAGES: [(&str, &str); 3] = [("running", "running"), ("stopped", "stopped"), ("running", "running")];

/// How the operations of a life end.
const ENDS: [&str; 4] = ["start succeeded", "stop succeeded", "start succeeded", "delete succeeded"];

/// Lives a life, and dies whenever `dies` says so. Returns what Docker was made to do, and how the
/// operations ended.
async fn live(
    world: &mut World,
    meddler: &Meddler,
    name: &str,
    mut dies: impl AsyncFnMut(&mut World, &str, &str),
) -> (Counts, Vec<String>) {
    let before = meddler.done();
    let game = Uuid::new_v4().to_string();
    for (stage, (wanted, phase)) in STAGES.into_iter().enumerate() {
        if stage == 0 {
            world.game_with_id(&game, name, "1.4.2").await;
        } else {
            want(world, &game, wanted).await;
        }
        dies(world, &game, phase).await;
        world.until(&game, phase, |status| status.phase == phase).await;
        assert_eq!(containers(&game).len(), usize::from(phase == "running"), "{name} {phase}");
    }
    world
        .sql(&format!(
            "UPDATE games SET deletion_requested_at = '2026-01-01T00:00:00+00:00' WHERE game_id = '{game}'"
        ))
        .await;
    dies(world, &game, "Deleted").await;
    world.until(&game, "deleted", |status| status.reason == "Deleted").await;

    assert!(containers(&game).is_empty());
    assert_eq!(world.inits(&game), 1, "{name}: {:?}", world.journal(&game));
    assert!(!world.journal(&game).iter().any(|line| line["event"] == "conflict"), "two engines on one state");
    (meddler.done() - before, world.operations(&game).await)
}

/// A world whose network is there.
async fn warm(meddler: &Meddler) -> World {
    let world = behind(meddler, &[]).await;
    world.running("warm").await;
    world
}

/// Waits until the rule has acted or the stage has come to its end. Whether it has acted.
async fn sprung_in_this_stage(world: &World, trap: &Trap, game: &str, phase: &str) -> bool {
    loop {
        let status = world.status(game).await;
        let reached = status.phase == phase || status.reason == phase;
        if trap.times() > 0 || reached {
            return trap.times() > 0;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// One life for each place to die at.
async fn one_death_at_each_place(action: Action) {
    for places in PLACES {
        one_death_at_each_of(places, &action).await;
    }
}

async fn one_death_at_each_of(places: RangeInclusive<usize>, action: &Action) {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    for nth in places {
        let trap = meddler.set(When::change().nth(nth), action.clone());
        let mut dead = false;
        let lived = live(&mut world, &meddler, &format!("dies-at-{nth}"), async |world, game, phase| {
            if !dead && sprung_in_this_stage(world, &trap, game, phase).await {
                assert!(containers(game).len() <= 1);
                kill_and_start_again(world, &meddler);
                dead = true;
            }
        })
        .await;
        assert!(dead, "there was no change number {nth}");
        assert_eq!(lived, (LIFE, ENDS.map(str::to_owned).into()), "killed at change number {nth}");
    }
    assert_eq!(world.count("SELECT count(*) FROM operation_log WHERE finished_at IS NULL").await, 0);
}

#[tokio::test]
async fn a_controller_killed_before_any_change_gets_to_the_same_end_by_the_same_steps() {
    one_death_at_each_place(Action::HoldBefore).await;
}

#[tokio::test]
async fn a_controller_killed_after_any_change_gets_to_the_same_end_by_the_same_steps() {
    one_death_at_each_place(Action::HoldAfter).await;
}

#[tokio::test]
async fn a_life_without_deaths_is_what_the_others_are_compared_with() {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    let before = meddler.done();
    let lived = live(&mut world, &meddler, "undisturbed", async |_, _, _| {}).await;
    assert_eq!(lived, (LIFE, ENDS.map(str::to_owned).into()));
    assert_eq!(LIFE.creates + LIFE.starts + LIFE.stops + LIFE.removes, CHANGES);
    assert_eq!(before, Counts { networks: 1, creates: 1, starts: 1, ..NOTHING });
}

#[tokio::test]
async fn controllers_that_are_killed_in_the_middle_of_each_others_recovery_get_there_too() {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    let mut deaths = 0;
    let lived = live(&mut world, &meddler, "never-rests", async |world, game, phase| {
        // Each controller of this stage, the one that recovers included, dies before its first
        // change and, since that would lead nowhere, the next one after it.
        for action in [Action::HoldBefore, Action::HoldAfter].into_iter().cycle() {
            let trap = meddler.set(When::change().first(), action);
            if !sprung_in_this_stage(world, &trap, game, phase).await {
                return meddler.clear();
            }
            assert!(containers(game).len() <= 1);
            kill_and_start_again(world, &meddler);
            deaths += 1;
        }
    })
    .await;
    assert_eq!((lived, deaths), ((LIFE, ENDS.map(str::to_owned).into()), 2 * CHANGES));
}

/// One life for each request whose connection ends; nobody dies. Whatever the operations say of it,
/// what is done is what a life needs.
async fn one_cut_at_each_place(action: Action) {
    for places in PLACES {
        one_cut_at_each_of(places, &action).await;
    }
}

async fn one_cut_at_each_of(places: RangeInclusive<usize>, action: &Action) {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    for nth in places {
        let trap = meddler.set(When::change().nth(nth), action.clone());
        let (done, ends) = live(&mut world, &meddler, &format!("cut-at-{nth}"), async |_, _, _| {}).await;
        assert_eq!(trap.times(), 1, "there was no change number {nth}");
        assert_eq!(done, LIFE, "cut at change number {nth}");
        assert_eq!(ends.iter().filter(|end| end.ends_with("succeeded")).count(), ENDS.len(), "{ends:?}");
        meddler.clear();
    }
}

#[tokio::test]
async fn a_request_that_docker_never_got_is_sent_again() {
    one_cut_at_each_place(Action::DropBefore).await;
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_looked_after_and_not_sent_again() {
    one_cut_at_each_place(Action::DropAfter).await;
}

#[tokio::test]
async fn a_change_that_docker_fails_at_is_made_at_the_next_attempt() {
    for places in PLACES {
        one_error_at_each_of(places).await;
    }
}

async fn one_error_at_each_of(places: RangeInclusive<usize>) {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    for nth in places {
        let error = serde_json::json!({ "message": "something is wrong, this time" });
        let failing = meddler.set(When::change().nth(nth), Action::Respond(500, error));
        let name = format!("fails-at-{nth}");
        let (done, ends) = live(&mut world, &meddler, &name, async |_, _, _| {}).await;
        assert_eq!(failing.times(), 1, "there was no change number {nth}");
        assert!(ends.iter().any(|end| end.ends_with("failed")), "{name}: {ends:?}");
        // A container that did not start is made anew; everything else is as often as ever.
        let anew = usize::from(done.creates > LIFE.creates);
        let expected = Counts { creates: LIFE.creates + anew, removes: LIFE.removes + anew, ..LIFE };
        assert!(anew <= 1 && done == expected, "{name}: {done:?}");
        meddler.clear();
    }
}
