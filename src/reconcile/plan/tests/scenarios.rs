//! The design's table, row by row: what is done, in this order, and nothing else.

use std::time::Duration;

use crate::game::container::{ContainerState, HostProcess, Owner, Rival, StateDirectory};
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::DeletionGuard;
use crate::game::spec::{Deletion, DeletionPolicy, DesiredStatus};
use crate::game::{ConditionStatus, ConditionType, ContainerId, ImageId, NetworkId, Phase};
use crate::reconcile::observed::{Looked, RuntimeView};
use crate::reconcile::plan::STATE_IN_USE;
use crate::reconcile::step::Step;

use super::world::{Engines, Looks, World};

fn condition(world: &World, kind: ConditionType) -> (ConditionStatus, String) {
    let found = world.record.conditions.iter().find(|c| c.kind == kind).expect("the condition");
    (found.status, found.reason.clone())
}

#[test]
fn a_grace_from_the_future_begins_anew() {
    let mut world = World::running();
    world.change(|d| d.deletion = Some(Deletion::RowGone));
    world.record.deletion_seen_at = Some(world.now + jiff::SignedDuration::from_secs(30));
    let plan = world.plan();
    assert!(plan.steps.iter().all(|planned| !planned.step.mutates()), "{:?}", plan.steps);
    assert_eq!(plan.record.deletion_seen_at, Some(world.now));
    assert_eq!(plan.record.reason, "RowGone");
}

#[test]
fn from_nothing_to_running() {
    let mut world = World::new();
    let last = world.converge();
    assert_eq!(
        world.done,
        [
            "create state directory",
            "create container for 1.4.2",
            "start container container-1",
            "initialise engine with 1 races",
        ]
    );
    assert_eq!(world.record.phase, Phase::Running);
    assert_eq!(condition(&world, ConditionType::Ready), (ConditionStatus::True, "Running".into()));
    assert_eq!((world.operation(), world.record.observed_generation), (None, 1));
    assert!(last.look_again.is_some_and(|at| at > world.now));
}

#[test]
fn a_missing_image_and_a_missing_network_are_fetched_and_made() {
    let mut world = World::new();
    (world.image_on_host, world.network) = (false, None);
    world.converge();
    assert_eq!(world.done[..3], ["pull image engine:1.4.2", "create state directory", "create network"]);
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_spec_that_cannot_be_met_creates_nothing_and_goes_on_once_corrected() {
    type Spoil = fn(&mut crate::game::Desired);
    let spoils: [(Spoil, &str); 4] = [
        (|d| d.spec.as_mut().unwrap().engine_version = None, "NoEngineVersion"),
        (|d| d.version = None, "UnknownEngineVersion"),
        (|d| d.version.as_mut().unwrap().enabled = false, "EngineVersionDisabled"),
        (|d| d.members.clear(), "NoActiveMembers"),
    ];
    for (spoil, reason) in spoils {
        let mut world = World::new();
        let good = world.desired.clone();
        world.change(spoil);
        let last = world.converge();
        assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Invalid, reason));
        assert!(world.done.is_empty() && last.look_again.is_none(), "{reason}");
        world.change(|d| *d = crate::game::Desired { generation: d.generation, ..good });
        world.converge();
        assert_eq!(world.record.phase, Phase::Running, "{reason}");
    }
}

#[test]
fn a_spoilt_spec_is_told_once_and_its_operation_ends_as_it_begins() {
    let mut world = World::new();
    world.change(|d| d.members.clear());
    let first = world.round();
    let (refused, ending) = first.operation.at_once.first().cloned().expect("an operation on record");
    assert_eq!(refused.kind, OperationKind::Start);
    assert!(matches!(ending, Ending::Failed { code, .. } if code == "NoActiveMembers"));
    let second = world.round();
    assert!(second.operation.is_empty() && second.event.is_none() && second.record == world.record);
}

