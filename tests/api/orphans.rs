//! Containers that belong to no game: adopted, or removed.

use gamekeeper::game::controller::{ControllerStatus, Orphan};
use serde_json::json;

use crate::controller::CONTROLLER;
use crate::world::{GAMES, World, game};

const LOST: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

fn orphan(id: &str, name: &str, version: &str) -> Orphan {
    Orphan {
        game_id: id.parse().unwrap(),
        container_id: gamekeeper::game::ContainerId::new("c0ffee"),
        name: name.into(),
        engine_version: version.into(),
        state: "running".into(),
    }
}

async fn with_orphans(orphans: Vec<Orphan>) -> World {
    let world = World::new().await;
    world
        .controller
        .send(ControllerStatus { started: true, orphans: Some(orphans), ..ControllerStatus::default() })
        .unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_adopted_under_its_own_name_or_another() {
    let world = with_orphans(vec![orphan(LOST, "andromeda", "1.4.2"), orphan(OTHER, "orion", "1.4.1")]).await;
    let (adopt, tried) = (format!("{CONTROLLER}/adopt"), format!("{CONTROLLER}/adopt?dryRun=All"));
    let would = world.post(&tried, &json!({ "gameId": LOST })).await.ok(201);
    assert_eq!((&would["metadata"]["uid"], &would["metadata"]["name"]), (&json!(LOST), &json!("andromeda")));
    world.get(&format!("{GAMES}/andromeda")).await.refused(404, "NotFound");

    let adopted = world.post(&adopt, &json!({ "gameId": LOST })).await.ok(201);
    assert_eq!(adopted["spec"], would["spec"]);
    let row = world.get(&format!("{GAMES}/andromeda")).await.ok(200);
    assert_eq!((&row["metadata"]["uid"], &row["spec"]["engineVersion"]), (&json!(LOST), &json!("1.4.2")));

    world.post(GAMES, &game("orion")).await.ok(201);
    for path in [&adopt, &tried] {
        let status = world.post(path, &json!({ "gameId": OTHER })).await.refused(409, "Conflict");
        assert!(status["message"].as_str().unwrap().contains("another name"), "{status:#}");
    }
    let elsewhere = json!({ "gameId": OTHER, "name": "orion-2", "namespace": "league" });
    let adopted = world.post(&adopt, &elsewhere).await.ok(201);
    assert_eq!(adopted["metadata"]["namespace"], "league");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_removed_by_a_tombstone_and_its_state_stays() {
    let world = with_orphans(vec![orphan(LOST, "No Name At All", "1.4.2")]).await;
    let shown = world.get(CONTROLLER).await.ok(200);
    let path = shown["status"]["orphans"][0]["statePath"].as_str().unwrap().to_owned();
    assert!(path.ends_with(LOST), "{path}");
    assert_eq!(shown["status"]["orphans"][0]["containerId"], "c0ffee");

    let (remove, tried) = (format!("{CONTROLLER}/remove"), format!("{CONTROLLER}/remove?dryRun=All"));
    let before = world.store.desired_seq().await.unwrap();
    let would = world.post(&tried, &json!({ "gameId": LOST })).await.ok(200);
    assert_eq!(world.store.desired_seq().await.unwrap(), before, "nothing is stored");
    let done = world.post(&remove, &json!({ "gameId": LOST })).await.ok(200);
    assert_eq!((&done["status"], &done["message"]), (&json!("Success"), &would["message"]));
    assert!(done["message"].as_str().unwrap().contains(&format!("state directory {path} stays")));
    assert!(world.store.desired_seq().await.unwrap() > before);
    // A container whose label says no name gets none by itself either.
    let status = world.post(&format!("{CONTROLLER}/adopt"), &json!({ "gameId": LOST })).await;
    assert_eq!(status.refused(422, "Invalid")["details"]["causes"][0]["field"], "name");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_orphan_now_is_left_alone() {
    let world = with_orphans(vec![orphan(LOST, "andromeda", "latest")]).await;
    for path in ["adopt", "remove"] {
        let path = format!("{CONTROLLER}/{path}");
        let status = world.post(&path, &json!({ "gameId": OTHER })).await.refused(409, "Conflict");
        assert!(status["message"].as_str().unwrap().contains(&format!("{LOST} (andromeda)")), "{status:#}");
        for body in [json!({}), json!({ "gameId": "andromeda" }), json!({ "gameId": LOST, "force": true })] {
            world.post(&path, &body).await.refused(400, "BadRequest");
        }
    }
    let adopt = format!("{CONTROLLER}/adopt");
    world.post(&adopt, &json!({ "gameId": LOST })).await.refused(422, "Invalid");
    world.post(&adopt, &json!({ "gameId": LOST, "name": "No Name" })).await.refused(422, "Invalid");
    let none = ControllerStatus { orphans: Some(Vec::new()), ..ControllerStatus::default() };
    world.controller.send_replace(none);
    let status = world.post(&adopt, &json!({ "gameId": LOST })).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("there is none now"));
    world.end().await;
}
