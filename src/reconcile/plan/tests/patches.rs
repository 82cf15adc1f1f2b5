//! Another engine version, step by step; and back, whatever the new one does wrong.

use std::time::Duration;

use crate::game::container::StateDirectory;
use crate::game::patch::PatchStage;
use crate::game::spec::{Deletion, DeletionPolicy, DesiredStatus};
use crate::game::{ConditionStatus, ConditionType, ImageRef, Phase};

use super::world::{Newer, Turns, World};

fn condition(world: &World, kind: ConditionType) -> (ConditionStatus, String) {
    let found = world.record.conditions.iter().find(|c| c.kind == kind).expect("the condition");
    (found.status, found.reason.clone())
}

fn runs(world: &World) -> String {
    world.record.applied.as_ref().unwrap().engine_version.to_string()
}

fn force(world: &mut World) {
    world.change(|desired| desired.requests.force_turn += 1);
}

const THERE: [&str; 6] = [
    "stop container container-1 within 10 s",
    "remove container container-1",
    "create container for 1.4.3",
    "back up state as 20270115T080000000Z-before-1.4.3",
    "start container container-2",
    "generate turn 1",
];

#[test]
fn the_old_engine_goes_the_state_is_copied_and_the_new_one_starts() {
    let mut world = World::running();
    world.wants("1.4.3");
    world.converge();
    assert_eq!(world.done, THERE[..5]);
    assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.3"));
    assert_eq!(
        condition(&world, ConditionType::PatchSucceeded),
        (ConditionStatus::True, "OnProbation".into())
    );
    assert_eq!(condition(&world, ConditionType::Ready).0, ConditionStatus::True);
    assert_eq!((world.operation(), world.record.timeline), (None, 1));
    force(&mut world);
    world.converge();
    assert_eq!(condition(&world, ConditionType::PatchSucceeded), (ConditionStatus::True, "Succeeded".into()));
    assert_eq!((world.record.patch.clone(), world.turn), (None, Some(1)));
    // And back, by the same way.
    world.wants("1.4.2");
    world.converge();
    assert_eq!((runs(&world).as_str(), world.state_of.as_str()), ("1.4.2", "1.4.2"));
}

#[test]
fn an_image_that_is_removed_while_a_change_is_put_off_is_fetched_before_the_old_engine_goes() {
    for waits_for_room in [true, false] {
        let mut world = World::running();
        (world.has_room, world.disruption_place) = (!waits_for_room, waits_for_room);
        world.wants("1.4.3");
        world.converge();
        world.later(Duration::from_secs(86_400));
        assert_eq!(world.record.patch_delay.is_some(), waits_for_room);
        assert!(world.done.is_empty() && world.is_alive(), "{:?}", world.done);
        // As `docker image prune -a` does, to make room.
        world.newer_was_removed = true;
        (world.has_room, world.disruption_place) = (true, true);
        world.pulls_slowly = true;
        world.later(Duration::from_secs(3_600));
        assert_eq!(world.done, ["pull image engine:1.4.3"], "{waits_for_room}");
        assert!(world.is_alive() && world.record.phase == Phase::Running);
        world.end_pull();
        world.converge();
        let words = |steps: &[String]| steps.iter().map(|step| step[..4].to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&world.done), ["pull", "stop", "remo", "crea", "back", "star"], "{waits_for_room}");
        assert_eq!((runs(&world).as_str(), world.record.failed_patch.clone()), ("1.4.3", None));
    }
}

#[test]
fn a_look_at_the_next_image_that_fails_puts_the_change_off_and_says_why() {
    let mut world = World::running();
    world.wants("1.4.3");
    let look = world.plan().steps[0].step.clone();
    assert_eq!(look.to_string(), "look at next image engine:1.4.3");
    world.fail(&look);
    let planned = world.converge();
    let delay = world.record.patch_delay.clone().expect("it is put off");
    assert_eq!((delay.failures, delay.reason.as_str()), (1, "Failed"));
    assert!(planned.look_again.is_some_and(|at| at > world.now), "it is not asked about without a pause");
    assert!(world.record.message.contains("look at next image"), "{}", world.record.message);
    assert!(world.done.is_empty() && world.record.phase == Phase::Running, "{:?}", world.done);
    world.later(Duration::from_secs(60));
    assert_eq!(runs(&world), "1.4.3");
}

