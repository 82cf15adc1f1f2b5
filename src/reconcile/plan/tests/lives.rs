//! A game that is made again under the id of one that is being deleted.

use std::time::Duration;

use crate::game::Phase;
use crate::game::container::StateDirectory;
use crate::game::spec::{Deletion, DeletionPolicy, DesiredStatus};
use crate::reconcile::step::{Step, Wait};

use super::world::World;

/// A game at turn 1 with a kept copy, whose deletion with everything has come so far.
fn going(rounds: usize, deletion: Deletion) -> World {
    let mut world = World::running();
    world.change(|desired| desired.requests.backup += 1);
    world.converge();
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
    assert_eq!((world.turn, world.record.timeline), (Some(1), 1));
    world.change(|desired| {
        desired.deletion = Some(deletion);
        desired.deletion_policy = DeletionPolicy::Delete;
    });
    world.round();
    world.now += jiff::Span::new().minutes(5);
    for _ in 0..rounds {
        if !world.row_deleted {
            world.round();
        }
    }
    world.done.clear();
    world
}

/// Its row is there again, and says nothing of what was wanted before.
fn comes_back(world: &mut World) {
    world.change(|desired| {
        desired.deletion = None;
        desired.deletion_policy = DeletionPolicy::Retain;
        desired.requests = Default::default();
    });
    world.record.observed_requests = world.record.observed_requests.at_most(world.desired.requests);
}

#[test]
fn a_row_that_comes_back_at_any_moment_of_a_deletion_finds_its_state_whole_or_a_new_game() {
    let (mut kept, mut began_anew) = (0, 0);
    for deletion in [Deletion::Requested, Deletion::RowGone] {
        for rounds in 0..12 {
            for dies in [false, true] {
                let mut world = going(rounds, deletion);
                if world.row_deleted {
                    continue;
                }
                let erasing = world.record.erasing_since.is_some();
                if dies {
                    world.forget_facts();
                }
                comes_back(&mut world);
                world.converge();
                let place = format!("{deletion:?} {rounds} {dies}: {:?}", world.done);
                assert_eq!(world.record.phase, Phase::Running, "{place}");
                assert_eq!((world.record.erasing_since, world.record.deleted_at), (None, None), "{place}");
                let expected = if erasing { (Some(0), 2) } else { (Some(1), 1) };
                assert_eq!((world.turn, world.record.timeline), expected, "{place}");
                if erasing {
                    began_anew += 1;
                    assert!(world.backups.is_empty() && world.record.operation.is_none(), "{place}");
                } else {
                    kept += 1;
                }
            }
        }
    }
    assert!(kept > 4 && began_anew > 4, "{kept} {began_anew}");
}

/// The step that removes the state failed in the middle of it.
#[test]
fn what_is_left_of_a_state_goes_before_the_next_life_begins_and_no_engine_sees_it() {
    let mut world = going(0, Deletion::Requested);
    (world.fails, world.fails_at) = (1, "remove state directory");
    while world.record.failures == 0 {
        world.round();
    }
    assert!(world.record.erasing_since.is_some() && world.state_directory != StateDirectory::Absent);
    world.done.clear();
    comes_back(&mut world);
    world.change(|desired| desired.requests.restart = 1);
    world.later(Duration::from_secs(60));
    assert_eq!(world.done[0], "remove state directory", "{:?}", world.done);
    assert_eq!(
        (world.record.phase, world.turn, world.record.timeline),
        (Phase::Running, Some(0), 2),
        "{:?}",
        world.done
    );
}

#[test]
fn neither_another_policy_nor_a_stop_calls_a_removal_off_that_has_begun() {
    // Changed in the middle, the policy comes too late.
    let mut world = going(0, Deletion::Requested);
    while world.record.erasing_since.is_none() {
        world.round();
    }
    world.change(|desired| desired.deletion_policy = DeletionPolicy::Retain);
    world.converge();
    assert!(world.row_deleted && world.state_directory == StateDirectory::Absent, "{:?}", world.done);
    // And a row that comes back to be stopped is a new game that is stopped.
    let mut world = going(0, Deletion::Requested);
    while world.record.erasing_since.is_none() {
        world.round();
    }
    comes_back(&mut world);
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!((world.record.phase, world.record.timeline), (Phase::Stopped, 2));
    assert!(world.record.initialized_at.is_none() && world.state_directory == StateDirectory::Absent);
}

