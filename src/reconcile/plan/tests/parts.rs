//! A spec of which a part cannot be read: what depends on it waits and says so, everything else goes on.

use std::time::Duration;

use super::world::World;
use crate::game::manifest::{FaultySpec, SpecProblem};
use crate::game::operation::{Ending, OperationKind};
use crate::game::spec::{DesiredStatus, GameSpec};
use crate::game::{ConditionStatus, ConditionType, Phase};
use crate::reconcile::Policy;
use crate::reconcile::explain::explain;
use crate::reconcile::plan::INVALID_SCHEDULE;

const HOUR: Duration = Duration::from_secs(3_600);

/// A running game with a turn each hour; it is one second past a slot.
fn hourly() -> World {
    let mut world = World::new();
    world.now = "2027-01-15T13:00:01Z".parse().unwrap();
    world.change(|desired| desired.spec.as_mut().unwrap().turns.schedule = Some("0 * * * *".into()));
    world.converge();
    world.done.clear();
    world
}

/// Spoils a field of the spec; returns the spec as it was.
fn spoil(world: &mut World, field: &str) -> GameSpec {
    let whole = world.desired.spec.clone().unwrap();
    let turns = Some(whole.turns.clone()).filter(|_| !field.starts_with("spec.turns"));
    let problems = vec![SpecProblem::new(field, "is wrong")];
    world.change(|d| d.spec = Err(FaultySpec { problems, turns, knows_members: true }));
    whole
}

fn condition(world: &World, kind: ConditionType) -> (ConditionStatus, &str, &str) {
    let found = world.record.conditions.iter().find(|known| known.kind == kind).unwrap();
    (found.status, &found.reason, &found.message)
}

fn fates(world: &World) -> Vec<String> {
    let shown = |slot: jiff::Timestamp| slot.strftime("%H:%M").to_string();
    world.slots.iter().map(|row| format!("{} {} {}", shown(row.slot), row.decision, row.reason)).collect()
}

#[test]
fn a_mistake_beside_the_schedule_holds_no_turn_and_keeps_the_engine_as_it_is() {
    for field in ["spec.resources.cpu", "spec.engineVersion", "spec.restoreBackupId", "games.labels"] {
        let mut world = hourly();
        spoil(&mut world, field);
        world.later(HOUR);
        assert_eq!(world.done, ["generate turn 1"], "{field}");
        assert_eq!(fates(&world), ["14:00 fired OnTime"]);
        world.change(|d| d.requests.force_turn = 1);
        world.converge();
        assert_eq!((world.turn, world.record.observed_requests.force_turn), (Some(2), 1), "{field}");
        assert_eq!(condition(&world, ConditionType::TurnsOnTime).0, ConditionStatus::True);
        let (status, reason, message) = condition(&world, ConditionType::SpecValid);
        assert_eq!((status, reason), (ConditionStatus::False, "InvalidSpec"));
        assert!(message.contains(field), "{message}");
        assert_eq!(world.record.phase, Phase::Running);
        assert!(world.record.next_turn_at.is_some_and(|next| next > world.now));
        let container = world.container.as_ref().unwrap().id.clone();
        world.kill(1);
        world.converge();
        assert_eq!(world.container.as_ref().map(|known| known.id.clone()), Some(container));
    }
}

#[test]
fn while_the_schedule_cannot_be_read_its_slots_wait_and_it_is_said_everywhere() {
    let mut world = hourly();
    let whole = spoil(&mut world, "spec.turns.timeZone");
    world.converge();
    let (status, reason, message) = condition(&world, ConditionType::TurnsOnTime);
    assert_eq!((status, reason), (ConditionStatus::False, INVALID_SCHEDULE));
    assert!(message.contains("spec.turns.timeZone"), "{message}");
    assert_eq!(world.record.next_turn_at, None);
    world.later(HOUR);
    assert!(world.done.is_empty(), "{:?}", world.done);
    assert_eq!(fates(&world), ["14:00 deferred InvalidSchedule"]);
    let explained = explain(&world.desired, &world.record, &world.observation(), &Policy::default());
    assert!(!explained.settled);
    let obstacles = explained.turns.unwrap().obstacles;
    assert!(obstacles.iter().any(|found| found.reason == INVALID_SCHEDULE), "{obstacles:?}");
    let again = world.plan();
    assert!(again.slots.is_empty() && again.record == world.record, "a look with nothing new writes nothing");

    // Corrected to what it was, what waited becomes one turn.
    world.change(|d| d.spec = Ok(whole));
    world.converge();
    assert_eq!(world.done, ["generate turn 1"]);
    assert_eq!(condition(&world, ConditionType::TurnsOnTime).0, ConditionStatus::True);
    assert_eq!(fates(&world), ["14:00 deferred InvalidSchedule", "14:00 fired OnTime"]);
}

