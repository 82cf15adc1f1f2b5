//! A finished game whose engine ends by itself.

use std::time::Duration;

use super::world::{Engines, Looks, World};
use crate::game::spec::{Desired, DesiredStatus};
use crate::game::{ConditionStatus, ConditionType, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::plan::{ENGINE_ENDED, TURN_WENT_BACK};

const DAY: u32 = 24;

/// A game that is over, and whose engine has ended.
fn ended() -> World {
    let mut world = World::running();
    world.finished = true;
    world.later(Duration::from_secs(60));
    assert_eq!(world.record.phase, Phase::Finished);
    world.kill(0);
    world.converge();
    world
}

fn rests(world: &World) {
    let record = &world.record;
    assert_eq!((record.phase, record.reason.as_str()), (Phase::Finished, ENGINE_ENDED));
    assert!(record.endpoint.is_none() && record.next_attempt_at.is_none(), "{record:?}");
    let ready = record.conditions.iter().find(|known| known.kind == ConditionType::Ready).unwrap();
    assert_eq!(ready.status, ConditionStatus::True);
}

#[test]
fn a_finished_games_engine_that_ends_with_code_0_is_left_down_and_is_no_failure() {
    let mut world = ended();
    rests(&world);
    assert_eq!((world.record.restart_count, world.record.failures), (0, 0));
    assert_eq!(world.record.last_log_lines.as_deref(), Some("last words"));
    for _ in 0..DAY {
        let plan = world.later(Duration::from_secs(3_600));
        assert!(plan.event.is_none() && plan.operation.is_empty(), "{plan:?}");
    }
    assert!(world.done.is_empty(), "{:?}", world.done);
    rests(&world);
}

#[test]
fn who_removes_a_container_that_ended_loses_nothing() {
    let mut world = ended();
    world.container = None;
    world.looks = Looks::none();
    world.forget_facts();
    world.converge();
    rests(&world);
    assert!(world.done.is_empty() && world.record.container.is_none(), "{:?}", world.done);
    world.change(|d| d.requests.restart = 1);
    world.converge();
    assert_eq!(world.record.reason, "Finished", "a restart brings it up for reports");
}

#[test]
fn whoever_asks_for_an_engine_of_a_finished_game_gets_one() {
    let asks: [fn(&mut Desired); 2] =
        [|d| d.requests.restart = 1, |d| d.spec.as_mut().unwrap().resources.memory_bytes = Some(1 << 28)];
    for ask in asks {
        let mut world = ended();
        world.change(ask);
        world.converge();
        assert_eq!(world.record.reason, "Finished", "{:?}", world.done);
        assert_eq!(world.done.iter().filter(|step| step.starts_with("start")).count(), 1);
        world.kill(0);
        world.converge();
        rests(&world);
    }
    let mut world = ended();
    world.change(|d| d.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!(world.record.phase, Phase::Stopped);
    world.change(|d| d.status = DesiredStatus::Running);
    world.converge();
    assert_eq!(world.record.reason, "Finished");
}

#[test]
fn a_finished_games_engine_that_ends_otherwise_is_healed() {
    for code in [1, 137] {
        let mut world = World::running();
        world.finished = true;
        world.later(Duration::from_secs(60));
        world.kill(code);
        world.converge();
        assert_eq!((world.record.reason.as_str(), world.record.restart_count), ("Finished", 1), "{code}");
    }
    let mut world = World::running();
    world.finished = true;
    world.later(Duration::from_secs(60));
    world.container = None;
    world.looks = Looks::none();
    world.converge();
    assert_eq!((world.record.reason.as_str(), world.record.restart_count), ("Finished", 1));
}

#[test]
fn a_game_that_is_not_over_is_healed_whatever_its_engine_ends_with() {
    let mut world = World::running();
    world.kill(0);
    world.engines = Engines::ExitAtStart;
    world.converge();
    assert_eq!(world.record.phase, Phase::CrashLoop);
}

/// How often an event was told whose message says this, until nothing is left to do.
fn tells(world: &mut World, wait: Duration, what: &str) -> usize {
    world.now = after(world.now, wait);
    let rounds = std::iter::repeat_with(|| world.round()).take(20);
    rounds.filter(|plan| plan.event.as_ref().is_some_and(|told| told.message.contains(what))).count()
}

#[test]
fn an_engine_that_says_its_game_is_not_over_is_believed_and_it_is_told_once() {
    let mut world = super::turns::hourly();
    world.finished = true;
    world.later(Duration::from_secs(60));
    assert_eq!(world.record.reason, "Finished");
    world.finished = false;
    assert_eq!(tells(&mut world, Duration::from_secs(60), "goes on"), 1);
    assert_eq!((world.record.phase, world.record.finished_at), (Phase::Running, None));
    assert_eq!(tells(&mut world, Duration::from_secs(60), "goes on"), 0);
    world.later(super::turns::HOUR);
    assert_eq!(super::turns::turns(&world), 1, "slots fire again");
    // And what ends with code 0 is healed: the game needs its engine.
    world.kill(0);
    world.converge();
    assert_eq!((world.record.phase, world.record.restart_count), (Phase::Running, 1), "{:?}", world.done);
}

#[test]
fn an_older_state_that_a_person_brought_back_is_not_over_because_the_newer_one_was() {
    let mut world = super::turns::hourly();
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
    world.finished = true;
    world.later(Duration::from_secs(60));
    world.kill(0);
    (world.turn, world.finished) = (Some(0), false);
    world.change(|desired| desired.requests.restart += 1);
    world.converge();
    assert_eq!(world.record.reason, TURN_WENT_BACK, "{:?}", world.done);
    world.change(|desired| desired.requests.unblock += 1);
    let unblocked = world.round();
    assert_eq!(unblocked.record.finished_at, None, "another history, of which nobody knows the end");
    world.converge();
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
    assert_eq!((world.turn, world.record.phase), (Some(1), Phase::Running), "{:?}", world.done);
}

#[test]
fn an_engine_that_is_reached_beside_docker_is_believed_about_the_end_of_its_game() {
    let mut world = super::turns::hourly();
    world.finished = true;
    world.later(Duration::from_secs(60));
    (world.docker_answers, world.reached_since, world.finished) = (false, Some(world.now), false);
    world.later(Duration::from_secs(60));
    assert_eq!(world.record.finished_at, None);
}
