//! Copies of the state: those that somebody asked for, and those before turns.

use std::time::Duration;

use crate::game::operation::{Ending, OperationKind};
use crate::game::record::Unreadable;
use crate::game::spec::{Deletion, DeletionPolicy, DesiredStatus};
use crate::game::turn::TurnEnd;
use crate::game::{BackupReason, ConditionStatus, ConditionType, Phase};
use crate::reconcile::Wait;
use crate::reconcile::plan::{Plan, UNREADABLE_RECORD};

use super::world::{Engines, Turns, World, plain};

const DEMAND: &str = "back up state as 20270115T080000000Z-demand-1";
const BEFORE_1: &str = "back up state as 20270115T080000000Z-before-turn-1";

fn ask(world: &mut World) {
    world.change(|desired| desired.requests.backup += 1);
}

fn force(world: &mut World) {
    world.change(|desired| desired.requests.force_turn += 1);
}

/// A running game that wants a copy before each turn.
fn copied_before_turns() -> World {
    let mut world = World::running();
    world.change(|desired| desired.backup_before_turn = true);
    world.converge();
    assert!(world.done.is_empty(), "the wish restarts nothing: {:?}", world.done);
    world
}

fn copies(world: &World) -> Vec<&str> {
    world.done.iter().filter_map(|step| step.strip_prefix("back up state as ")).collect()
}

fn on_time(world: &World) -> (ConditionStatus, String, String) {
    let found = world.record.conditions.iter().find(|c| c.kind == ConditionType::TurnsOnTime).unwrap();
    (found.status, found.reason.clone(), found.message.clone())
}

/// How the operations of this kind ended in a plan, in a word.
fn ended(plan: &Plan, was: Option<OperationKind>) -> Vec<String> {
    let word = |ending: &Ending| match ending {
        Ending::Succeeded => "succeeded".to_owned(),
        Ending::Superseded => "superseded".to_owned(),
        Ending::Failed { code, .. } => code.clone(),
    };
    let closed = plan.operation.close.iter().filter(|_| was == Some(OperationKind::Backup)).map(word);
    let at_once = plan.operation.at_once.iter().filter(|(new, _)| new.kind == OperationKind::Backup);
    closed.chain(at_once.map(|(_, ending)| word(ending))).collect()
}

/// Rounds until nothing is left to do now, and how copies on demand ended meanwhile.
fn endings(world: &mut World) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..25 {
        let was = world.operation();
        let planned = world.round();
        told.extend(ended(&planned, was));
        if planned.steps.is_empty() {
            return told;
        }
    }
    panic!("no end: {:?}", world.done);
}

#[test]
fn a_copy_on_demand_is_taken_of_a_running_game_and_nothing_else_is_done() {
    let mut world = World::running();
    ask(&mut world);
    assert_eq!(endings(&mut world), ["succeeded"]);
    assert_eq!(world.done, [DEMAND]);
    assert_eq!(
        (world.record.phase, world.operation(), world.record.copying.clone()),
        (Phase::Running, None, None)
    );
    assert_eq!(world.record.observed_requests.backup, 1);
    let kept = world.backups.keys().next().unwrap();
    assert_eq!(plain(kept.as_str()), "20270115T080000000Z-demand-1");
    // Once for each request, and for several that wait there is one.
    ask(&mut world);
    ask(&mut world);
    world.later(Duration::from_secs(1));
    assert_eq!(copies(&world), ["20270115T080000000Z-demand-1", "20270115T080001000Z-demand-3"]);
}

#[test]
fn a_copy_on_demand_is_taken_of_a_stopped_game_and_starts_nothing() {
    let mut world = World::running();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    let stopped_at = world.record.stopped_at;
    world.done.clear();
    world.now += jiff::Span::new().seconds(5);
    ask(&mut world);
    assert_eq!(endings(&mut world), ["succeeded"]);
    assert_eq!(world.done, ["back up state as 20270115T080005000Z-demand-1"]);
    assert_eq!((world.record.phase, world.operation()), (Phase::Stopped, None));
    assert_eq!(world.record.stopped_at, stopped_at, "it has been stopped since then");
}

