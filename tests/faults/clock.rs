//! The controller's wall clock is set while something runs: graces, pauses, deadlines and windows take as
//! long as they were to take, and no turn is generated twice.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::set_clock::SetClock;
use crate::world::{World, container, docker, exists};

/// On a busy machine everything comes a little later than it should.
const LATE: Duration = Duration::from_secs(6);

/// A clock is read now and then.
const EARLY: Duration = Duration::from_secs(1);

const HOUR: i64 = 3_600;

/// A controller with a clock of its own.
async fn set_at_will(arguments: &[&str]) -> (World, SetClock) {
    let clock = SetClock::right();
    let mut world = World::new().with(arguments);
    world.environment.extend(clock.environment());
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    (world, clock)
}

/// Something that has the controller look at this game.
fn docker_event(game: &str) {
    docker(&["kill", "--signal", "CONT", &container(game)]);
}

async fn delete_row(world: &World, game: &str) {
    world.sql(&format!("DELETE FROM games WHERE game_id = '{game}'")).await;
}

async fn force_turn(world: &World, game: &str) {
    let bump = "force_turn_generation = force_turn_generation + 1";
    world.sql(&format!("UPDATE games SET {bump} WHERE game_id = '{game}'")).await;
}

/// As soon as so many turns of a game are in this state; how long that took.
async fn turns(world: &World, game: &str, state: &str, count: i64) -> Duration {
    let began = Instant::now();
    let query = format!("SELECT count(*) FROM turns WHERE game_id = '{game}' AND state = '{state}'");
    world.eventually(state, async || world.count(&query).await >= count).await;
    began.elapsed()
}

#[tokio::test]
async fn a_vanished_row_has_its_whole_grace_while_the_clock_is_set() {
    const GRACE: Duration = Duration::from_secs(6);
    let (world, clock) = set_at_will(&["--deletion-grace", "6s"]).await;
    let game = world.running("vanished").await;
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{game}'")).await;
    delete_row(&world, &game).await;
    let vanished = Instant::now();
    world.until(&game, "seen to be gone", |status| status.reason == "RowGone").await;
    for ahead in [-30, 70, 0, HOUR, -HOUR].into_iter().cycle() {
        if vanished.elapsed() > GRACE - EARLY {
            break;
        }
        clock.ahead(ahead);
        docker_event(&game);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let is_there = exists(&game) && world.state_root().join(&game).is_dir();
        // The look itself takes a while.
        let early = vanished.elapsed();
        assert!(is_there || early > GRACE - EARLY, "torn down after {early:?}\n{}", world.log());
    }
    world.eventually("it is deleted", async || !world.state_root().join(&game).exists()).await;
    assert!(vanished.elapsed() < GRACE + LATE, "{:?}\n{}", vanished.elapsed(), world.log());
    world
        .eventually("it is told", async || {
            // Which was first is what a clock says that was set in between.
            let mut operations = world.operations(&game).await;
            operations.sort();
            operations == ["delete succeeded", "start succeeded"]
        })
        .await;
    let told = "SELECT count(*) FROM events WHERE reason = 'ClockSet'";
    assert!(world.count(told).await >= 1, "the clock was set, and it was seen");
}

#[tokio::test]
async fn a_pause_before_the_next_attempt_is_as_long_as_it_was_to_be() {
    for ahead in [-HOUR, HOUR] {
        let (world, clock) = set_at_will(&["--backoff-first", "5s"]).await;
        let game = world.running("dies").await;
        world.misbehave(&game, &json!({ "exitAtStart": 3 }));
        docker(&["kill", &container(&game)]);
        let status = world.until(&game, "to wait", |s| s.failures >= 2 && s.next_attempt_at.is_some()).await;
        let (began, restarts) = (Instant::now(), status.restarts);
        clock.ahead(ahead);
        docker_event(&game);
        world.until(&game, "tried again", |status| status.restarts > restarts).await;
        let took = began.elapsed();
        assert!(took > Duration::from_secs(3) && took < Duration::from_secs(5) + LATE, "{ahead}: {took:?}");
    }
}

