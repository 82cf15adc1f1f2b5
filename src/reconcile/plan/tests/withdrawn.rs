//! What is on record for a cause goes with that cause: a blockade that is mended, an end that was none, a turn
//! that is rolled back, a history that is given up.

use std::time::Duration;

use crate::game::Phase;
use crate::game::patch::PatchStage;
use crate::game::spec::DesiredStatus;
use crate::reconcile::plan::{BACKUP_DAMAGED, PINNED_IMAGE_GONE, TURN_WENT_BACK};
use crate::reconcile::step::Step;

use super::restores::{ask, cannot_go_back, runs, with_a_copy};
use super::turns::{hourly, told};
use super::world::{Engines, Looks, Newer, World};

const HOUR: Duration = Duration::from_secs(3_600);
const A_WHILE: Duration = Duration::from_secs(301);

#[test]
fn an_unblock_while_a_copy_is_being_put_back_waits_for_its_end() {
    let (mut world, _) = cannot_go_back(BACKUP_DAMAGED);
    (world.fails, world.works_slowly) = (0, true);
    world.later(A_WHILE);
    assert!(matches!(world.under_way(), Some(Step::PutBack { .. })), "{:?}", world.done);
    let before = world.done.len();
    world.change(|desired| desired.requests.unblock += 1);
    world.later(Duration::from_secs(5));
    assert_eq!(world.done[before..], [] as [String; 0], "no engine comes to a state that is being moved");
    assert!(world.record.put_back.is_some() && world.record.observed_requests.unblock == 0);
    world.end_work();
    world.works_slowly = false;
    world.converge();
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.2", Phase::Running), "{:?}", world.done);
    assert_eq!(world.record.observed_requests.unblock, world.desired.requests.unblock);
}

#[test]
fn an_unblock_gives_up_no_way_back_whose_copy_was_mended() {
    let (mut world, _) = cannot_go_back(BACKUP_DAMAGED);
    // Now it fails for want of room, which passes by itself.
    world.fails_for_a_person = None;
    world.later(A_WHILE);
    assert_eq!(world.record.blocked_by, None);
    world.change(|desired| desired.requests.unblock += 1);
    world.round();
    assert!(world.record.put_back.is_some(), "{}", world.record.message);
}

#[test]
fn an_unblock_lets_go_of_no_image_that_is_there_again() {
    let mut world = World::running();
    world.record.blocked_by = Some(PINNED_IMAGE_GONE.to_owned());
    world.record.phase = Phase::Blocked;
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.container = None;
    world.forget_facts();
    world.later(Duration::from_secs(2));
    world.change(|desired| desired.requests.unblock += 1);
    world.round();
    assert!(world.record.image_id.is_some(), "{:?}", world.done);
}

#[test]
fn a_game_that_is_not_over_after_all_gets_no_turn_for_the_time_that_it_was() {
    let mut world = hourly();
    world.finished = true;
    world.later(Duration::from_secs(60));
    assert_eq!(world.record.phase, Phase::Finished);
    for _ in 0..5 {
        world.later(HOUR);
    }
    told(&mut world);
    world.finished = false;
    world.later(Duration::from_secs(60));
    assert_eq!((world.turn, told(&mut world)), (Some(0), vec![]), "{:?}", world.done);
    world.later(HOUR);
    assert_eq!(world.turn, Some(1));
}

#[test]
fn a_forced_turn_that_is_rolled_back_gives_its_slot_back() {
    let mut world = hourly();
    world.change(|desired| desired.requests.backup += 1);
    world.converge();
    let copy = world.backups.keys().next().unwrap().clone();
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
    assert_eq!(world.turn, Some(1));
    ask(&mut world, &copy);
    world.converge();
    assert_eq!((world.turn, world.record.timeline), (Some(0), 2), "{:?}", world.done);
    world.later(HOUR);
    assert_eq!(world.turn, Some(1), "the turn of 14:00");
}