#[test]
fn a_new_engine_that_is_not_healthy_or_not_at_the_same_turn_is_rolled_back() {
    for (newer, reason) in [
        (Newer::NeverHealthy, "NeverHealthy"),
        (Newer::ExitsAtStart, "Exited"),
        (Newer::HasNoGame, "StateUnreadable"),
        (Newer::SaysAnotherTurn, "WrongTurn"),
    ] {
        let mut world = World::running();
        world.newer = newer;
        world.wants("1.4.3");
        world.converge();
        let mut waited = 0;
        while world.record.failed_patch.is_none() || world.record.phase != Phase::Running {
            world.later(Duration::from_secs(1));
            waited += 1;
            assert!(waited < 100, "{newer:?}: {:?} {}", world.done, world.record.message);
        }
        assert_eq!(world.done[..5], THERE[..5], "{newer:?}");
        let puts_back = "put back 20270115T080000000Z-before-1.4.3".to_owned();
        assert_eq!(
            world.done.iter().filter(|step| **step == puts_back).count(),
            1,
            "{newer:?}: {:?}",
            world.done
        );
        assert_eq!((runs(&world).as_str(), world.state_of.as_str(), world.turn), ("1.4.2", "1.4.2", Some(0)));
        let failed = world.record.failed_patch.clone().unwrap();
        assert_eq!((failed.version.to_string().as_str(), failed.reason.as_str()), ("1.4.3", reason));
        assert_eq!(failed.log.as_deref(), Some("last words"), "{newer:?}");
        assert_eq!(condition(&world, ConditionType::PatchSucceeded), (ConditionStatus::False, reason.into()));
        assert_eq!(condition(&world, ConditionType::Ready), (ConditionStatus::False, "PatchFailed".into()));
        assert_eq!((world.record.timeline, world.record.failures, world.operation()), (1, 0, None));
        // It is not tried again by itself: by a restart, by time, by a crash.
        let done = world.done.len();
        world.later(Duration::from_secs(3_600));
        assert_eq!(world.done.len(), done, "{:?}", world.done);
        world.kill(1);
        world.converge();
        assert_eq!(runs(&world), "1.4.2");
        // Asked for again, it is.
        world.newer = Newer::Good;
        world.change(|desired| desired.requests.patch += 1);
        world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(5));
        world.converge();
        assert_eq!(runs(&world), "1.4.3", "{newer:?}: {}", world.record.message);
    }
}

#[test]
fn a_new_engine_that_dies_on_its_first_turn_is_rolled_back_and_the_old_one_generates_it() {
    let mut world = World::running();
    world.newer = Newer::DiesOnItsFirstTurn;
    world.wants("1.4.3");
    world.converge();
    force(&mut world);
    for _ in 0..20 {
        world.later(Duration::from_secs(2));
    }
    assert_eq!((runs(&world).as_str(), world.turn), ("1.4.2", Some(1)), "{:?}", world.done);
    assert_eq!(world.record.failed_patch.as_ref().unwrap().reason, "DiedOnFirstTurn");
    // It was asked, and had not generated it: the history is the same.
    assert_eq!(world.record.timeline, 1);
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn where_the_image_decides_the_user_the_new_one_must_name_the_same() {
    use crate::game::spec::RunAs;
    let asked = |user: &'static str| {
        let mut world = World::running();
        world.newer_user = user;
        world.record.applied.as_mut().unwrap().run_as = RunAs::Image;
        world.wants("1.4.3");
        world.change(|desired| desired.version.as_mut().unwrap().run_as = RunAs::Image);
        world.converge();
        world
    };
    assert_eq!(runs(&asked("1000")), "1.4.3");
    let mut world = asked("");
    assert_eq!((runs(&world).as_str(), world.done.len()), ("1.4.2", 0));
    assert_eq!(condition(&world, ConditionType::Ready), (ConditionStatus::False, "PatchUserDiffers".into()));
    assert!(world.record.message.contains("(root) than the present one (1000)"), "{}", world.record.message);
    world.change(|desired| {
        desired.spec.as_mut().unwrap().allow_incompatible_version = Some("1.4.3".parse().unwrap());
    });
    world.converge();
    assert_eq!(runs(&world), "1.4.3");
}

