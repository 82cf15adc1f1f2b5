//! Turns by schedule and by request, on a real engine: each number once, without gaps.

use std::process::Stdio;

use serde_json::json;

use crate::ledger::{
    accepted, assert_contiguous, done, killed_in_the_middle_of_its_first_turn, ledger, running_badly,
    running_slowly, slots_twice, turn, until_generating, until_paused, until_turn,
};
use crate::world::{World, inspect, set};

#[tokio::test]
async fn a_schedule_of_every_second_keeps_its_slots() {
    let world = World::started().await;
    let game = world.running("swift").await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    until_turn(&world, &game, 5).await;
    set(&world, &game, "paused = true").await;
    until_paused(&world, &game).await;
    let at = turn(&world, &game).await;
    assert_contiguous(&world, &game);
    assert_eq!(i64::try_from(done(&world, &game).len()).unwrap(), at);
    assert_eq!(slots_twice(&world, &game).await, 0);
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
    assert_contiguous(&world, &game);
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
    let game = running_slowly(&world, "slow", 1_500).await;
    killed_in_the_middle_of_its_first_turn(&world, &game).await;
    assert_eq!(world.status(&game).await.restarts, 1, "the fault did not happen");
}

#[tokio::test]
async fn a_turn_whose_answer_is_lost_is_asked_about() {
    let world = World::started().await;
    let game = running_badly(&world, "deaf", &json!({ "dropTurnAnswer": true })).await;
    set(&world, &game, "force_turn_generation = 1").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(done(&world, &game), [1]);
    assert_eq!(accepted(&world, &game), 1, "sent again");
}