#[test]
fn who_accepts_an_older_state_leaves_no_way_back_into_the_other_history() {
    let mut world = World::running();
    for _ in 0..3 {
        world.change(|desired| desired.requests.force_turn += 1);
        world.converge();
    }
    world.wants("1.4.3");
    world.converge();
    assert!(world.record.patch.as_ref().is_some_and(|patch| patch.stage == PatchStage::Probation));
    world.turn = Some(1);
    world.forget_facts();
    world.later(Duration::from_secs(60));
    assert_eq!(world.record.reason, TURN_WENT_BACK);
    world.change(|desired| desired.requests.unblock += 1);
    world.converge();
    assert_eq!((world.record.patch.clone(), world.record.timeline), (None, 2));
    assert_eq!(runs(&world), "1.4.3");
}

#[test]
fn a_version_that_is_not_asked_for_any_more_takes_no_game_that_has_what_it_requires() {
    for newer_fails in [false, true] {
        let mut world = World::running();
        match newer_fails {
            true => world.newer = Newer::ExitsAtStart,
            false => world.newer_can_be_had = false,
        }
        world.wants("1.4.3");
        for _ in 0..5 {
            world.later(Duration::from_secs(2));
        }
        let record = &world.record;
        assert_eq!(
            (record.failed_patch.is_some(), record.patch_delay.is_some()),
            (newer_fails, !newer_fails)
        );
        world.change(|desired| {
            desired.spec.as_mut().unwrap().engine_version = Some("~1.4".parse().unwrap());
        });
        (world.newer, world.newer_can_be_had) = (Newer::Good, true);
        for _ in 0..3 {
            world.later(A_WHILE);
        }
        assert_eq!(
            (runs(&world).as_str(), world.record.reason.as_str()),
            ("1.4.2", "Running"),
            "{newer_fails}"
        );
        assert!(world.record.failed_patch.is_none() && world.record.patch_delay.is_none());
    }
}

#[test]
fn a_stop_that_nobody_saw_come_true_is_of_the_moment_it_is_seen() {
    let mut world = hourly();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    world.later(Duration::from_secs(2));
    world.change(|desired| desired.status = DesiredStatus::Running);
    world.converge();
    for _ in 0..3 {
        world.later(HOUR);
    }
    let turns = world.turn;
    world.docker_answers = false;
    world.later(Duration::from_secs(20));
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    (world.container, world.looks) = (None, Looks::none());
    world.docker_answers = true;
    world.converge();
    assert_eq!(world.record.stopped_at, Some(world.now), "{:?}", world.done);
    world.change(|desired| desired.status = DesiredStatus::Running);
    told(&mut world);
    world.converge();
    assert_eq!((world.turn, told(&mut world)), (turns, vec![]));
}

#[test]
fn an_image_that_was_fetched_for_another_version_is_no_reason_to_fetch_none_for_this_one() {
    let mut world = World::running();
    world.has_room = false;
    world.newer_was_removed = true;
    world.wants("1.4.3");
    world.converge();
    assert_eq!(world.done, ["pull image engine:1.4.3"]);
    world.wants("1.4.2");
    world.converge();
    (world.container, world.image_on_host, world.registry_has_it) = (None, false, true);
    world.looks = Looks::none();
    world.converge();
    assert_eq!(world.done[1], "pull image engine:1.4.2", "{} {:?}", world.record.message, world.done);
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn the_words_of_an_engine_that_ran_before_are_not_those_of_a_version_that_never_did() {
    let (mut world, copy) = with_a_copy();
    (world.fails, world.fails_at, world.fails_for_good) = (1, "back up", true);
    world.wants("1.4.3");
    world.converge();
    (world.fails, world.fails_for_good) = (0, false);
    let failed = |world: &World| world.record.failed_patch.clone();
    assert!(failed(&world).is_some_and(|failed| failed.log.is_none()), "{:?}", world.done);
    ask(&mut world, &copy);
    world.converge();
    assert!(failed(&world).is_none_or(|failed| failed.log.is_none()), "{:?}", world.done);
}
