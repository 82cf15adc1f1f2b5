//! How soon after its slot a turn is sent.

use crate::ledger::{assert_contiguous, done, ledger, slots, until_turn};
use crate::world::{World, set};

fn number(variable: &str, otherwise: i64) -> i64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// `GAMEKEEPER_TURNS` is another number of turns, and `GAMEKEEPER_TURN_LAG_MS` a stricter limit: on
/// an idle machine 250 holds.
#[tokio::test]
async fn a_turn_each_second_is_sent_soon_after_its_slot() {
    let (turns, limit) = (number("GAMEKEEPER_TURNS", 15), number("GAMEKEEPER_TURN_LAG_MS", 2_000));
    let world = World::started().await;
    let game = world.running("punctual").await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    for reached in (10..=turns).step_by(10).chain([turns]) {
        until_turn(&world, &game, reached).await;
    }
    set(&world, &game, "paused = true").await;
    let lag = world.database.milliseconds("slot", "dispatched_at");
    // (One that was opened when the pause came has not been sent.)
    let query =
        format!("SELECT {lag} FROM turns WHERE game_id = '{game}' AND dispatched_at IS NOT NULL ORDER BY 1");
    let lags: Vec<i64> = world.rows(&query).await.iter().map(|row| row.get(0)).collect();
    let at = |percent: usize| lags[(lags.len() - 1) * percent / 100];
    println!(
        "{} turns: sent after p50 {} ms, p99 {} ms, at the most {} ms",
        lags.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(lags[0] >= 0, "before its slot");
    assert!(at(50) < limit, "p50 {} ms", at(50));
    assert!(at(99) < 8 * limit, "p99 {} ms", at(99));
    assert_contiguous(&world, &game);
}

/// 200 slots of a schedule, all of them some minutes ago; the next ones are far ahead.
async fn away_for_two_hundred_slots(missed: &str) -> (World, String) {
    let mut world = World::started().await;
    let game = world.running("away").await;
    let now = jiff::Timestamp::now();
    let minutes: Vec<String> =
        (3..7).map(|ago| (now - jiff::SignedDuration::from_mins(ago)).strftime("%-M").to_string()).collect();
    let schedule = format!("0-49 {} * * * *", minutes.join(","));
    set(&world, &game, &format!("turn_schedule = '{schedule}', missed_turns = '{missed}'")).await;
    let known = format!(
        "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND scheduled_by LIKE '0-49%'"
    );
    world.eventually("the schedule is known", async || world.count(&known).await == 1).await;
    // As if the controller had been away since before the first of them.
    world.kill_keeper();
    let cursor = (now - jiff::SignedDuration::from_mins(8)).strftime("%Y-%m-%dT%H:%M:%S.000+00:00");
    world.sql(&format!("UPDATE runtime_records SET slot_cursor = '{cursor}' WHERE game_id = '{game}'")).await;
    world.start();
    (world, game)
}

#[tokio::test]
async fn two_hundred_missed_slots_are_one_turn() {
    let (world, game) = away_for_two_hundred_slots("once").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(ledger(&world, &game).await, ["1 schedule done"]);
    assert_eq!(done(&world, &game), [1]);
    // The newest fired; of the others the oldest share one row, which says how many they are.
    assert_eq!(slots(&world, &game).await, ["62 coalesced Missed", "1 fired Missed"]);
    let shared =
        format!("SELECT count(*) FROM turn_slots WHERE game_id = '{game}' AND message LIKE '%138 in all%'");
    assert_eq!(world.count(&shared).await, 1);
}

#[tokio::test]
async fn two_hundred_missed_slots_are_none_where_they_are_skipped() {
    let (world, game) = away_for_two_hundred_slots("skip").await;
    world.eventually("they are told", async || !slots(&world, &game).await.is_empty()).await;
    assert_eq!(slots(&world, &game).await, ["63 skipped Missed"]);
    set(&world, &game, "force_turn_generation = 1, force_mode = 'extra'").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
    assert_eq!(done(&world, &game), [1]);
}

#[tokio::test]
async fn a_slot_that_has_a_turn_is_passed_over_and_holds_up_nothing() {
    let mut world = World::started().await;
    let game = world.running("deja-vu").await;
    for number in [1, 2] {
        set(&world, &game, &format!("force_turn_generation = {number}")).await;
        until_turn(&world, &game, number).await;
    }
    // As if a clock had been ahead for a while, and the turns of some of the next seconds had come
    // then. The controller knows the latest of them; the database knows them all.
    world.stop_keeper();
    let now = jiff::Timestamp::now();
    for (number, seconds) in [(1, 20), (2, 23)] {
        let slot = (now + jiff::SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%S+00:00");
        world
            .sql(&format!("UPDATE turns SET slot = '{slot}' WHERE game_id = '{game}' AND number = {number}"))
            .await;
    }
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    world.start();
    world.eventually("the fault happens", async || world.log().contains("a slot has a turn already")).await;
    let at = crate::ledger::turn(&world, &game).await;
    until_turn(&world, &game, at + 3).await;
    assert_contiguous(&world, &game);
    assert_eq!(crate::ledger::slots_twice(&world, &game).await, 0);
    assert_eq!(world.status(&game).await.phase, "running");
}
