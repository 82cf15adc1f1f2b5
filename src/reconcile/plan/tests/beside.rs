//! What goes on beside an engine: an image that is fetched for its next version, a copy that is fetched
//! to be put back. Neither costs the engine a look, a turn, or its healing.

use std::time::Duration;

use jiff::SignedDuration;

use crate::game::operation::{Ending, OperationKind};
use crate::game::spec::DesiredStatus;
use crate::game::{ConditionStatus, ConditionType, Phase};
use crate::reconcile::plan::BACKUP_DAMAGED;
use crate::reconcile::{EngineView, Policy};

use super::restores::{ask, cannot_go_back, runs, with_a_copy};
use super::turns::{HOUR, hourly, told, turns};
use super::world::{Newer, World};

fn count(world: &World, start: &str) -> usize {
    world.done.iter().filter(|step| step.starts_with(start)).count()
}

fn on_time(world: &World) -> (ConditionStatus, String) {
    let kind = ConditionType::TurnsOnTime;
    let found = world.record.conditions.iter().find(|condition| condition.kind == kind).unwrap();
    (found.status, found.reason.clone())
}

/// The engine was asked just now.
fn is_asked(world: &World) -> bool {
    matches!(&world.engine, EngineView::Said { at, .. } if *at == world.now)
}

/// A running game whose next image is on its way, which takes.
fn pulling(mut world: World) -> World {
    (world.newer_can_be_had, world.pulls_slowly) = (false, true);
    world.wants("1.4.3");
    let planned = world.converge();
    assert_eq!(world.done, ["pull image engine:1.4.3"]);
    let soon = crate::reconcile::backoff::after(world.now, Policy::default().probe_interval);
    assert!(planned.look_again.is_some_and(|at| at <= soon), "the next look is not its end's");
    world
}

#[test]
fn while_the_next_image_is_pulled_the_engine_is_asked_healed_and_given_its_turns() {
    let mut world = pulling(hourly());
    world.later(Duration::from_secs(60));
    assert!(is_asked(&world));
    world.later(HOUR);
    assert_eq!((turns(&world), on_time(&world).0), (1, ConditionStatus::True));
    world.change(|desired| desired.requests.force_turn = 1);
    world.converge();
    assert_eq!(turns(&world), 2);
    world.change(|desired| desired.requests.backup = 1);
    world.converge();
    assert_eq!((count(&world, "back up"), world.record.observed_requests.backup), (1, 1));
    world.kill(1);
    world.converge();
    assert_eq!((world.is_alive(), world.record.phase), (true, Phase::Running));
    world.newer_can_be_had = true;
    world.end_pull();
    world.converge();
    assert_eq!((runs(&world).as_str(), count(&world, "pull")), ("1.4.3", 1), "{:?}", world.done);
}

#[test]
fn an_engine_that_falls_silent_while_the_next_image_is_pulled_is_replaced() {
    let mut world = pulling(World::running());
    world.engines = super::world::Engines::NeverHealthy;
    for _ in 0..20 {
        world.later(Duration::from_secs(5));
    }
    assert!(count(&world, "stop container") > 0, "{:?}", world.done);
}

#[test]
fn an_engine_that_is_down_as_the_pull_begins_is_started_all_the_same() {
    let mut world = World::running();
    (world.newer_can_be_had, world.pulls_slowly) = (false, true);
    world.kill(1);
    world.wants("1.4.3");
    world.converge();
    assert!(world.is_alive() && count(&world, "pull") == 1, "{:?}", world.done);
    // A stop lets go of the image.
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    assert!(world.observation().beside.pulling.is_none());
}

#[test]
fn while_a_copy_is_fetched_the_engine_is_asked_and_what_falls_due_waits_and_is_told() {
    let mut world = hourly();
    world.change(|desired| desired.requests.backup = 1);
    world.converge();
    let copy = world.backups.keys().next().unwrap().clone();
    world.works_slowly = true;
    ask(&mut world, &copy);
    world.converge();
    assert_eq!(told(&mut world), Vec::<String>::new());
    let fetches = world.later(HOUR);
    assert!(is_asked(&world) && fetches.uses_disruption_place, "its place is kept");
    assert_eq!(told(&mut world), ["14:00 deferred Restoring"]);
    assert_eq!(on_time(&world), (ConditionStatus::False, "TurnDeferred".into()));
    assert_eq!((count(&world, "fetch"), world.turn), (1, Some(0)), "{:?}", world.done);
    world.works_slowly = false;
    world.end_work();
    world.converge();
    assert_eq!((world.record.timeline, world.record.phase), (2, Phase::Running));
    assert_eq!(world.turn, Some(1), "the one that waited");
}

