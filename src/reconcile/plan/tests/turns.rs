//! Turns in the world: what opens them, what holds them up, and that each number and each slot come
//! once, whatever the clock does.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::game::operation::OperationKind;
use crate::game::record::Life;
use crate::game::spec::{Contract, DesiredStatus};
use crate::game::turn::TurnState;
use crate::game::{ConditionStatus, ConditionType, Phase};
use crate::reconcile::observed::Work;
use crate::reconcile::plan::plan;
use crate::reconcile::{Policy, Step};

use super::world::{Engines, Turns, World};

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// A running game with a turn each hour; it is one second past a slot.
pub(super) fn hourly() -> World {
    let mut world = World::new();
    // 13:00:01 on a day in 2027.
    world.now = "2027-01-15T13:00:01Z".parse().unwrap();
    world.change(|desired| desired.spec.as_mut().unwrap().turns.schedule = Some("0 * * * *".into()));
    world.converge();
    world.done.clear();
    world
}

/// What was told of slots since it was asked last: `14:00 skipped Paused`.
pub(super) fn told(world: &mut World) -> Vec<String> {
    let shown = |slot: Timestamp| slot.strftime("%H:%M").to_string();
    let tell = |row: crate::game::turn::DecidedSlot| {
        let until = row.until.map(|until| format!("–{}", shown(until))).unwrap_or_default();
        format!("{}{until} {} {}", shown(row.slot), row.decision, row.reason)
    };
    std::mem::take(&mut world.slots).into_iter().map(tell).collect()
}

fn on_time(world: &World) -> (ConditionStatus, String) {
    let kind = ConditionType::TurnsOnTime;
    let found = world.record.conditions.iter().find(|condition| condition.kind == kind).unwrap();
    (found.status, found.reason.clone())
}

/// Each number of the ledger, and no slot in it twice.
pub(super) fn turns(world: &World) -> i64 {
    let mut slots: Vec<_> = world.ledger.values().flatten().collect();
    let all = slots.len();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), all, "a slot that fired twice: {:?}", world.ledger);
    assert!(world.ledger.keys().copied().eq(1..=i64::try_from(world.ledger.len()).unwrap()));
    world.turn.unwrap()
}

#[test]
fn a_turn_begins_at_its_slot_and_is_on_record_before_it_is_sent() {
    let mut world = hourly();
    let look_again = world.later(Duration::from_secs(3_590)).look_again;
    world.now += SignedDuration::from_secs(9);
    assert_eq!(look_again, Some(world.now), "a look at the slot");
    let sent = world.round();
    assert!(matches!(sent.steps[..], [ref step] if step.step.to_string() == "generate turn 1"));
    let turn = world.record.turn.clone().expect("an open turn");
    assert!(matches!(turn.state, TurnState::Dispatched { .. }) && turn.number == 1);
    assert_eq!(world.operation(), Some(OperationKind::Turn));
    world.converge();
    assert_eq!((turns(&world), world.operation(), world.record.turn.clone()), (1, None, None));
    assert_eq!(told(&mut world), ["14:00 fired OnTime"]);
}

#[test]
fn a_slot_that_comes_while_the_engine_is_being_asked_fires_at_the_end_of_that() {
    let mut world = hourly();
    world.now += SignedDuration::from_secs(3_599);
    let mut observation = world.observation();
    observation.work = Some(Work::Probing(world.record.life().unwrap()));
    let planned = plan(&world.desired, &world.record, &observation, &Policy::default());
    assert!(planned.steps.is_empty() && planned.slots.is_empty() && planned.ledger.is_empty());
    assert_eq!(planned.record.slot_cursor, world.record.slot_cursor);
    world.converge();
    assert_eq!((turns(&world), told(&mut world)), (1, vec!["14:00 fired OnTime".to_owned()]));
}

