//! A finished game whose engine ends by itself.

use std::time::Duration;

use super::world::{Engines, Looks, World};
use crate::game::spec::{Desired, DesiredStatus};
use crate::game::{ConditionStatus, ConditionType, Phase};
use crate::reconcile::plan::ENGINE_ENDED;

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
