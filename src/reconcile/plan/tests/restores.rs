//! Kept copies on their way back: what speaks against one is found out before the engine is touched,
//! and there is always a way out.

use std::time::Duration;

use crate::game::operation::{Ending, OperationKind};
use crate::game::spec::{Deletion, DeletionPolicy, DesiredStatus};
use crate::game::{BackupId, ConditionStatus, ConditionType, Phase};
use crate::reconcile::plan::{BACKUP_DAMAGED, BACKUP_GONE, PARTIAL_INIT, Plan};

use super::world::{Engines, Newer, Turns, World};

fn force(world: &mut World) {
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
}

/// A running game at turn 1, and a copy of it at turn 0.
pub(super) fn with_a_copy() -> (World, BackupId) {
    let mut world = World::running();
    world.change(|desired| desired.requests.backup += 1);
    world.converge();
    let copy = world.backups.keys().next().unwrap().clone();
    force(&mut world);
    assert_eq!(world.turn, Some(1));
    world.done.clear();
    (world, copy)
}

pub(super) fn ask(world: &mut World, copy: &BackupId) {
    let copy = copy.clone();
    world.change(|desired| {
        desired.restore_backup = Some(copy);
        desired.requests.restore += 1;
    });
}

/// How operations of a kind that end in this plan end, in a word.
fn ended(plan: &Plan, was: Option<OperationKind>, kind: OperationKind) -> Vec<String> {
    let word = |ending: &Ending| match ending {
        Ending::Succeeded => "succeeded".to_owned(),
        Ending::Superseded => "superseded".to_owned(),
        Ending::Failed { code, .. } => code.clone(),
    };
    let closed = plan.operation.close.iter().filter(|_| was == Some(kind)).map(word);
    let at_once = plan.operation.at_once.iter().filter(|(new, _)| new.kind == kind);
    closed.chain(at_once.map(|(_, ending)| word(ending))).collect()
}

/// Rounds until nothing is left to do now, and how operations of this kind ended meanwhile.
fn endings(world: &mut World, kind: OperationKind) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..40 {
        let was = world.operation();
        let planned = world.round();
        told.extend(ended(&planned, was, kind));
        if planned.steps.is_empty() {
            return told;
        }
    }
    panic!("no end: {:?}", world.done);
}

fn is_ready(world: &World) -> bool {
    let ready = world.record.conditions.iter().find(|c| c.kind == ConditionType::Ready).unwrap();
    ready.status == ConditionStatus::True
}

#[test]
fn a_copy_is_fetched_and_verified_before_the_engine_is_touched() {
    let (mut world, copy) = with_a_copy();
    ask(&mut world, &copy);
    world.works_slowly = true;
    for _ in 0..4 {
        world.round();
        assert!(world.is_alive() && is_ready(&world), "{:?}", world.done);
    }
    assert_eq!(world.done, ["fetch backup 20270115T080000000Z-demand-1"]);
    assert_eq!((world.record.phase, world.operation()), (Phase::Running, Some(OperationKind::Restore)));
    world.end_work();
    world.works_slowly = false;
    assert_eq!(endings(&mut world, OperationKind::Restore), ["succeeded"]);
    let steps: Vec<&str> = world.done.iter().map(|step| step.split(' ').next().unwrap()).collect();
    assert_eq!(steps, ["fetch", "stop", "remove", "put", "create", "start"]);
    assert_eq!((world.turn, world.record.timeline, world.record.phase), (Some(0), 2, Phase::Running));
}

