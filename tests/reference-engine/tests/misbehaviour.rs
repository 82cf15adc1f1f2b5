//! A fault that a test asks for must really happen, or the test proves nothing.
#![allow(clippy::unwrap_used)]

mod world;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use world::{GAME, World, call, raw};

/// An engine with a game at turn 1.
fn playing(name: &str) -> (World, world::Running) {
    let world = World::new(name);
    let engine = world.start();
    engine.init();
    engine.turn(0);
    (world, engine)
}

#[test]
fn what_is_said_about_the_game_can_be_wrong() {
    let (_world, engine) = playing("lies");
    let honest = engine.status().body;
    let told = |knobs: Value| {
        assert_eq!(engine.misbehave(&knobs).status, 200, "{knobs}");
        engine.status()
    };
    assert_eq!(told(json!({"status500": true})).status, 500);
    assert_eq!(told(json!({"denyGame": true})).status, 409);
    assert_eq!(told(json!({"refuseToken": true})).status, 401);
    assert_eq!(told(json!({"garbageStatus": true})).body, Value::Null);
    assert_eq!(told(json!({"wrongGameId": "x"})).body["gameId"], "x");
    assert_eq!(told(json!({"lowerTurnBy": 1})).turn(), 0);
    assert_eq!(told(json!({"padStatusBytes": 100_000})).body["padding"].as_str().unwrap().len(), 100_000);
    assert_eq!(told(json!({"dripStatusMs": 0})).body, honest);
    let redirected = told(json!({"redirectStatus": "http://127.0.0.1:1/"}));
    assert!(redirected.status == 302 && redirected.head.contains("location: http://127.0.0.1:1/"));
    for odd in ["otherIds", "extra", "missing", "duplicate", "badIds"] {
        let reply = told(json!({"oddPlayers": odd}));
        assert!(reply.status == 200 && reply.body["players"] != honest["players"], "{odd}");
    }
    assert_eq!(told(json!({})).body, honest, "and then it behaves");
}

#[test]
fn an_endless_answer_does_not_end() {
    let (_world, engine) = playing("endless");
    engine.misbehave(&json!({"endlessStatus": true}));
    let mut stream = ask_for_status(engine.port);
    let mut much = vec![0; 8 << 20];
    stream.read_exact(&mut much).unwrap();
    drop(stream);
    assert_eq!(raw(engine.port, "GET", "/healthz", &[], "").status, 200);
}

#[test]
fn silence_is_silence() {
    let (_world, engine) = playing("silence");
    engine.misbehave(&json!({"hangStatus": true, "hangHealth": true}));
    let mut stream = ask_for_status(engine.port);
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "nothing comes, and no end either");
}

#[test]
fn health_and_init_can_fail() {
    let world = World::new("init-fails");
    let engine = world.start();
    engine.misbehave(&json!({"neverHealthy": true, "failInit": "before"}));
    assert_eq!(raw(engine.port, "GET", "/healthz", &[], "").status, 503);
    assert_eq!(engine.init().status, 500);
    assert_eq!(engine.status().status, 409);
    engine.misbehave(&json!({"failInit": "after"}));
    assert_eq!(engine.init().status, 500);
    assert_eq!(engine.status().status, 200, "it took effect");
}

#[test]
fn turns_can_fail_before_and_after_they_are_done() {
    let (world, engine) = playing("turn-fails");
    engine.misbehave(&json!({"failTurn": "before", "failTurnTimes": 1}));
    assert_eq!(engine.turn(1).status, 500);
    assert_eq!(engine.turn(1).turn(), 2, "only once");
    engine.misbehave(&json!({"failTurn": "after"}));
    assert_eq!(engine.turn(2).status, 500);
    assert_eq!(engine.status().turn(), 3);
    engine.misbehave(&json!({"dropTurnAnswer": true}));
    assert_eq!(engine.turn(3).status, 0);
    assert_eq!(engine.status().turn(), 4);
    engine.misbehave(&json!({"hangOnTurn": 5, "hangMs": 100}));
    let began = Instant::now();
    assert_eq!(engine.turn(4).turn(), 5);
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(world.journal("turn-done"), [1, 2, 3, 4, 5]);
}

#[test]
fn files_speak_too_and_the_call_overrides_them() {
    let (world, engine) = playing("files");
    let file = world.mount.join("misbehave.json");
    std::fs::write(&file, r#"{"lowerTurnBy": 1, "status500": true}"#).unwrap();
    assert_eq!(engine.status().status, 500);
    std::fs::write(world.state_path().join("misbehave.json"), r#"{"status500": false}"#).unwrap();
    assert_eq!(engine.status().turn(), 0);
    engine.misbehave(&json!({}));
    assert_eq!(engine.status().turn(), 1);
    assert_eq!(call(engine.port, "DELETE", "misbehave", &[], "").body["lowerTurnBy"], 1);
    assert_eq!(engine.status().turn(), 0);
    assert_eq!(engine.misbehave(&json!({"noSuchKnob": 1})).status, 400);
    engine.kill();
    std::fs::write(&file, r#"{"noSuchKnob": 1}"#).unwrap();
    assert_eq!(world.ends(), 2);
}

#[test]
fn it_can_fail_to_start_a_number_of_times() {
    let world =
        World::new("start-fails").with("ENGINE_EXIT_AT_START", "9").with("ENGINE_EXIT_AT_START_TIMES", "2");
    assert_eq!((world.ends(), world.ends()), (9, 9));
    world.start();
}

#[test]
fn it_can_start_slowly_and_be_deaf_to_sigterm() {
    let world = World::new("deaf").with("ENGINE_START_DELAY_MS", "150").with("ENGINE_IGNORE_SIGTERM", "true");
    let began = Instant::now();
    let mut engine = world.start();
    assert!(began.elapsed() >= Duration::from_millis(150));
    engine.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    assert!(engine.is_running());
}

#[test]
fn a_directory_made_before_init_does_not_prevent_it() {
    let world = World::new("early").with("ENGINE_EARLY_FILES", "true").with("ENGINE_PLANT_SYMLINKS", "true");
    let engine = world.start();
    assert!(world.state_path().join("engine.lock").exists());
    assert!(world.mount.join("link-root").is_symlink());
    assert_eq!(engine.init().status, 200);
}

#[test]
fn a_crash_in_init_leaves_data_but_no_game() {
    for when in ["before", "during"] {
        let world = World::new(&format!("init-crash-{when}"))
            .with("ENGINE_CRASH_INIT", when)
            .with("ENGINE_CRASH_INIT_TIMES", "1");
        let mut engine = world.start();
        assert_eq!(engine.init().status, 0);
        engine.ended();
        assert!(world.state_path().join("journal.jsonl").exists());
        assert_eq!(world.start().status().status, 409);
    }
}

#[test]
fn it_can_be_a_burden() {
    let (world, engine) = playing("burden");
    let knobs = json!({"allocateMb": 8, "threads": 5, "logLinesPerSecond": 100, "fillStateMb": 2});
    assert_eq!(engine.misbehave(&knobs).status, 200);
    assert_eq!(std::fs::metadata(world.mount.join("fill.bin")).unwrap().len(), 2 << 20);
    assert_eq!(engine.status().body["gameId"], GAME);
}

fn ask_for_status(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(world::DEADLINE)).unwrap();
    let request = "GET /api/v1/admin/status HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer secret\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream
}
