//! What the controller would do, and why: asked, with a loop that answers in the controller's place.

use gamekeeper::api::auth::Role;
use gamekeeper::game::spec::{DesiredStatus, Source};
use gamekeeper::reconcile::explain::Explanation;
use reqwest::Method;
use serde_json::json;

use crate::world::{GAMES, VERSIONS, World, explanation, game, read, token, version};

#[tokio::test(flavor = "multi_thread")]
async fn a_game_is_explained_in_the_controller_s_words() {
    let mut world = World::new().await;
    let _asked = world.answers(explanation());
    let made = world.post(GAMES, &game("andromeda")).await.ok(201);
    let told = world.get(&format!("{GAMES}/andromeda/explain")).await.ok(200);
    assert_eq!((&told["apiVersion"], &told["kind"]), (&json!("gamekeeper.dev/v1"), &json!("Explanation")));
    let metadata = json!({ "name": "andromeda", "namespace": "default", "uid": made["metadata"]["uid"] });
    assert_eq!(told["metadata"], metadata);
    assert_eq!((&told["summary"], &told["disruption"]), (&json!("It would be started."), &json!("Start")));
    assert_eq!(told["steps"][0]["step"], "create container for 1.4.2");
    world.get(&format!("{GAMES}/nobody/explain")).await.refused(404, "NotFound");
    world.post(&format!("{GAMES}/andromeda/explain"), &json!({})).await.refused(405, "MethodNotAllowed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_the_controller_has_not_heard_of_is_said_to_be_that() {
    let mut world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let settled = Explanation { settled: true, ..explanation() };
    let _asked = world.answers(settled);
    let path = format!("{GAMES}/andromeda/explain");
    let heard = world.get(&path).await.ok(200);
    assert_eq!((&heard["settled"], &heard["guard"]), (&json!(true), &json!(null)));
    world.patch(&format!("{GAMES}/andromeda"), &json!({ "spec": { "paused": true } })).await.ok(200);
    let told = world.get(&path).await.ok(200);
    assert_eq!((&told["settled"], &told["guard"]["reason"]), (&json!(false), &json!("NotHeard")), "{told}");
    assert_eq!(told["leftToDo"], json!(["a look at generation 2"]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_does_not_know_or_does_not_answer_is_said_to() {
    let mut world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let path = format!("{GAMES}/andromeda/explain");
    world.knows_nothing();
    let status = world.get(&path).await.refused(503, "ServiceUnavailable");
    assert!(status["message"].as_str().unwrap().contains("does not know this game yet"), "{status:#}");
    let status = world.post(&format!("{GAMES}/andromeda/plan"), &game("andromeda")).await;
    status.refused(503, "ServiceUnavailable");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_of_what_the_store_would_read_after_the_write() {
    let mut world = World::new().await;
    let mut asked = world.answers(explanation());
    world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    let made = world.post(GAMES, &game("andromeda")).await.ok(201);
    let before = world.store.desired_seq().await.unwrap();
    let plan = format!("{GAMES}/andromeda/plan");

    // The same again is what is there.
    let id = world.store.game("default", "andromeda").await.unwrap().unwrap().id;
    let now = world.store.desired(&[id]).await.unwrap().remove(0).0;
    let told = world.post(&plan, &game("andromeda")).await.ok(200);
    assert_eq!(told["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(asked.recv().await.unwrap().unwrap(), now);

    // A change is what the store reads once it is made, generation and membership included.
    let mut changed = game("andromeda");
    changed["spec"]["desiredStatus"] = json!("Stopped");
    changed["spec"]["players"][0]["raceName"] = json!("Martians");
    changed["spec"]["resources"] = json!({ "cpu": 0.5 });
    world.post(&plan, &changed).await.ok(200);
    let foreseen = asked.recv().await.unwrap().unwrap();
    assert_eq!(world.store.desired_seq().await.unwrap(), before, "nothing is stored");
    world.put(&format!("{GAMES}/andromeda"), &changed).await.ok(200);
    let became = world.store.desired(&[id]).await.unwrap().remove(0).0;
    assert_eq!(foreseen.generation, became.generation);
    let request_id = foreseen.request_id.clone();
    assert_eq!(foreseen, gamekeeper::game::Desired { request_id, ..became });
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_and_a_version_that_are_not_there_are_planned_together() {
    let mut world = World::with(|tokens| token(tokens, Role::Viewer, "viewer")).await;
    let mut asked = world.answers(explanation());
    let plan = format!("{GAMES}/orion/plan");
    let told = world.post(&plan, &game("orion")).await.ok(200);
    assert_eq!(told["metadata"], json!({ "name": "orion", "namespace": "default" }));
    let alone = asked.recv().await.unwrap().unwrap();
    assert_eq!((alone.version, alone.status), (None, DesiredStatus::Running));

    let list = json!({ "kind": "List", "items": [version("1.4.2"), game("orion")] });
    // Who only reads may ask what would be.
    let request = world.anonymous(Method::POST, &format!("{plan}?fieldManager=gamekeeper-apply"));
    read(request.bearer_auth("viewer").json(&list).send().await.unwrap()).await.ok(200);
    let both = asked.recv().await.unwrap().unwrap();
    assert_eq!(both.version.unwrap().image.as_str(), "gamekeeper/reference-engine:1.4.2");
    assert_eq!((both.source, both.requested_by.as_str()), (Source::Manifest, "viewer"));
    assert_eq!(both.members.len(), 1);
    world.get(&format!("{GAMES}/orion")).await.refused(404, "NotFound");
    world.get(&format!("{VERSIONS}/1.4.2")).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_refused_for_what_the_write_would_be_refused_for() {
    let mut world = World::new().await;
    let _asked = world.answers(explanation());
    let plan = format!("{GAMES}/andromeda/plan");
    let mut wrong = game("andromeda");
    wrong["spec"]["turns"] = json!({ "schedule": "61 * * * *" });
    world.post(&plan, &wrong).await.refused(422, "Invalid");
    world.post(&plan, &game("orion")).await.refused(400, "BadRequest");
    let mut pinned = game("andromeda");
    pinned["metadata"]["resourceVersion"] = json!("1");
    world.post(&plan, &pinned).await.refused(400, "BadRequest");

    let mut asking = game("andromeda");
    asking["spec"]["restartGeneration"] = json!(2);
    world.post(GAMES, &asking).await.ok(201);
    asking["spec"]["restartGeneration"] = json!(1);
    let status = world.post(&plan, &asking).await.refused(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.restartGeneration");
    pinned["metadata"]["resourceVersion"] = json!("99");
    world.post(&plan, &pinned).await.refused(409, "Conflict");
    for list in [json!({ "kind": "List" }), json!({ "kind": "List", "items": [game("a"), game("b")] })] {
        world.post(&plan, &list).await.refused(400, "BadRequest");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_whose_row_is_gone_is_explained_until_its_end() {
    let mut world = World::new().await;
    let _asked = world.answers(explanation());
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let id = world.store.game("default", "andromeda").await.unwrap().unwrap().id;
    let lease = world.store.take_lead("test").await.unwrap();
    let (recorder, _) = world.store.recorder(lease);
    let recording = crate::history::recording(id, "andromeda");
    world.delete(&format!("{GAMES}/andromeda")).await.ok(200);
    recorder
        .record(gamekeeper::store::Recording {
            deleted: Some(gamekeeper::game::spec::Deletion::Requested),
            ..recording.clone()
        })
        .await
        .unwrap();
    let told = world.get(&format!("{GAMES}/andromeda/explain")).await.ok(200);
    assert_eq!(told["metadata"]["uid"], id.to_string());

    let mut done = recording;
    done.record.deleted_at = Some(jiff::Timestamp::now());
    recorder.record(done).await.unwrap();
    world.get(&format!("{GAMES}/andromeda/explain")).await.refused(404, "NotFound");
    world.end().await;
}