#[test]
fn what_speaks_against_a_copy_ends_the_restore_and_the_engine_goes_on() {
    for reason in [BACKUP_DAMAGED, BACKUP_GONE, "NoRoom", "StateUnfit"] {
        for stopped in [false, true] {
            let (mut world, copy) = with_a_copy();
            if stopped {
                world.change(|desired| desired.status = DesiredStatus::Stopped);
                world.converge();
                world.done.clear();
            }
            ask(&mut world, &copy);
            (world.fails, world.fails_at, world.fails_for_a_person) = (1, "fetch backup", Some(reason));
            assert_eq!(endings(&mut world, OperationKind::Restore), [reason], "{stopped}");
            assert_eq!(world.done.len(), 1, "{reason}: {:?}", world.done);
            let phase = if stopped { Phase::Stopped } else { Phase::Running };
            assert_eq!((world.record.phase, is_ready(&world)), (phase, true), "{reason}");
            assert_eq!((world.turn, world.record.timeline, world.record.failures), (Some(1), 1, 0));
            assert_eq!(world.record.observed_requests.restore, 1, "it is used up");
            assert!(world.record.put_back.is_none());
            // And it is not tried again by itself.
            world.later(Duration::from_secs(3_600));
            assert_eq!(world.done.len(), 1, "{reason}: {:?}", world.done);
            world.fails_for_a_person = None;
            ask(&mut world, &copy);
            world.converge();
            assert_eq!((world.turn, world.record.timeline), (Some(0), 2), "{reason}: asked for again, it is");
        }
    }
}

#[test]
fn no_turn_begins_while_a_copy_is_fetched_and_a_dying_engine_is_healed_meanwhile() {
    let (mut world, copy) = with_a_copy();
    world.works_slowly = true;
    ask(&mut world, &copy);
    world.round();
    world.change(|desired| desired.requests.force_turn += 1);
    for _ in 0..4 {
        world.round();
    }
    assert_eq!((world.done.len(), world.turn), (1, Some(1)), "{:?}", world.done);
    world.kill(1);
    for _ in 0..6 {
        world.round();
    }
    assert!(world.is_alive() && world.record.put_back.is_some(), "{:?}", world.done);
    assert_eq!(world.operation(), Some(OperationKind::Restore), "its end is not the engine's");
    world.end_work();
    world.works_slowly = false;
    world.converge();
    assert_eq!(world.record.timeline, 2, "{:?}", world.done);
}

#[test]
fn a_newer_restore_takes_the_place_of_one_that_moves_nothing() {
    let (mut world, first) = with_a_copy();
    world.now += jiff::Span::new().seconds(1);
    world.change(|desired| desired.requests.backup += 1);
    world.converge();
    let second = world.backups.keys().last().unwrap().clone();
    force(&mut world);
    world.works_slowly = true;
    ask(&mut world, &first);
    world.round();
    ask(&mut world, &second);
    world.round();
    world.works_slowly = false;
    world.converge();
    assert_eq!((world.turn, world.record.timeline), (Some(1), 2), "{:?}", world.done);
    assert_eq!(world.done.iter().filter(|step| step.starts_with("put back")).count(), 1);
    assert_eq!(world.record.observed_requests.restore, 2);
}

#[test]
fn a_deletion_calls_a_restore_off_that_has_moved_nothing() {
    for policy in [DeletionPolicy::Retain, DeletionPolicy::Delete] {
        let (mut world, copy) = with_a_copy();
        world.works_slowly = true;
        ask(&mut world, &copy);
        world.round();
        world.works_slowly = false;
        world.change(|desired| {
            desired.deletion = Some(Deletion::Requested);
            desired.deletion_policy = policy;
        });
        world.converge();
        assert!(world.row_deleted && !world.done.iter().any(|step| step.starts_with("put back")));
    }
}

#[test]
fn a_row_that_vanishes_calls_a_restore_off_only_after_its_grace() {
    let (mut world, copy) = with_a_copy();
    world.works_slowly = true;
    ask(&mut world, &copy);
    for _ in 0..5 {
        world.round();
    }
    assert!(world.record.put_back.is_some(), "{}", world.record.reason);
    world.change(|desired| desired.deletion = Some(Deletion::RowGone));
    world.round();
    assert!(world.record.put_back.is_some(), "the row may come back");
    let mut gone = world.clone();
    gone.now = gone.now.checked_add(jiff::SignedDuration::from_secs(61)).unwrap();
    gone.round();
    assert!(gone.record.put_back.is_none());
    world.change(|desired| desired.deletion = None);
    world.round();
    assert!(world.record.put_back.is_some(), "it came back, and what was asked for goes on");
}