#[test]
fn a_first_turn_that_hangs_is_made_again_by_the_old_engine_under_a_new_timeline() {
    let mut world = World::running();
    world.wants("1.4.3");
    world.converge();
    world.turns = Turns::Never;
    force(&mut world);
    let hangs = world.converge();
    assert!(hangs.steps.is_empty() && world.turn == Some(0));
    world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(601));
    while world.record.failed_patch.is_none() {
        world.round();
    }
    let told = world.record.failed_patch.clone().unwrap().message;
    assert_eq!(
        told,
        "Engine version 1.4.3 failed: Turn 1 was not done within 600 s; the old engine makes it again, on the state as \
         it was before, and a new timeline begins."
    );
    world.turns = Turns::AtOnce;
    world.converge();
    assert_eq!((runs(&world).as_str(), world.turn, world.record.timeline), ("1.4.2", Some(1), 2));
    assert_eq!(world.done.iter().filter(|step| *step == "generate turn 1").count(), 2);
    assert_eq!((world.record.turn.clone(), world.operation()), (None, None));
}

#[test]
fn what_is_not_allowed_leaves_the_old_engine_alone() {
    let refused = |change: fn(&mut World), reason: &str| {
        let mut world = World::running();
        change(&mut world);
        world.converge();
        assert_eq!(
            (world.done.clone(), world.record.phase),
            (Vec::<String>::new(), Phase::Running),
            "{reason}"
        );
        assert_eq!(condition(&world, ConditionType::Ready), (ConditionStatus::False, reason.into()));
        world
    };
    let mut world = refused(|world| world.wants("1.5.0"), "PatchSemverIncompatible");
    world.change(|desired| {
        desired.spec.as_mut().unwrap().allow_incompatible_version = Some("1.5.0".parse().unwrap());
    });
    world.converge();
    assert_eq!(runs(&world), "1.5.0");
    refused(
        |world| {
            world.wants("1.4.3");
            world.change(|desired| desired.version.as_mut().unwrap().enabled = false);
        },
        "EngineVersionDisabled",
    );
    refused(
        |world| {
            world.wants("1.4.3");
            world.change(|d| {
                d.version.as_mut().unwrap().run_as = crate::game::spec::RunAs::User { uid: 7, gid: 7 }
            });
        },
        "PatchUserDiffers",
    );
    refused(
        |world| {
            world.version_halted = Some("halted".into());
            world.wants("1.4.3");
        },
        "PatchHalted",
    );
    let mut world = refused(
        |world| {
            world.disruption_place = false;
            world.wants("1.4.3");
        },
        "PatchPending",
    );
    assert!(world.plan().uses_disruption_place);
    world.disruption_place = true;
    world.converge();
    assert_eq!(runs(&world), "1.4.3");
}

#[test]
fn a_stop_in_the_middle_ends_on_one_version_with_its_state() {
    // After so many rounds of the change.
    for newer in [Newer::Good, Newer::NeverHealthy] {
        for rounds in 0..14 {
            for delete in [false, true] {
                let mut world = World::running();
                world.newer = newer;
                world.wants("1.4.3");
                for _ in 0..rounds {
                    world.round();
                }
                world.change(|desired| match delete {
                    true => desired.deletion = Some(Deletion::Requested),
                    false => desired.status = DesiredStatus::Stopped,
                });
                world.converge();
                let applied = runs(&world);
                assert_eq!(applied, world.state_of, "{newer:?} after {rounds}: {:?}", world.done);
                assert!(world.container.is_none());
                if delete {
                    assert!(world.row_deleted);
                    continue;
                }
                world.newer = Newer::Good;
                world.change(|desired| desired.status = DesiredStatus::Running);
                world.converge();
                assert_eq!(
                    (runs(&world).as_str(), world.turn),
                    ("1.4.3", Some(0)),
                    "{newer:?} after {rounds}"
                );
                assert!(world.record.put_back.is_none());
            }
        }
    }
}

