//! Desired state of games, written and read back.

use reqwest::Method;
use serde_json::json;

use crate::world::{GAMES, World, game, read};

#[tokio::test(flavor = "multi_thread")]
async fn a_game_is_made_listed_read_changed_and_deleted() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");

    let created = world.post(GAMES, &game("andromeda")).await.ok(201);
    assert_eq!(created["apiVersion"], "gamekeeper.dev/v1");
    assert_eq!(created["kind"], "Game");
    assert_eq!(created["metadata"]["namespace"], "default");
    // The row, then each member: both count.
    let generation = created["metadata"]["generation"].as_i64().unwrap();
    assert_eq!(created["spec"]["players"][0]["raceName"], "Terrans");
    assert_eq!(created["spec"]["restartGeneration"], 0);
    assert_eq!(created["status"]["observedGeneration"], 0, "nobody has looked at it yet");
    assert_eq!(world.get(&path).await.ok(200), created);

    let mut wanted = game("andromeda");
    wanted["spec"]["paused"] = json!(true);
    let replaced = world.put(&path, &wanted).await.ok(200);
    assert_eq!(replaced["metadata"]["generation"], generation + 1);
    assert_eq!(replaced["metadata"]["uid"], created["metadata"]["uid"]);

    let patched =
        world.patch(&path, &json!({ "spec": { "restartGeneration": 1, "paused": null } })).await.ok(200);
    assert_eq!(
        (&patched["spec"]["restartGeneration"], &patched["spec"]["paused"]),
        (&json!(1), &json!(false))
    );

    let list = world.get(GAMES).await.ok(200);
    assert_eq!((&list["kind"], &list["items"].as_array().map(Vec::len)), (&json!("GameList"), &Some(1)));
    assert!(
        list["metadata"]["resourceVersion"].as_str().is_some_and(|version| version.parse::<i64>().is_ok())
    );

    let leaving = world.delete(&path).await.ok(200);
    assert!(leaving["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(leaving["metadata"]["finalizers"], json!(["gamekeeper.dev/engine"]));
    assert_eq!(
        world.delete(&path).await.ok(200)["metadata"],
        leaving["metadata"],
        "asking twice is asking once"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_changes_nothing_moves_nothing() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    let created = world.post(GAMES, &game("andromeda")).await.ok(201);
    let before = world.get(GAMES).await.ok(200)["metadata"]["resourceVersion"].clone();
    assert_eq!(world.put(&path, &game("andromeda")).await.ok(200), created);
    assert_eq!(world.put(&path, &created).await.ok(200), created, "what was read can be written");
    assert_eq!(world.patch(&path, &json!({})).await.ok(200), created);
    let status = json!({ "status": { "phase": "Running" }, "metadata": { "managedFields": [] } });
    assert_eq!(world.patch(&path, &status).await.ok(200), created, "status is not the client's");
    assert_eq!(world.get(GAMES).await.ok(200)["metadata"]["resourceVersion"], before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_write_is_a_conflict_and_says_so() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    let first = world.post(GAMES, &game("andromeda")).await.ok(201);
    world.patch(&path, &json!({ "spec": { "restartGeneration": 3 } })).await.ok(200);

    let status = world.put(&path, &first).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("read the latest version"), "{status:#}");
    let version = &first["metadata"]["resourceVersion"];
    let stale = json!({ "metadata": { "resourceVersion": version }, "spec": { "paused": true } });
    world.patch(&path, &stale).await.refused(409, "Conflict");
    let other = json!({ "metadata": { "uid": "00000000-0000-4000-8000-000000000000" } });
    world.patch(&path, &other).await.refused(409, "Conflict");
    let preconditions = json!({ "preconditions": { "resourceVersion": version } });
    let request = world.request(Method::DELETE, &path).json(&preconditions);
    read(request.send().await.unwrap()).await.refused(409, "Conflict");
    world.post(GAMES, &game("andromeda")).await.refused(409, "AlreadyExists");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_without_precondition_all_come_through() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let patches = (0..8).map(|number| {
        let (world, path) = (&world, &path);
        async move {
            let patch = json!({ "metadata": { "labels": { format!("writer-{number}"): "x" } } });
            world.patch(path, &patch).await.ok(200);
        }
    });
    futures::future::join_all(patches).await;
    let labels = world.get(&path).await.ok(200)["metadata"]["labels"].clone();
    assert_eq!(labels.as_object().map(serde_json::Map::len), Some(9), "{labels:#}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_tried_is_not_stored() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    let mut full = game("andromeda");
    full["spec"]["turns"] =
        json!({ "schedule": "0 18 * * *", "timeZone": "Europe/Berlin", "missed": "Skip" });
    full["spec"]["resources"] = json!({ "cpu": "500m", "memory": "256Mi", "pids": 64 });
    full["spec"]["displayName"] = json!("Andromeda");
    let tried = world.post(&format!("{GAMES}?dryRun=All"), &full).await.ok(201);
    world.get(&path).await.refused(404, "NotFound");

    let created = world.post(GAMES, &full).await.ok(201);
    assert_eq!(tried["spec"], created["spec"], "a try shows what would be");
    let tried =
        world.patch(&format!("{path}?dryRun=All"), &json!({ "spec": { "paused": true } })).await.ok(200);
    assert_eq!(tried["spec"]["paused"], true);
    let next = created["metadata"]["generation"].as_i64().map(|generation| generation + 1);
    assert_eq!(tried["metadata"]["generation"].as_i64(), next);
    assert_eq!(world.put(&format!("{path}?dryRun=All"), &full).await.ok(200), created);
    world.delete(&format!("{path}?dryRun=All")).await.ok(200);
    assert_eq!(world.get(&path).await.ok(200), created);
    world.post(&format!("{GAMES}?dryRun=All"), &game("andromeda")).await.refused(409, "AlreadyExists");
    world.get(&format!("{path}?dryRun=some")).await.ok(200);
    world.put(&format!("{path}?dryRun=some"), &created).await.refused(400, "BadRequest");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_selected_by_label_field_and_namespace() {
    let world = World::new().await;
    for (name, season) in [("a", "6"), ("b", "7"), ("c", "8")] {
        let mut one = game(name);
        one["metadata"]["labels"]["season"] = json!(season);
        world.post(GAMES, &one).await.ok(201);
    }
    world.post("/apis/gamekeeper.dev/v1/namespaces/other/games", &game("a")).await.ok(201);
    let names = async |path: &str, selector: &str| {
        let list = world.get(&format!("{path}?limit=500&{selector}")).await.ok(200);
        let name = |item: &serde_json::Value| item["metadata"]["name"].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(GAMES, "").await, "a b c");
    assert_eq!(names(GAMES, "labelSelector=season%20in%20(6,7)").await, "a b");
    assert_eq!(names(GAMES, "labelSelector=season!%3D7,season").await, "a c");
    assert_eq!(names(GAMES, "fieldSelector=metadata.name%3Db").await, "b");
    assert_eq!(names("/apis/gamekeeper.dev/v1/games", "").await, "a b c a");
    assert_eq!(names("/apis/gamekeeper.dev/v1/games/", "fieldSelector=metadata.namespace=other").await, "a");
    world.get(&format!("{GAMES}?fieldSelector=spec.secret%3D1")).await.refused(400, "BadRequest");
    world.get(&format!("{GAMES}?labelSelector=a%20b")).await.refused(400, "BadRequest");
    let slots = GAMES.replace("games", "turnslots");
    world.get(&format!("{slots}?watch=true")).await.refused(405, "MethodNotAllowed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_is_read_and_a_missing_type_means_json() {
    let world = World::new().await;
    let yaml =
        "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: {name: a}\nspec: {desiredStatus: Stopped}\n";
    let request = world.request(Method::POST, GAMES).header("content-type", "application/yaml").body(yaml);
    let created = read(request.send().await.unwrap()).await.ok(201);
    assert_eq!(created["spec"]["desiredStatus"], "Stopped");
    let request = world.request(Method::PUT, &format!("{GAMES}/a")).body(created.to_string());
    assert_eq!(read(request.send().await.unwrap()).await.ok(200), created);
    world.end().await;
}
