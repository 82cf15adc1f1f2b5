//! Calls that are on record as sent, and were not: nobody is blamed for their answers.

use crate::game::Phase;
use crate::game::record::Contents;
use crate::game::spec::Contract;
use crate::game::turn::TurnState;

use super::restores::runs;
use super::turns::{HOUR, hourly, turns};
use super::world::World;

#[test]
fn a_turn_that_was_not_sent_is_as_if_nobody_had_tried() {
    for contract in [Contract::GamekeeperV1, Contract::PlainV0] {
        let mut world = hourly();
        world.record.applied.as_mut().unwrap().contract = contract;
        world.desired.version.as_mut().unwrap().contract = contract;
        world.calls_get_lost = true;
        world.now = crate::reconcile::backoff::after(world.now, HOUR);
        while world.record.turn.is_none() {
            world.round();
        }
        assert!(!world.calls_get_lost && world.turn == Some(0), "{:?}", world.done);
        world.round();
        let turn = world.record.turn.clone().expect("it is open");
        assert_eq!((turn.state, turn.attempts), (TurnState::Pending, 0));
        world.converge();
        assert_eq!((turns(&world), world.record.turn.clone()), (1, None), "at once: {:?}", world.done);
        assert!(world.done.iter().all(|step| step.starts_with("generate turn 1")), "{:?}", world.done);
    }
}

#[test]
fn a_turn_that_was_not_sent_is_no_failure_of_a_new_engine() {
    let mut world = World::running();
    world.record.applied.as_mut().unwrap().contract = Contract::PlainV0;
    world.desired.version.as_mut().unwrap().contract = Contract::PlainV0;
    world.wants("1.4.3");
    world.converge();
    assert!(world.record.patch.is_some(), "on probation");
    let container = world.container.as_ref().unwrap().id.clone();
    world.calls_get_lost = true;
    world.change(|desired| desired.requests.force_turn = 1);
    world.converge();
    assert!(!world.calls_get_lost && world.record.failed_patch.is_none(), "{:?}", world.done);
    assert_eq!((runs(&world).as_str(), world.turn), ("1.4.3", Some(1)));
    assert_eq!(world.container.as_ref().map(|now| now.id.clone()), Some(container));
    assert!(world.record.patch.is_none(), "its first turn succeeded");
}

#[test]
fn a_turn_that_was_not_sent_is_called_off_by_a_pause() {
    let mut world = World::running();
    world.calls_get_lost = true;
    world.change(|desired| desired.requests.force_turn = 1);
    while world.record.turn.is_none() {
        world.round();
    }
    world.change(|desired| desired.paused = true);
    world.converge();
    assert!(world.record.paused_at.is_some() && world.record.turn.is_none());
    assert_eq!((world.turn, world.operation(), world.called_off.len()), (Some(0), None, 1));
}

#[test]
fn an_initialisation_that_was_not_sent_leaves_nothing_that_a_person_would_have_to_look_at() {
    let mut world = World::new();
    world.calls_get_lost = true;
    while !world.done.iter().any(|step| step.starts_with("initialise")) {
        world.round();
    }
    // What the engine writes by itself is no trace of it.
    world.contents = Contents::new("a log");
    world.round();
    assert_eq!((world.record.init_intent_at, world.record.failures), (None, 0));
    world.converge();
    assert_eq!((world.record.phase, world.turn), (Phase::Running, Some(0)), "{}", world.record.message);
}