#[test]
fn whatever_is_wanted_meanwhile_waits_and_then_comes_true() {
    for rounds in 0..14 {
        let mut world = World::running();
        world.wants("1.4.3");
        for _ in 0..rounds {
            world.round();
        }
        world.wants("1.4.4");
        world.change(|desired| desired.requests.restart += 1);
        world.converge();
        assert_eq!((runs(&world).as_str(), world.state_of.as_str()), ("1.4.4", "1.4.4"), "after {rounds}");
        assert_eq!((world.record.phase, world.operation()), (Phase::Running, None));
    }
}

#[test]
fn a_requirement_is_resolved_at_the_start_and_again_only_when_asked() {
    let mut world = World::running();
    let newest = |world: &mut World, version: &str| {
        let version: crate::game::EngineVersion = version.parse().unwrap();
        world.change(|desired| {
            desired.spec.as_mut().unwrap().engine_version = Some("~1.4".parse().unwrap());
            let entry = desired.version.as_mut().unwrap();
            entry.image = ImageRef::new(format!("engine:{version}"));
            entry.version = version;
        });
    };
    newest(&mut world, "1.4.9");
    world.converge();
    assert_eq!((runs(&world).as_str(), world.done.len()), ("1.4.2", 0));
    assert_eq!(condition(&world, ConditionType::Ready).0, ConditionStatus::True);
    world.change(|desired| desired.requests.patch += 1);
    world.converge();
    assert_eq!(runs(&world), "1.4.9");
}

#[test]
fn a_kept_copy_is_put_back_under_a_new_timeline() {
    let mut world = World::running();
    world.wants("1.4.3");
    world.converge();
    for _ in 0..3 {
        force(&mut world);
        world.converge();
    }
    assert_eq!(world.turn, Some(3));
    let copy = world.backups.keys().next().unwrap().clone();
    world.change(|desired| {
        desired.restore_backup = Some(copy);
        desired.requests.restore += 1;
    });
    let planned = loop {
        let planned = world.round();
        if planned.rolled_back.is_some() {
            break planned;
        }
    };
    let back = planned.rolled_back.unwrap();
    assert_eq!((back.timeline, back.after), (1, Some(0)));
    // What made the copy runs on it first; the version that is wanted comes after.
    assert_eq!((runs(&world).as_str(), world.turn, world.record.timeline), ("1.4.2", Some(0), 2));
    world.converge();
    assert_eq!((runs(&world).as_str(), world.turn, world.record.timeline), ("1.4.3", Some(0), 2));
    assert_eq!(world.record.phase, Phase::Running);
    // It came true once.
    let puts = |world: &World| world.done.iter().filter(|step| step.starts_with("put back")).count();
    assert_eq!(puts(&world), 1);
    world.change(|desired| {
        desired.restore_backup = Some("nowhere".parse().unwrap());
        desired.requests.restore += 1;
    });
    world.converge();
    assert_eq!((puts(&world), world.turn), (1, Some(0)), "a copy that is not there is refused");
}

#[test]
fn a_container_made_for_another_version_of_the_same_image_is_not_started_for_the_old_one() {
    let mut world = World::running();
    world.wants("1.4.3");
    world.change(|desired| desired.version.as_mut().unwrap().image = ImageRef::new("engine:1.4.2"));
    while !world.done.iter().any(|step| step.starts_with("create container")) {
        world.round();
    }
    // The copy of the state fails.
    world.fails = 1;
    world.converge();
    assert_eq!(world.record.failed_patch.as_ref().unwrap().reason, "Failed");
    world.later(Duration::from_secs(10));
    assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.2"));
    assert_eq!(world.container.as_ref().unwrap().applied, world.record.applied);
}