#[test]
fn a_running_game_survives_a_spoilt_spec() {
    let mut world = World::running();
    world.change(|d| {
        d.members.clear();
        d.version = None;
    });
    world.converge();
    assert!(world.done.is_empty());
    assert_eq!(world.record.phase, Phase::Running);
    assert_eq!(condition(&world, ConditionType::SpecValid).0, ConditionStatus::False);
    assert_eq!(
        condition(&world, ConditionType::Ready).0,
        ConditionStatus::False,
        "what was asked for is not so"
    );
    world.kill(137);
    world.converge();
    assert_eq!(world.done, ["start container container-1"]);
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_killed_engine_is_started_again_at_once_in_the_same_container() {
    let mut world = World::running();
    world.kill(137);
    world.converge();
    assert_eq!(world.done, ["start container container-1"]);
    let record = &world.record;
    assert_eq!((record.phase, record.restart_count, record.failures), (Phase::Running, 1, 1));
    assert_eq!(record.last_exit.as_ref().and_then(|exit| exit.code), Some(137));
    assert_eq!(record.last_log_lines.as_deref(), Some("last words"));
}

#[test]
fn a_process_that_docker_found_again_under_an_ended_ones_time_is_ended_and_the_engine_started() {
    let mut world = World::running();
    let before = world.container.clone();
    world.kill(137);
    let counted = world.round();
    assert_eq!(counted.record.last_exit.as_ref().and_then(|exit| exit.code), Some(137));
    // Docker died while it started the next one, and says of that what it knew of the first.
    world.container = before;
    world.done.clear();
    let plan = world.round();
    assert_eq!((plan.record.phase, plan.record.reason.as_str()), (Phase::Starting, "UnknownProcess"));
    world.converge();
    assert_eq!(world.done, ["stop container container-1 within 10 s", "start container container-1"]);
    assert_eq!((world.record.phase, world.record.restart_count), (Phase::Running, 1));
}

#[test]
fn a_second_death_waits_a_second_and_ten_healthy_minutes_forget_it() {
    let mut world = World::running();
    world.kill(1);
    world.converge();
    world.kill(1);
    let waiting = world.converge();
    assert_eq!((world.done.len(), world.record.phase), (1, Phase::CrashLoop));
    assert_eq!(waiting.look_again.map(|at| at.duration_since(world.now).as_secs()), Some(1));
    world.later(Duration::from_secs(1));
    assert_eq!((world.done.len(), world.record.phase), (2, Phase::Running));
    world.later(Duration::from_secs(601));
    assert_eq!((world.record.failures, world.record.restart_count), (0, 2));
}

#[test]
fn a_container_removed_by_hand_is_made_again() {
    let mut world = World::running();
    world.container = None;
    world.looks = Looks::none();
    world.converge();
    assert_eq!(world.done, ["create container for 1.4.2", "start container container-2"]);
    assert_eq!(world.record.last_exit.as_ref().map(|exit| exit.reason.as_str()), Some("Removed"));
}

#[test]
fn a_container_that_lost_its_network_is_replaced() {
    let mut world = World::running();
    world.kill(0);
    world.network = Some(NetworkId::new("net-made-again"));
    world.converge();
    assert_eq!(
        world.done,
        ["remove container container-1", "create container for 1.4.2", "start container container-2"]
    );
}

#[test]
fn an_engine_that_is_never_healthy_is_given_up_at_its_deadline_and_tried_again_ever_later() {
    let mut world = World::new();
    world.engines = Engines::NeverHealthy;
    world.converge();
    assert_eq!(world.record.phase, Phase::Starting);
    let mut starts = Vec::new();
    for _ in 0..600 {
        let before = world.done.iter().filter(|step| step.starts_with("start")).count();
        world.later(Duration::from_secs(1));
        if world.done.iter().filter(|step| step.starts_with("start")).count() > before {
            starts.push(world.now.as_second() - 1_800_000_000);
        }
    }
    // 60 s to give it up each time; then at once, then 1, 2, 4, 8 … seconds.
    assert_eq!(starts, [60, 121, 183, 247, 315, 391, 483]);
    assert!(!world.done.iter().any(|step| step.starts_with("initialise")));
}

#[test]
fn an_engine_that_exits_at_start_is_tried_ever_more_seldom() {
    let mut world = World::new();
    world.engines = Engines::ExitAtStart;
    world.converge();
    for _ in 0..1_000 {
        world.later(Duration::from_secs(1));
    }
    let starts = world.done.iter().filter(|step| step.starts_with("start")).count();
    assert_eq!((world.record.phase, starts), (Phase::CrashLoop, 12));
}

#[test]
fn stopping_keeps_the_state_and_starting_again_initialises_nothing() {
    let mut world = World::running();
    world.change(|d| d.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!(world.done, ["stop container container-1 within 10 s", "remove container container-1"]);
    assert_eq!((world.record.phase, world.state_directory), (Phase::Stopped, StateDirectory::Present));
    assert_eq!(condition(&world, ConditionType::Ready).0, ConditionStatus::True);
    world.done.clear();
    world.change(|d| d.status = DesiredStatus::Running);
    world.converge();
    assert_eq!(world.done, ["create container for 1.4.2", "start container container-2"]);
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_restart_happens_once_for_each_request() {
    let mut world = World::running();
    world.change(|d| d.requests.restart = 2);
    world.converge();
    assert_eq!(
        world.done,
        [
            "stop container container-1 within 10 s",
            "remove container container-1",
            "create container for 1.4.2",
            "start container container-2",
        ]
    );
    world.done.clear();
    world.converge();
    assert!(world.done.is_empty());
    assert_eq!(world.record.observed_requests.restart, 2);
}

#[test]
fn a_restart_of_a_stopped_game_asks_for_nothing() {
    let mut world = World::running();
    world.change(|d| d.status = DesiredStatus::Stopped);
    world.converge();
    world.change(|d| d.requests.restart = 1);
    world.converge();
    world.change(|d| d.status = DesiredStatus::Running);
    world.converge();
    assert_eq!(world.done.iter().filter(|step| step.starts_with("start")).count(), 1);
}

#[test]
fn changed_resources_make_a_new_container_and_an_incompatible_version_does_not() {
    let mut world = World::running();
    world.change(|d| d.spec.as_mut().unwrap().resources.memory_bytes = Some(1 << 28));
    world.converge();
    assert_eq!(world.done.last().map(String::as_str), Some("start container container-2"));
    world.done.clear();
    world.change(|d| {
        d.spec.as_mut().unwrap().engine_version = Some("1.5.0".parse().unwrap());
        d.version.as_mut().unwrap().version = "1.5.0".parse().unwrap();
    });
    world.converge();
    assert!(world.done.is_empty());
    assert_eq!(
        condition(&world, ConditionType::SpecValid),
        (ConditionStatus::False, "PatchSemverIncompatible".into())
    );
}

#[test]
fn deletion_keeps_or_removes_the_state_by_policy() {
    for (policy, kept) in [(DeletionPolicy::Retain, true), (DeletionPolicy::Delete, false)] {
        let mut world = World::running();
        world.change(|d| {
            d.deletion_policy = policy;
            d.deletion = Some(Deletion::Requested);
        });
        world.converge();
        assert!(world.row_deleted);
        assert_eq!(world.state_directory == StateDirectory::Present, kept);
        assert_eq!(world.done.last().map(String::as_str), Some("delete row"));
    }
}

#[test]
fn a_deletion_that_has_begun_says_so_for_ever_and_is_not_held_when_something_is_in_its_way() {
    let mut world = World::running();
    world.record.deletion_guard = Some(DeletionGuard::Counted);
    world.change(|d| d.deletion = Some(Deletion::Requested));
    while world.container.is_some() {
        world.round();
    }
    // Somebody takes the name: it is blocked, and its operation ends.
    let mut foreign = World::running().container.unwrap();
    foreign.owner = Owner::Foreign;
    world.container = Some(foreign);
    world.converge();
    assert_eq!(world.record.reason, "ForeignContainer");
    assert_eq!(world.record.deletion_guard, Some(DeletionGuard::Begun));
}

#[test]
fn a_foreign_container_of_our_name_is_never_touched() {
    let mut world = World::running();
    world.container.as_mut().unwrap().owner = Owner::Foreign;
    for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
        world.change(|d| d.status = status);
        world.converge();
        assert!(world.done.is_empty());
    }
    world.change(|d| d.status = DesiredStatus::Running);
    world.converge();
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "ForeignContainer"));
    assert_eq!((&world.record.endpoint, &world.record.endpoints), (&None, &None), "nobody is sent there");
}