#[test]
fn slots_that_pass_while_the_engine_is_down_wait_are_told_once_and_become_one_turn() {
    let mut world = hourly();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.later(HOUR);
    assert_eq!(told(&mut world), ["14:00 deferred EngineDown"]);
    assert_eq!(on_time(&world), (ConditionStatus::False, "TurnDeferred".into()));
    let again = world.plan();
    assert!(again.slots.is_empty() && again.record == world.record, "a look with nothing new writes nothing");
    world.later(HOUR);
    assert_eq!(told(&mut world), ["15:00 deferred EngineDown"], "and not the first one again");
    world.engines = Engines::Healthy;
    world.later(HOUR);
    let slots = ["14:00 coalesced Missed", "15:00 coalesced Missed", "16:00 fired OnTime"];
    let mut fates = told(&mut world);
    fates.retain(|row| !row.contains("deferred"));
    assert_eq!(fates, slots);
    assert_eq!((turns(&world), on_time(&world).0), (1, ConditionStatus::True));
    assert!(world.record.deferred.is_empty());
}

#[test]
fn many_slots_that_wait_share_a_row_and_stay_few() {
    let mut world = hourly();
    world.change(|desired| desired.spec.as_mut().unwrap().turns.schedule = Some("* * * * *".into()));
    world.converge();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    for _ in 0..20 {
        world.later(Duration::from_secs(600));
        assert!(world.record.deferred.len() <= crate::reconcile::turns::ROWS);
    }
    let rows = told(&mut world);
    assert!(rows.len() < 250, "{}", rows.len());
    assert!(rows.iter().any(|row| row.contains('–')), "{rows:?}");
    world.engines = Engines::Healthy;
    world.later(Duration::from_secs(301));
    assert_eq!(turns(&world), 1);
}

#[test]
fn slots_that_waited_under_another_schedule_are_told_to_be_dropped() {
    let mut world = hourly();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.later(HOUR);
    told(&mut world);
    world.change(|desired| desired.spec.as_mut().unwrap().turns.schedule = Some("30 * * * *".into()));
    world.converge();
    assert_eq!(told(&mut world), ["14:00 skipped Dropped"]);
    assert!(world.record.deferred.is_empty());
}

#[test]
fn slots_of_a_stop_end_where_the_start_begins_and_those_of_the_start_wait() {
    let mut world = hourly();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.later(Duration::from_secs(60));
    world.later(HOUR);
    assert!(told(&mut world).is_empty(), "of a stopped game nothing is told");
    world.engines = Engines::NeverHealthy;
    world.change(|desired| desired.status = DesiredStatus::Running);
    world.converge();
    assert_eq!(told(&mut world), ["14:00 skipped Stopped"]);
    world.later(HOUR);
    world.engines = Engines::Healthy;
    for _ in 0..3 {
        world.later(Duration::from_secs(301));
    }
    assert_eq!(told(&mut world)[0].split(' ').collect::<Vec<_>>()[..2], ["15:00", "deferred"]);
    assert_eq!(turns(&world), 1, "what passed while it started is one turn");
    assert_eq!(world.ledger[&1].unwrap().to_string(), "2027-01-15T15:00:00Z");
}

#[test]
fn a_stop_does_not_give_back_the_slot_that_a_forced_turn_took() {
    let mut world = hourly();
    world.change(|desired| desired.requests.force_turn = 1);
    world.converge();
    assert_eq!(turns(&world), 1);
    told(&mut world);
    for status in [DesiredStatus::Stopped, DesiredStatus::Running] {
        world.change(|desired| desired.status = status);
        world.later(Duration::from_secs(60));
    }
    world.later(HOUR - Duration::from_secs(120));
    assert_eq!(turns(&world), 1, "14:00 was taken");
    world.later(HOUR);
    assert_eq!((turns(&world), told(&mut world)), (2, vec!["15:00 fired OnTime".to_owned()]));
}

#[test]
fn ten_years_ahead_and_back_is_one_turn_and_no_slot_twice() {
    let mut world = hourly();
    let before = world.now;
    world.now = "2037-01-15T13:30:00Z".parse().unwrap();
    world.converge();
    assert_eq!(turns(&world), 1);
    assert!(world.slots.len() <= crate::reconcile::turns::ROWS, "bounded");
    world.now = before;
    world.converge();
    assert_eq!(turns(&world), 1);
    for _ in 0..3 {
        world.later(HOUR);
    }
    assert_eq!(turns(&world), 4, "it goes on from now");
}