/// The former life ends in words that say so, under the operation that its deletion was.
#[test]
fn the_former_life_is_told_as_deleted_and_its_operation_as_done() {
    let mut world = going(0, Deletion::RowGone);
    while world.record.erasing_since.is_none() {
        world.round();
    }
    comes_back(&mut world);
    let ends =
        std::iter::repeat_with(|| world.round()).take(20).find(|plan| plan.record.deleted_at.is_some());
    let ends = ends.expect("an end");
    assert_eq!(ends.operation.close, Some(crate::game::operation::Ending::Succeeded));
    assert_eq!((ends.record.reason.as_str(), ends.record.timeline), ("Deleted", 1), "the history that ended");
    assert_eq!(ends.rolled_back, None);
    assert!(ends.look_again.is_some_and(|at| at <= world.now), "and the next life begins at once");
    world.converge();
    assert_eq!((world.record.phase, world.record.timeline), (Phase::Running, 2));
}

#[test]
fn no_slot_of_the_time_without_the_game_fires_in_its_next_life() {
    let mut world = super::turns::hourly();
    world.change(|desired| desired.deletion = Some(Deletion::Requested));
    world.converge();
    assert!(world.row_deleted && world.state_directory != StateDirectory::Absent, "its state is kept");
    let (requests, generation) = (world.desired.requests, world.desired.generation);
    world.record = world.record.clone().ended(requests, generation, false);
    (world.record.deleted_at, world.row_deleted) = (Some(world.now), false);
    world.forget_facts();
    world.change(|desired| desired.deletion = None);
    world.later(10 * super::turns::HOUR);
    assert_eq!((world.record.phase, world.turn), (Phase::Running, Some(0)), "{:?}", world.done);
    let told = super::turns::told(&mut world);
    assert!(!told.iter().any(|slot| slot.contains("fired") || slot.contains("coalesced")), "{told:?}");
    world.later(super::turns::HOUR);
    assert_eq!(world.turn, Some(1), "the next one does");
}

/// However long it takes, it holds up nothing and is seen.
#[test]
fn what_is_removed_in_the_background_is_told_and_nothing_else_is_done_meanwhile() {
    for comes_back in [false, true] {
        let mut world = going(0, Deletion::Requested);
        let mut parts = Vec::new();
        world.works_slowly = true;
        for _ in 0..40 {
            world.round();
            if world.row_deleted || world.record.deleted_at.is_some() {
                break;
            }
            let Some(step @ (Step::RemoveCopies(_) | Step::RemoveStateDirectory(_))) = world.under_way()
            else {
                world.end_work();
                continue;
            };
            if comes_back && parts.is_empty() {
                self::comes_back(&mut world);
            }
            assert!(world.record.message.contains("Being removed now"), "{}", world.record.message);
            parts.push(step.to_string());
            let done = world.done.len();
            for _ in 0..3 {
                let plan = world.round();
                assert!(plan.steps.is_empty(), "{:?}", plan.steps);
                assert!(plan.waiting_on.contains(&Wait::Work));
                let record = &plan.record;
                assert_eq!((record.phase, record.reason.as_str()), (Phase::Stopping, "Deleting"));
                let ends = ["(12 names are gone).", "the copies of its state", "its state"];
                assert!(record.message.ends_with(ends[0]), "{}", record.message);
                assert_eq!(record.message.matches("Being removed now").count(), 1, "{}", record.message);
                assert!(ends[1..].iter().any(|part| record.message.contains(part)), "{}", record.message);
            }
            assert_eq!(world.done.len(), done);
            world.end_work();
        }
        assert_eq!(parts, ["remove copies of the state", "remove state directory"], "{comes_back}");
        assert_eq!(world.state_directory, StateDirectory::Absent);
    }
}
