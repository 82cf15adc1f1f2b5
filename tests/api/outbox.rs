//! The outbox: listed for whoever may read, changed by operators alone.

use gamekeeper::api::auth::Role;
use gamekeeper::store::{NewLobbyEvent, Recording};
use reqwest::Method;
use serde_json::{Value, json};

use crate::history::recording;
use crate::world::{GAMES, World, game, read, token};

const OUTBOX: &str = "/apis/gamekeeper.dev/v1/namespaces/default/outbox";

/// A server with two games, each with three events.
async fn told() -> World {
    let world = World::with(|tokens| {
        token(tokens, Role::Lobby, "lobby");
        token(tokens, Role::Viewer, "viewer");
        token(tokens, Role::Operator, "operator");
    })
    .await;
    let store = world.store.clone().telling_the_lobby(true);
    let (recorder, _) = store.recorder(store.take_lead("test").await.unwrap());
    for name in ["andromeda", "orion"] {
        world.post(GAMES, &game(name)).await.ok(201);
        let id = store.game("default", name).await.unwrap().unwrap().id;
        let event = |turn: i64| NewLobbyEvent {
            kind: "dev.gamekeeper.game.snapshot.v1".into(),
            occurred_at: jiff::Timestamp::now(),
            payload: serde_json::Map::from_iter([("turn".to_owned(), turn.into())]),
        };
        let lobby = (1..=3).map(event).collect();
        recorder.record(Recording { lobby, ..recording(id, name) }).await.unwrap();
    }
    world
}

fn seqs(list: &Value) -> Vec<i64> {
    list["items"].as_array().unwrap().iter().map(|item| item["spec"]["seq"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_by_game_and_state_and_from_a_number_on() {
    let world = told().await;
    let all = world.get(OUTBOX).await.ok(200);
    assert_eq!((&all["kind"], all["items"].as_array().map(Vec::len)), (&json!("OutboxEventList"), Some(6)));
    let one = world.get(&format!("{OUTBOX}?fieldSelector=spec.game=andromeda&limit=2")).await.ok(200);
    assert_eq!(seqs(&one), [1, 2]);
    let event = &one["items"][0];
    assert_eq!((&event["kind"], &event["apiVersion"]), (&json!("OutboxEvent"), &json!("gamekeeper.dev/v1")));
    assert_eq!(event["spec"]["data"], json!({ "timeline": 1, "seq": 1, "turn": 1 }));
    assert_eq!(event["status"], json!({ "phase": "Pending", "attempts": 0, "refusals": 0 }));
    let id = event["spec"]["gameId"].as_str().unwrap();
    let rest = world.get(&format!("{OUTBOX}?fieldSelector=spec.gameId={id}&afterSeq=1")).await.ok(200);
    assert_eq!(seqs(&rest), [2, 3]);
    let phase = format!("{OUTBOX}?fieldSelector=spec.game=andromeda,status.phase=");
    assert_eq!(seqs(&world.get(&format!("{phase}Delivered")).await.ok(200)), Vec::<i64>::new());
    assert_eq!(seqs(&world.get(&format!("{phase}Pending")).await.ok(200)), [1, 2, 3]);
    world.get(&format!("{phase}Lost")).await.refused(400, "BadRequest");
    world.get(&format!("{OUTBOX}?afterSeq=1")).await.refused(400, "BadRequest");
    world.get(&format!("{OUTBOX}?fieldSelector=spec.gameId=x")).await.refused(400, "BadRequest");
    assert_eq!(seqs(&world.get("/apis/gamekeeper.dev/v1/outbox?limit=4").await.ok(200)).len(), 4);
    let other = "/apis/gamekeeper.dev/v1/namespaces/other/outbox";
    assert_eq!(world.get(other).await.ok(200)["items"], json!([]));
    let known = world.get("/apis/gamekeeper.dev/v1").await.ok(200);
    assert!(known["resources"].as_array().unwrap().iter().any(|known| known["kind"] == "OutboxEvent"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_have_events_skipped_retried_and_replayed() {
    let world = told().await;
    let (skip, retry, replay) =
        (format!("{OUTBOX}/skip"), format!("{OUTBOX}/retry"), format!("{OUTBOX}/replay"));
    let phases = async || {
        let list = world.get(&format!("{OUTBOX}?fieldSelector=spec.game=orion")).await.ok(200);
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["status"]["phase"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let body = json!({ "game": "orion", "seq": 2 });
    let tried = world.post(&format!("{skip}?dryRun=All"), &body).await.ok(200);
    assert_eq!(tried["message"], "1 event is set aside");
    assert_eq!(phases().await, ["Pending", "Pending", "Pending"]);
    world.post(&skip, &body).await.ok(200);
    assert_eq!(phases().await, ["Pending", "SetAside", "Pending"]);
    let done = world.post(&retry, &json!({ "game": "orion" })).await.ok(200);
    assert_eq!(done["message"], "3 events are tried again now");
    assert_eq!(phases().await, ["Pending", "Pending", "Pending"]);
    let done = world.post(&replay, &json!({ "game": "orion", "fromSeq": 2 })).await.ok(200);
    assert_eq!(done["message"], "2 events are told again");

    world.post(&skip, &json!({ "game": "orion", "seq": 9 })).await.refused(404, "NotFound");
    world.post(&skip, &json!({ "game": "nobody", "seq": 1 })).await.refused(404, "NotFound");
    for wrong in [json!({ "game": "orion" }), json!({ "seq": 1 }), json!({ "game": "orion", "seq": "1" })] {
        world.post(&skip, &wrong).await.refused(400, "BadRequest");
    }
    let id = world.store.game("default", "orion").await.unwrap().unwrap().id;
    let event = world.store.outbox_next(id, jiff::Timestamp::now()).await.unwrap().unwrap();
    world.store.outbox_delivered(event.event, jiff::Timestamp::now()).await.unwrap();
    world.post(&skip, &json!({ "game": "orion", "seq": 1 })).await.refused(409, "Conflict");
    assert_eq!(phases().await, ["Delivered", "Pending", "Pending"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lobby_s_token_reads_the_outbox_and_changes_nothing_in_it() {
    let world = told().await;
    let ask = async |method: Method, path: &str, token: &str| {
        let request = world.anonymous(method, path).json(&json!({ "game": "orion" }));
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        read(request.send().await.unwrap()).await
    };
    let retry = format!("{OUTBOX}/retry");
    for who in ["lobby", "viewer"] {
        ask(Method::GET, OUTBOX, who).await.ok(200);
        ask(Method::POST, &retry, who).await.refused(403, "Forbidden");
    }
    ask(Method::POST, &retry, "operator").await.ok(200);
    for nobody in ["", "guessed"] {
        ask(Method::GET, OUTBOX, nobody).await.refused(401, "Unauthorized");
        ask(Method::POST, &retry, nobody).await.refused(401, "Unauthorized");
    }
    world.end().await;
}