#[test]
fn slots_that_fired_while_the_clock_was_two_days_ahead_are_passed_over_when_they_come() {
    let mut world = hourly();
    let right = world.now;
    world.now += SignedDuration::from_hours(48);
    for _ in 0..3 {
        world.later(HOUR);
    }
    let fired = turns(&world);
    world.now = right;
    world.record.taken.clear(); // A controller that was started again knows the newest at most.
    for _ in 0..60 {
        world.later(HOUR);
    }
    // Sixty slots, of which those that had fired before did not again.
    assert!(turns(&world) > 55 && turns(&world) < 60 + fired, "{}", turns(&world));
}

#[test]
fn a_clock_that_goes_back_a_little_fires_nothing_again() {
    for back in [1, 60, 3_600, 86_000] {
        let mut world = hourly();
        world.later(HOUR);
        assert_eq!(turns(&world), 1);
        world.now -= SignedDuration::from_secs(back);
        world.converge();
        world.later(Duration::from_secs(u64::try_from(back).unwrap()));
        assert_eq!(turns(&world), 1, "{back} s back");
        world.later(HOUR);
        assert_eq!(turns(&world), 2);
    }
}

#[test]
fn a_turn_in_flight_is_not_held_up_by_a_clock_that_goes_back() {
    let mut world = hourly();
    world.turns = Turns::Lost;
    world.later(HOUR);
    world.now -= SignedDuration::from_hours(12);
    world.converge();
    let done = world.done.len();
    world.turns = Turns::AtOnce;
    world.later(Duration::from_secs(20));
    assert_eq!((world.done.len(), turns(&world)), (done + 1, 1));
}

#[test]
fn while_a_turn_is_in_flight_a_jump_of_the_clock_does_not_cost_the_engine() {
    let mut world = hourly();
    world.now += SignedDuration::from_secs(3_599);
    world.round();
    world.now += SignedDuration::from_hours(24);
    let mut observation = world.observation();
    let life = world.record.life().unwrap();
    observation.work = Some(Work::Generating(life));
    let planned = plan(&world.desired, &world.record, &observation, &Policy::default());
    assert!(planned.steps.iter().all(|planned| !planned.step.mutates()), "{:?}", planned.steps);
}

#[test]
fn an_overdue_turn_costs_the_process_and_is_sent_again_to_the_next() {
    let mut world = hourly();
    world.turns = Turns::Never;
    world.later(HOUR);
    assert_eq!(on_time(&world).0, ConditionStatus::True);
    world.now += SignedDuration::from_secs(601);
    world.round();
    world.turns = Turns::AtOnce;
    world.converge();
    assert_eq!(turns(&world), 1);
    let grace = "stop container container-1 within 10 s";
    assert_eq!(world.done, ["generate turn 1", grace, "start container container-1", "generate turn 1"]);
    assert_eq!(on_time(&world).0, ConditionStatus::True);
}

#[test]
fn an_overdue_turn_shows_until_it_is_done() {
    let mut world = hourly();
    world.turns = Turns::Never;
    world.later(HOUR);
    world.engines = Engines::NeverHealthy;
    world.later(Duration::from_secs(601));
    assert_eq!(on_time(&world), (ConditionStatus::False, "TurnOverdue".into()));
    world.engines = Engines::Healthy;
    world.later(Duration::from_secs(5));
    assert_eq!(on_time(&world), (ConditionStatus::False, "TurnOverdue".into()), "sent again, not done");
}

#[test]
fn health_that_fails_during_a_turn_does_not_count_before_its_deadline() {
    let mut world = hourly();
    world.turns = Turns::Never;
    world.later(HOUR);
    world.engines = Engines::NeverHealthy;
    for _ in 0..100 {
        world.later(Duration::from_secs(5));
    }
    assert_eq!((world.record.phase, world.record.restart_count), (Phase::Running, 0));
    for _ in 0..60 {
        world.later(Duration::from_secs(5));
    }
    assert!(world.record.restart_count > 0);
}

