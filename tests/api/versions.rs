//! Engine versions.

use serde_json::json;

use crate::world::{GAMES, VERSIONS, World, game, version};

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_registered_changed_and_removed() {
    let world = World::new().await;
    let path = format!("{VERSIONS}/1.4.2");
    let created = world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    assert_eq!(created["spec"]["port"], 8080);
    assert!(created["metadata"].get("namespace").is_none());
    assert_eq!(world.get(&path).await.ok(200), created);
    assert_eq!(world.put(&path, &version("1.4.2")).await.ok(200), created);
    assert_eq!(
        world.post(&format!("{VERSIONS}?dryRun=All"), &version("1.5.0")).await.ok(201)["spec"]["port"],
        8080
    );

    let disabled = world.patch(&path, &json!({ "spec": { "enabled": false } })).await.ok(200);
    assert_eq!(disabled["spec"]["enabled"], false);
    let list = world.get(VERSIONS).await.ok(200);
    assert_eq!((&list["kind"], &list["items"]), (&json!("EngineVersionList"), &json!([disabled])));
    world.put(&path, &created).await.refused(409, "Conflict");
    world.post(VERSIONS, &version("1.4.2")).await.refused(409, "AlreadyExists");

    let gone = world.delete(&path).await.ok(200);
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(gone["details"]["name"], "1.4.2");
    world.get(&path).await.refused(404, "NotFound");
    world.delete(&path).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_in_use_stays_and_its_image_never_changes() {
    let world = World::new().await;
    let path = format!("{VERSIONS}/1.4.2");
    world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let status = world.delete(&path).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("disable it"), "{status:#}");

    let other = json!({ "spec": { "image": "gamekeeper/reference-engine:other" } });
    for tried in [path.clone(), format!("{path}?dryRun=All")] {
        let status = world.patch(&tried, &other).await.refused(422, "Invalid");
        assert_eq!(status["details"]["causes"][0]["field"], "spec.image");
    }
    let mut wrong = version("1.5");
    wrong["metadata"]["namespace"] = json!("default");
    let status = world.post(VERSIONS, &wrong).await.refused(422, "Invalid");
    assert_eq!(status["details"]["causes"].as_array().map(Vec::len), Some(2), "{status:#}");
    world.end().await;
}