#[tokio::test]
async fn a_turn_that_hangs_is_tried_again_only_on_a_new_process() {
    let mut world = World::new().with(&["--turn-deadline", "3s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = running_badly(&world, "hangs", &json!({ "hangOnTurn": 1, "hangTimes": 1 })).await;
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
    let game = running_slowly(&world, "polite", 1_500).await;
    set(&world, &game, "force_turn_generation = 1").await;
    until_generating(&world, &game).await;
    set(&world, &game, "desired_status = 'stopped'").await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    assert_eq!(done(&world, &game), [1]);
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
}

#[tokio::test]
async fn a_stop_waits_its_time_for_a_turn_and_with_now_not_at_all() {
    let mut world = World::new().with(&["--stop-turn-wait", "2s", "--stop-grace", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    for (name, now) in [("patient", false), ("at-once", true)] {
        let game = running_slowly(&world, name, 60_000).await;
        set(&world, &game, "force_turn_generation = 1").await;
        until_generating(&world, &game).await;
        let asked = std::time::Instant::now();
        set(&world, &game, &format!("desired_status = 'stopped', stop_now = {now}")).await;
        if !now {
            world.until(&game, "waiting", |status| status.reason == "WaitingForTurn").await;
        }
        world.until(&game, "stopped", |status| status.phase == "stopped").await;
        if !now {
            assert!(asked.elapsed().as_secs() >= 2, "it did not wait");
        }
        // The next start asks, and sends it again: it was not generated.
        world.misbehave(&game, &json!({}));
        set(&world, &game, "desired_status = 'running', stop_now = false").await;
        until_turn(&world, &game, 1).await;
        assert_eq!(
            (done(&world, &game), ledger(&world, &game).await),
            (vec![1], vec!["1 forced done".into()])
        );
    }
}

#[tokio::test]
async fn a_pause_during_a_turn_is_acknowledged_at_its_end_and_holds() {
    let world = World::started().await;
    let game = running_slowly(&world, "paused", 1_500).await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    until_generating(&world, &game).await;
    let during = done(&world, &game).len();
    set(&world, &game, "paused = true").await;
    until_paused(&world, &game).await;
    let numbers = done(&world, &game);
    assert!(numbers.len() > during, "acknowledged while a turn was in flight");
    // Three slots pass.
    let skipped = format!(
        "SELECT count(*) FROM turn_slots WHERE game_id = '{game}' AND decision = 'skipped' AND reason = 'Paused'"
    );
    world.eventually("slots pass", async || world.count(&skipped).await >= 3).await;
    assert_eq!((done(&world, &game), accepted(&world, &game)), (numbers.clone(), numbers.len()));
    // Who forces a turn now gets it on resume.
    set(&world, &game, "turn_schedule = '', force_turn_generation = 1").await;
    set(&world, &game, "paused = false").await;
    until_turn(&world, &game, i64::try_from(numbers.len()).unwrap() + 1).await;
    assert_contiguous(&world, &game);
    let of = format!(
        "SELECT op || ' ' || source || ' ' || status FROM operation_log WHERE game_id = '{game}' AND op IN ('pause', 'resume', 'force_next_turn') ORDER BY created_at, operation_id"
    );
    let audit: Vec<String> = world.rows(&of).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(audit, ["pause lobby succeeded", "resume lobby succeeded", "force_next_turn lobby succeeded"]);
}

#[tokio::test]
async fn a_finished_game_gets_no_more_turns_and_refuses_to_be_forced() {
    let world = World::started().await;
    let game = running_badly(&world, "short", &json!({ "finishAtTurn": 2 })).await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    world.until(&game, "finished", |status| status.phase == "finished").await;
    set(&world, &game, "force_turn_generation = 1, source = 'operator', requested_by = 'ada'").await;
    world
        .eventually("it is refused", async || {
            world.operations(&game).await.contains(&"force_next_turn failed".to_owned())
        })
        .await;
    let by = format!(
        "SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND op = 'force_next_turn' AND source = 'operator' AND requested_by = 'ada' AND error_message LIKE '%finished%'"
    );
    assert_eq!(world.count(&by).await, 1);
    // Two slots pass in any case.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!((done(&world, &game), accepted(&world, &game)), (vec![1, 2], 2));
    assert_eq!(ledger(&world, &game).await, ["1 schedule done", "2 schedule done"]);
}

#[tokio::test]
async fn a_slot_that_a_forced_turn_took_does_not_fire_under_another_schedule() {
    let world = World::started().await;
    let game = world.running("changed").await;
    // The next slot is some seconds ahead; a forced turn takes its place.
    while jiff::Timestamp::now().as_second() % 10 > 3 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
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
    assert_contiguous(&world, &game);
    assert_eq!(slots_twice(&world, &game).await, 0);
}

#[tokio::test]
async fn a_game_made_again_after_its_state_was_deleted_gets_no_turn_of_its_former_life() {
    let mut world = World::new().with(&["--stop-turn-wait", "1s", "--stop-grace", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = running_slowly(&world, "twice", 60_000).await;
    set(&world, &game, "deletion_policy = 'delete'").await;
    let mut forces = world.command(&["force-turn", "game/twice", "--wait", "--timeout=60s"]);
    let forces = forces.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_generating(&world, &game).await;
    world.ok(&["delete", "game/twice"]);
    world.ok(&["wait", "game/twice", "--for=delete", "--timeout=60s"]);
    assert_eq!(ledger(&world, &game).await, ["1 forced abandoned"]);
    let told = forces.wait_with_output().unwrap();
    let why = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.status.code() == Some(1) && why.contains("The game was deleted before it was done"),
        "{why}"
    );
    world.kill_keeper();
    world.start();
    world.game_with_id(&game, "twice", "1.4.2").await;
    let is_new = format!(
        "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND status = 'running' AND current_turn = 0 AND timeline = 2"
    );
    world.eventually("it runs in a new timeline", async || world.count(&is_new).await == 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!((accepted(&world, &game), turn(&world, &game).await), (0, 0), "nobody asked for a turn");
    world.ok(&["force-turn", "game/twice", "--wait", "--timeout=60s"]);
    assert_eq!(done(&world, &game), [1]);
    let both = format!(
        "SELECT timeline || ' ' || number || ' ' || state FROM turns WHERE game_id = '{game}' ORDER BY timeline"
    );
    let rows: Vec<String> = world.rows(&both).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, ["1 1 abandoned", "2 1 done"]);
}

#[tokio::test]
async fn a_pause_comes_though_each_attempt_at_the_turn_kills_the_engine() {
    let world = World::started().await;
    let game = running_badly(&world, "deadly", &json!({ "crashOnTurn": 1 })).await;
    set(&world, &game, "force_turn_generation = 1").await;
    world.until(&game, "healed, and killed again", |status| status.restarts >= 2).await;
    world.ok(&["pause", "deadly", "--wait", "--timeout", "60s"]);
    // With no process alive nothing is at work; what came of the turn the next one says.
    world.eventually("it is given up", async || ledger(&world, &game).await == ["1 forced abandoned"]).await;
    let why = format!("SELECT count(*) FROM turns WHERE game_id = '{game}' AND error_code = 'Paused'");
    assert_eq!(world.count(&why).await, 1);
    let sent = accepted(&world, &game);
    world.ok(&["stop", "deadly", "--wait", "--timeout", "60s"]);
    world.ok(&["start", "deadly", "--wait", "--timeout", "60s"]);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(accepted(&world, &game), sent, "sent again during the pause");
    world.misbehave(&game, &json!({}));
    world.ok(&["resume", "deadly", "--wait", "--timeout", "60s"]);
    world.ok(&["force-turn", "deadly", "--wait", "--timeout", "60s"]);
    assert_eq!(done(&world, &game), [1]);
}

#[tokio::test]
async fn a_forced_turn_that_is_extra_is_not_kept_waiting_by_a_busy_schedule() {
    let world = World::started().await;
    let game = running_slowly(&world, "busy", 1_500).await;
    set(&world, &game, "turn_schedule = '*/2 * * * * *', force_mode = 'extra'").await;
    until_turn(&world, &game, 1).await;
    until_generating(&world, &game).await;
    let told = world.ok(&["force-turn", "busy", "--wait", "--timeout", "20s"]);
    assert!(told.contains(" done in "), "{told}");
    let forced = ledger(&world, &game).await.iter().filter(|row| row.contains("forced done")).count();
    assert_eq!(forced, 1);
    assert_contiguous(&world, &game);
}

#[tokio::test]
async fn a_stopped_game_with_a_request_to_change_its_version_is_settled() {
    let world = World::started().await;
    let game = world.running("rests").await;
    world.ok(&["stop", "rests", "--wait", "--timeout", "60s"]);
    set(&world, &game, "patch_generation = 1").await;
    let settled = format!("SELECT settled FROM game_status WHERE game_id = '{game}'");
    world.eventually("settled", async || world.count(&settled).await == 1).await;
}
