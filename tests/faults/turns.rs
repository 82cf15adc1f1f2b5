//! What happens to turns when something dies, hangs or falls silent in the middle of them.
//! `GAMEKEEPER_KILLS` is another number of deaths.

use std::time::Duration;

use rand::Rng;
use serde_json::json;

use crate::cut_socket::CutSocket;
use crate::ledger::{
    accepted, assert_contiguous, done, generates, killed_in_the_middle_of_its_first_turn, ledger,
    running_badly, running_slowly, slots, slots_twice, turn, until_generating, until_turn,
};
use crate::world::{World, container, docker, inspect, set};

fn kills() -> u32 {
    std::env::var("GAMEKEEPER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

async fn pause_of(range: std::ops::Range<u64>) {
    let milliseconds = rand::rng().random_range(range);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

async fn until_second(offset: Duration) {
    let now = jiff::Timestamp::now();
    let into = u64::try_from(now.subsec_millisecond()).unwrap();
    tokio::time::sleep(Duration::from_millis(1_000 - into) + offset).await;
}

/// Every operation has ended but the one under way.
async fn open_operations(world: &World, game: &str) -> i64 {
    let query =
        format!("SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND finished_at IS NULL");
    world.count(&query).await
}

#[tokio::test]
async fn a_controller_killed_at_any_moment_leaves_no_gap_and_no_double() {
    let mut world = World::started().await;
    let game = running_slowly(&world, "swift", 500).await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    let mut in_flight = 0;
    for _ in 0..kills() {
        let at = turn(&world, &game).await;
        until_turn(&world, &game, at.max(0) + 1).await;
        pause_of(0..1_000).await;
        world.kill_keeper();
        in_flight += i64::from(generates(&world, &game));
        world.start();
    }
    let at = turn(&world, &game).await;
    until_turn(&world, &game, at + 2).await;
    set(&world, &game, "paused = true").await;
    crate::ledger::until_paused(&world, &game).await;
    println!("{} kills, {in_flight} of them during a turn; {} turns", kills(), done(&world, &game).len());
    assert_contiguous(&world, &game);
    assert_eq!(accepted(&world, &game), done(&world, &game).len(), "a turn was generated twice");
    assert_eq!(slots_twice(&world, &game).await, 0);
    assert!(ledger(&world, &game).await.iter().all(|row| row.ends_with(" schedule done")));
    assert_eq!((world.inits(&game), open_operations(&world, &game).await), (1, 0));
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life, "the engine was touched");
}

#[tokio::test]
async fn a_slot_at_which_the_leader_changes_has_one_turn() {
    let mut world = World::started().await;
    let game = world.running("handed-over").await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    until_turn(&world, &game, 1).await;
    for offset in [0, 5, 10, 20, 40, 80] {
        until_second(Duration::from_millis(offset)).await;
        // By turns: one that is told to end, and one that has no time to.
        if offset % 20 == 0 {
            world.kill_keeper();
        } else {
            assert_eq!(world.stop_keeper(), Some(0));
        }
        world.start();
        let at = turn(&world, &game).await;
        until_turn(&world, &game, at + 1).await;
    }
    set(&world, &game, "paused = true").await;
    crate::ledger::until_paused(&world, &game).await;
    assert_contiguous(&world, &game);
    assert_eq!(slots_twice(&world, &game).await, 0);
    assert_eq!(accepted(&world, &game), done(&world, &game).len());
}

#[tokio::test]
async fn an_engine_killed_at_any_moment_of_a_turn_generates_every_number_once() {
    let mut world = World::new().with(&["--backoff-longest", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = running_slowly(&world, "mortal", 400).await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    for _ in 0..kills() {
        until_generating(&world, &game).await;
        pause_of(0..350).await;
        let (at, restarts) = (turn(&world, &game).await, world.status(&game).await.restarts);
        assert_eq!(docker(&["kill", &container(&game)]).code, 0);
        world.until(&game, "healed", |status| status.restarts > restarts && status.phase == "running").await;
        until_turn(&world, &game, at + 1).await;
    }
    let at = turn(&world, &game).await;
    until_turn(&world, &game, at + 2).await;
    assert_contiguous(&world, &game);
    assert_eq!((slots_twice(&world, &game).await, world.inits(&game)), (0, 1));
    assert_eq!(world.status(&game).await.restarts, i64::from(kills()), "the faults did not happen");
}

#[tokio::test]
async fn a_turn_sent_by_a_controller_that_died_is_asked_about_and_not_sent_again() {
    let mut world = World::started().await;
    let game = running_slowly(&world, "orphaned", 3_000).await;
    set(&world, &game, "force_turn_generation = 1").await;
    until_generating(&world, &game).await;
    world.kill_keeper();
    world.start();
    // Health that fails while it is generated does not count; nobody holds the call any more.
    world.misbehave(&game, &json!({ "slowTurnMs": 3_000, "neverHealthy": true }));
    world
        .eventually("the engine is asked and does not answer", async || {
            world.log().contains("its last look failed") || done(&world, &game) == [1]
        })
        .await;
    world.eventually("the turn is done", async || done(&world, &game) == [1]).await;
    world.misbehave(&game, &json!({}));
    until_turn(&world, &game, 1).await;
    assert_eq!((done(&world, &game), accepted(&world, &game)), (vec![1], 1));
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
    assert_eq!(world.status(&game).await.restarts, 0);
}

#[tokio::test]
async fn an_engine_that_answers_no_health_during_a_turn_is_left_alone() {
    let mut world = World::new().with(&["--restart-after", "3", "--unreachable-after", "2"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = running_slowly(&world, "busy", 6_000).await;
    set(&world, &game, "force_turn_generation = 1").await;
    until_generating(&world, &game).await;
    world.misbehave(&game, &json!({ "slowTurnMs": 6_000, "neverHealthy": true }));
    // Whoever looks at its health now is another controller, which does not hold the call.
    world.kill_keeper();
    world.start();
    world.eventually("it is done", async || done(&world, &game) == [1]).await;
    assert!(world.log().matches("probe engine").count() > 5, "nobody looked");
    world.misbehave(&game, &json!({}));
    until_turn(&world, &game, 1).await;
    assert_eq!((world.status(&game).await.restarts, accepted(&world, &game)), (0, 1));
}

#[tokio::test]
async fn a_turn_that_is_answered_too_late_is_there_once() {
    let mut world = World::new().with(&["--turn-deadline", "1s", "--stop-grace", "5s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game =
        running_badly(&world, "late", &json!({ "hangOnTurn": 1, "hangMs": 2_000, "hangTimes": 1 })).await;
    set(&world, &game, "force_turn_generation = 1").await;
    world.until(&game, "overdue", |status| status.reason == "TurnOverdue").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(done(&world, &game), [1]);
    assert_eq!(ledger(&world, &game).await, ["1 forced done"]);
    set(&world, &game, "force_turn_generation = 2").await;
    until_turn(&world, &game, 2).await;
    assert_contiguous(&world, &game);
}

#[tokio::test]
async fn forced_turns_that_race_the_schedule_come_one_after_the_other() {
    let world = World::started().await;
    let game = running_slowly(&world, "raced", 200).await;
    set(&world, &game, "turn_schedule = '* * * * * *', force_mode = 'extra'").await;
    until_turn(&world, &game, 1).await;
    let mut forced = 0;
    while turn(&world, &game).await < 12 {
        forced += 1;
        set(&world, &game, &format!("force_turn_generation = {forced}")).await;
        pause_of(50..400).await;
    }
    set(&world, &game, "paused = true").await;
    crate::ledger::until_paused(&world, &game).await;
    assert_contiguous(&world, &game);
    assert_eq!(accepted(&world, &game), done(&world, &game).len());
    assert_eq!(slots_twice(&world, &game).await, 0);
    let ledger = ledger(&world, &game).await;
    for cause in ["forced", "schedule"] {
        assert!(ledger.iter().any(|row| row.contains(cause)), "{ledger:?}");
    }
    assert!(ledger.iter().all(|row| row.ends_with("done")), "{ledger:?}");
}

#[tokio::test]
async fn slots_that_pass_while_an_engine_is_down_wait_in_sight_and_become_one_turn() {
    let mut world = World::new().with(&["--backoff-first", "2s", "--backoff-longest", "2s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("down").await;
    set(&world, &game, "turn_schedule = '*/2 * * * * *'").await;
    until_turn(&world, &game, 1).await;
    world.misbehave(&game, &json!({ "exitAtStart": 3 }));
    docker(&["kill", &container(&game)]);
    let waiting =
        format!("SELECT count(*) FROM turn_slots WHERE game_id = '{game}' AND decision = 'deferred'");
    world.eventually("slots wait", async || world.count(&waiting).await >= 4).await;
    let told: Vec<String> = slots(&world, &game).await;
    assert!(told.iter().any(|row| row.contains("deferred Engine")), "{told:?}");
    // The controller that brings it back is another one.
    world.kill_keeper();
    world.misbehave(&game, &json!({}));
    let before = turn(&world, &game).await;
    world.start();
    until_turn(&world, &game, before + 2).await;
    assert_contiguous(&world, &game);
    assert_eq!(world.count(&waiting).await, 0, "{:?}", slots(&world, &game).await);
    assert!(slots(&world, &game).await.iter().any(|row| row.contains("coalesced Missed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_go_on_while_docker_is_silent() {
    let socket = CutSocket::to_docker().await;
    let mut world = World::new().with(&["--docker-host", &socket.host(), "--silence", "1s"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("undisturbed").await;
    set(&world, &game, "turn_schedule = '* * * * * *'").await;
    until_turn(&world, &game, 2).await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    socket.cut().await;
    world.until(&game, "unknown", |status| status.phase == "unknown").await;
    let at = turn(&world, &game).await;
    until_turn(&world, &game, at + 3).await;
    assert_eq!(world.status(&game).await.phase, "unknown");
    // Nobody gives a turn to whoever says that it is somebody else.
    world.misbehave(&game, &json!({ "wrongGameId": uuid::Uuid::new_v4().to_string() }));
    let waiting = format!(
        "SELECT count(*) FROM turn_slots WHERE game_id = '{game}' AND decision = 'deferred' AND reason = 'DockerUnreachable'"
    );
    world.eventually("slots wait", async || world.count(&waiting).await > 0).await;
    let held = accepted(&world, &game);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(accepted(&world, &game), held);
    world.misbehave(&game, &json!({}));
    socket.restore().await;
    world.until(&game, "running", |status| status.phase == "running").await;
    let at = turn(&world, &game).await;
    until_turn(&world, &game, at + 2).await;
    assert_contiguous(&world, &game);
    assert_eq!(slots_twice(&world, &game).await, 0);
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
}

/// A reference engine that speaks the old service's contract; its image goes with it.
struct Plain(String);

impl Plain {
    fn build() -> Self {
        let plain = Self(format!("gamekeeper-test/plain-{}:1", uuid::Uuid::new_v4().simple()));
        let dir = tempfile::tempdir().unwrap();
        let recipe = "FROM gamekeeper/reference-engine:1.4.2\nENV ENGINE_CONTRACT=plain/v0\n";
        std::fs::write(dir.path().join("Dockerfile"), recipe).unwrap();
        let built = docker(&["build", "-q", "-t", &plain.0, dir.path().to_str().unwrap()]);
        assert_eq!(built.code, 0, "{built:?}");
        plain
    }

    async fn registered(&self, world: &World) {
        let image = &self.0;
        world
            .sql(&format!(
                "INSERT INTO engine_versions (version, image_ref, contract) VALUES ('1.4.2', '{image}', 'plain/v0')"
            ))
            .await;
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

#[tokio::test]
async fn an_engine_of_the_old_contract_gets_an_unsettled_turn_again_from_a_new_process_only() {
    let plain = Plain::build();
    let mut world = World::new();
    world.start();
    plain.registered(&world).await;

    // The answer is lost, the turn is done: asking is enough.
    let game = running_badly(&world, "deaf", &json!({ "dropTurnAnswer": true })).await;
    let started = "{{.State.StartedAt}}";
    let life = inspect(&game, started);
    set(&world, &game, "force_turn_generation = 1").await;
    until_turn(&world, &game, 1).await;
    assert_eq!((done(&world, &game), accepted(&world, &game)), (vec![1], 1));
    assert_eq!(inspect(&game, started), life, "nothing had to be replaced");

    // It failed, and nobody can tell whether it is still at it: not without a new process.
    let game = running_badly(&world, "fails", &json!({ "failTurn": "before", "failTurnTimes": 1 })).await;
    let life = inspect(&game, started);
    set(&world, &game, "force_turn_generation = 1").await;
    until_turn(&world, &game, 1).await;
    assert_eq!(done(&world, &game), [1]);
    assert_ne!(inspect(&game, started), life, "sent again to the same process");
    let attempts = format!("SELECT attempts FROM turns WHERE game_id = '{game}' AND number = 1");
    assert_eq!(world.count(&attempts).await, 2);

    // Killed in the middle of it: the new process is asked first.
    let game = running_slowly(&world, "killed", 1_000).await;
    killed_in_the_middle_of_its_first_turn(&world, &game).await;
}