#[test]
fn a_container_with_our_labels_and_another_image_is_told_and_never_touched() {
    let mut world = World::running();
    let own = world.container.clone();
    let other = world.container.as_mut().unwrap();
    other.id = ContainerId::new("f00d");
    other.image_id = ImageId::new("sha256:newer");
    for (status, deletion) in [
        (DesiredStatus::Running, None),
        (DesiredStatus::Stopped, None),
        (DesiredStatus::Running, Some(Deletion::Requested)),
    ] {
        world.change(|d| (d.status, d.deletion) = (status, deletion));
        world.converge();
        assert!(world.done.is_empty(), "{:?}", world.done);
        assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "StrangeContainer"));
        assert_eq!(world.record.endpoint, None, "nobody is sent there");
    }
    assert!(world.container.is_some());
    world.container = own;
    world.change(|d| (d.status, d.deletion) = (DesiredStatus::Running, None));
    world.converge();
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_container_with_our_image_and_another_name_or_mount_is_told_unless_it_is_the_one_on_record() {
    let mut world = World::running();
    let unlike = Some("its name is `naughty_euler`".to_owned());
    // Somebody renames ours: it is still ours, also when it is healed.
    world.container.as_mut().unwrap().unlike.clone_from(&unlike);
    world.kill(1);
    world.later(Duration::from_secs(60));
    assert_eq!((world.record.phase, world.is_alive()), (Phase::Running, true), "{}", world.record.message);
    world.done.clear();
    let own = world.container.clone();
    let other = world.container.as_mut().unwrap();
    other.id = ContainerId::new("f00d");
    world.converge();
    assert!(world.done.is_empty(), "{:?}", world.done);
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "StrangeContainer"));
    assert!(world.record.message.contains("not made by Gamekeeper: its name is `naughty_euler`."));
    world.container = own;
    world.converge();
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_process_that_outlived_docker_is_named_and_nothing_is_made_or_removed_beside_it() {
    let process = HostProcess {
        pid: 4711,
        command: "engine".into(),
        container: Some(ContainerId::new("f00df00df00df00d")),
        others: 0,
    };
    let (running, stopped) = (DesiredStatus::Running, DesiredStatus::Stopped);
    for is_there in [true, false] {
        for (status, deletion, restart) in [
            (running, None, false),
            (running, None, true),
            (stopped, None, false),
            (running, Some(Deletion::Requested), false),
        ] {
            let mut world = World::running();
            // As after Docker died in the middle of a start: dead, by its word, or not there at all.
            world.kill(255);
            if !is_there {
                world.container = None;
            }
            world.rival = Some(Rival::Process(process.clone()));
            world.change(|d| {
                (d.status, d.deletion) = (status, deletion);
                d.requests.restart += i64::from(restart);
            });
            world.later(Duration::from_secs(600));
            let what = format!("{is_there} {status:?} {deletion:?} {restart}: {:?}", world.done);
            if !is_there && status == stopped {
                // There is nothing to remove, and nothing is asked for that could harm it.
                assert_eq!(world.record.phase, Phase::Stopped, "{what}");
                world.change(|d| d.status = running);
                world.later(Duration::from_secs(600));
            }
            assert_eq!(
                (world.record.phase, world.record.reason.as_str()),
                (Phase::Blocked, STATE_IN_USE),
                "{what}"
            );
            assert_eq!(world.record.message, process.in_use(), "{what}");
            assert_eq!((world.container.is_some(), world.is_alive()), (is_there, false), "{what}");
            // What cannot be done is not tried again and again: whether it is still so is looked at.
            let tried = world.done.len();
            for _ in 0..5 {
                world.looks = Looks::none();
                world.later(Duration::from_secs(600));
            }
            assert_eq!(world.done.len(), tried, "{what}");
            world.rival = None;
            world.looks = Looks::none();
            world.later(Duration::from_secs(600));
            match (status, deletion) {
                (_, Some(_)) => assert!(world.row_deleted, "{what}"),
                (DesiredStatus::Stopped, None) if is_there => {
                    assert_eq!((world.record.phase, &world.container), (Phase::Stopped, &None), "{what}");
                }
                _ => assert_eq!(world.record.phase, Phase::Running, "{what}"),
            }
        }
    }
}

