//! Turns that are called off: none is sent once a pause is wanted, and every pause comes.

use std::time::Duration;

use proptest::prelude::*;

use crate::game::spec::DesiredStatus;
use crate::game::turn::CalledOff;
use crate::game::{ConditionStatus, ConditionType};

use super::turns::{HOUR, hourly, turns};
use super::world::{Turns, World};

const A_WHILE: Duration = Duration::from_secs(301);

fn sent(world: &World) -> usize {
    world.done.iter().filter(|step| step.starts_with("generate turn")).count()
}

fn codes(world: &World) -> Vec<&'static str> {
    world.called_off.iter().map(|called_off| called_off.code).collect()
}

#[test]
fn a_turn_that_kills_its_engine_is_called_off_once_a_pause_is_wanted() {
    for stops_and_starts in [false, true] {
        let mut world = hourly();
        world.turns = Turns::Kill;
        world.later(HOUR);
        world.later(Duration::from_secs(5));
        let before = sent(&world);
        assert!(before >= 2, "the fault did not happen: {:?}", world.done);
        world.change(|desired| desired.paused = true);
        if stops_and_starts {
            world.change(|desired| desired.status = DesiredStatus::Stopped);
            world.later(A_WHILE);
            world.change(|desired| desired.status = DesiredStatus::Running);
        }
        world.later(A_WHILE);
        assert!(world.record.paused_at.is_some() && world.record.turn.is_none(), "{stops_and_starts}");
        assert_eq!((sent(&world), codes(&world)), (before, vec![CalledOff::PAUSED]));
        world.later(HOUR);
        let on_time = world.record.conditions.iter().find(|known| known.kind == ConditionType::TurnsOnTime);
        assert_eq!((sent(&world), on_time.unwrap().status), (before, ConditionStatus::True));
        // The number comes again, and once.
        world.turns = Turns::AtOnce;
        world.change(|desired| desired.paused = false);
        world.converge();
        world.later(HOUR);
        assert_eq!(turns(&world), 1);
    }
}

#[test]
fn a_turn_that_the_same_process_lost_rests_during_a_pause_and_may_still_turn_out_to_be_done() {
    for done in [false, true] {
        let mut world = hourly();
        world.turns = Turns::Lost;
        world.later(HOUR);
        world.change(|desired| desired.paused = true);
        world.converge();
        world.later(Duration::from_secs(5));
        assert!(world.record.paused_at.is_some() && world.record.turn.is_some());
        assert_eq!(sent(&world), 1);
        if done {
            world.turn = Some(1);
        }
        world.later(Duration::from_secs(601));
        assert_eq!((world.record.turn.clone(), sent(&world)), (None, 1));
        assert_eq!(codes(&world).len(), usize::from(!done));
        assert!(world.done.iter().all(|step| !step.starts_with("stop")), "{:?}", world.done);
        world.turns = Turns::AtOnce;
        world.change(|desired| desired.paused = false);
        world.converge();
        world.later(HOUR);
        assert_eq!(turns(&world), if done { 2 } else { 1 });
    }
}

#[test]
fn a_slot_ahead_whose_turn_was_called_off_is_free_again() {
    let mut world = hourly();
    world.turns = Turns::Kill;
    world.change(|desired| desired.requests.force_turn = 1);
    world.converge();
    assert_eq!(world.ledger[&1].unwrap().to_string(), "2027-01-15T14:00:00Z");
    world.change(|desired| desired.paused = true);
    world.later(Duration::from_secs(60));
    assert_eq!(codes(&world), [CalledOff::PAUSED]);
    world.turns = Turns::AtOnce;
    world.change(|desired| desired.paused = false);
    world.converge();
    world.later(HOUR);
    assert_eq!(turns(&world), 1);
    assert_eq!(world.ledger[&1].unwrap().to_string(), "2027-01-15T14:00:00Z", "and not 15:00");
}

proptest! {
    /// Whatever an engine does with its turns: a pause comes within two deadlines of a turn, and from the
    /// moment that it is wanted nothing is sent.
    #[test]
    fn every_pause_comes_and_nothing_is_sent_from_then_on(
        behaviours in proptest::collection::vec(
            prop::sample::select(&[Turns::AtOnce, Turns::Never, Turns::Lost, Turns::Kill][..]), 1..5),
        waits in proptest::collection::vec(0..900_u64, 1..5),
        after in prop::sample::select(&[Turns::AtOnce, Turns::Never, Turns::Lost, Turns::Kill][..]),
        stops in any::<bool>(),
    ) {
        let mut world = hourly();
        world.change(|desired| desired.spec.as_mut().unwrap().turns.schedule = Some("* * * * *".into()));
        world.converge();
        for (behaviour, wait) in behaviours.into_iter().zip(waits) {
            world.turns = behaviour;
            world.later(Duration::from_secs(wait));
        }
        world.turns = after;
        let before = sent(&world);
        world.change(|desired| desired.paused = true);
        if stops {
            world.change(|desired| desired.status = DesiredStatus::Stopped);
            world.later(Duration::from_secs(60));
            world.change(|desired| desired.status = DesiredStatus::Running);
        }
        for _ in 0..5 {
            world.later(A_WHILE);
        }
        prop_assert!(world.record.paused_at.is_some(), "{:?}", world.record.turn);
        prop_assert_eq!(sent(&world), before);
        prop_assert_eq!(&world.record.turn, &None);
        world.turns = Turns::AtOnce;
        world.change(|desired| desired.paused = false);
        world.converge();
        world.later(HOUR);
        world.later(A_WHILE);
        turns(&world);
    }
}
