//! Containers that belong to no game, from the command line.

use gamekeeper::game::controller::{ControllerStatus, Orphan};

use crate::world::World;

const LOST: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

async fn world() -> World {
    let world = World::new().await;
    let orphan = |id: &str, name: &str| Orphan {
        game_id: id.parse().unwrap(),
        container_id: gamekeeper::game::ContainerId::new("c0ffee00000011112222"),
        name: name.into(),
        engine_version: "1.4.2".into(),
        state: "running".into(),
    };
    let orphans = vec![orphan(LOST, "andromeda"), orphan(OTHER, "orion")];
    world.controller.send_replace(ControllerStatus {
        started: true,
        orphans: Some(orphans),
        ..ControllerStatus::default()
    });
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ids_they_are_listed() {
    let world = world().await;
    let list = world.run(&["adopt"]).await.ok();
    assert!(list.starts_with("GAME-ID") && list.contains("c0ffee000000   /"), "{list}");
    assert_eq!(world.run(&["adopt", "-o", "name"]).await.ok(), format!("{LOST}\n{OTHER}\n"));
    let status = world.run(&["status"]).await.ok();
    assert!(status.contains("Containers that belong to no game, and are left alone:"), "{status}");
    let none = ControllerStatus { started: true, orphans: Some(Vec::new()), ..ControllerStatus::default() };
    world.controller.send_replace(none);
    assert_eq!(world.run(&["adopt"]).await.stderr, "every container belongs to a game\n");
    world.run(&["adopt", "--all", "--yes"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_or_all_are_adopted() {
    let world = world().await;
    let tried = world.run(&["adopt", "--all", "--dry-run"]).await.ok();
    assert_eq!(tried, "game/andromeda adopted (dry run)\ngame/orion adopted (dry run)\n");
    assert_eq!(world.run(&["get", "-o", "name"]).await.ok(), "");
    world.run(&["adopt", "--all", "--name", "x"]).await.failed(2);
    world.run(&["adopt", LOST, OTHER, "--name", "x"]).await.failed(2);
    world.run(&["adopt", "andromeda"]).await.failed(2);

    let done = world.run(&["adopt", LOST, "--name", "andromeda-2", "--yes"]).await.ok();
    assert_eq!(done, "game/andromeda-2 adopted\n");
    let elsewhere = world.run(&["adopt", OTHER, "-n", "league", "-o", "json", "--yes"]).await.ok();
    let game: serde_json::Value = serde_json::from_str(&elsewhere).unwrap();
    assert_eq!(
        (game["metadata"]["namespace"].as_str(), game["metadata"]["uid"].as_str()),
        (Some("league"), Some(OTHER))
    );
    let both = world.run(&["adopt", "33333333-3333-4333-8333-333333333333", "--yes"]).await.failed(4);
    assert!(both.contains(LOST), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_says_what_stays_and_where_and_asks() {
    let world = world().await;
    let nobody = world.run(&["remove", "33333333-3333-4333-8333-333333333333", "--yes"]).await.failed(3);
    assert!(nobody.contains("gamekeeper delete"), "{nobody}");
    let unasked = world.run(&["remove", LOST]).await;
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(unasked.stderr.contains("its state directory stays: /"), "{unasked:?}");
    let before = world.store.desired_seq().await.unwrap();
    world.run(&["remove", LOST, "--dry-run"]).await.ok();
    assert_eq!(world.store.desired_seq().await.unwrap(), before);
    let done = world.run(&["remove", LOST, OTHER, "--yes"]).await.ok();
    assert_eq!(done, format!("{LOST} removal requested\n{OTHER} removal requested\n"));
    assert!(world.store.desired_seq().await.unwrap() > before);
}