#[test]
fn a_start_whose_process_may_be_alive_makes_nothing_anew() {
    let mut world = World::running();
    world.kill(1);
    // As where the host cannot be asked, and Docker says that something of an earlier start is there.
    (world.fails, world.fails_at, world.fails_for_a_person) = (3, "start container", Some(STATE_IN_USE));
    for _ in 0..3 {
        world.later(Duration::from_secs(600));
        assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, STATE_IN_USE));
    }
    world.later(Duration::from_secs(600));
    assert_eq!(world.record.phase, Phase::Running, "{}", world.record.message);
    assert_eq!(world.done, ["start container container-1"; 4]);
}

#[test]
fn no_proof_of_death_is_had_of_a_state_that_a_process_has() {
    let mut world = World::running();
    world.kill(0);
    world.round();
    let seen = |world: &World| match world.observation().runtime {
        RuntimeView::Known(seen) => *seen,
        RuntimeView::Unknown { .. } => panic!("Docker answers"),
    };
    let mut dead = seen(&world);
    assert!(dead.dead(None).is_some() && dead.vacancy().is_none());
    let process = HostProcess { pid: 1, command: String::new(), container: None, others: 0 };
    dead.rival = Looked::At(Some(Rival::Process(process)));
    assert_eq!(dead.dead(None), None);
    // Of a container that may be alive whatever Docker says, it takes a look that found nobody.
    let doubted = dead.container.as_ref().map(|container| container.id.clone());
    let unseen = Rival::Unseen { container: doubted.clone().unwrap(), why: "hidepid".into() };
    for (rival, is_proof) in
        [(Looked::NotYet, false), (Looked::At(Some(unseen)), false), (Looked::At(None), true)]
    {
        dead.rival = rival;
        assert_eq!(dead.dead(doubted.as_ref()).is_some(), is_proof, "{:?}", dead.rival);
    }
    let process = HostProcess { pid: 1, command: String::new(), container: None, others: 0 };
    dead.rival = Looked::At(Some(Rival::Process(process)));
    dead.container = None;
    assert_eq!(dead.vacancy(), None);
    dead.rival = Looked::At(None);
    assert!(dead.vacancy().is_some());
}

