//! What Docker does not make or start: it is told in Docker's words, and nobody is left without an
//! engine for it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::ground::behind;
use crate::meddler::{Action, Call, Meddler, When};
use crate::world::{Status, World, docker, inspect};

const REFUSAL: &str = "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available";

fn runs(status: &Status) -> bool {
    status.phase == "running" && status.endpoint.is_some()
}

async fn failed_patch(world: &World, game: &str) -> Value {
    let query =
        format!("SELECT coalesce(failed_patch, 'null') FROM runtime_records WHERE game_id = '{game}'");
    let failed: String = world.rows(&query).await[0].get(0);
    serde_json::from_str(&failed).unwrap()
}

async fn wants(world: &World, game: &str, version: &str) {
    world
        .sql(&format!("UPDATE games SET target_engine_version = '{version}' WHERE game_id = '{game}'"))
        .await;
}

#[tokio::test]
async fn limits_that_docker_refuses_are_invalid_in_its_words_until_they_are_corrected() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let refused = meddler.set(When::call(Call::Create), Action::Respond(400, json!({ "message": REFUSAL })));
    let game = world.game("refused", "1.4.2").await;
    let status = world.until(&game, "invalid", |status| status.phase == "invalid").await;
    assert!(status.message.contains(REFUSAL), "{status:?}");
    refused.sprung().await;
    meddler.clear();
    world.sql(&format!("UPDATE games SET resources = '{{\"cpu\":\"500m\"}}' WHERE game_id = '{game}'")).await;
    world.until(&game, "running", runs).await;
    assert_eq!(inspect(&game, "{{.HostConfig.CpuQuota}}"), "50000");
}

#[tokio::test]
async fn a_new_version_whose_container_docker_refuses_leaves_the_game_to_the_old_one() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    let game = world.running("refused").await;
    meddler.set(When::call(Call::Create).first(), Action::Respond(400, json!({ "message": REFUSAL })));
    wants(&world, &game, "1.4.1").await;
    world.eventually("it failed", async || failed_patch(&world, &game).await["version"] == "1.4.1").await;
    let status = world.until(&game, "running", |status| runs(status) && status.reason == "PatchFailed").await;
    assert!(status.message.contains(REFUSAL), "{status:?}");
    assert_eq!((inspect(&game, "{{.State.Running}}").as_str(), world.inits(&game)), ("true", 1));
}

#[tokio::test]
async fn a_state_that_docker_does_not_find_is_told_counted_and_tried_ever_more_seldom() {
    let meddler = Meddler::before_docker();
    // That it is another directory cannot be found out here; a creation fails at it.
    meddler.set(When::call(Call::Other).about("/archive"), Action::Respond(403, json!({ "message": "no" })));
    let missing =
        json!({ "message": "invalid mount config for type \"bind\": bind source path does not exist: /x" });
    let world = behind(&meddler, &[]).await;
    let refused = meddler.set(When::call(Call::Create), Action::Respond(400, missing));
    let game = world.game("unseen", "1.4.2").await;
    let counted = |status: &Status| status.failures >= 3 && status.next_attempt_at.is_some();
    let status = world.until(&game, "counted", counted).await;
    assert_eq!((status.phase.as_str(), status.reason.as_str()), ("crash_loop", "StateNotSeenByDocker"));
    assert!(status.message.contains("--state-root-on-host"), "{status:?}");
    assert!(world.operations(&game).await.contains(&"start failed".to_owned()));
    let told = "SELECT count(*) FROM events WHERE reason = 'StateRootNotVerified'";
    assert_eq!(world.count(told).await, 1, "games went on without a word");
    refused.sprung().await;
    meddler.clear();
    world.until(&game, "running", runs).await;
}

/// An image of its own, removed at the end.
struct Image(String);

impl Image {
    /// The reference engine with another command, in an image that nothing else has.
    fn with(entrypoint: &str) -> Self {
        let (tag, made) =
            (format!("gamekeeper-test/{}:1", Uuid::new_v4().simple()), Uuid::new_v4().to_string());
        assert_eq!(docker(&["create", "--name", &made, "gamekeeper/reference-engine:1.4.1"]).code, 0);
        let command = format!("ENTRYPOINT [\"{entrypoint}\"]");
        let committed = docker(&["commit", "-c", &command, "-c", &format!("LABEL made={made}"), &made, &tag]);
        docker(&["rm", "-f", &made]);
        assert_eq!(committed.code, 0, "{committed:?}");
        Self(tag)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

#[tokio::test]
async fn a_new_version_whose_process_cannot_be_started_is_rolled_back() {
    let image = Image::with("/nothing/is/here");
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    world.register("1.4.1", &image.0).await;
    let game = world.running("no-process").await;
    wants(&world, &game, "1.4.1").await;
    world.eventually("it failed", async || failed_patch(&world, &game).await["version"] == "1.4.1").await;
    let status = world.until(&game, "running", |status| runs(status) && status.reason == "PatchFailed").await;
    assert!(status.message.contains("/nothing/is/here"), "{status:?}");
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn an_image_removed_between_the_look_and_the_container_leaves_the_game_to_the_old_one() {
    let original =
        docker(&["inspect", "-f", "{{index .Config.Entrypoint 0}}", "gamekeeper/reference-engine:1.4.1"]);
    for call in [Call::Stop, Call::Create] {
        let image = Image::with(original.stdout.trim());
        let meddler = Meddler::before_docker();
        let world = behind(&meddler, &[]).await;
        world.register("1.4.1", &image.0).await;
        let game = world.running("image-gone").await;
        let held = meddler.set(When::call(call).first(), Action::HoldBefore);
        wants(&world, &game, "1.4.1").await;
        held.sprung().await;
        let removed = docker(&["rmi", "-f", &image.0]);
        assert_eq!(removed.code, 0, "{removed:?}");
        held.let_go();
        world
            .eventually("it is told", async || failed_patch(&world, &game).await["reason"] == "ImageGone")
            .await;
        world.until(&game, "running", |status| runs(status) && status.reason == "PatchFailed").await;
        assert_eq!(world.inits(&game), 1, "{call:?}");
        assert_eq!(inspect(&game, "{{.Config.Image}}"), inspect(&game, "{{.Image}}"));
    }
}