#[test]
fn an_idle_engine_is_not_replaced_because_the_controller_was_away_past_the_deadline() {
    let mut world = hourly();
    world.turns = Turns::Lost;
    world.now += SignedDuration::from_secs(3_599);
    world.round();
    world.turns = Turns::AtOnce;
    world.later(HOUR / 2);
    assert_eq!(
        (&world.done[..], turns(&world)),
        (&["generate turn 1".to_owned(), "generate turn 1".into()][..], 1)
    );
    // One that loses every turn is, in the end.
    world.turns = Turns::Lost;
    world.done.clear();
    for _ in 0..4 {
        world.later(HOUR);
    }
    assert!(world.done.iter().any(|step| step.starts_with("stop")), "{:?}", world.done);
}

#[test]
fn an_engine_that_cannot_compare_gets_an_unsettled_turn_again_on_a_new_process_only() {
    let mut world = hourly();
    world.record.applied.as_mut().unwrap().contract = Contract::PlainV0;
    world.desired.version.as_mut().unwrap().contract = Contract::PlainV0;
    world.turns = Turns::Lost;
    world.now += SignedDuration::from_secs(3_599);
    for _ in 0..4 {
        world.round();
    }
    let grace = "stop container container-1 within 10 s";
    assert_eq!(world.done, ["generate turn 1", grace]);
    world.turns = Turns::AtOnce;
    world.converge();
    assert_eq!(world.done[2..], ["start container container-1", "generate turn 1"]);
    assert_eq!(turns(&world), 1);
}

#[test]
fn a_stop_and_a_restart_wait_for_a_turn_that_nobody_here_holds_the_call_of() {
    for restart in [false, true] {
        let mut world = hourly();
        world.turns = Turns::Never;
        world.later(HOUR);
        world.done.clear();
        world.change(|desired| match restart {
            true => desired.requests.restart = 1,
            false => desired.status = DesiredStatus::Stopped,
        });
        world.converge();
        assert!(world.done.is_empty(), "{:?}", world.done);
        (world.turns, world.turn) = (Turns::AtOnce, Some(1));
        world.later(Duration::from_secs(16));
        assert!(world.done[0].starts_with("stop container"), "{:?}", world.done);
        assert_eq!((world.record.current_turn, world.record.turn.clone()), (Some(1), None));
    }
}

#[test]
fn a_stop_waits_its_time_and_no_longer() {
    let mut world = hourly();
    world.turns = Turns::Never;
    world.later(HOUR);
    world.done.clear();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    world.later(Duration::from_secs(29));
    assert!(world.done.is_empty());
    world.later(Duration::from_secs(2));
    assert_eq!(world.record.phase, Phase::Stopped);
    let mut now = hourly();
    now.turns = Turns::Never;
    now.later(HOUR);
    now.change(|desired| (desired.status, desired.stop_now) = (DesiredStatus::Stopped, true));
    now.converge();
    assert_eq!(now.record.phase, Phase::Stopped);
}

#[test]
fn a_stop_has_a_wait_of_its_own_however_long_ago_an_earlier_one_was_withdrawn() {
    [false, true].into_iter().for_each(withdraws_a_stop);
}

fn withdraws_a_stop(in_the_dark: bool) {
    let mut world = hourly();
    world.turns = Turns::Never;
    world.later(HOUR);
    world.done.clear();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    // Also where nobody can look meanwhile.
    world.docker_answers = !in_the_dark;
    world.change(|desired| desired.status = DesiredStatus::Running);
    world.converge();
    assert_eq!(world.record.turn_wait_until, None);
    world.docker_answers = true;
    world.later(Duration::from_secs(60));
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    world.later(Duration::from_secs(29));
    assert!(world.done.is_empty(), "the turn in flight has its time again: {:?}", world.done);
    world.later(Duration::from_secs(2));
    assert_eq!(world.record.phase, Phase::Stopped);
}