#[test]
fn a_silent_docker_decides_nothing_and_is_ridden_out() {
    let mut world = World::running();
    world.docker_answers = false;
    let planned = world.round();
    assert!(planned.steps.is_empty() && planned.event.is_none());
    assert_eq!(world.record.phase, Phase::Unknown);
    assert_eq!(world.record.current_turn, Some(0));
    world.docker_answers = true;
    world.converge();
    assert!(world.done.is_empty());
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_crash_after_each_effect_leads_to_the_same_end() {
    // The record is written before the steps; a crash loses only what was not on record: nothing.
    for crash_after in 0..12 {
        let mut world = World::new();
        for _ in 0..crash_after {
            world.round();
        }
        world.looks = Looks::none();
        world.converge();
        let mut done = world.done.clone();
        done.dedup();
        assert_eq!(done, world.done, "crash after round {crash_after}");
        assert_eq!(
            (world.record.phase, world.done.len()),
            (Phase::Running, 4),
            "crash after round {crash_after}"
        );
    }
}

#[test]
fn a_created_container_of_another_image_is_replaced() {
    let mut world = World::new();
    while world.container.is_none() {
        world.round();
    }
    world.container.as_mut().unwrap().image_id = ImageId::new("sha256:other");
    world.converge();
    assert!(world.done.contains(&"remove container container-1".to_owned()));
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn lost_state_is_never_made_anew() {
    let mut world = World::running();
    world.container = None;
    world.looks = Looks::none();
    world.state_directory = StateDirectory::Absent;
    world.converge();
    assert!(world.done.is_empty());
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "StateMissing"));

    let mut world = World::running();
    world.turn = None;
    world.kill(1);
    world.converge();
    assert!(!world.done.iter().any(|step| step.starts_with("initialise")));
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "StateMissing"));
}

#[test]
fn a_pause_is_acknowledged_and_taken_back() {
    let mut world = World::running();
    world.change(|d| d.paused = true);
    world.converge();
    assert!(world.record.paused_at.is_some() && world.done.is_empty());
    world.change(|d| d.paused = false);
    world.converge();
    assert_eq!(world.record.paused_at, None);
}

#[test]
fn a_turn_that_went_back_blocks() {
    let mut world = World::running();
    world.record.current_turn = Some(5);
    world.later(Duration::from_secs(20));
    assert!(world.done.is_empty());
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "TurnWentBack"));
}

#[test]
fn a_stop_in_the_middle_of_a_start_wins() {
    for rounds in 0..8 {
        let mut world = World::new();
        for _ in 0..rounds {
            world.round();
        }
        world.change(|d| d.status = DesiredStatus::Stopped);
        world.converge();
        assert_eq!(world.record.phase, Phase::Stopped, "after {rounds} rounds");
        assert!(world.container.is_none() && world.operation().is_none());
    }
}

#[test]
fn a_container_being_removed_is_waited_for() {
    let mut world = World::running();
    world.container.as_mut().unwrap().state = ContainerState::Removing;
    let planned = world.converge();
    assert!(world.done.is_empty() && planned.look_again.is_some());
}

