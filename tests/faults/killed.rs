//! The controller is killed at one exact point, and the next one goes on from there.

use serde_json::json;
use uuid::Uuid;

use crate::ground::{NOTHING, ONE_START, behind, containers, kill_and_start_again, misbehaving, told, want};
use crate::meddler::{Action, Call, Counts, Meddler, When};
use crate::world::{Status, World, docker, inspect};

fn is_running(status: &Status) -> bool {
    status.phase == "running"
}

/// A first game's start also makes the network.
const FIRST_START: Counts = Counts { networks: 1, ..ONE_START };

async fn text(world: &World, column: &str, game: &str) -> Option<String> {
    let query = format!("SELECT {column} FROM runtime_records WHERE game_id = '{game}'");
    world.rows(&query).await[0].get(0)
}

async fn operation_ids(world: &World, game: &str) -> Vec<String> {
    let query = format!("SELECT operation_id FROM operation_log WHERE game_id = '{game}'");
    world.rows(&query).await.iter().map(|row| row.get(0)).collect()
}

/// A tag that is taken away again.
struct Tag(String);

impl Drop for Tag {
    fn drop(&mut self) {
        docker(&["rmi", &self.0]);
    }
}

#[tokio::test]
async fn an_operation_that_was_only_recorded_is_resumed() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let image = Tag(format!("gamekeeper-test/late-{}:1", Uuid::new_v4().simple()));
    world.register("3.0.0", &image.0).await;
    // With no image on the host, the first thing to do after the operation is on record is the pull.
    let pull = meddler.set(When::call(Call::Pull), Action::HoldBefore);
    let game = world.game("recorded", "3.0.0").await;
    pull.sprung().await;
    assert_eq!(world.operations(&game).await, ["start running"]);
    assert!(containers(&game).is_empty() && !world.state_root().join(&game).exists());
    let begun = operation_ids(&world, &game).await;

    assert_eq!(docker(&["tag", "gamekeeper/reference-engine:1.4.2", &image.0]).code, 0);
    kill_and_start_again(&mut world, &meddler);
    world.until(&game, "running", is_running).await;
    assert_eq!(world.operations(&game).await, ["start succeeded"]);
    assert_eq!(operation_ids(&world, &game).await, begun, "the same operation");
    assert_eq!((meddler.done(), world.inits(&game)), (FIRST_START, 1));
}

#[tokio::test]
async fn a_state_directory_that_was_only_made_is_gone_on_with() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let create = meddler.set(When::call(Call::Create), Action::HoldBefore);
    let game = world.game("directory", "1.4.2").await;
    create.sprung().await;
    let directory = world.state_root().join(&game);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "made, and empty");
    assert!(containers(&game).is_empty());

    kill_and_start_again(&mut world, &meddler);
    world.until(&game, "running", is_running).await;
    assert_eq!((meddler.done(), world.inits(&game)), (FIRST_START, 1));
    assert_eq!(world.operations(&game).await, ["start succeeded"]);
}

#[tokio::test]
async fn a_network_whose_creation_was_not_answered_is_not_made_twice() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let network = meddler.set(When::call(Call::CreateNetwork), Action::HoldAfter);
    let game = world.game("network-unheard", "1.4.2").await;
    network.sprung().await;
    assert!(containers(&game).is_empty());
    assert_eq!(docker(&["network", "inspect", world.network()]).code, 0);

    kill_and_start_again(&mut world, &meddler);
    world.until(&game, "running", is_running).await;
    assert_eq!((meddler.done(), world.inits(&game)), (FIRST_START, 1));
}

#[tokio::test]
async fn a_container_whose_creation_was_not_answered_is_adopted_by_its_labels() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let create = meddler.set(When::call(Call::Create), Action::HoldAfter);
    let game = world.game("created-unheard", "1.4.2").await;
    create.sprung().await;
    let made = containers(&game);
    assert_eq!(made.len(), 1);
    assert_eq!(world.status(&game).await.container, None, "nobody has written its id down");

    kill_and_start_again(&mut world, &meddler);
    let status = world.until(&game, "running", is_running).await;
    assert_eq!(status.container, Some(made[0].clone()), "the same container");
    assert_eq!((containers(&game), status.failures), (made, 0));
    assert_eq!((meddler.done(), world.inits(&game)), (FIRST_START, 1));
    assert_eq!(world.operations(&game).await, ["start succeeded"]);
}

