//! Whatever ends the process, no completed turn is lost and none is done twice.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use world::World;

#[test]
fn thirty_kills_in_the_middle_of_turns_lose_nothing() {
    const KILLS: u64 = 30;
    let world = World::new("kills").with("ENGINE_SLOW_TURN_MS", "1");
    let mut engine = world.start();
    let players = engine.init().body["players"].clone();
    let port = Arc::new(Mutex::new(engine.port));
    let answered = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let client = std::thread::spawn({
        let (port, answered, over) = (Arc::clone(&port), Arc::clone(&answered), Arc::clone(&over));
        move || {
            let mut expected = 0;
            while !over.load(Ordering::SeqCst) {
                let port = *port.lock().unwrap();
                let reply = world::turn(port, expected);
                if reply.status == 200 {
                    answered.store(reply.turn(), Ordering::SeqCst);
                }
                // As a controller should: after anything else, ask.
                match if reply.status == 200 { reply } else { world::call(port, "GET", "status", &[], "") } {
                    reply if reply.status == 200 => expected = reply.turn(),
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        }
    });
    let mut promised = 0;
    for kill in 0..KILLS {
        // Between two kills a turn is answered, however slow the machine is.
        let began = Instant::now();
        while answered.load(Ordering::SeqCst) <= promised {
            assert!(began.elapsed() < Duration::from_secs(30), "no turn after {promised}");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(5 + kill * 7919 % 23));
        // Held over the restart: the old port may by then be another test's engine.
        let mut port = port.lock().unwrap();
        engine.kill();
        promised = answered.load(Ordering::SeqCst);
        engine = world.start();
        let turn = engine.status().turn();
        assert!(turn >= promised, "turn {promised} was answered, {turn} is there");
        *port = engine.port;
    }
    over.store(true, Ordering::SeqCst);
    client.join().unwrap();

    let status = engine.status();
    let done = world.journal("turn-done");
    assert_eq!(done, (1..=status.turn()).collect::<Vec<_>>(), "each turn is done once, and in order");
    assert!(done.len() as u64 >= KILLS, "only {} turns between {KILLS} kills", done.len());
    let accepted = world.journal("turn-accepted");
    assert!(accepted.len() > done.len(), "no kill hit a turn that was being generated");
    assert_eq!(world.journal("init-accepted"), [0]);
    assert_eq!(world.journal("start").len() as u64, KILLS);
    for (before, after) in players.as_array().unwrap().iter().zip(status.body["players"].as_array().unwrap())
    {
        assert_eq!(before["id"], after["id"], "ids stay");
    }
}

#[test]
fn a_crash_before_the_commit_leaves_n_and_after_it_n_plus_1() {
    for (when, left) in [("before", 0), ("during", 0), ("after", 1)] {
        let world = World::new(&format!("crash-{when}"))
            .with("ENGINE_CRASH_ON_TURN", "1")
            .with("ENGINE_CRASH_WHEN", when)
            .with("ENGINE_CRASH_TIMES", "1");
        let mut engine = world.start();
        engine.init();
        assert_eq!(engine.turn(0).status, 0, "no answer");
        assert_eq!(engine.ended().code(), Some(70));
        let engine = world.start();
        assert_eq!(engine.status().turn(), left, "{when}");
        assert_eq!(engine.turn(left).status, 200, "the second attempt does not crash");
        assert_eq!(world.journal("turn-done"), (1..=left + 1).collect::<Vec<_>>(), "{when}");
        assert_eq!(world.journal("crash"), [1]);
    }
}

#[test]
fn sigterm_ends_it_at_once_even_in_a_turn() {
    let world = World::new("sigterm").with("ENGINE_HANG_ON_TURN", "2");
    let mut engine = world.start();
    engine.init();
    engine.turn(0);
    let port = engine.port;
    let hung = std::thread::spawn(move || world::turn(port, 1).status);
    wait_for(|| engine.status().body["generating"] == true);
    assert_eq!(engine.turn(1).status, 409, "one generation at a time");
    let asked = Instant::now();
    engine.signal("TERM");
    assert_eq!(engine.ended().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(hung.join().unwrap(), 0);
    assert_eq!(world.journal("stop"), [1]);
    assert_eq!(world.start().status().turn(), 1);
}

#[test]
fn two_engines_never_serve_one_state() {
    let world = World::new("two");
    let engine = world.start();
    engine.init();
    assert_eq!(world.ends(), 4);
    assert_eq!(world.journal("conflict"), [0]);
    assert_eq!(engine.turn(0).status, 200);
}

#[test]
fn state_that_is_of_no_use_is_never_replaced() {
    let world = World::new("of-no-use");
    world.start().init();
    let file = world.state_path().join("state.json");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace(world::GAME, "another")).unwrap();
    assert_eq!(world.ends(), 3);
    std::fs::write(&file, "{").unwrap();
    assert_eq!(world.ends(), 3);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{");
}

#[test]
fn a_missing_mount_is_an_error_not_a_new_directory() {
    let world = World::new("no-mount");
    let engine = world.start();
    std::fs::remove_dir_all(&world.mount).unwrap();
    assert_eq!(engine.init().status, 500);
    assert!(!world.mount.exists());
    assert_eq!(engine.status().status, 409);
}

fn wait_for(what: impl Fn() -> bool) {
    let deadline = Instant::now() + world::DEADLINE;
    while !what() {
        assert!(Instant::now() < deadline, "it never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}