#[test]
fn a_copy_on_demand_waits_for_the_turn_in_flight_and_no_turn_begins_before_it_is_taken() {
    let mut world = World::running();
    world.turns = Turns::Never;
    force(&mut world);
    world.round();
    ask(&mut world);
    for _ in 0..5 {
        world.round();
    }
    assert_eq!(world.done, ["generate turn 1"], "{:?}", world.done);
    world.turns = Turns::AtOnce;
    world.turn = Some(1);
    world.works_slowly = true;
    force(&mut world);
    world.now += jiff::Span::new().seconds(20);
    for _ in 0..6 {
        world.round();
    }
    assert_eq!(world.done[1..], ["back up state as 20270115T080020000Z-demand-1"]);
    world.end_work();
    world.works_slowly = false;
    world.converge();
    assert_eq!(world.done[2..], ["generate turn 2"]);
}

#[test]
fn what_writes_meanwhile_has_it_tried_again_under_the_same_name_and_then_it_fails_and_says_so() {
    let mut world = World::running();
    ask(&mut world);
    (world.fails, world.fails_at) = (2, "back up");
    world.converge();
    assert!(world.record.copying.as_ref().unwrap().problem.is_some());
    // Turns go on meanwhile.
    force(&mut world);
    world.converge();
    for _ in 0..3 {
        world.later(Duration::from_secs(5));
    }
    assert_eq!((world.turn, world.record.observed_requests.backup), (Some(1), 1));
    let taken = copies(&world);
    assert!(
        taken.len() == 3 && taken.iter().all(|name| *name == "20270115T080000000Z-demand-1"),
        "{taken:?}"
    );
    ask(&mut world);
    world.fails = 100;
    let mut told = Vec::new();
    for _ in 0..20 {
        told.extend(endings(&mut world));
        world.now += jiff::Span::new().seconds(5);
    }
    assert_eq!(told, ["Failed"], "{:?}", world.done);
    assert_eq!(copies(&world).len(), 3 + 5);
    assert_eq!((world.record.phase, world.operation(), world.record.failures), (Phase::Running, None, 0));
    assert_eq!(world.record.observed_requests.backup, 2);
}

#[test]
fn a_controller_that_dies_while_a_copy_is_taken_takes_it_again_under_the_same_name() {
    for rounds in 0..4 {
        for steps in 0..2 {
            let mut world = World::running();
            ask(&mut world);
            for _ in 0..rounds {
                world.round();
            }
            world.round_of(steps);
            world.forget_facts();
            world.now += jiff::Span::new().seconds(1);
            world.converge();
            assert_eq!(world.backups.len(), 1, "{rounds} {steps}: {:?}", world.done);
            assert_eq!(world.record.observed_requests.backup, 1);
            assert_eq!((world.record.phase, world.operation()), (Phase::Running, None));
        }
    }
}

#[test]
fn a_game_without_state_and_one_that_is_deleted_refuse_a_copy() {
    let mut world = World::new();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    ask(&mut world);
    assert_eq!(endings(&mut world), ["NoState"]);
    assert_eq!((world.record.observed_requests.backup, copies(&world).len()), (1, 0));
    let mut world = World::running();
    ask(&mut world);
    world.change(|desired| desired.deletion = Some(Deletion::Requested));
    world.deletion_held = Some("so many".into());
    assert_eq!(endings(&mut world), ["Deleting"]);
    assert_eq!(copies(&world).len(), 0);
}

#[test]
fn an_engine_that_keeps_dying_is_copied_while_no_process_runs() {
    let mut world = World::running();
    world.engines = Engines::ExitAtStart;
    world.kill(3);
    world.converge();
    let starts = world.done.len();
    ask(&mut world);
    assert_eq!(endings(&mut world)[..1], ["succeeded"]);
    assert_eq!(world.done[starts], "back up state as 20270115T080000000Z-demand-1");
    // One that lives and does not answer is waited for.
    let mut world = World::running();
    world.engines = Engines::NeverHealthy;
    world.later(Duration::from_secs(16));
    ask(&mut world);
    for _ in 0..3 {
        world.later(Duration::from_secs(3));
    }
    assert_eq!(copies(&world).len(), 0, "{:?}", world.done);
}