#[test]
fn a_schedule_corrected_to_another_counts_from_then() {
    let mut world = hourly();
    let mut whole = spoil(&mut world, "spec.turns.schedule");
    world.later(HOUR);
    whole.turns.schedule = Some("30 * * * *".into());
    world.change(|d| d.spec = Ok(whole));
    world.converge();
    assert!(world.done.is_empty());
    assert_eq!(fates(&world), ["14:00 deferred InvalidSchedule", "14:00 skipped Dropped"]);
    world.later(HOUR);
    assert_eq!(world.done, ["generate turn 1"]);
}

#[test]
fn a_forced_turn_needs_no_schedule() {
    let mut world = hourly();
    spoil(&mut world, "spec.turns.schedule");
    world.change(|d| d.requests.force_turn = 1);
    world.converge();
    assert_eq!(world.done, ["generate turn 1"]);
    assert_eq!((world.turn, world.record.observed_requests.force_turn), (Some(1), 1));
    assert_eq!(world.ledger.get(&1), Some(&None), "it takes no slot");
    assert_eq!(condition(&world, ConditionType::TurnsOnTime).1, INVALID_SCHEDULE);
    // What is over has no turns, and that is said.
    world.finished = true;
    world.later(Duration::from_secs(60));
    world.change(|d| d.requests.force_turn = 2);
    let mut refused = Vec::new();
    for _ in 0..10 {
        refused.extend(world.round().operation.at_once);
    }
    assert_eq!(world.record.observed_requests.force_turn, 2);
    assert!(
        matches!(&refused[..], [(new, Ending::Failed { code, .. })]
            if new.kind == OperationKind::ForceNextTurn && code == "Refused"),
        "{refused:?}"
    );
}

#[test]
fn a_pause_and_a_stop_are_obeyed_whatever_of_the_spec_cannot_be_read() {
    for field in ["spec.turns.timeZone", "spec.resources"] {
        let mut world = hourly();
        let whole = spoil(&mut world, field);
        world.change(|d| d.paused = true);
        world.converge();
        assert!(world.record.paused_at.is_some(), "{field}");
        world.later(HOUR);
        assert_eq!(fates(&world), ["14:00 skipped Paused"], "{field}");
        world.change(|d| d.paused = false);
        world.converge();
        assert!(world.record.paused_at.is_none() && world.done.is_empty(), "{field}");
        world.change(|d| d.status = DesiredStatus::Stopped);
        world.converge();
        assert_eq!(world.record.phase, Phase::Stopped);
        world.change(|d| {
            d.status = DesiredStatus::Running;
            d.spec = Ok(whole);
        });
        world.converge();
        world.later(HOUR);
        assert_eq!(world.turn, Some(1), "{field}");
    }
}

#[test]
fn who_plays_is_kept_while_the_members_alone_cannot_be_read() {
    let mut world = hourly();
    let players = world.record.players.clone();
    let turns = world.desired.turns().cloned();
    let problems = vec![SpecProblem::unreadable("memberships.race_name", "no text")];
    world.change(|d| {
        d.spec = Err(FaultySpec { problems, turns, knows_members: false });
        d.members.clear();
    });
    world.later(HOUR);
    assert_eq!((world.turn, &world.record.players), (Some(1), &players));
    assert!(players.iter().all(|player| player.active));
}

#[test]
fn an_engine_that_died_under_a_spec_with_a_mistake_asks_for_its_place_among_the_starts() {
    let mut world = hourly();
    spoil(&mut world, "spec.resources.cpu");
    world.converge();
    world.kill(137);
    world.start_slot = false;
    for _ in 0..20 {
        world.round();
    }
    world.later(Duration::from_secs(60));
    assert!(world.plan().uses_start_slot, "{:?}", world.record);
    world.start_slot = true;
    world.converge();
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_verdict_is_of_the_generation_that_it_was_decided_for() {
    let mut world = World::new();
    let whole = spoil(&mut world, "spec.resources.cpu");
    world.converge();
    let wrong = world.desired.generation;
    assert_eq!((world.record.phase, world.record.observed_generation), (Phase::Invalid, wrong));
    world.change(|d| d.spec = Ok(whole));
    assert!(world.desired.generation > wrong);
    for _ in 0..40 {
        world.round();
        let is_old = world.record.observed_generation == wrong;
        assert!(world.record.phase != Phase::Invalid || is_old, "{:?}", world.record);
    }
    assert_eq!(world.record.observed_generation, world.desired.generation);
}