/// The name of a putting back is another one each time: an older database does not take what was done
/// since for what it asks for.
#[test]
fn an_older_record_puts_a_copy_back_again() {
    let (mut world, copy) = with_a_copy();
    let older = world.record.clone();
    let puts = |world: &World| world.done.iter().filter(|step| step.starts_with("put back")).count();
    ask(&mut world, &copy);
    world.converge();
    assert_eq!(world.turn, Some(0));
    force(&mut world);
    force(&mut world);
    assert_eq!((world.turn, puts(&world)), (Some(2), 1));
    world.record = older;
    world.record.observed_requests.force_turn = world.desired.requests.force_turn;
    world.forget_facts();
    world.converge();
    assert_eq!((world.turn, puts(&world)), (Some(0), 2), "{:?}", world.done);
}

/// A change of version failed, and the copy cannot be put back.
pub(super) fn cannot_go_back(reason: &'static str) -> (World, BackupId) {
    let (mut world, copy) = with_a_copy();
    world.newer = Newer::ExitsAtStart;
    world.wants("1.4.3");
    (world.fails, world.fails_at, world.fails_for_a_person) = (1_000, "put back", Some(reason));
    for _ in 0..3 {
        world.later(Duration::from_secs(2));
    }
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, reason));
    assert!(world.container.is_none(), "{:?}", world.done);
    (world, copy)
}

pub(super) fn runs(world: &World) -> String {
    world.record.applied.as_ref().unwrap().engine_version.to_string()
}

#[test]
fn whatever_keeps_a_copy_from_its_place_there_is_a_way_out_by_each_verb() {
    for reason in [BACKUP_DAMAGED, BACKUP_GONE] {
        // Another copy.
        let (mut world, copy) = cannot_go_back(reason);
        ask(&mut world, &copy);
        (world.fails, world.newer) = (0, Newer::Good);
        world.converge();
        assert_eq!((world.turn, world.record.timeline, world.record.phase), (Some(0), 2, Phase::Running));
        // It is given up.
        let (mut world, _) = cannot_go_back(reason);
        world.newer = Newer::Good;
        world.change(|desired| desired.requests.unblock += 1);
        world.converge();
        assert_eq!(
            (world.record.phase, runs(&world).as_str()),
            (Phase::Running, "1.4.3"),
            "{:?}",
            world.done
        );
        assert!(world.record.put_back.is_none());
        // It is stopped, and comes back when it is started and the copy is there again.
        let (mut world, _) = cannot_go_back(reason);
        world.change(|desired| desired.status = DesiredStatus::Stopped);
        world.converge();
        assert_eq!(
            (world.record.phase, is_ready(&world)),
            (Phase::Stopped, true),
            "{}",
            world.record.message
        );
        assert!(world.record.message.contains("could not be put back yet"), "{}", world.record.message);
        world.fails = 0;
        world.change(|desired| desired.status = DesiredStatus::Running);
        world.later(Duration::from_secs(600));
        assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.2"));
        // It is tried again at once.
        let (mut world, _) = cannot_go_back(reason);
        world.fails = 0;
        world.change(|desired| desired.requests.restart += 1);
        world.converge();
        assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.2"));
        // It is deleted.
        for policy in [DeletionPolicy::Retain, DeletionPolicy::Delete] {
            let (mut world, _) = cannot_go_back(reason);
            world.change(|desired| {
                desired.deletion = Some(Deletion::Requested);
                desired.deletion_policy = policy;
            });
            for _ in 0..5 {
                world.later(Duration::from_secs(60));
            }
            assert!(world.row_deleted, "{policy:?}: {:?}", world.done);
        }
    }
}

#[test]
fn without_room_for_the_way_back_the_old_engine_is_not_touched_and_it_is_said_once() {
    let (mut world, _) = with_a_copy();
    world.has_room = false;
    world.wants("1.4.3");
    assert_eq!(endings(&mut world, OperationKind::Patch), ["NoRoom"]);
    assert!(world.done.is_empty() && is_ready_by_old_version(&world), "{:?}", world.done);
    assert!(world.record.message.contains("there is no room"), "{}", world.record.message);
    force(&mut world);
    assert_eq!(world.turn, Some(2), "turns go on");
    for _ in 0..4 {
        world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(150));
        assert_eq!(endings(&mut world, OperationKind::Patch).len(), 0);
    }
    world.has_room = true;
    for _ in 0..3 {
        world.later(Duration::from_secs(300));
    }
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.3", Phase::Running));
}

