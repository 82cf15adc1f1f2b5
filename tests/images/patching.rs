//! The image of a version to come that cannot be had: the old engine goes on, it is said why, and it
//! is tried again at the pace that the cause deserves.

use std::time::Instant;

use serde_json::Value;

use crate::registry::{self, Registry};
use crate::world::{World, container, docker, inspect};
use crate::{Pulled, is_running, pushed, with};

async fn column(world: &World, game: &str, column: &str) -> Value {
    let query = format!("SELECT coalesce({column}, 'null') FROM runtime_records WHERE game_id = '{game}'");
    serde_json::from_str(&world.rows(&query).await[0].get::<String>(0)).unwrap()
}

async fn wants(world: &World, game: &str, version: &str) {
    world
        .sql(&format!("UPDATE games SET target_engine_version = '{version}' WHERE game_id = '{game}'"))
        .await;
}

async fn version(world: &World, game: &str) -> String {
    let query = format!("SELECT current_engine_version FROM runtime_records WHERE game_id = '{game}'");
    world.rows(&query).await[0].get(0)
}

#[tokio::test]
async fn whatever_a_registry_answers_the_old_engine_goes_on_and_it_is_tried_again() {
    let mut registry = Registry::new().await;
    let world = with(&["--backoff-longest", "10s", "--max-disruptions", "20"], |_| {}).await;
    let refusals = [
        ("unauthorised", Some((401, "UNAUTHORIZED")), "RegistryUnauthorized", 2),
        ("not-found", Some((404, "NAME_UNKNOWN")), "ImageNotFound", 2),
        ("limited", Some((429, "TOOMANYREQUESTS")), "RateLimited", 10),
        ("broken", Some((500, "UNKNOWN")), "RegistryUnreachable", 1),
        ("away", None, "RegistryUnreachable", 1),
    ];
    let mut pulled = Vec::new();
    for (number, (name, refusal, reason, pause)) in refusals.into_iter().enumerate() {
        let game = world.running(name).await;
        let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
        let image = registry::engine();
        let reference = registry.push(name, "1", &image);
        pulled.push(Pulled(reference.clone()));
        registry.refuse(refusal);
        if refusal.is_none() {
            registry.close().await;
        }
        let next = format!("1.4.1{number}");
        world.register(&next, &reference).await;
        wants(&world, &game, &next).await;
        world
            .eventually(reason, async || column(&world, &game, "patch_delay").await["reason"] == reason)
            .await;
        let failed = Instant::now();
        let status = world.status(&game).await;
        assert!(is_running(&status) && status.reason == "PatchPending", "{name}: {status:?}");
        assert!(status.message.contains(&reference), "{name}: {}", status.message);
        // It plays on meanwhile.
        world.sql(&format!("UPDATE games SET force_turn_generation = 1 WHERE game_id = '{game}'")).await;
        let turn = format!("SELECT coalesce(current_turn, 0) FROM runtime_records WHERE game_id = '{game}'");
        world.eventually("a turn", async || world.count(&turn).await == 1).await;
        assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life, "{name}");
        if refusal.is_none() {
            registry.open().await;
        }
        registry.refuse(None);
        world.eventually("it is patched", async || version(&world, &game).await == next).await;
        world.until(&game, "running", is_running).await;
        let waited = failed.elapsed().as_secs_f64();
        eprintln!(
            "{name}: {reason}, patched {waited:.1} s after it was told (pace {pause} s): {}",
            status.message
        );
        assert!(waited > f64::from(pause) * 0.7, "{name}: {waited}");
        assert_eq!((world.inits(&game), inspect(&game, "{{.Image}}")), (1, image.id()), "{name}");
        world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
        world.until(&game, "stopped", |status| status.phase == "stopped").await;
    }
    drop(world);
}

#[tokio::test]
async fn a_game_that_was_patched_keeps_its_image_when_the_tag_moves_on() {
    let registry = Registry::new().await;
    let (image, id, _pulled) = pushed(&registry, "moves-on");
    let _by_id = Pulled(id.clone());
    let world = with(&[], |_| {}).await;
    world.register("1.4.10", &image).await;
    let game = world.running("moves-on").await;
    wants(&world, &game, "1.4.10").await;
    world.eventually("it is patched", async || version(&world, &game).await == "1.4.10").await;
    world.until(&game, "running", is_running).await;
    let newer = registry::engine();
    registry.push("moves-on", "1", &newer);
    let _newer = Pulled(newer.id());
    // Beside this thread, which serves the registry.
    let pulled = image.clone();
    let moved = tokio::task::spawn_blocking(move || docker(&["pull", &pulled])).await.unwrap();
    assert_eq!(moved.code, 0, "{moved:?}");
    assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &image]).stdout.trim(), newer.id(), "the tag has moved");
    world.ok(&["restart", "moves-on", "--wait", "--timeout", "60s"]);
    assert_eq!((inspect(&game, "{{.Image}}"), world.inits(&game)), (id, 1));
    docker(&["rm", "-f", &container(&game)]);
}
