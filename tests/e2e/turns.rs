//! Turns by schedule and by request, on a real engine: each number once, without gaps.

use serde_json::json;

use crate::world::{World, container, docker, inspect};

/// The numbers that the engine's journal says were generated, in order.
fn done(world: &World, game: &str) -> Vec<i64> {
    let of =
        |line: &serde_json::Value| (line["event"] == "turn-done").then(|| line["turn"].as_i64().unwrap());
    world.journal(game).iter().filter_map(of).collect()
}

fn contiguous(numbers: &[i64]) -> bool {
    numbers.iter().enumerate().all(|(at, number)| *number == i64::try_from(at).unwrap() + 1)
}

async fn turn(world: &World, game: &str) -> i64 {
    world
        .count(&format!(
            "SELECT coalesce(max(current_turn), -1) FROM runtime_records WHERE game_id = '{game}'"
        ))
        .await
}

async fn set(world: &World, game: &str, what: &str) {
    world.sql(&format!("UPDATE games SET {what} WHERE game_id = '{game}'")).await;
}

async fn until_turn(world: &World, game: &str, wanted: i64) {
    world.eventually(&format!("turn {wanted}"), async || turn(world, game).await >= wanted).await;
}

async fn ledger(world: &World, game: &str) -> Vec<String> {
    let query = format!(
        "SELECT number || ' ' || cause || ' ' || state FROM turns WHERE game_id = '{game}' ORDER BY number"
    );
    world.rows(&query).await.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_schedule_of_every_second_keeps_its_slots() {
    let world = World::started().await;
    let game = world.running("swift").await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    until_turn(&world, &game, 5).await;
    set(&world, &game, "paused = true").await;
    world
        .eventually("the pause is acknowledged", async || {
            world
                .count(&format!(
                    "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND paused_at IS NOT NULL"
                ))
                .await
                == 1
        })
        .await;
    let at = turn(&world, &game).await;
    let numbers = done(&world, &game);
    assert!(contiguous(&numbers), "{numbers:?}");
    assert_eq!(i64::try_from(numbers.len()).unwrap(), at);
    let twice = format!(
        "SELECT count(*) FROM (SELECT slot FROM turns WHERE game_id = '{game}' AND slot IS NOT NULL GROUP BY slot HAVING count(*) > 1) AS twice"
    );
    assert_eq!(world.count(&twice).await, 0);
    // Every slot between the first and the last has its row.
    let slots = format!(
        "SELECT count(*), {} + 1 FROM turn_slots WHERE game_id = '{game}'",
        world.database.seconds("min(slot)", "max(slot)")
    );
    let row = &world.rows(&slots).await[0];
    let (count, span): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(count, span);
    assert!(ledger(&world, &game).await.iter().all(|row| row.ends_with("schedule done")));
    let operations = world.operations(&game).await;
    assert!(
        operations.iter().filter(|operation| *operation == "turn succeeded").count() >= 5,
        "{operations:?}"
    );
    assert!(operations.contains(&"pause succeeded".to_owned()), "{operations:?}");
    // What passes while it is paused does not fire on resume: the next turn is the next number.
    set(&world, &game, "paused = false").await;
    until_turn(&world, &game, at + 2).await;
    assert!(contiguous(&done(&world, &game)));
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_forced_turn_happens_once_and_is_refused_when_stopped() {
    let world = World::started().await;
    let game = world.running("pushed").await;
    set(&world, &game, "force_turn_generation = 3").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
    set(&world, &game, "paused = true").await;
    set(&world, &game, "force_turn_generation = 4").await;
    set(&world, &game, "paused = false").await;
    until_turn(&world, &game, 2).await;
    set(&world, &game, "desired_status = 'stopped'").await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    set(&world, &game, "force_turn_generation = 5").await;
    world
        .eventually("it is refused", async || {
            world.operations(&game).await.contains(&"force_next_turn failed".to_owned())
        })
        .await;
    set(&world, &game, "desired_status = 'running'").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(done(&world, &game), [1, 2]);
}

#[tokio::test]
async fn an_engine_killed_in_the_middle_of_a_turn_generates_it_once() {
    let world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "slowTurnMs": 1500 }));
    world.game_with_id(&game, "slow", "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    set(&world, &game, "force_turn_generation = 1").await;
    world
        .eventually("the turn is being generated", async || {
            world.journal(&game).iter().any(|line| line["event"] == "turn-accepted")
        })
        .await;
    docker(&["kill", &container(&game)]);
    until_turn(&world, &game, 1).await;
    assert_eq!(done(&world, &game), [1]);
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
    assert_eq!(world.status(&game).await.restarts, 1, "the fault did not happen");
}

