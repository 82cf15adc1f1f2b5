//! The contract, held by the real binary.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use world::{GAME, World, call, raw};

#[test]
fn a_game_is_initialised_once() {
    let world = World::new("init-once");
    let engine = world.start();
    assert_eq!(raw(engine.port, "GET", "/healthz", &[], "").status, 200);
    assert_eq!(engine.status().status, 409);
    assert_eq!(engine.turn(0).status, 409);
    assert!(!world.state_path().exists(), "nothing is written before init");

    let begun = engine.init();
    assert_eq!((begun.status, begun.turn()), (200, 0));
    assert_eq!(begun.body["gameId"], GAME);
    assert_eq!(engine.init().status, 409);
    assert_eq!(call(engine.port, "POST", "init", &[], "nonsense").status, 409);
    assert_eq!(engine.status().body, begun.body);
    assert_eq!(world.journal("init-accepted"), [0]);
    assert_eq!(world.journal("init-done"), [0]);
}

#[test]
fn an_init_that_makes_no_sense_changes_nothing() {
    let world = World::new("init-nonsense");
    let engine = world.start();
    let race = |name: &str| json!({ "raceName": name });
    for body in [
        json!({"gameId": "another", "races": [race("Terrans")]}),
        json!({"races": [race("Terrans")]}),
        json!({"gameId": GAME, "races": []}),
        json!({"gameId": GAME, "races": [race("Terrans"), race("Terrans")]}),
        json!({"gameId": GAME, "races": [race(" ")]}),
        json!({"gameId": GAME}),
    ] {
        assert_eq!(call(engine.port, "POST", "init", &[], &body.to_string()).status, 400, "{body}");
    }
    assert!(!world.state_path().exists());
}

#[test]
fn a_turn_needs_the_right_precondition() {
    let world = World::new("precondition");
    let engine = world.start();
    engine.init();
    let first = engine.turn(0);
    assert_eq!((first.status, first.turn()), (200, 1));
    assert!(first.head.to_lowercase().contains("etag: \"1\""), "{}", first.head);
    assert_eq!(engine.turn(0).status, 412);
    assert_eq!(engine.turn(2).status, 412);
    assert_eq!(call(engine.port, "PUT", "turn", &[], "").status, 428);
    assert_eq!(call(engine.port, "PUT", "turn", &["If-Match: 1"], "").status, 400);
    assert_eq!(engine.status().turn(), 1);
    assert_eq!(world.journal("turn-accepted"), [1]);
}

#[test]
fn a_turn_asked_for_twenty_times_at_once_is_generated_once() {
    let world = World::new("at-once").with("ENGINE_SLOW_TURN_MS", "50");
    let engine = world.start();
    engine.init();
    let port = engine.port;
    let calls: Vec<_> = (0..20).map(|_| std::thread::spawn(move || world::turn(port, 0).status)).collect();
    let answers: Vec<u16> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 409, 412].contains(status)), "{answers:?}");
    assert_eq!(world.journal("turn-accepted"), [1]);
}

#[test]
fn only_the_token_opens_the_admin_calls() {
    let world = World::new("token");
    let engine = world.start();
    for headers in [
        &[][..],
        &["Authorization: Bearer secreT"],
        &["Authorization: Basic secret"],
        &["Authorization: Bearer "],
    ] {
        for (method, call) in
            [("GET", "status"), ("POST", "init"), ("PUT", "turn"), ("PUT", "misbehave"), ("GET", "x")]
        {
            let reply = raw(engine.port, method, &format!("/api/v1/admin/{call}"), headers, "{}");
            assert_eq!(reply.status, 401, "{method} {call} {headers:?}");
        }
    }
    assert_eq!(
        raw(engine.port, "GET", "/api/v1/admin/status", &["authorization: bearer secret"], "").status,
        409
    );
}

#[test]
fn v1_without_a_token_lets_nobody_in() {
    let world = World::new("no-token").with("GAME_ADMIN_TOKEN", "");
    let engine = world.start();
    assert_eq!(engine.status().status, 401);
    assert_eq!(raw(engine.port, "GET", "/api/v1/admin/status", &["Authorization: Bearer "], "").status, 401);
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let world = World::new("paths");
    let engine = world.start();
    assert_eq!(raw(engine.port, "GET", "/", &[], "").status, 404);
    assert_eq!(call(engine.port, "GET", "nothing", &[], "").status, 404);
    assert_eq!(call(engine.port, "DELETE", "turn", &[], "").status, 405);
}

#[test]
fn v0_has_no_identity_no_token_and_no_precondition() {
    let world = World::new("v0").with("ENGINE_CONTRACT", "plain/v0");
    let engine = world.start();
    let status = || raw(engine.port, "GET", "/api/v1/admin/status", &[], "");
    let turn = || raw(engine.port, "PUT", "/api/v1/admin/turn", &[], "");
    assert_eq!(status().status, 409);
    let begun = raw(engine.port, "POST", "/api/v1/admin/init", &[], r#"{"races":[{"raceName":"Terrans"}]}"#);
    assert_eq!((begun.status, begun.turn()), (200, 0));
    assert!(begun.body.get("gameId").is_none());
    assert_eq!((turn().turn(), turn().turn()), (1, 2));
    assert_eq!(status().turn(), 2);
    assert_eq!(world.journal("turn-done"), [1, 2]);
}

#[test]
fn a_finished_game_has_no_further_turn() {
    let world = World::new("finished").with("ENGINE_FINISH_AT_TURN", "2");
    let engine = world.start();
    engine.init();
    assert_eq!(engine.turn(0).body["finished"], false);
    assert_eq!(engine.turn(1).body["finished"], true);
    assert_eq!(engine.turn(2).status, 409);
    engine.kill();
    assert_eq!(world.start().status().body["finished"], true);
}

#[test]
fn a_wrong_environment_is_refused() {
    assert_eq!(World::new("bad-contract").with("ENGINE_CONTRACT", "v9").ends(), 2);
    assert_eq!(World::new("bad-knob").with("ENGINE_CRASH_ON_TRUN", "1").ends(), 2);
    assert_eq!(World::new("no-game").with("GAME_ID", "").ends(), 2);
}