#[test]
fn while_a_copy_on_demand_is_taken_what_falls_due_waits_and_is_told() {
    let mut world = hourly();
    world.works_slowly = true;
    world.change(|desired| desired.requests.backup = 1);
    world.converge();
    world.later(HOUR);
    assert_eq!(told(&mut world), ["14:00 deferred CopyingState"]);
    assert_eq!(on_time(&world), (ConditionStatus::False, "TurnDeferred".into()));
    world.works_slowly = false;
    world.end_work();
    world.converge();
    assert_eq!(turns(&world), 1);
}

#[test]
fn a_stop_while_a_copy_is_fetched_is_one_stop_and_the_copy_is_fetched_once() {
    let (mut world, copy) = with_a_copy();
    world.works_slowly = true;
    ask(&mut world, &copy);
    world.converge();
    world.works_slowly = false;
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    let mut stops = Vec::new();
    for _ in 0..10 {
        let planned = world.round();
        stops.extend(planned.operation.at_once);
        assert_eq!(world.operation(), Some(OperationKind::Restore), "{:?}", world.done);
    }
    assert!(
        matches!(&stops[..], [(new, Ending::Succeeded)] if new.kind == OperationKind::Stop),
        "told once: {stops:?}"
    );
    assert_eq!(world.record.phase, Phase::Stopped);
    assert_eq!((count(&world, "fetch"), count(&world, "stop")), (1, 1), "{:?}", world.done);
    world.end_work();
    world.converge();
    assert_eq!((world.record.timeline, world.turn, world.operation()), (2, Some(0), None));
    assert_eq!((world.record.phase, count(&world, "fetch")), (Phase::Stopped, 1));
}

#[test]
fn a_way_back_stays_until_the_copy_that_is_to_take_its_place_is_verified() {
    let (mut world, copy) = cannot_go_back(BACKUP_DAMAGED);
    world.newer = Newer::Good;
    let known = world.record.put_back.clone().unwrap().backup;
    // What was asked for instead is no better.
    world.fails_at = "fetch backup";
    ask(&mut world, &copy);
    world.converge();
    assert_eq!(world.record.observed_requests.restore, 1, "it is answered");
    let back = world.record.put_back.clone().unwrap();
    assert_eq!((back.backup, back.instead), (known.clone(), None), "{:?}", world.done);
    // While another one is fetched nothing else is put back.
    (world.fails, world.works_slowly) = (0, true);
    ask(&mut world, &copy);
    world.converge();
    world.later(Duration::from_secs(600));
    assert_eq!(world.record.put_back.clone().unwrap().backup, known, "{:?}", world.done);
    let before = count(&world, "put back");
    world.works_slowly = false;
    world.end_work();
    world.converge();
    assert_eq!((count(&world, "put back"), world.record.timeline), (before + 1, 2), "{:?}", world.done);
    assert_eq!((world.turn, world.record.phase), (Some(0), Phase::Running));
    assert!(world.record.put_back.is_none() && world.operation().is_none());
}

#[test]
fn a_new_engine_that_fails_while_a_copy_is_fetched_goes_back_to_the_copy_that_is_known() {
    let (mut world, copy) = with_a_copy();
    world.wants("1.4.3");
    world.converge();
    assert!(world.record.patch.is_some(), "on probation");
    world.works_slowly = true;
    ask(&mut world, &copy);
    world.converge();
    world.works_slowly = false;
    for _ in 0..2 {
        world.kill(70);
        world.later(Duration::from_secs(30));
    }
    world.later(Duration::from_secs(30));
    let back: Vec<&String> = world.done.iter().filter(|step| step.starts_with("put back")).collect();
    assert!(matches!(back[..], [step] if step.ends_with("before-1.4.3")), "{:?}", world.done);
    assert_eq!((runs(&world).as_str(), world.turn, world.record.timeline), ("1.4.2", Some(1), 1));
    assert!(world.record.put_back.is_none());
}

#[test]
fn a_slot_that_falls_due_while_the_room_for_a_change_is_looked_at_waits_for_the_change() {
    let mut world = hourly();
    world.disruption_place = false;
    world.wants("1.4.3");
    world.converge();
    world.now += SignedDuration::from_secs(3_599);
    world.disruption_place = true;
    world.round();
    assert_eq!(told(&mut world), ["14:00 deferred Patching"]);
    world.converge();
    let at = |start: &str| world.done.iter().position(|step| step.starts_with(start)).unwrap();
    assert!(at("create container for 1.4.3") < at("generate turn 1"), "{:?}", world.done);
    assert_eq!(turns(&world), 1);
}