#[tokio::test]
async fn a_controller_killed_while_turns_run_leaves_no_gap_and_no_double() {
    let mut world = World::started().await;
    let game = world.running("swift").await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    for round in 1..=5_i64 {
        until_turn(&world, &game, round * 2).await;
        // At another moment of the turn each time.
        tokio::time::sleep(std::time::Duration::from_millis(u64::try_from(round).unwrap() * 170)).await;
        world.kill_keeper();
        world.start();
    }
    until_turn(&world, &game, 12).await;
    let numbers = done(&world, &game);
    assert!(contiguous(&numbers), "{numbers:?}");
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_turn_whose_answer_is_lost_is_asked_about() {
    let world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "dropTurnAnswer": true }));
    world.game_with_id(&game, "deaf", "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    set(&world, &game, "force_turn_generation = 1").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(done(&world, &game), [1]);
    let accepted = world.journal(&game).iter().filter(|line| line["event"] == "turn-accepted").count();
    assert_eq!(accepted, 1, "sent again");
}

#[tokio::test]
async fn a_turn_that_hangs_is_tried_again_only_on_a_new_process() {
    let mut world = World::new().with(&["--turn-deadline", "3s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "hangOnTurn": 1, "hangTimes": 1 }));
    world.game_with_id(&game, "hangs", "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    let life = inspect(&game, "{{.State.StartedAt}}");
    set(&world, &game, "force_turn_generation = 1").await;
    until_turn(&world, &game, 1).await;
    assert_ne!(inspect(&game, "{{.State.StartedAt}}"), life);
    assert_eq!(done(&world, &game), [1]);
    let attempts =
        world.count(&format!("SELECT attempts FROM turns WHERE game_id = '{game}' AND number = 1")).await;
    assert_eq!(attempts, 2);
}

#[tokio::test]
async fn a_stop_lets_the_turn_in_flight_end() {
    let world = World::started().await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "slowTurnMs": 1500 }));
    world.game_with_id(&game, "polite", "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    set(&world, &game, "force_turn_generation = 1").await;
    world
        .eventually("the turn is being generated", async || {
            world.journal(&game).iter().any(|line| line["event"] == "turn-accepted")
        })
        .await;
    set(&world, &game, "desired_status = 'stopped'").await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    assert_eq!(done(&world, &game), [1]);
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
}

#[tokio::test]
async fn a_slot_that_a_forced_turn_took_does_not_fire_under_another_schedule() {
    let world = World::started().await;
    let game = world.running("changed").await;
    // The next slot is some seconds ahead; a forced turn takes its place.
    set(&world, &game, "turn_schedule = '*/10 * * * * *'").await;
    world
        .eventually("the schedule is taken up", async || {
            world.count(&format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND next_turn_at IS NOT NULL")).await == 1
        })
        .await;
    set(&world, &game, "force_turn_generation = 1").await;
    until_turn(&world, &game, 1).await;
    let taken = format!(
        "SELECT count(*) FROM turns WHERE game_id = '{game}' AND cause = 'forced' AND slot IS NOT NULL"
    );
    assert_eq!(world.count(&taken).await, 1, "the fault did not happen");
    // The same slots, and more of them, by another schedule.
    set(&world, &game, "turn_schedule = '*/5 * * * * *'").await;
    until_turn(&world, &game, 4).await;
    assert!(contiguous(&done(&world, &game)));
    let twice = format!(
        "SELECT count(*) - count(DISTINCT slot) FROM turns WHERE game_id = '{game}' AND slot IS NOT NULL"
    );
    assert_eq!(world.count(&twice).await, 0);
}