#[test]
fn a_deletion_waits_for_a_copy_that_is_being_put_back() {
    let mut world = World::running();
    world.newer = Newer::ExitsAtStart;
    world.wants("1.4.3");
    while !world.done.iter().any(|step| step.starts_with("start container")) {
        world.round();
    }
    world.works_slowly = true;
    while !world.done.iter().any(|step| step.starts_with("put back")) {
        world.round();
    }
    world.change(|desired| {
        desired.deletion = Some(Deletion::Requested);
        desired.deletion_policy = DeletionPolicy::Delete;
    });
    // The world would not bear that the state is removed now: the copy would come into its place.
    world.converge();
    assert!(!world.row_deleted);
    world.end_work();
    world.works_slowly = false;
    world.converge();
    assert!(world.row_deleted && world.state_directory == StateDirectory::Absent, "{:?}", world.done);
}

#[test]
fn a_copy_that_fails_after_its_change_was_called_off_says_nothing_about_the_next_change() {
    let mut world = World::running();
    world.wants("1.4.3");
    while !world.done.iter().any(|step| step.starts_with("create container")) {
        world.round();
    }
    world.works_slowly = true;
    world.round();
    let copying = world.under_way().expect("a copy");
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.works_slowly = false;
    for _ in 0..3 {
        world.round();
    }
    world.change(|desired| desired.status = DesiredStatus::Running);
    world.now += jiff::Span::new().seconds(1);
    world.round();
    while world.record.patch.is_none() {
        world.round();
    }
    // It was over already when it was called off.
    world.fail(&copying);
    world.converge();
    assert_eq!(
        (runs(&world).as_str(), world.record.failed_patch.clone()),
        ("1.4.3", None),
        "{:?}",
        world.done
    );
}

#[test]
fn a_new_container_that_docker_does_not_make_or_start_is_given_up_and_the_old_engine_goes_on() {
    for (refused, after_step) in [("create container", "remove container"), ("start container", "back up")] {
        for for_good in [false, true] {
            let mut world = World::running();
            world.wants("1.4.3");
            while !world.done.iter().any(|step| step.starts_with(after_step)) {
                world.round();
            }
            (world.fails, world.fails_at) = (if for_good { 1 } else { 3 }, refused);
            world.fails_for_good = for_good;
            let mut waited = 0;
            while world.fails > 0 {
                world.round();
                world.now += jiff::Span::new().seconds(if world.plan().steps.is_empty() { 1 } else { 0 });
                waited += 1;
                assert!(waited < 100, "{refused}: {:?}", world.done);
            }
            world.fails_for_good = false;
            for _ in 0..5 {
                world.later(Duration::from_secs(5));
            }
            assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.2"), "{refused}");
            assert_eq!(world.state_of, "1.4.2");
            assert_eq!(world.record.failed_patch.as_ref().unwrap().version.to_string(), "1.4.3");
            assert_eq!(condition(&world, ConditionType::Ready).1, "PatchFailed");
        }
    }
}

#[test]
fn on_probation_deaths_count_and_attempts_that_fail_at_docker_do_not() {
    let mut world = World::running();
    world.wants("1.4.3");
    world.converge();
    assert_eq!(world.record.patch.as_ref().unwrap().stage, PatchStage::Probation);
    // It dies once, and Docker fails at starting it again, three times.
    world.kill(70);
    (world.fails, world.fails_at) = (3, "start container");
    for _ in 0..6 {
        world.later(Duration::from_secs(30));
    }
    assert_eq!((world.fails, world.record.phase, runs(&world).as_str()), (0, Phase::Running, "1.4.3"));
    assert_eq!(world.record.patch.as_ref().unwrap().deaths, 1);
    world.kill(70);
    world.converge();
    world.later(Duration::from_secs(301));
    assert_eq!(world.record.failed_patch.as_ref().unwrap().reason, "Exited");
    assert_eq!(runs(&world), "1.4.2");
}
