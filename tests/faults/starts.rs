//! Starts and stops that hang, find their port taken, or get no image.

use serde_json::json;
use uuid::Uuid;

use crate::ground::{NOTHING, behind, containers, told, want};
use crate::meddler::{Action, Call, Counts, Meddler, When};
use crate::world::{Status, container};

fn is_running(status: &Status) -> bool {
    status.phase == "running"
}

#[tokio::test]
async fn a_creation_a_start_and_a_stop_that_hang_hold_up_nobody_else() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let other = world.running("other").await;
    let before = meddler.done();
    let hung = Uuid::new_v4().to_string();
    let create = meddler.set(When::call(Call::Create).about(&container(&hung)), Action::HoldBefore);
    world.game_with_id(&hung, "hung", "1.4.2").await;
    create.sprung().await;
    world.ok(&["stop", "other", "--wait", "--timeout", "60s"]);
    let start = meddler.set(When::call(Call::Start).first(), Action::HoldBefore);
    create.let_go();
    start.sprung().await;
    want(&world, &other, "running").await;
    world.until(&other, "running", is_running).await;
    assert!(!is_running(&world.status(&hung).await));
    start.let_go();
    let ours = world.until(&hung, "running", is_running).await.container.unwrap();

    let stop = meddler.set(When::call(Call::Stop).about(&ours), Action::HoldBefore);
    want(&world, &hung, "stopped").await;
    stop.sprung().await;
    world.ok(&["restart", "other"]);
    let restarted = "SELECT count(*) FROM operation_log WHERE op = 'restart' AND status = 'succeeded'";
    world.eventually("the other one is restarted", async || world.count(restarted).await == 1).await;
    assert_eq!((world.status(&hung).await.phase.as_str(), stop.times()), ("stopping", 1));
    stop.let_go();
    world.until(&hung, "stopped", |s| s.phase == "stopped").await;
    assert_eq!(meddler.done() - before, Counts { creates: 3, starts: 3, stops: 3, removes: 3, ..NOTHING });
    assert_eq!((world.inits(&hung), world.inits(&other)), (1, 1));
}

#[tokio::test]
async fn a_port_that_is_taken_is_not_asked_for_again() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--endpoint-mode", "published"]).await;
    let taken = json!({ "message": "Bind for 127.0.0.1:49153 failed: port is already allocated" });
    let taken = meddler.set(When::call(Call::Start).first(), Action::Respond(500, taken));
    let game = world.game("port-taken", "1.4.2").await;
    let why = told(&world, &game, "PortTaken").await;
    assert!(why.contains("already allocated"), "{why}");
    let status = world.until(&game, "running", is_running).await;
    assert!(status.endpoint.is_some_and(|at| at.contains("127.0.0.1:")));
    assert_eq!((taken.times(), world.inits(&game), containers(&game).len()), (1, 1, 1));
    // What would not start is made anew, and Docker chooses a port anew.
    assert_eq!(meddler.done(), Counts { networks: 1, creates: 2, starts: 1, stops: 0, removes: 1 });
}

#[tokio::test]
async fn a_pull_that_fails_says_why_in_one_word_and_is_tried_again_ever_more_seldom() {
    let meddler = Meddler::before_docker();
    // What a person has to mend is tried again after a fifth of the longest pause, at first.
    let world = behind(&meddler, &["--backoff-longest", "5s"]).await;
    let bystander = world.running("bystander").await;
    let before = meddler.done();
    let cases = [
        (404, "manifest for x:1 not found: manifest unknown: manifest unknown", "ImageNotFound"),
        (500, "unauthorized: authentication required", "RegistryUnauthorized"),
        (500, "toomanyrequests: You have reached your pull rate limit", "RateLimited"),
        (500, "Get https://registry.invalid/v2/: dial tcp: i/o timeout", "RegistryUnreachable"),
    ];
    for (number, (status, message, reason)) in cases.into_iter().enumerate() {
        let version = format!("3.0.{number}");
        let image = format!("gamekeeper-test/absent-{}:1", Uuid::new_v4().simple());
        world.register(&version, &image).await;
        let name = image.split(':').next().unwrap();
        let refused = Action::Respond(status, json!({ "message": message }));
        let refused = meddler.set(When::call(Call::Pull).about(name), refused);
        let game = world.game(&reason.to_lowercase(), &version).await;
        let why = told(&world, &game, reason).await;
        assert!(why.contains(&image), "{why}");
        let status = world.until(&game, "tried three times", |s| s.failures >= 3).await;
        assert!(status.next_attempt_at.is_some() && refused.times() == 3, "{} pulls", refused.times());
        assert!(containers(&game).is_empty());
    }
    assert_eq!(meddler.done() - before, NOTHING);
    assert!(is_running(&world.status(&bystander).await));
}