#[test]
fn a_stop_calls_a_copy_off_and_has_it_taken_of_what_is_left() {
    let mut world = World::running();
    world.works_slowly = true;
    ask(&mut world);
    world.round();
    assert_eq!(world.done, [DEMAND]);
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.works_slowly = false;
    world.converge();
    assert_eq!(
        world.done,
        [DEMAND, "stop container container-1 within 10 s", "remove container container-1", DEMAND]
    );
    assert_eq!((world.record.phase, world.operation()), (Phase::Stopped, None));
    assert_eq!(world.record.observed_requests.backup, 1);
}

#[test]
fn a_change_of_version_and_a_copy_on_demand_wait_for_each_other() {
    for rounds in 0..14 {
        let mut world = World::running();
        world.change(|desired| {
            let version: crate::game::EngineVersion = "1.4.3".parse().unwrap();
            desired.spec.as_mut().unwrap().engine_version = Some(version.clone().into());
            let entry = desired.version.as_mut().unwrap();
            entry.image = crate::game::ImageRef::new("engine:1.4.3");
            entry.version = version;
        });
        for _ in 0..rounds {
            world.round();
        }
        ask(&mut world);
        world.converge();
        let reasons: Vec<BackupReason> = world.backups.values().map(|kept| kept.copy().reason).collect();
        assert_eq!(reasons.len(), 2, "after {rounds}: {:?}", world.done);
        assert_eq!(world.record.observed_requests.backup, 1, "after {rounds}");
        assert_eq!((world.record.phase, world.operation()), (Phase::Running, None));
    }
}

#[test]
fn a_turn_is_sent_after_a_copy_of_the_state_before_it() {
    let mut world = copied_before_turns();
    force(&mut world);
    world.converge();
    assert_eq!(world.done, [BEFORE_1, "generate turn 1"]);
    assert_eq!((world.turn, world.operation()), (Some(1), None));
    assert_eq!(world.record.copying, None);
    let kept = world.backups.values().next().unwrap().copy();
    assert_eq!((kept.reason, kept.turn), (BackupReason::Turn, Some(0)));
}

#[test]
fn a_copy_that_cannot_be_taken_holds_the_turn_and_says_so() {
    let mut world = copied_before_turns();
    world.fails = 3;
    force(&mut world);
    world.converge();
    let (status, reason, message) = on_time(&world);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "Failed"));
    assert!(
        message.starts_with("Turn 1 waits for a copy of the state, which could not be taken:"),
        "{message}"
    );
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Running, "TurnWaitsForCopy"));
    assert_eq!(world.turn, Some(0));
    // The engine is asked how it is meanwhile, and the pauses grow.
    for _ in 0..12 {
        world.later(Duration::from_secs(1));
    }
    assert_eq!((world.turn, copies(&world).len()), (Some(1), 4), "{:?}", world.done);
    assert!(copies(&world).iter().all(|name| BEFORE_1.ends_with(name)));
    assert_eq!(on_time(&world).0, ConditionStatus::True);
    assert_eq!(world.record.reason, "Running");
}

#[test]
fn a_pause_or_a_stop_while_the_copy_is_taken_calls_the_turn_off() {
    for stops in [false, true] {
        let mut world = copied_before_turns();
        world.works_slowly = true;
        force(&mut world);
        world.round();
        assert_eq!(world.done, [BEFORE_1]);
        world.change(|desired| match stops {
            true => desired.status = DesiredStatus::Stopped,
            false => desired.paused = true,
        });
        let planned = world.round();
        assert!(
            planned.ledger.iter().any(|entry| matches!(entry.end, Some(TurnEnd::Abandoned(_)))),
            "{stops}"
        );
        assert!(stops || world.record.paused_at.is_some());
        world.works_slowly = false;
        world.end_work();
        world.converge();
        assert!(!world.done.iter().any(|step| step.starts_with("generate")), "{:?}", world.done);
        assert_eq!(
            (world.record.copying.clone(), world.record.turn.clone(), world.operation()),
            (None, None, None)
        );
    }
}

#[test]
fn a_controller_that_dies_before_a_turn_takes_no_second_copy_and_sends_it_once() {
    for rounds in 0..5 {
        for steps in 0..2 {
            let mut world = copied_before_turns();
            force(&mut world);
            for _ in 0..rounds {
                world.round();
            }
            world.round_of(steps);
            world.forget_facts();
            for _ in 0..5 {
                world.later(Duration::from_secs(3));
            }
            assert_eq!((world.turn, world.backups.len()), (Some(1), 1), "{rounds} {steps}: {:?}", world.done);
        }
    }
}