#[tokio::test]
async fn games_that_are_old_enough_are_guarded_whatever_the_clock_says() {
    let (world, clock) = set_at_will(&["--deletion-window", "4s", "--deletion-grace", "1s"]).await;
    let mut games = Vec::new();
    for n in 0..5 {
        games.push(world.game(&format!("game-{n}"), "1.4.2").await);
    }
    for game in &games {
        world.until(game, "running", |status| status.phase == "running").await;
    }
    // Older than the window from now on.
    tokio::time::sleep(Duration::from_secs(4)).await;
    clock.ahead(-HOUR);
    docker_event(&games[0]);
    let told = "SELECT count(*) FROM events WHERE reason = 'ClockSet'";
    world.eventually("the clock is seen to be set", async || world.count(told).await == 1).await;
    world.sql("DELETE FROM games").await;
    for game in &games {
        world.until(game, "held", |status| status.reason == "DeletionsHeld").await;
    }
    for ahead in [0, HOUR] {
        clock.ahead(ahead);
        games.iter().for_each(|game| docker_event(game));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(games.iter().all(|game| exists(game)), "let go\n{}", world.log());
    }
}

#[tokio::test]
async fn a_turn_has_the_time_that_it_was_given_and_is_sent_once() {
    let (world, clock) = set_at_will(&["--turn-deadline", "6s"]).await;
    let game = world.running("slow").await;
    world.misbehave(&game, &json!({ "hangOnTurn": 0, "hangMs": 4_000 }));
    for (turn, ahead) in [(1, HOUR), (2, -HOUR)] {
        force_turn(&world, &game).await;
        turns(&world, &game, "dispatched", 1).await;
        clock.ahead(ahead);
        docker_event(&game);
        turns(&world, &game, "done", turn).await;
    }
    // One that does not end is given up, when its time is over.
    world.misbehave(&game, &json!({ "hangOnTurn": 3, "hangTimes": 1 }));
    force_turn(&world, &game).await;
    turns(&world, &game, "dispatched", 1).await;
    let sent = Instant::now();
    clock.ahead(-2 * HOUR);
    docker_event(&game);
    turns(&world, &game, "done", 3).await;
    let took = sent.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(6) + 2 * LATE, "{took:?}");
    let sent = "SELECT count(*) FROM turns WHERE attempts = 1";
    assert_eq!(world.count(sent).await, 2, "those that were slow alone were sent once");
    let turns: Vec<_> = world
        .journal(&game)
        .iter()
        .filter(|line| line["event"] == "turn-done")
        .map(|line| line["turn"].as_i64())
        .collect();
    assert_eq!(turns, [Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn a_controller_that_began_while_the_clock_was_ahead_forgets_nothing_too_soon() {
    const DAYS: i64 = 24 * HOUR;
    let clock = SetClock::right();
    clock.ahead(40 * DAYS);
    let mut world = World::new().with(&["--lobby-mode", "pull"]);
    world.environment.extend(clock.environment());
    world.start();
    // A time service puts it right.
    clock.ahead(0);
    for (seq, occurred_at) in [(1, jiff::Timestamp::UNIX_EPOCH), (2, jiff::Timestamp::now())] {
        let (event, game) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        world
            .sql(&format!(
                "INSERT INTO lobby_outbox (event_id, game_id, seq, type, occurred_at)
                 VALUES ('{event}', '{game}', {seq}, 'test', '{occurred_at}')"
            ))
            .await;
    }
    let old = "SELECT count(*) FROM lobby_outbox WHERE seq = 1";
    world.eventually("what is old is forgotten", async || world.count(old).await == 0).await;
    let young = "SELECT count(*) FROM lobby_outbox WHERE seq = 2";
    assert_eq!(world.count(young).await, 1, "it has just happened\n{}", world.log());
}