#[tokio::test]
async fn a_container_that_was_made_and_not_started_is_the_one_that_is_started() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let start = meddler.set(When::call(Call::Start), Action::HoldBefore);
    let game = world.game("not-started", "1.4.2").await;
    start.sprung().await;
    assert_eq!(inspect(&game, "{{.State.Status}}"), "created");
    let made = containers(&game);

    kill_and_start_again(&mut world, &meddler);
    let status = world.until(&game, "running", is_running).await;
    assert_eq!((status.container.into_iter().collect(), containers(&game)), (made.clone(), made));
    assert_eq!((meddler.done(), world.inits(&game)), (FIRST_START, 1));
    assert_eq!(world.operations(&game).await, ["start succeeded"]);
}

#[tokio::test]
async fn a_start_that_is_not_healthy_yet_keeps_its_first_deadline() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &["--start-deadline", "4s"]).await;
    let start = meddler.set(When::call(Call::Start), Action::HoldAfter);
    let game = misbehaving(&world, "not-healthy-yet", &json!({ "neverHealthy": true })).await;
    start.sprung().await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "true");
    let began = text(&world, "start_began_at", &game).await;
    assert!(began.is_some());

    kill_and_start_again(&mut world, &meddler);
    world.until(&game, "waited for", |s| s.reason == "WaitingForHealth").await;
    assert_eq!(
        text(&world, "start_began_at", &game).await,
        began,
        "the deadline counts from the first start"
    );
    let why = told(&world, &game, "NeverHealthy").await;
    assert!(why.contains("within 4 s"), "{why}");
    assert_eq!(world.operations(&game).await[0], "start failed");
    world.misbehave(&game, &json!({}));
    world.until(&game, "running", is_running).await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn an_init_under_way_is_asked_about_and_not_sent_again() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    // It takes effect after the controller's end, and its answer would be an error too.
    let how = json!({ "slowInitMs": 1_500, "failInit": "after" });
    let game = misbehaving(&world, "init-under-way", &how).await;
    world.eventually("the engine has accepted it", async || world.inits(&game) == 1).await;
    assert_eq!(text(&world, "initialized_at", &game).await, None);
    assert!(
        text(&world, "init_intent_at", &game).await.is_some(),
        "the intent is on record before it is sent"
    );

    kill_and_start_again(&mut world, &meddler);
    world.until(&game, "running", is_running).await;
    assert_eq!((meddler.done(), world.inits(&game)), (FIRST_START, 1));
}

#[tokio::test]
async fn a_stop_that_was_sent_is_finished_and_the_state_stays_as_it_is() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &["--stop-grace", "2s"]).await;
    // One is killed when Docker has stopped the engine, the other while it waits for a deaf one.
    let deaf = misbehaving(&world, "deaf", &json!({ "ignoreSigterm": true })).await;
    let polite = world.running("polite").await;
    world.until(&deaf, "running", is_running).await;
    for (game, action) in [(&polite, Action::HoldAfter), (&deaf, Action::Forward)] {
        let before = meddler.done();
        let state = || std::fs::read(world.state_root().join(game).join(game).join("state.json")).unwrap();
        let kept = state();
        let stop = meddler.set(When::call(Call::Stop), action);
        want(&world, game, "stopped").await;
        stop.sprung().await;
        assert_eq!(inspect(game, "{{.State.Running}}"), (game == &deaf).to_string());
        kill_and_start_again(&mut world, &meddler);
        world.until(game, "stopped", |s| s.phase == "stopped").await;
        assert!(containers(game).is_empty());
        let state = || std::fs::read(world.state_root().join(game).join(game).join("state.json")).unwrap();
        assert_eq!(state(), kept);
        assert_eq!(world.operations(game).await, ["start succeeded", "stop succeeded"]);
        let done = meddler.done() - before;
        assert_eq!(Counts { stops: 1, ..done }, Counts { stops: 1, removes: 1, ..NOTHING }, "{done:?}");
        // Whom Docker did not answer may be asked to end twice.
        assert!(done.stops <= 1 + usize::from(game == &deaf), "{done:?}");
    }
}

#[tokio::test]
async fn a_removal_that_nobody_wrote_down_is_a_success() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let game = world.running("removed-unheard").await;
    let before = meddler.done();
    let remove = meddler.set(When::call(Call::Remove), Action::HoldAfter);
    want(&world, &game, "stopped").await;
    remove.sprung().await;
    assert!(containers(&game).is_empty());
    assert_eq!(world.status(&game).await.phase, "stopping");

    kill_and_start_again(&mut world, &meddler);
    let status = world.until(&game, "stopped", |s| s.phase == "stopped").await;
    assert_eq!((status.restarts, status.failures), (0, 0), "no loss, and no failure");
    assert_eq!(world.operations(&game).await, ["start succeeded", "stop succeeded"]);
    assert_eq!(meddler.done() - before, Counts { stops: 1, removes: 1, ..NOTHING });
}