#[test]
fn a_pause_is_acknowledged_while_the_engine_is_down_and_a_sent_turn_is_settled_when_it_is_back() {
    let mut world = hourly();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.change(|desired| desired.paused = true);
    world.converge();
    assert!(world.record.paused_at.is_some());
    world.later(HOUR);
    assert_eq!(told(&mut world), ["14:00 skipped Paused"]);

    let mut world = hourly();
    world.turns = Turns::Never;
    world.later(HOUR);
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.change(|desired| desired.paused = true);
    world.converge();
    assert!(world.record.paused_at.is_some() && world.record.turn.is_some(), "nothing is at work");
    (world.engines, world.turns) = (Engines::Healthy, Turns::AtOnce);
    world.later(Duration::from_secs(301));
    // The next process says that it was not generated: it is called off, and not sent again.
    assert!(world.record.paused_at.is_some() && world.record.turn.is_none());
    assert_eq!((world.turn, world.called_off.len()), (Some(0), 1));
}

#[test]
fn an_engine_that_answers_while_docker_is_silent_goes_on_getting_its_turns() {
    let mut world = hourly();
    world.docker_answers = false;
    world.reached_since = Some(world.now);
    world.later(HOUR);
    assert_eq!((turns(&world), world.record.phase), (1, Phase::Unknown));
    assert_eq!(world.done, ["generate turn 1"]);
    assert_eq!(told(&mut world), ["14:00 fired OnTime"]);
    world.docker_answers = true;
    world.later(HOUR);
    assert_eq!((turns(&world), world.record.phase, world.record.restart_count), (2, Phase::Running, 0));
}

#[test]
fn while_docker_is_silent_nobody_gets_a_turn_who_might_be_somebody_else() {
    type Spoil = fn(&mut World);
    let spoils: [(&str, Spoil); 6] = [
        ("not healthy", |world| world.engines = Engines::NeverHealthy),
        ("cannot be told apart", |world| world.record.applied.as_mut().unwrap().contract = Contract::PlainV0),
        ("another life", |world| world.record.container_started_at = Some("an older one".into())),
        ("at an earlier turn", |world| world.record.current_turn = Some(7)),
        ("to be restarted", |world| world.change(|desired| desired.requests.restart = 1)),
        ("another game", |world| world.says_it_is_another_game = true),
    ];
    for (what, spoil) in spoils {
        let mut world = hourly();
        world.docker_answers = false;
        world.reached_since = Some(world.now);
        spoil(&mut world);
        for _ in 0..3 {
            world.later(Duration::from_secs(1_800));
        }
        assert!(world.done.is_empty(), "{what}: {:?}", world.done);
        assert_eq!(told(&mut world), ["14:00 deferred DockerUnreachable"], "{what}");
    }
}

#[test]
fn a_turn_that_fails_while_docker_is_silent_costs_the_process_once_it_answers() {
    let mut world = hourly();
    world.docker_answers = false;
    world.reached_since = Some(world.now);
    world.turns = Turns::Never;
    world.later(HOUR);
    world.turns = Turns::Lost;
    world.later(Duration::from_secs(601));
    assert_eq!(world.done, ["generate turn 1"], "nothing is replaced");
    world.docker_answers = true;
    world.turns = Turns::AtOnce;
    world.converge();
    assert_eq!(turns(&world), 1);
    assert_eq!(world.done.iter().filter(|step| step.starts_with("stop")).count(), 1);
}

#[test]
fn a_game_that_is_frozen_gets_no_turn_and_loses_no_slot() {
    let mut world = hourly();
    world.freeze = Some(super::properties::freeze());
    world.later(HOUR);
    assert!(world.done.is_empty() && told(&mut world).is_empty());
    world.freeze = None;
    world.later(HOUR);
    assert_eq!(turns(&world), 1);
    assert_eq!(told(&mut world), ["14:00 coalesced Missed", "15:00 fired OnTime"]);
}

#[test]
fn a_turn_of_another_life_is_asked_about_before_it_is_sent_again() {
    let mut world = hourly();
    world.now += SignedDuration::from_secs(3_599);
    world.round();
    let sent_to = world.record.life().unwrap();
    // It was generated; the process died before it could say so.
    world.kill(9);
    world.converge();
    let life: Life = world.record.life().unwrap();
    assert_ne!(life, sent_to);
    assert_eq!(world.done, ["generate turn 1", "start container container-1"]);
    assert_eq!(turns(&world), 1);
    assert!(world.plan().steps.iter().all(|planned| !matches!(planned.step, Step::GenerateTurn { .. })));
}