#[test]
fn a_copy_on_demand_that_fails_is_not_forgotten_for_the_one_before_a_turn() {
    let mut world = copied_before_turns();
    (world.fails, world.fails_at) = (2, "back up");
    ask(&mut world);
    world.converge();
    force(&mut world);
    world.converge();
    for _ in 0..6 {
        world.later(Duration::from_secs(2));
    }
    assert_eq!((world.turn, world.record.observed_requests.backup), (Some(1), 1), "{:?}", world.done);
    assert_eq!(world.backups.len(), 2);
}

#[test]
fn while_docker_is_silent_the_state_is_copied_before_a_turn_all_the_same() {
    let mut world = copied_before_turns();
    world.docker_answers = false;
    world.reached_since = Some(world.now);
    force(&mut world);
    for _ in 0..6 {
        world.round();
        world.now += jiff::Span::new().seconds(2);
    }
    assert_eq!(world.turn, Some(1), "{:?}", world.done);
    assert_eq!(copies(&world).len(), 1);
}

#[test]
fn a_deletion_takes_the_copies_with_it_by_policy_and_first() {
    for policy in [DeletionPolicy::Delete, DeletionPolicy::Retain] {
        let mut world = World::running();
        ask(&mut world);
        world.converge();
        world.done.clear();
        world.change(|desired| {
            desired.deletion = Some(Deletion::Requested);
            desired.deletion_policy = policy;
        });
        world.converge();
        assert!(world.row_deleted);
        let gone = ["remove copies of the state", "remove state directory", "delete row"];
        match policy {
            DeletionPolicy::Delete => assert_eq!(world.done[2..], gone),
            DeletionPolicy::Retain => assert_eq!(world.done[2..], gone[2..]),
        }
        assert_eq!(world.backups.len(), usize::from(policy == DeletionPolicy::Retain));
    }
}

#[test]
fn a_deletion_that_finds_nothing_but_copies_removes_them() {
    let mut world = World::running();
    ask(&mut world);
    world.converge();
    world.change(|desired| {
        desired.deletion = Some(Deletion::Requested);
        desired.deletion_policy = DeletionPolicy::Delete;
    });
    world.container = None;
    world.state_directory = crate::game::container::StateDirectory::Absent;
    world.converge();
    assert!(world.row_deleted && world.backups.is_empty(), "{:?}", world.done);
}

#[test]
fn a_record_that_cannot_be_read_blocks_its_game_and_names_the_column() {
    let mut world = World::running();
    world.record.unreadable = vec![Unreadable { column: "put_back", why: "missing field `backup`".into() }];
    world.kill(1);
    world.converge();
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, UNREADABLE_RECORD));
    assert!(world.record.message.contains("put_back (missing field `backup`)"), "{}", world.record.message);
    assert!(world.done.is_empty(), "{:?}", world.done);
    world.change(|desired| {
        desired.deletion = Some(Deletion::Requested);
        desired.deletion_policy = DeletionPolicy::Delete;
    });
    world.converge();
    assert!(!world.row_deleted && world.done.is_empty(), "{:?}", world.done);
}

#[test]
fn a_restore_waits_for_a_place_among_the_disrupted_and_keeps_it_until_the_game_is_back() {
    let mut world = World::running();
    world.change(|desired| desired.requests.backup = 1);
    world.converge();
    let copy = world.backups.keys().next().cloned().expect("a copy");
    world.done.clear();
    world.disruption_place = false;
    world.change(|desired| (desired.requests.restore, desired.restore_backup) = (1, Some(copy)));
    let waits = world.converge();
    assert!(waits.uses_disruption_place && waits.waiting_on.contains(&Wait::DisruptionPlace));
    assert!(world.done.is_empty() && world.record.phase == Phase::Running, "{:?}", world.done);
    world.disruption_place = true;
    world.works_slowly = true;
    for _ in 0..20 {
        let planned = world.round();
        world.end_work();
        if world.record.put_back.is_some() {
            assert!(planned.uses_disruption_place);
        }
    }
    world.works_slowly = false;
    assert!(!world.converge().uses_disruption_place);
    assert!(world.done.iter().any(|step| step.starts_with("put back")), "{:?}", world.done);
    assert_eq!((world.record.phase, world.record.timeline), (Phase::Running, 2));
}
