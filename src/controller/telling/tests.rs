use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::game::spec::Requests;
use crate::reconcile::backoff::after;
use crate::reconcile::plan::Plan;
use crate::reconcile::plan::tests::world::{Engines, World};
use uuid::Uuid;

fn recording(world: &World, was: &Record, plan: &Plan) -> Recording {
    let new_id = || OperationId(Uuid::from_u128(9));
    let operation = &plan.operation;
    let desired = &world.desired;
    Recording {
        close: operation.close.clone().and_then(|ending| Some((was.operation.as_ref()?.id, ending))),
        open: operation.open.clone().map(|new| (new_id(), new)),
        at_once: operation.at_once.iter().cloned().map(|(new, ending)| (new_id(), new, ending)).collect(),
        report: plan.report.clone(),
        slots: plan.slots.clone(),
        ..Recording::of(desired.id, desired.namespace.clone(), desired.name.clone(), world.record.clone())
    }
}

/// Lets so much time pass, and gathers what is told meanwhile, how often each.
fn during(
    world: &mut World,
    time: Duration,
    mut each: impl FnMut(&mut World),
) -> BTreeMap<&'static str, u32> {
    let end = after(world.now, time);
    let mut words = BTreeMap::new();
    while world.now < end {
        each(world);
        let was = world.record.clone();
        let plan = world.round();
        for event in told(&world.desired, &was, &recording(world, &was, &plan)) {
            *words.entry(event.word()).or_default() += 1;
        }
        if plan.steps.is_empty() {
            let pause = after(world.now, Duration::from_secs(10));
            world.now = plan.look_again.filter(|at| *at > world.now).unwrap_or(pause).min(end);
        }
    }
    words
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn each_failed_attempt_is_told_as_one_event() {
    let mut world = World::running();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    let told = during(&mut world, Duration::from_secs(20), |_| {});
    // The end of the engine that ran is told by the status; each attempt after it, as a failed start.
    assert_eq!(world.record.phase, Phase::CrashLoop);
    assert_eq!(told, [("start-failed", world.record.failures - 1), ("status-changed", 1)].into());
}

#[test]
fn a_start_that_never_succeeded_tells_of_each_attempt_once() {
    let mut world = World::new();
    world.engines = Engines::ExitAtStart;
    let told = during(&mut world, Duration::from_secs(20), |_| {});
    assert_eq!(told["start-failed"], world.record.failures);
    assert!(!told.contains_key("operation-finished"), "{told:?}");
    // Seen, starting, and down once.
    assert!(told["status-changed"] <= 3, "{told:?}");
}

#[test]
fn a_day_of_failed_starts_is_a_few_dozen_events() {
    let mut world = World::running();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    let told = during(&mut world, DAY, |_| {});
    assert!(world.record.failures > 280, "{}", world.record.failures);
    let all: u32 = told.values().sum();
    assert!((24..50).contains(&all), "{told:?}");
}

#[test]
fn an_engine_that_comes_up_and_dies_all_day_is_told_about_seldom_and_that_it_lasts_once() {
    let mut world = World::running();
    let told = during(&mut world, DAY, |world| {
        if world.record.phase == Phase::Running && world.record.healthy_since.is_some() && world.is_alive() {
            world.kill(1);
        }
    });
    assert!(world.record.failures > 280, "{}", world.record.failures);
    let all: u32 = told.values().sum();
    assert!(all < 80, "{told:?}");
    let until_it_lasts = Duration::from_secs(1_200);
    let told = during(&mut world, until_it_lasts, |_| {});
    assert_eq!((world.record.phase, world.record.failures), (Phase::Running, 0));
    assert_eq!(told.get("status-changed"), Some(&1), "{told:?}");
}

#[test]
fn the_end_of_a_finished_games_engine_is_one_event() {
    let mut world = World::running();
    world.finished = true;
    world.later(Duration::from_secs(60));
    world.kill(0);
    let told = during(&mut world, DAY, |_| {});
    assert_eq!(told, [("status-changed", 1)].into());
}

#[test]
fn a_failed_start_names_who_asked() {
    let mut world = World::new();
    world.record = Record::first_seen(Requests::default());
    world.engines = Engines::ExitAtStart;
    let mut failed = Vec::new();
    while failed.is_empty() {
        let was = world.record.clone();
        let plan = world.round();
        let told = told(&world.desired, &was, &recording(&world, &was, &plan));
        failed.extend(told.into_iter().filter_map(|event| match event {
            LobbyEvent::StartFailed(failed) => Some(failed),
            _ => None,
        }));
    }
    let failed = failed.remove(0);
    assert_eq!((failed.operation.as_str(), failed.requested_by.as_str()), ("start", "admin"));
    assert_eq!((failed.request_id.as_str(), failed.status), ("r", Phase::CrashLoop));
}
