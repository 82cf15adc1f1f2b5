//! Thirteen situations as people meet them: the planner's own answers, from a model of the world, as
//! they are read on a terminal.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::game::container::StateDirectory;
use crate::game::controller::{Freeze, FreezeReason};
use crate::game::spec::{Deletion, DesiredStatus};
use crate::reconcile::explain::explain;
use crate::reconcile::plan::tests::world::{Engines, Looks, World};
use crate::reconcile::{Policy, Pulling, Work};

/// What the planner says of this world.
fn explained(world: &World) -> Object {
    explained_with(world, None)
}

fn explained_with(world: &World, work: Option<Work>) -> Object {
    let mut observation = world.observation();
    observation.work = work;
    let explanation = explain(&world.desired, &world.record, &observation, &Policy::default());
    Object(serde_json::to_value(explanation).unwrap())
}

fn operation(world: &World, op: &str, phase: &str, cause: &str, error: Option<(&str, &str)>) -> Object {
    let began = world.now.checked_sub(jiff::SignedDuration::from_secs(30)).unwrap().to_string();
    Object(json!({
        "metadata": { "name": "0190", "creationTimestamp": began },
        "spec": { "op": op, "generation": 1, "cause": cause, "source": "controller" },
        "status": {
            "phase": phase,
            "errorCode": error.map(|(code, _)| code),
            "errorMessage": error.map(|(_, message)| message),
            "finishedAt": if phase == "Running" { Value::Null } else { began.into() },
        },
    }))
}

fn log(lives: bool, lines: &[&str]) -> Option<Log> {
    Some(Log { lines: lines.iter().map(ToString::to_string).collect(), lives })
}

