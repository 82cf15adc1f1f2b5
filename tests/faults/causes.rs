//! What Docker, or what stands before it, does not do: it has a name, is told once, and is tried again.

use serde_json::json;

use crate::ground::{behind, told};
use crate::meddler::{Action, Call, Meddler, When};
use crate::world::{Status, World, docker};

const PAGE: &str =
    "<html><body><h1>403 Forbidden</h1>Request forbidden by administrative rules.</body></html>";

fn is_running(status: &Status) -> bool {
    status.phase == "running"
}

async fn times_told(world: &World, game: &str, reason: &str) -> i64 {
    world.count(&format!("SELECT count(*) FROM events WHERE uid = '{game}' AND reason = '{reason}'")).await
}

#[tokio::test]
async fn a_call_that_a_proxy_does_not_let_through_is_told_once_with_who_refuses_it() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let refused = meddler.set(When::call(Call::Create), Action::RespondPage(403, PAGE));
    let game = world.game("forbidden", "1.4.2").await;
    let status = world.until(&game, "tried three times", |status| status.failures >= 3).await;
    assert_eq!((status.phase.as_str(), status.reason.as_str()), ("crash_loop", "DockerForbids"));
    for words in ["POST /containers/create", "403", "a-proxy/1", "allow it"] {
        assert!(status.message.contains(words), "{words} in {}", status.message);
    }
    assert!(!status.message.contains('<'), "{}", status.message);
    assert_eq!(times_told(&world, &game, "DockerForbids").await, 1);
    let waits = world.status(&game).await.next_attempt_at;
    assert!(waits.is_some(), "it is tried again after a pause");
    refused.let_go();
    world.until(&game, "running", is_running).await;
}

#[tokio::test]
async fn an_address_pool_that_is_used_up_is_called_so_by_every_docker() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &["--backoff-longest", "2s"]).await;
    let words = [
        (
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        ),
        (400, "all predefined address pools have been fully subnetted"),
    ];
    for (number, (status, words)) in words.into_iter().enumerate() {
        docker(&["network", "rm", world.network()]);
        let full = Action::Respond(status, json!({ "message": words }));
        let full = meddler.set(When::call(Call::CreateNetwork), full);
        let game = world.game(&format!("no-subnet-{number}"), "1.4.2").await;
        let message = told(&world, &game, "SubnetsUsedUp").await;
        assert!(message.contains(words) && message.contains("network prune"), "{message}");
        full.let_go();
        world.until(&game, "running", is_running).await;
        world.ok(&["stop", &format!("no-subnet-{number}"), "--wait", "--timeout", "60s"]);
    }
}

#[tokio::test]
async fn a_page_in_the_place_of_one_look_casts_doubt_on_docker_and_not_on_the_spec() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let game = world.running("looked-at").await;
    let life = world.status(&game).await.container;
    let page = meddler.set(When::call(Call::Inspect), Action::RespondPage(502, "<html>502</html>"));
    world
        .sql(&format!("UPDATE games SET display_name = 'x', restart_generation = 1 WHERE game_id = '{game}'"))
        .await;
    page.sprung().await;
    page.let_go();
    world
        .eventually("it is restarted", async || {
            let status = world.status(&game).await;
            is_running(&status) && status.container != life
        })
        .await;
    assert_eq!(world.inits(&game), 1);
}
