//! Turns as the engine's journal and the ledger tell of them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, container, docker, set};

/// The numbers that the engine's journal says were generated, in order.
pub(crate) fn done(world: &World, game: &str) -> Vec<i64> {
    let of = |line: &Value| (line["event"] == "turn-done").then(|| line["turn"].as_i64().unwrap());
    world.journal(game).iter().filter_map(of).collect()
}

/// How often the engine began to generate a turn.
pub(crate) fn accepted(world: &World, game: &str) -> usize {
    world.journal(game).iter().filter(|line| line["event"] == "turn-accepted").count()
}

/// Every number once, without gaps.
pub(crate) fn assert_contiguous(world: &World, game: &str) {
    let numbers = done(world, game);
    let expected: Vec<i64> = (1..=i64::try_from(numbers.len()).unwrap()).collect();
    assert_eq!(numbers, expected);
}

pub(crate) async fn turn(world: &World, game: &str) -> i64 {
    let query =
        format!("SELECT coalesce(max(current_turn), -1) FROM runtime_records WHERE game_id = '{game}'");
    world.count(&query).await
}

pub(crate) async fn until_turn(world: &World, game: &str, wanted: i64) {
    world.eventually(&format!("turn {wanted}"), async || turn(world, game).await >= wanted).await;
}

/// The engine is in the middle of generating a turn.
pub(crate) fn generates(world: &World, game: &str) -> bool {
    world.journal(game).last().is_some_and(|line| line["event"] == "turn-accepted")
}

pub(crate) async fn until_generating(world: &World, game: &str) {
    world.eventually("a turn is being generated", async || generates(world, game)).await;
}

pub(crate) async fn until_paused(world: &World, game: &str) {
    let query =
        format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND paused_at IS NOT NULL");
    world.eventually("the pause is acknowledged", async || world.count(&query).await == 1).await;
}

/// The ledger: `1 schedule done`.
pub(crate) async fn ledger(world: &World, game: &str) -> Vec<String> {
    let query = format!(
        "SELECT number || ' ' || cause || ' ' || state FROM turns WHERE game_id = '{game}' ORDER BY number"
    );
    world.rows(&query).await.iter().map(|row| row.get(0)).collect()
}

/// What was decided about slots, counted: `3 coalesced Missed`.
pub(crate) async fn slots(world: &World, game: &str) -> Vec<String> {
    let query = format!(
        "SELECT count(*) || ' ' || decision || ' ' || reason FROM turn_slots WHERE game_id = '{game}' GROUP BY decision, reason ORDER BY decision, reason"
    );
    world.rows(&query).await.iter().map(|row| row.get(0)).collect()
}

/// Slots that have more than one turn.
pub(crate) async fn slots_twice(world: &World, game: &str) -> i64 {
    let query = format!(
        "SELECT count(*) - count(DISTINCT slot) FROM turns WHERE game_id = '{game}' AND slot IS NOT NULL"
    );
    world.count(&query).await
}

/// A game that runs, whose engine misbehaves in this way.
pub(crate) async fn running_badly(world: &World, name: &str, how: &Value) -> String {
    let game = Uuid::new_v4().to_string();
    world.misbehave(&game, how);
    world.game_with_id(&game, name, "1.4.2").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    game
}

/// A game that runs, each of whose turns takes so long, in milliseconds.
pub(crate) async fn running_slowly(world: &World, name: &str, takes: u64) -> String {
    running_badly(world, name, &json!({ "slowTurnMs": takes })).await
}

/// Its engine is killed in the middle of its first turn, which is there all the same, once.
pub(crate) async fn killed_in_the_middle_of_its_first_turn(world: &World, game: &str) {
    set(world, game, "force_turn_generation = 1").await;
    until_generating(world, game).await;
    docker(&["kill", &container(game)]);
    until_turn(world, game, 1).await;
    assert_eq!(done(world, game), [1]);
    assert_eq!(ledger(world, game).await, ["1 forced done"]);
}
