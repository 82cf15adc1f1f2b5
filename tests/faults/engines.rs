//! Engines that are not who they seem, or say what nobody can use.

use serde_json::json;

use crate::ground::{NOTHING, ONE_START, behind, kill_and_start_again, misbehaving, told};
use crate::meddler::{Action, Call, Counts, Meddler, When};
use crate::world::{World, inspect};

#[tokio::test]
async fn an_engine_that_names_another_game_is_recognised_as_the_wrong_one() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--restart-after", "1000"]).await;
    let game = world.running("impostor").await;
    let before = meddler.done();
    world.misbehave(&game, &json!({ "wrongGameId": uuid::Uuid::new_v4() }));
    let status = world.until(&game, "unreachable", |s| s.phase == "engine_unreachable").await;
    assert!(status.message.contains("not this one"), "{status:?}");
    assert_eq!(status.endpoint, None);
    world.misbehave(&game, &json!({}));
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!((meddler.done() - before, world.inits(&game)), (NOTHING, 1));
}

#[tokio::test]
async fn an_address_that_leads_to_another_games_engine_gets_nothing_sent() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--start-deadline", "3s"]).await;
    let neighbour = world.running("neighbour").await;
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let at = inspect(&neighbour, address);
    assert!(!at.is_empty());
    // Docker says that the new game's container has the neighbour's address.
    let game = uuid::Uuid::new_v4().to_string();
    let network = world.network().to_owned();
    let wrong = Action::rewrite(move |mut inspected| {
        inspected["NetworkSettings"]["Networks"][&network]["IPAddress"] = json!(at);
        inspected
    });
    let wrong = meddler.set(When::call(Call::Inspect).about(&crate::world::container(&game)), wrong);
    world.game_with_id(&game, "newcomer", "1.4.2").await;
    let why = told(&world, &game, "WrongEngine").await;
    assert!(
        why.contains("has that address, too") && why.contains(&inspect(&neighbour, "{{.Id}}")[..12]),
        "{why}"
    );
    assert!(wrong.times() > 0);
    assert_eq!(world.status(&game).await.endpoint, None);
    let journal = world.journal(&neighbour);
    assert_eq!(journal.iter().filter(|line| line["event"] == "init-accepted").count(), 1);
    assert_eq!((world.inits(&game), world.status(&neighbour).await.phase.as_str()), (0, "running"));
    wrong.let_go();
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!((world.inits(&game), world.inits(&neighbour)), (1, 1));
}

/// How much memory the controller has, in MiB.
fn resident(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.keeper_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_status_that_is_endless_huge_or_drips_is_capped_and_holds_up_nobody() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--restart-after", "1000"]).await;
    let cases = [
        ("endless", json!({ "endlessStatus": true }), "more than"),
        ("huge", json!({ "padStatusBytes": 64 << 20 }), "more than"),
        ("drips", json!({ "dripStatusMs": 500 }), "within"),
        ("garbage", json!({ "garbageStatus": true }), ""),
    ];
    let other = world.running("other").await;
    let mut games = Vec::new();
    for (name, _, _) in &cases {
        games.push(world.running(name).await);
    }
    let (before, memory) = (meddler.done(), resident(&world));
    for (game, (_, how, _)) in games.iter().zip(&cases) {
        world.misbehave(game, how);
    }
    for (game, (name, _, why)) in games.iter().zip(&cases) {
        let status = world.until(game, "unreachable", |s| s.phase == "engine_unreachable").await;
        assert!(status.message.contains(why), "{name}: {status:?}");
    }
    let grown = resident(&world).saturating_sub(memory);
    assert!(grown < 64, "the controller has grown by {grown} MiB");
    world.ok(&["stop", "other", "--wait", "--timeout", "60s"]);
    assert_eq!(world.status(&other).await.phase, "stopped");
    for game in &games {
        world.misbehave(game, &json!({}));
    }
    for game in &games {
        let status = world.until(game, "running", |s| s.phase == "running").await;
        assert_eq!((status.restarts, world.inits(game)), (0, 1));
    }
    assert_eq!(meddler.done() - before, Counts { stops: 1, removes: 1, ..Counts::default() });
}

#[tokio::test]
async fn an_engine_that_is_healthy_but_has_no_status_is_not_ready_and_gets_no_game() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--start-deadline", "2s"]).await;
    let game = misbehaving(&world, "no-status", &json!({ "status500": true })).await;
    let why = told(&world, &game, "NeverHealthy").await;
    assert!(why.contains("500"), "{why}");
    assert_eq!((world.inits(&game), world.status(&game).await.endpoint), (0, None));
    let ready = format!("SELECT ready FROM game_status WHERE game_id = '{game}'");
    assert_eq!(world.count(&ready).await, 0);
    world.misbehave(&game, &json!({}));
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn an_engine_that_makes_files_before_its_game_is_still_initialised_once() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let game = uuid::Uuid::new_v4().to_string();
    world.misbehave(&game, &json!({ "earlyFiles": true, "slowInitMs": 1_000 }));
    world.game_with_id(&game, "early", "1.4.2").await;
    let state = world.state_root().join(&game).join(&game);
    world.eventually("the files are there", async || state.join("engine.lock").exists()).await;
    assert!(!state.join("state.json").exists(), "and no game yet");
    // What Docker did is counted when it says so.
    world.eventually("the start is answered", async || meddler.done().starts == 1).await;
    kill_and_start_again(&mut world, &meddler);
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
    assert_eq!(Counts { networks: 0, ..meddler.done() }, ONE_START);
}