#[test]
fn unblocking_works_whatever_headline_stands_over_the_block() {
    let mut world = World::running();
    world.record.current_turn = Some(5);
    world.later(Duration::from_secs(20));
    assert_eq!(world.record.reason, "TurnWentBack");
    world.docker_answers = false;
    world.later(Duration::from_secs(20));
    assert_eq!(world.record.phase, Phase::Unknown);
    world.docker_answers = true;
    world.change(|d| d.requests.unblock = 1);
    world.converge();
    assert_eq!((world.record.phase, world.record.current_turn), (Phase::Running, Some(0)));
    assert_eq!(world.record.timeline, 2, "another history of the game");
}

#[test]
fn an_unblocked_game_whose_image_is_another_one_now_takes_it() {
    let mut world = World::running();
    world.record.phase = Phase::Blocked;
    world.record.blocked_by = Some("PinnedImageGone".into());
    world.record.image_id = Some(ImageId::new("sha256:gone"));
    world.container = None;
    world.record.container = None;
    world.looks = Looks::none();
    world.change(|d| d.requests.unblock = 1);
    world.converge();
    assert_eq!(
        (world.record.phase, world.record.image_id.as_ref()),
        (Phase::Running, Some(&ImageId::new("sha256:1")))
    );
}

#[test]
fn a_row_and_a_state_that_are_both_gone_end_after_the_grace() {
    let mut world = World::running();
    world.state_directory = StateDirectory::Absent;
    world.looks = Looks::seeing(StateDirectory::Absent);
    world.change(|d| d.deletion = Some(Deletion::RowGone));
    world.converge();
    assert_eq!(world.record.reason, "StateMissing");
    assert!(world.done.is_empty());
    world.later(Duration::from_secs(61));
    assert!(world.row_deleted && world.container.is_none());
}

#[test]
fn a_pause_from_the_future_begins_anew_and_neither_ends_at_once_nor_never() {
    let mut world = World::new();
    world.engines = Engines::NeverHealthy;
    world.converge();
    world.record.init_intent_at = Some(world.now);
    let ahead = world.now.checked_add(jiff::SignedDuration::from_hours(10)).unwrap();
    world.record.next_attempt_at = Some(ahead);
    world.record.start_began_at = Some(ahead);
    world.engines = Engines::Healthy;
    world.later(Duration::from_secs(2));
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Starting, "InitNotDone"));
    world.later(Duration::from_secs(301));
    assert_eq!(world.record.phase, Phase::Running, "{}", world.record.reason);
}

#[test]
fn a_game_that_no_record_speaks_of_is_never_initialised_over() {
    let mut world = World::new();
    world.state_directory = StateDirectory::WithGame;
    world.contents = crate::game::record::Contents::new("a game of old");
    world.converge();
    assert!(!world.done.iter().any(|step| step.starts_with("initialise")), "{:?}", world.done);
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, "PartialInit"));
    // Its engine has it after all: it is taken as it is.
    let mut world = World::new();
    world.state_directory = StateDirectory::WithGame;
    world.contents = crate::game::record::Contents::new("a game of old");
    world.turn = Some(7);
    world.converge();
    assert_eq!((world.record.phase, world.record.current_turn), (Phase::Running, Some(7)));
}

#[test]
fn a_second_initialisation_waits_for_a_member_and_goes_on_by_itself() {
    let mut world = World::new();
    let sends = |world: &World| {
        world.plan().steps.iter().any(|planned| matches!(planned.step, Step::InitialiseEngine { .. }))
    };
    for _ in 0..20 {
        if sends(&world) {
            break;
        }
        world.round();
    }
    assert!(sends(&world), "{:?}", world.done);
    // It was sent, and failed.
    world.record = world.plan().record;
    let members = world.desired.members.clone();
    world.change(|desired| desired.members.clear());
    world.converge();
    world.later(std::time::Duration::from_secs(301));
    world.converge();
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Invalid, "NoActiveMembers"));
    assert!(!world.done.iter().any(|step| step.starts_with("initialise")), "{:?}", world.done);

    world.change(|desired| desired.members = members);
    world.converge();
    world.later(std::time::Duration::from_secs(301));
    world.converge();
    assert_eq!(world.record.phase, Phase::Running, "{}", world.record.reason);
}
