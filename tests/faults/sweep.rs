//! Every request that changes something is a place to die at, in turn: start, stop, start, delete.

use uuid::Uuid;

use crate::ground::{NOTHING, behind, containers, kill_and_start_again, want};
use crate::meddler::{Action, Counts, Meddler, When};
use crate::world::World;

/// What the whole life makes Docker do, where the network is there.
const LIFE: Counts = Counts { networks: 0, creates: 2, starts: 2, stops: 2, removes: 2 };

/// So many requests that change something are in it.
const CHANGES: usize = 8;

/// The stages of a life, by what is wanted and what is waited for.
const STAGES: [(&str, &str); 3] = [("running", "running"), ("stopped", "stopped"), ("running", "running")];

/// Lives a life, and dies whenever `dies` says so. Returns what Docker was made to do.
async fn live(
    world: &mut World,
    meddler: &Meddler,
    name: &str,
    mut dies: impl AsyncFnMut(&mut World, &str, &str),
) -> Counts {
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
    let ends = ["start succeeded", "stop succeeded", "start succeeded", "delete succeeded"];
    assert_eq!(world.operations(&game).await, ends, "{name}");
    meddler.done() - before
}

/// A world whose network is there.
async fn warm(meddler: &Meddler) -> World {
    let world = behind(meddler, &[]).await;
    world.running("warm").await;
    world
}

/// One life for each place to die at.
async fn one_death_at_each_place(action: Action) {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    for nth in 1..=CHANGES {
        let trap = meddler.set(When::change().nth(nth), action.clone());
        let mut dead = false;
        let done = live(&mut world, &meddler, &format!("dies-at-{nth}"), async |world, game, phase| {
            if dead {
                return;
            }
            // Either the stage ends, or its controller does.
            let reached = async |world: &World| {
                let status = world.status(game).await;
                status.phase == phase || status.reason == phase
            };
            while trap.times() == 0 && !reached(world).await {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            if trap.times() == 1 {
                assert!(containers(game).len() <= 1);
                kill_and_start_again(world, &meddler);
                dead = true;
            }
        })
        .await;
        assert!(dead, "there was no change number {nth}");
        assert_eq!(done, LIFE, "killed at change number {nth}");
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
    let done = live(&mut world, &meddler, "undisturbed", async |_, _, _| {}).await;
    assert_eq!(done, LIFE);
    assert_eq!(done.creates + done.starts + done.stops + done.removes, CHANGES);
    assert_eq!(meddler.done() - done, Counts { networks: 1, creates: 1, starts: 1, ..NOTHING });
}

#[tokio::test]
async fn controllers_that_are_killed_in_the_middle_of_each_others_recovery_get_there_too() {
    let meddler = Meddler::before_docker();
    let mut world = warm(&meddler).await;
    let mut deaths = 0;
    let done = live(&mut world, &meddler, "never-rests", async |world, game, phase| {
        // Each controller of this stage, the one that recovers included, dies before its first
        // change and, since that would lead nowhere, the next one after it.
        for action in [Action::HoldBefore, Action::HoldAfter].into_iter().cycle() {
            let trap = meddler.set(When::change().first(), action);
            let reached = async |world: &World| {
                let status = world.status(game).await;
                status.phase == phase || status.reason == phase
            };
            while trap.times() == 0 && !reached(world).await {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            if trap.times() == 0 {
                return meddler.clear();
            }
            assert!(containers(game).len() <= 1);
            kill_and_start_again(world, &meddler);
            deaths += 1;
        }
    })
    .await;
    assert_eq!((done, deaths), (LIFE, 2 * CHANGES));
}
