//! Twelve situations as people meet them, rendered from answers as the controller gives them.

use serde_json::{Value, json};

use super::*;
use crate::game::Phase;
use crate::reconcile::explain::{Disruption, Explanation, Fact, Guard, ShownStep};

mod left_alone;

const NOW: &str = "2026-11-01T10:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn in_seconds(seconds: i64) -> Option<Timestamp> {
    now().checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
}

fn facts(facts: &[(&str, &str)]) -> Vec<Fact> {
    facts.iter().map(|(what, is)| Fact { what: (*what).into(), is: (*is).into() }).collect()
}

fn step(step: &str, cause: &str) -> ShownStep {
    ShownStep { step: step.into(), cause: cause.into(), changes: true }
}

fn look(step: &str, cause: &str) -> ShownStep {
    ShownStep { step: step.into(), cause: cause.into(), changes: false }
}

/// A game that runs and is left in peace.
fn settled() -> Explanation {
    Explanation {
        summary: "The game runs, and nothing is left to do.".into(),
        phase: Phase::Running,
        reason: "Running".into(),
        message: "the engine is healthy".into(),
        generation: 4,
        observed_generation: 4,
        desired: facts(&[("Status", "Running"), ("Engine version", "1.4.2"), ("Image", "engine:1.4.2")]),
        observed: facts(&[
            ("Status", "running since 2026-11-01T08:00:00Z"),
            ("Engine version", "1.4.2"),
            ("Image", "engine:1.4.2"),
            ("Container", "c0ffee000000"),
            ("Turn", "17"),
        ]),
        guard: None,
        steps: Vec::new(),
        afterwards: Vec::new(),
        disruption: Disruption::None,
        waiting_on: Vec::new(),
        working_on: None,
        next_look_at: in_seconds(10),
        next_attempt_at: None,
        failures: 0,
        settled: true,
    }
}

/// The same game before its first start.
fn new() -> Explanation {
    Explanation {
        phase: Phase::Starting,
        reason: "Starting".into(),
        observed: facts(&[("Status", "no container")]),
        disruption: Disruption::Start,
        settled: false,
        ..settled()
    }
}