fn is_ready_by_old_version(world: &World) -> bool {
    world.is_alive() && runs(world) == "1.4.2" && world.record.phase == Phase::Running
}

/// A game whose first version does nothing when it is told to initialise.
fn never_initialised() -> World {
    let mut world = World::new();
    world.init_fails = true;
    for _ in 0..4 {
        world.later(Duration::from_secs(3));
    }
    assert!(world.record.initialized_at.is_none() && world.record.init_intent_at.is_some());
    world.done.clear();
    world
}

/// Goes on for a while, and gives the versions that were counted as failed.
fn goes_on(world: &mut World) -> Vec<String> {
    let mut failed = Vec::new();
    for _ in 0..60 {
        failed.extend(world.round().failed_version.map(|version| version.to_string()));
        world.now += jiff::Span::new().seconds(1);
    }
    failed
}

#[test]
fn a_version_that_cannot_initialise_is_left_without_a_way_back() {
    for (crashes, wanted) in [(false, "1.4.3"), (true, "1.4.3"), (false, "1.5.0")] {
        let mut world = never_initialised();
        if crashes {
            world.engines = Engines::ExitAtStart;
            world.kill(1);
            world.later(Duration::from_secs(60));
            world.done.clear();
        }
        world.wants(wanted);
        world.engines = Engines::Healthy;
        assert!(goes_on(&mut world).is_empty());
        let place = format!("{crashes} {wanted}: {} {:?}", world.record.message, world.done);
        assert_eq!((runs(&world).as_str(), world.record.phase), (wanted, Phase::Running), "{place}");
        assert!(world.record.failed_patch.is_none() && world.backups.is_empty(), "{place}");
        assert!(!world.done.iter().any(|step| step.starts_with("put back")), "{place}");
        assert_eq!((world.turn, world.operation()), (Some(0), None));
    }
}

#[test]
fn what_a_version_left_that_could_not_initialise_is_a_persons_matter_and_no_failure_of_the_next() {
    let mut world = never_initialised();
    world.contents = crate::game::record::Contents::new("half a game");
    world.state_directory = crate::game::container::StateDirectory::Present;
    (world.looks, world.now) = (super::world::Looks::none(), world.now + jiff::Span::new().seconds(60));
    world.wants("1.4.3");
    assert!(goes_on(&mut world).is_empty());
    assert_eq!((runs(&world).as_str(), world.record.reason.as_str()), ("1.4.3", PARTIAL_INIT));
    assert!(world.record.failed_patch.is_none(), "{:?}", world.done);
    world.change(|desired| desired.requests.unblock += 1);
    goes_on(&mut world);
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.3", Phase::Running), "{:?}", world.done);
    assert!(!world.done.iter().any(|step| step.starts_with("put back")), "{:?}", world.done);
}

#[test]
fn a_copy_of_what_a_dead_engine_left_says_no_turn_that_nobody_knows() {
    let mut world = World::running();
    force(&mut world);
    // Turn 2 is generated, and the engine dies before it says so.
    world.turns = Turns::Lost;
    world.change(|desired| desired.requests.force_turn += 1);
    world.round();
    world.turn = Some(2);
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.change(|desired| desired.requests.backup += 1);
    world.converge();
    let kept = world.backups.values().next().expect("a copy").copy().clone();
    assert_eq!((kept.turn, world.record.current_turn), (None, Some(1)));
    // Restored, it is at the turn that the engine says, and no turn before that is rolled back.
    (world.engines, world.turns) = (Engines::Healthy, Turns::AtOnce);
    world.later(Duration::from_secs(300));
    force(&mut world);
    assert_eq!(world.turn, Some(3));
    ask(&mut world, &kept.id);
    let mut told = Vec::new();
    for _ in 0..30 {
        told.extend(world.round().rolled_back.map(|back| (back.timeline, back.after)));
    }
    assert_eq!((told, world.turn), (vec![(1, None), (1, Some(2))], Some(2)));
}

