//! Outlooks of a world whose game has a turn every evening.

use jiff::SignedDuration;

use super::*;
use crate::game::container::ContainerState;
use crate::reconcile::Policy;
use crate::reconcile::explain::explain;
use crate::reconcile::plan::plan;
use crate::reconcile::plan::tests::world::World;

/// A game that runs, at 08:00, with a turn at 18:00 of every day.
fn scheduled() -> World {
    let mut world = World::running();
    change(&mut world, |turns| turns.schedule = Some("0 18 * * *".into()));
    // The look that takes the schedule up.
    world.record = plan(&world.desired, &world.record, &world.observation(), &Policy::default()).record;
    world
}

fn change(world: &mut World, with: impl FnOnce(&mut TurnSpec)) {
    with(&mut world.desired.spec.as_mut().unwrap().turns);
}

fn outlook(world: &World) -> TurnOutlook {
    let explained = explain(&world.desired, &world.record, &world.observation(), &Policy::default());
    explained.turns.expect("an outlook")
}

fn reasons(outlook: &TurnOutlook) -> Vec<&str> {
    outlook.obstacles.iter().map(|obstacle| obstacle.reason.as_str()).collect()
}

fn hours(world: &World, hours: i64) -> Timestamp {
    world.now.checked_add(SignedDuration::from_hours(hours)).unwrap()
}

#[test]
fn the_next_slot_is_told_and_nothing_stops_it() {
    let world = scheduled();
    let outlook = outlook(&world);
    assert_eq!(outlook.next_slot, Some(hours(&world, 10)));
    assert_eq!((outlook.next_turn, reasons(&outlook), outlook.requested), (Some(1), vec![], false));
}

#[test]
fn a_slot_that_a_forced_turn_took_is_not_the_next() {
    let mut world = scheduled();
    world.record.taken = vec![hours(&world, 10)];
    assert_eq!(outlook(&world).next_slot, Some(hours(&world, 34)));
}

#[test]
fn what_is_put_off_comes_then() {
    let mut world = scheduled();
    let until = hours(&world, 12);
    change(&mut world, |turns| turns.not_before = Some(until));
    let put_off = outlook(&world);
    assert_eq!((put_off.next_slot, reasons(&put_off)), (Some(until), vec!["NotBefore"]));
    // Put off for less than there is to wait anyway.
    let until = hours(&world, 1);
    change(&mut world, |turns| turns.not_before = Some(until));
    assert_eq!(outlook(&world).next_slot, Some(hours(&world, 10)));
}

#[test]
fn a_pause_a_stop_and_the_end_are_told() {
    let mut world = scheduled();
    world.desired.paused = true;
    assert_eq!(reasons(&outlook(&world)), ["Paused"]);
    world.desired.status = DesiredStatus::Stopped;
    assert_eq!(reasons(&outlook(&world)), ["Stopped", "Paused"]);
    let mut world = scheduled();
    world.finished = true;
    world.later(std::time::Duration::from_secs(60));
    let over = outlook(&world);
    assert_eq!((over.next_slot, over.next_turn, reasons(&over)), (None, None, vec!["Finished"]));
}

#[test]
fn a_turn_under_way_and_one_that_waits_are_told() {
    let mut world = scheduled();
    world.desired.requests.force_turn += 1;
    world.desired.paused = true;
    let waits = outlook(&world);
    assert_eq!((waits.requested, reasons(&waits)), (true, vec!["Paused"]));
    world.desired.paused = false;
    // It would begin now.
    let begins = outlook(&world);
    assert_eq!((begins.requested, begins.next_turn, reasons(&begins)), (false, Some(2), vec!["TurnOpen"]));
    assert!(begins.obstacles[0].message.starts_with("Turn 1 is being generated since "), "{begins:?}");
}

#[test]
fn without_a_schedule_turns_come_by_hand() {
    let mut world = scheduled();
    change(&mut world, |turns| turns.schedule = None);
    let by_hand = outlook(&world);
    assert_eq!((by_hand.schedule, by_hand.next_slot, by_hand.obstacles), (None, None, vec![]));
}

#[test]
fn an_engine_that_is_down_stops_turns() {
    let mut world = scheduled();
    world.container.as_mut().unwrap().state =
        ContainerState::Exited { started_at: "a while ago".into(), code: 1, out_of_memory: false };
    let down = outlook(&world);
    assert_eq!((down.next_slot, reasons(&down)), (Some(hours(&world, 10)), vec!["NotRunning"]));
    assert!(down.obstacles[0].way_out.contains("one turn"), "{down:?}");
}

#[test]
fn a_turn_that_waits_for_its_copy_says_for_what() {
    let mut world = scheduled();
    world.desired.backup_before_turn = true;
    (world.fails, world.fails_at) = (9, "back up state");
    world.desired.requests.force_turn += 1;
    world.converge();
    let waits = outlook(&world);
    assert_eq!(reasons(&waits), ["Failed"], "the word that the condition has, too");
    let waits = &waits.obstacles[0];
    assert!(waits.message.contains("waits for a copy of the state: back up state as "), "{waits:?}");
    assert!(!waits.way_out.contains("ends by itself"), "{waits:?}");
}