fn operation(op: &str, phase: &str, cause: &str, began: &str, error: Option<(&str, &str)>) -> Object {
    Object(json!({
        "metadata": { "name": "0190", "creationTimestamp": began },
        "spec": { "op": op, "generation": 4, "cause": cause, "source": "controller" },
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

fn rendered(explanation: Explanation, operations: Vec<Object>, log: Option<Log>) -> String {
    let explanation = Object(serde_json::to_value(explanation).unwrap());
    whole(&Known { name: "game/andromeda".into(), explanation, operations, log }, now())
}

/// Compares with the file of this name beside the other tests of the command line.
fn expect(name: &str, text: String) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn running_and_settled() {
    let operations =
        vec![operation("start", "Succeeded", "the spec says Running", "2026-11-01T08:00:00Z", None)];
    expect("running", rendered(settled(), operations, log(true, &["turn 17 generated", "saved"])));
}

#[test]
fn starting_and_waiting_for_health() {
    let explanation = Explanation {
        summary: "The engine was started 4 s ago and does not answer its health check yet.".into(),
        message: "waiting for the engine to become healthy".into(),
        observed: facts(&[
            ("Status", "container runs, not healthy yet"),
            ("Engine version", "1.4.2"),
            ("Image", "engine:1.4.2"),
            ("Container", "c0ffee000000"),
        ]),
        steps: vec![look("ask the engine for its health", "it was started and has not answered yet")],
        afterwards: vec![step("initialise engine with 2 races", "its state directory is empty")],
        waiting_on: vec!["the engine's health check".into()],
        next_look_at: in_seconds(1),
        ..new()
    };
    let operations =
        vec![operation("start", "Running", "the spec says Running", "2026-11-01T09:59:55Z", None)];
    expect("starting", rendered(explanation, operations, log(true, &["loading maps"])));
}

#[test]
fn pulling_an_image() {
    let explanation = Explanation {
        summary: "The image is being fetched; the game starts when it is here.".into(),
        reason: "PullingImage".into(),
        message: "engine:1.4.2 is not on this host".into(),
        afterwards: vec![
            step("create state directory", "it is not there"),
            step("create container for 1.4.2", "there is none"),
            step("start container", "it is to run"),
            step("initialise engine with 2 races", "its state directory is empty"),
        ],
        waiting_on: vec!["image engine:1.4.2".into()],
        working_on: Some("pulling engine:1.4.2: 23 of 80 MB".into()),
        next_look_at: None,
        ..new()
    };
    expect("pulling", rendered(explanation, Vec::new(), None));
}

#[test]
fn a_crash_loop_with_its_backoff_and_last_words() {
    let explanation = Explanation {
        summary: "The engine exited with 1 for the sixth time in a row; it is started again in 16 s.".into(),
        phase: Phase::CrashLoop,
        reason: "Exited".into(),
        message: "the engine exited with 1".into(),
        observed: facts(&[("Status", "exited with 1"), ("Container", "c0ffee000000")]),
        waiting_on: vec!["the backoff".into()],
        next_look_at: in_seconds(16),
        next_attempt_at: in_seconds(16),
        failures: 6,
        afterwards: vec![step("start container c0ffee000000", "it exited with 1")],
        ..new()
    };
    let operations = vec![
        operation(
            "heal",
            "Failed",
            "the engine exited with 1",
            "2026-11-01T09:59:44Z",
            Some(("Exited", "exited with 1")),
        ),
        operation(
            "heal",
            "Failed",
            "the engine exited with 1",
            "2026-11-01T09:59:28Z",
            Some(("Exited", "exited with 1")),
        ),
    ];
    let words = log(false, &["panic: out of planets", "\u{1b}[31mat galaxy.rs:42"]);
    expect("crash-loop", rendered(explanation, operations, words));
}

#[test]
fn an_engine_that_cannot_be_reached() {
    let explanation = Explanation {
        summary: "The engine's process runs but has not answered for 25 s; it is restarted if it stays so."
            .into(),
        phase: Phase::EngineUnreachable,
        reason: "HealthCheckFailing".into(),
        message: "connection refused".into(),
        waiting_on: vec!["the engine's health check".into()],
        steps: vec![look("ask the engine for its health", "3 checks failed in a row")],
        next_look_at: in_seconds(5),
        settled: false,
        ..settled()
    };
    expect(
        "unreachable",
        rendered(explanation, Vec::new(), log(true, &["accept failed: too many open files"])),
    );
}

#[test]
fn an_invalid_spec_before_the_first_start() {
    let explanation = Explanation {
        summary: "Nothing is started: engine version 9.9.9 is not registered.".into(),
        phase: Phase::Invalid,
        reason: "UnknownEngineVersion".into(),
        message: "engine version 9.9.9 is not registered".into(),
        generation: 1,
        observed_generation: 1,
        desired: facts(&[("Status", "Running"), ("Engine version", "9.9.9 (not registered)")]),
        disruption: Disruption::None,
        waiting_on: vec!["a corrected spec, or engine version 9.9.9".into()],
        next_look_at: None,
        ..new()
    };
    let refused = Some(("UnknownEngineVersion", "engine version 9.9.9 is not registered"));
    let operations =
        vec![operation("start", "Failed", "the spec says Running", "2026-11-01T09:58:00Z", refused)];
    expect("invalid", rendered(explanation, operations, None));
}

#[test]
fn an_invalid_new_spec_while_the_engine_goes_on() {
    let explanation = Explanation {
        summary: "The engine runs on as it is; the new spec cannot be met: engine version 1.5.0 is disabled."
            .into(),
        reason: "SpecInvalid".into(),
        message: "engine version 1.5.0 is disabled".into(),
        generation: 5,
        desired: facts(&[("Status", "Running"), ("Engine version", "1.5.0 (disabled)")]),
        waiting_on: vec!["a corrected spec".into()],
        settled: false,
        ..settled()
    };
    expect("invalid-while-running", rendered(explanation, Vec::new(), log(true, &["turn 17 generated"])));
}

#[test]
fn a_plan_of_a_game_is_told_in_few_lines() {
    let explanation = Explanation {
        summary: "The engine would be replaced by one with more memory.".into(),
        disruption: Disruption::Restart,
        steps: vec![step("stop container c0ffee000000", "its memory limit changes")],
        afterwards: vec![step("create container for 1.4.2", "there is none")],
        ..settled()
    };
    let object = Object(serde_json::to_value(explanation).unwrap());
    assert_eq!(
        forecast(&object),
        "  The engine would be replaced by one with more memory.\n\
         \x20 for whoever plays: the engine is away for a moment, and comes back with the same state\n\
         \x20 1. stop container c0ffee000000\n\
         \x20    because its memory limit changes\n\
         \x20 2. create container for 1.4.2\n\
         \x20    because there is none\n"
    );
}
