//! Places that others wait for: who is stuck holds none, and waits for nothing that may never be.

use std::time::Duration;

use crate::game::container::{ContainerState, Owner};
use crate::game::patch::PatchStage;
use crate::game::spec::DesiredStatus;
use crate::game::{EngineVersion, Phase};
use crate::reconcile::Wait;
use crate::reconcile::plan::{BACKUP_DAMAGED, BACKUP_GONE, FOREIGN_CONTAINER};

use super::restores::{ask, cannot_go_back, runs, with_a_copy};
use super::world::{Newer, World};

#[test]
fn a_way_back_that_is_stuck_holds_no_place_and_comes_to_its_end_without_one() {
    for reason in [BACKUP_DAMAGED, BACKUP_GONE] {
        let (mut world, _) = cannot_go_back(reason);
        assert!(!world.plan().uses_disruption_place, "{reason}");
        (world.fails, world.disruption_place) = (0, false);
        for _ in 0..3 {
            world.later(Duration::from_secs(300));
        }
        assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.2", Phase::Running), "{reason}");
    }
}

#[test]
fn a_way_back_that_fails_again_and_again_holds_no_place_and_answers_what_it_is_asked_for() {
    let mut world = World::running();
    world.newer = Newer::ExitsAtStart;
    world.wants("1.4.3");
    (world.fails, world.fails_at) = (1_000, "put back");
    world.converge();
    assert!(world.record.put_back.is_some() && world.plan().uses_disruption_place, "it may be a moment");
    for _ in 0..4 {
        world.later(Duration::from_secs(60));
    }
    assert!(!world.plan().uses_disruption_place, "{} attempts", world.record.failures);
    world.change(|desired| {
        (desired.requests.force_turn, desired.requests.patch, desired.requests.backup) = (1, 1, 1);
        desired.paused = true;
    });
    world.later(Duration::from_secs(300));
    assert_eq!(world.record.observed_requests, world.desired.requests);
    assert!(world.record.paused_at.is_some() && world.record.put_back.is_some());
    world.fails = 0;
    world.later(Duration::from_secs(300));
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.2", Phase::Running), "{:?}", world.done);
}

#[test]
fn a_change_of_version_that_is_blocked_holds_no_place_and_counts_against_its_version_once() {
    let mut world = World::running();
    world.wants("1.4.3");
    while world.container.is_some() {
        world.round();
    }
    assert_eq!(world.record.patch.as_ref().map(|patch| patch.stage), Some(PatchStage::Leaving));
    let mut foreign = {
        let other = World::running();
        other.container.unwrap()
    };
    foreign.owner = Owner::Foreign;
    world.container = Some(foreign);
    let mut failed: Vec<EngineVersion> = Vec::new();
    for _ in 0..5 {
        let planned = world.round();
        failed.extend(planned.failed_version);
        assert!(!planned.uses_disruption_place);
    }
    assert_eq!(world.record.reason, FOREIGN_CONTAINER);
    let told: Vec<String> = failed.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["1.4.3"]);
    world.container = None;
    world.converge();
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.3", Phase::Running));
}

#[test]
fn a_change_of_version_waits_with_its_place_only_for_turns_that_were_sent() {
    for newer in [Newer::Good, Newer::DiesOnItsFirstTurn] {
        let mut world = World::running();
        world.change(|desired| desired.backup_before_turn = true);
        world.newer = newer;
        // Its copy cannot be taken, and the turn waits for it.
        world.fails = 1;
        world.change(|desired| desired.requests.force_turn = 1);
        world.converge();
        assert!(world.record.turn.is_some() && world.turn == Some(0), "{:?}", world.done);
        world.wants("1.4.3");
        world.converge();
        let at = |world: &World, start: &str| world.done.iter().position(|step| step.starts_with(start));
        assert!(at(&world, "create container for 1.4.3").is_some(), "{:?}", world.done);
        for _ in 0..5 {
            world.later(Duration::from_secs(61));
        }
        assert_eq!((world.turn, world.record.phase), (Some(1), Phase::Running), "{:?}", world.done);
        assert!(at(&world, "create container for 1.4.3") < at(&world, "generate turn 1"));
        // It was the new engine's first turn, whenever it was opened.
        let failed = world.record.failed_patch.as_ref().map(|failed| failed.reason.as_str());
        let expected = (newer == Newer::DiesOnItsFirstTurn).then_some("DiedOnFirstTurn");
        assert_eq!(failed, expected, "{:?}", world.done);
    }
}

#[test]
fn a_change_of_version_waits_without_a_place_for_the_copy_that_was_asked_for() {
    let mut world = World::running();
    world.works_slowly = true;
    world.change(|desired| desired.requests.backup = 1);
    world.converge();
    world.wants("1.4.3");
    let waits = world.converge();
    assert!(!waits.uses_disruption_place && world.record.message.contains("copy of the state"));
    world.works_slowly = false;
    world.end_work();
    world.converge();
    assert_eq!(runs(&world), "1.4.3");
}

#[test]
fn a_blocked_game_keeps_its_restore_while_it_waits_for_a_place_and_is_cured_by_it() {
    let (mut world, copy) = with_a_copy();
    world.record.current_turn = Some(7);
    world.converge();
    assert_eq!(world.record.phase, Phase::Blocked);
    world.disruption_place = false;
    ask(&mut world, &copy);
    let waits = world.converge();
    assert!(waits.uses_disruption_place && waits.waiting_on.contains(&Wait::DisruptionPlace));
    assert_eq!((world.record.observed_requests.restore, world.desired.requests.restore), (0, 1));
    world.disruption_place = true;
    world.converge();
    assert_eq!((world.turn, world.record.phase, world.record.timeline), (Some(0), Phase::Running, 2));
}

#[test]
fn a_new_container_that_somebody_started_is_taken_away_when_its_change_is_called_off() {
    let mut world = World::running();
    world.wants("1.4.3");
    while !world.done.iter().any(|step| step.starts_with("create container")) {
        world.round();
    }
    world.container.as_mut().unwrap().state = ContainerState::Running { started_at: "by hand".into() };
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!((world.record.phase, world.container.is_some()), (Phase::Stopped, false), "{:?}", world.done);
}