#[test]
fn a_copy_that_was_fetched_holds_turns_also_while_docker_is_silent() {
    for is_fetched in [false, true] {
        let (mut world, copy) = with_a_copy();
        world.works_slowly = true;
        ask(&mut world, &copy);
        while world.under_way().is_none() {
            world.round();
        }
        world.works_slowly = false;
        if is_fetched {
            // It ends as Docker falls silent.
            world.end_work();
        }
        (world.docker_answers, world.reached_since) = (false, Some(world.now));
        world.change(|desired| desired.requests.force_turn += 1);
        for _ in 0..4 {
            world.now += jiff::Span::new().seconds(30);
            world.round();
        }
        assert_eq!((world.done.len(), world.turn), (1, Some(1)), "{:?}", world.done);
        assert_eq!(world.operation(), Some(OperationKind::Restore), "it goes on, under one operation");
        world.end_work();
        world.docker_answers = true;
        assert_eq!(endings(&mut world, OperationKind::Restore), ["succeeded"], "{:?}", world.done);
        assert_eq!(world.record.timeline, 2);
    }
}

#[test]
fn of_a_copy_of_another_timeline_no_turn_of_the_present_one_is_true() {
    let mut world = World::running();
    let copies = |world: &mut World| {
        world.now += jiff::Span::new().seconds(1);
        world.change(|desired| desired.requests.backup += 1);
        world.converge();
        world.backups.keys().last().unwrap().clone()
    };
    force(&mut world);
    let first = copies(&mut world);
    (0..3).for_each(|_| force(&mut world));
    let fourth = copies(&mut world);
    // And one whose note does not say of which history it is.
    let silent = copies(&mut world);
    world.forget_timeline(&silent);
    assert_eq!((world.turn, world.record.timeline), (Some(4), 1));
    let mut told = Vec::new();
    for (copy, turns) in [(&first, 1), (&fourth, 2), (&silent, 0), (&silent, 0)] {
        ask(&mut world, copy);
        for _ in 0..30 {
            told.extend(world.round().rolled_back.map(|back| (back.timeline, back.after)));
        }
        assert_eq!(world.record.phase, Phase::Running, "{:?}", world.done);
        (0..turns).for_each(|_| force(&mut world));
    }
    // Of the present timeline the turns after the copy's go; of any other, all.
    assert_eq!(told, [(1, Some(1)), (2, Some(0)), (3, Some(0)), (4, Some(0))]);
    assert_eq!(world.turn, Some(4));
    // In the first timeline there is no other that a note could mean.
    let (mut world, copy) = with_a_copy();
    world.forget_timeline(&copy);
    ask(&mut world, &copy);
    let plans = std::iter::repeat_with(|| world.round()).take(30);
    let told: Vec<_> = plans.filter_map(|plan| plan.rolled_back).map(|back| back.after).collect();
    assert_eq!(told, [Some(0)], "the copy is at turn 0");
}

#[test]
fn a_change_of_version_waits_for_room_that_others_need_first_and_comes_by_itself() {
    let (mut world, _) = with_a_copy();
    world.room_is_kept = true;
    world.change(|desired| desired.requests.patch += 1);
    world.wants("1.4.3");
    assert_eq!(endings(&mut world, OperationKind::Patch), [""; 0], "it waits, and nothing has failed");
    assert!(world.done.is_empty() && is_ready_by_old_version(&world), "{:?}", world.done);
    assert!(world.record.message.contains("it waits for room"), "{}", world.record.message);
    assert!(!world.plan().uses_disruption_place, "nobody waits for its place");
    force(&mut world);
    assert_eq!(world.turn, Some(2), "turns go on");
    world.room_is_kept = false;
    world.later(Duration::from_secs(10));
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.3", Phase::Running), "{:?}", world.done);
}
