//! Containers whose end nobody can be sure of: one that may be alive whatever Docker says, and one that Docker
//! has removed by halves.

use std::time::Duration;

use crate::game::container::ContainerState;
use crate::game::spec::{Deletion, DesiredStatus};
use crate::game::{ImageRef, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::plan::STATE_IN_USE;

use super::restores::{ask, with_a_copy};
use super::world::{Looks, Newer, World};

const A_WHILE: Duration = Duration::from_secs(600);

/// A request of somebody's.
type Wish = fn(&mut World);

/// Everything that takes a container away.
const VERBS: [(&str, Wish); 7] = [
    ("restart", |world| world.change(|desired| desired.requests.restart += 1)),
    ("resources", |world| {
        world.change(|desired| desired.spec.as_mut().unwrap().resources.memory_bytes = Some(512 << 20));
    }),
    ("patch", |world| world.wants("1.4.3")),
    ("stop", |world| world.change(|desired| desired.status = DesiredStatus::Stopped)),
    ("stop and start", |world| {
        world.change(|desired| desired.status = DesiredStatus::Stopped);
        world.later(A_WHILE);
        world.change(|desired| desired.status = DesiredStatus::Running);
    }),
    ("delete", |world| world.change(|desired| desired.deletion = Some(Deletion::Requested))),
    ("restore", |world| {
        let copy = world.backups.keys().next().unwrap().clone();
        ask(world, &copy);
    }),
];

/// A game whose engine died, and which Docker does not start again, as a process of it may be alive.
fn may_be_alive() -> World {
    let (mut world, _) = with_a_copy();
    (world.says_alive, world.hides_processes) = (true, true);
    world.kill(137);
    world.later(A_WHILE);
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, STATE_IN_USE));
    world.done.clear();
    world
}

fn a_few_relists(world: &mut World) {
    for _ in 0..5 {
        world.looks = Looks::none();
        world.later(A_WHILE);
    }
}

#[test]
fn a_container_that_may_be_alive_is_not_taken_away_whatever_is_asked_for() {
    for (verb, wish) in VERBS {
        let mut world = may_be_alive();
        let container = world.container.as_ref().unwrap().id.clone();
        wish(&mut world);
        a_few_relists(&mut world);
        // The controller is another one by now, and knows what is on record.
        world.forget_facts();
        a_few_relists(&mut world);
        let takes_away = |step: &String| step.starts_with("remove") || step.starts_with("create");
        assert!(!world.done.iter().any(takes_away), "{verb}: {:?}", world.done);
        assert_eq!(world.container.as_ref().map(|there| &there.id), Some(&container), "{verb}");
        assert_eq!(world.record.phase, Phase::Blocked, "{verb}: {}", world.record.message);
        assert_eq!(world.record.reason, STATE_IN_USE, "{verb}: {}", world.record.message);
        assert!(world.record.failed_patch.is_none(), "{verb}");
    }
}

#[test]
fn a_later_start_that_fails_for_another_reason_is_no_proof_that_it_is_dead() {
    let mut world = may_be_alive();
    (world.fails, world.fails_at) = (2, "start container");
    a_few_relists(&mut world);
    assert_eq!(world.fails, 0);
    assert!(world.done.iter().all(|step| step.starts_with("start")), "{:?}", world.done);
    assert_eq!(world.record.restart_from, None);
    assert_eq!((world.record.phase, world.record.reason.as_str()), (Phase::Blocked, STATE_IN_USE));
}

#[test]
fn it_ends_when_the_container_is_gone_or_the_host_is_seen_or_docker_starts_it() {
    for (verb, wish) in VERBS {
        let ways: [Wish; 3] = [
            |world| world.container = None,
            |world| world.hides_processes = false,
            |world| world.says_alive = false,
        ];
        for ends in ways {
            let mut world = may_be_alive();
            wish(&mut world);
            a_few_relists(&mut world);
            ends(&mut world);
            // A process of it is gone in each of these worlds.
            world.says_alive = false;
            a_few_relists(&mut world);
            match verb {
                "delete" | "stop" if world.hides_processes && world.container.is_some() => {
                    assert_eq!(world.record.reason, STATE_IN_USE, "nobody starts it any more");
                }
                "delete" => assert!(world.row_deleted, "{verb}: {}", world.record.message),
                "stop" => assert_eq!(world.record.phase, Phase::Stopped, "{verb}: {}", world.record.message),
                _ => assert_eq!(world.record.phase, Phase::Running, "{verb}: {}", world.record.message),
            }
        }
    }
}

#[test]
fn the_removal_that_docker_did_not_finish_is_tried_again_with_growing_pauses() {
    for (verb, wish) in VERBS {
        let (mut world, _) = with_a_copy();
        let container = world.container.as_mut().unwrap();
        container.state = ContainerState::Dead;
        container.reachable_at = None;
        (world.fails, world.fails_at) = (4, "remove container");
        wish(&mut world);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let (before, planned) = (world.done.len(), world.converge());
            let tried = world.done[before..].iter().any(|step| step.starts_with("remove container"));
            if let Some(at) = planned.look_again.filter(|_| tried && world.fails > 0) {
                pauses.push(at.duration_since(world.now).as_secs());
            }
            world.now = planned.look_again.unwrap_or(world.now).max(world.now);
        }
        assert_eq!(world.fails, 0, "{verb}: {:?} {}", world.done, world.record.message);
        // (A start after a stop begins anew.)
        let grow = pauses.is_sorted() && pauses.last() > pauses.first();
        assert!(grow || verb == "stop and start", "{verb}: {pauses:?}");
        match verb {
            "delete" => assert!(world.row_deleted, "{verb}"),
            "stop" => assert_eq!((world.record.phase, &world.container), (Phase::Stopped, &None)),
            _ => {
                a_few_relists(&mut world);
                assert_eq!(world.record.phase, Phase::Running, "{verb}: {}", world.record.message);
            }
        }
    }
}

#[test]
fn a_way_back_gets_past_a_container_that_docker_removed_by_halves() {
    let mut world = World::running();
    world.newer = Newer::NeverHealthy;
    world.wants("1.4.3");
    for _ in 0..500 {
        if world.record.put_back.is_some() {
            break;
        }
        world.round();
        world.now = after(world.now, Duration::from_secs(1));
    }
    let container = world.container.as_mut().expect("the new container, which failed");
    (container.state, container.reachable_at) = (ContainerState::Dead, None);
    (world.fails, world.fails_at) = (2, "remove container");
    a_few_relists(&mut world);
    assert_eq!(world.record.phase, Phase::Running, "{}", world.record.message);
    assert_eq!(world.record.applied.as_ref().unwrap().image, ImageRef::new("engine:1.4.2"));
}

#[test]
fn what_the_host_lacks_is_counted_against_no_version() {
    let mut world = World::running();
    world.wants("1.4.3");
    (world.fails, world.fails_at, world.fails_by_the_host) = (6, "start container", true);
    for _ in 0..20 {
        assert_eq!(world.later(A_WHILE).failed_version, None);
    }
    assert_eq!((world.fails, &world.record.failed_patch), (0, &None), "{:?}", world.done);
    assert_eq!(world.record.phase, Phase::Running, "{}", world.record.message);
    assert_eq!(world.record.applied.as_ref().unwrap().image, ImageRef::new("engine:1.4.3"));
    let removals = world.done.iter().filter(|step| step.starts_with("remove container")).count();
    assert_eq!(removals, 1, "nothing is wrong with the container: {:?}", world.done);
}