/// Compares with the file of this name beside the other tests of the command line.
fn expect(name: &str, world: &World, explanation: Object, operations: Vec<Object>, log: Option<Log>) {
    let known = Known { name: "game/andromeda".into(), explanation, operations, log };
    let text = whole(&known, world.now);
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn running_and_settled() {
    let world = World::running();
    let operations = vec![operation(&world, "start", "Succeeded", "it should run", None)];
    expect("running", &world, explained(&world), operations, log(true, &["turn 17 generated", "saved"]));
}

#[test]
fn starting_and_waiting_for_health() {
    let mut world = World::new();
    world.engines = Engines::NeverHealthy;
    world.converge();
    world.now = world.now.checked_add(jiff::SignedDuration::from_secs(4)).unwrap();
    let operations = vec![operation(&world, "start", "Running", "it should run", None)];
    expect("starting", &world, explained(&world), operations, log(true, &["loading maps"]));
}

#[test]
fn pulling_an_image() {
    let mut world = World::new();
    world.image_on_host = false;
    world.round();
    let (image, progress) = (crate::game::ImageRef::new("engine:1.4.2"), "23 of 80 MB".into());
    let mut observation = world.observation();
    observation.beside.pulling = Some(Pulling { image, progress });
    let explanation = explain(&world.desired, &world.record, &observation, &Policy::default());
    let explained = Object(serde_json::to_value(explanation).unwrap());
    expect("pulling", &world, explained, Vec::new(), None);
}

#[test]
fn a_crash_loop_with_its_backoff_and_last_words() {
    let mut world = World::running();
    world.engines = Engines::ExitAtStart;
    world.kill(1);
    world.converge();
    world.later(Duration::from_secs(3));
    let failed = Some(("Exited", "The engine's process ended with exit code 3."));
    let operations = vec![operation(&world, "heal", "Failed", "its engine's process ended", failed)];
    let words = log(false, &["panic: out of planets", "\u{1b}[31mat galaxy.rs:42"]);
    expect("crash-loop", &world, explained(&world), operations, words);
}

#[test]
fn an_engine_that_cannot_be_reached() {
    let mut world = World::running();
    world.engines = Engines::NeverHealthy;
    for _ in 0..4 {
        world.later(Duration::from_secs(16));
    }
    let words = log(true, &["accept failed: too many open files"]);
    expect("unreachable", &world, explained(&world), Vec::new(), words);
}

#[test]
fn an_invalid_spec_before_the_first_start() {
    let mut world = World::new();
    world.change(|desired| desired.version = None);
    world.converge();
    let refused = Some(("UnknownEngineVersion", "Engine version 1.4.2 is not registered."));
    let operations = vec![operation(&world, "start", "Failed", "the spec asks for it", refused)];
    expect("invalid", &world, explained(&world), operations, None);
}

#[test]
fn an_invalid_new_spec_while_the_engine_goes_on() {
    let mut world = World::running();
    world.change(|desired| {
        desired.version = None;
        desired.spec.as_mut().unwrap().engine_version = Some("1.4.9".parse().unwrap());
    });
    world.converge();
    expect("invalid-while-running", &world, explained(&world), Vec::new(), log(true, &["turn 17 generated"]));
}

#[test]
fn stopped() {
    let mut world = World::running();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    let operations = vec![operation(&world, "stop", "Succeeded", "it should be stopped", None)];
    expect("stopped", &world, explained(&world), operations, None);
}

#[test]
fn paused_and_put_off_with_a_turn_asked_for() {
    let mut world = World::running();
    let until = world.now.checked_add(jiff::SignedDuration::from_hours(12)).unwrap();
    world.change(|desired| {
        let turns = &mut desired.spec.as_mut().unwrap().turns;
        turns.schedule = Some("0 18 * * *".into());
        turns.time_zone = "Europe/Berlin".into();
        turns.not_before = Some(until);
        desired.paused = true;
        desired.requests.force_turn += 1;
    });
    world.converge();
    expect("paused", &world, explained(&world), Vec::new(), None);
}

#[test]
fn a_frozen_controller_after_a_backup_was_put_back() {
    let mut world = World::running();
    world.kill(137);
    world.freeze = Some(Freeze {
        reason: FreezeReason::DatabaseOlder,
        message: "The database is older than what happened since: it counts 120, the state root 450.".into(),
        way_out: "Put the newer database back, or confirm this one with `gamekeeper rebind`.".into(),
    });
    world.converge();
    expect("frozen", &world, explained(&world), Vec::new(), None);
}

#[test]
fn blocked_because_its_state_is_missing() {
    let mut world = World::running();
    world.state_directory = StateDirectory::Absent;
    world.looks = Looks::none();
    world.kill(1);
    world.converge();
    world.later(Duration::from_secs(2));
    let lost = Some(("StateMissing", "its state directory is gone"));
    let operations = vec![operation(&world, "heal", "Failed", "its engine's process ended", lost)];
    expect("state-missing", &world, explained(&world), operations, log(false, &["turn 16 generated"]));
}

#[test]
fn deletions_are_held() {
    let mut world = World::running();
    world.change(|desired| {
        desired.deletion = Some(Deletion::Requested);
        desired.deletion_policy = crate::game::DeletionPolicy::Delete;
    });
    world.deletion_held = Some("The deletion of 12 of 20 games was asked for within ten minutes.".into());
    world.converge();
    expect("deletion-held", &world, explained(&world), Vec::new(), log(true, &["turn 17 generated"]));
}

#[test]
fn a_row_that_is_gone_with_its_grace_period_running() {
    let mut world = World::running();
    world.change(|desired| desired.deletion = Some(Deletion::RowGone));
    world.converge();
    world.now = world.now.checked_add(jiff::SignedDuration::from_secs(15)).unwrap();
    expect("row-gone", &world, explained(&world), Vec::new(), None);
}

#[test]
fn a_plan_of_a_game_is_told_in_few_lines() {
    let mut world = World::running();
    world.change(|desired| desired.spec.as_mut().unwrap().resources.pids = Some(64));
    assert_eq!(
        forecast(&explained(&world)),
        "  andromeda should run. What is left: a look at generation 2; a container that is made anew, as its resources changed. The engine is healthy and has its game.\n\
         \x20 for whoever plays: the engine is away for a moment, and comes back with the same state\n\
         \x20 1. look for another container on the state directory (changes nothing)\n\
         \x20    because the next engine must have its state alone\n\
         \x20 2. stop container container-1 within 10 s\n\
         \x20    because it is being replaced\n\
         \x20 3. remove container container-1\n\
         \x20    because it is being replaced\n\
         \x20 4. create container for 1.4.2\n\
         \x20    because its engine is not there\n\
         \x20 5. start container the-new-one\n\
         \x20    because it is made and not started\n"
    );
}
