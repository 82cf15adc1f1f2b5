//! One pull for all, cancelled when nobody wants it; what its failures are called.

use std::time::Duration;

use crate::registry::Registry;
use crate::world::{World, inspect};
use crate::{is_running, pushed, with};

/// `(reason, message)` once it was told, from the game's events.
async fn told(world: &World, game: &str, reason: &str) -> String {
    let query = format!("SELECT message FROM events WHERE uid = '{game}' AND reason = '{reason}'");
    world.eventually(reason, async || !world.rows(&query).await.is_empty()).await;
    world.rows(&query).await[0].get(0)
}

#[tokio::test]
async fn many_games_wait_for_one_pull_whose_progress_shows() {
    let registry = Registry::new().await;
    let (image, id, _pulled) = pushed(&registry, "one");
    let world = with(&[], |_| {}).await;
    world.register("2.0.0", &image).await;
    registry.flow(false);
    let mut games = Vec::new();
    for name in ["a", "b", "c"] {
        games.push(world.game(name, "2.0.0").await);
    }
    for game in &games {
        let status = world.until(game, "told how far it is", |s| s.message.contains("MiB")).await;
        assert_eq!((status.phase.as_str(), status.reason.as_str()), ("starting", "PullingImage"));
    }
    let described = world.ok(&["describe", "game", "a"]);
    assert!(described.contains("MiB") && described.contains(&image), "{described}");
    registry.flow(true);
    for game in &games {
        world.until(game, "running", is_running).await;
        assert_eq!(inspect(game, "{{.Image}}"), id);
    }
    // Docker asks for what the tag is, and then for that.
    let manifests = registry.requests("/manifests/");
    assert_eq!(manifests.len(), 2, "{manifests:?}");
    assert_eq!(registry.requests("GET /v2/one/blobs/").len(), 2, "configuration and the layer of its own");
}

#[tokio::test]
async fn a_pull_that_nobody_wants_any_more_is_broken_off_at_once() {
    let registry = Registry::new().await;
    let (image, _, _pulled) = pushed(&registry, "cancelled");
    let world = with(&[], |_| {}).await;
    world.register("2.0.0", &image).await;
    registry.flow(false);
    let (first, second) = (world.game("first", "2.0.0").await, world.game("second", "2.0.0").await);
    for game in [&first, &second] {
        world.until(game, "fetching", |s| s.message.contains("MiB")).await;
    }
    let stop = |game: &str| format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'");
    world.sql(&stop(&first)).await;
    world.until(&first, "stopped", |s| s.phase == "stopped").await;
    assert!(!world.log().contains("its pull is cancelled"), "the second one wants it still");
    assert_eq!(registry.broken_off(), 0);
    world.sql(&stop(&second)).await;
    world.until(&second, "stopped", |s| s.phase == "stopped").await;
    world.eventually("the download is broken off", async || registry.broken_off() > 0).await;
    assert_eq!(crate::docker(&["image", "inspect", &image]).code, 1);

    // Wanted again, it is fetched from where Docker left it.
    registry.flow(true);
    world.sql(&format!("UPDATE games SET desired_status = 'running' WHERE game_id = '{first}'")).await;
    world.until(&first, "running", is_running).await;
}

#[tokio::test]
async fn what_a_registry_refuses_has_a_word_and_a_pace_of_its_own_and_troubles_nobody_else() {
    let registry = Registry::new().await;
    let (image, _, _pulled) = pushed(&registry, "refused");
    let world = with(&["--backoff-longest", "40s"], |_| {}).await;
    let bystander = world.running("bystander").await;
    let gone = Registry::new().await;
    let unreachable = format!("{}/gone:1", gone.host());
    drop(gone);
    let absent = format!("{}/absent:1", registry.host());
    let cases = [
        (&absent, None, "ImageNotFound", 8),
        (&image, Some((401, "UNAUTHORIZED")), "RegistryUnauthorized", 8),
        (&image, Some((403, "DENIED")), "RegistryUnauthorized", 8),
        (&image, Some((404, "NAME_UNKNOWN")), "ImageNotFound", 8),
        (&image, Some((429, "TOOMANYREQUESTS")), "RateLimited", 40),
        (&image, Some((500, "UNKNOWN")), "RegistryUnreachable", 0),
        (&unreachable, None, "RegistryUnreachable", 0),
    ];
    for (number, (image, refusal, reason, pause)) in cases.into_iter().enumerate() {
        registry.refuse(refusal);
        let version = format!("2.0.{number}");
        world.register(&version, image).await;
        let name = format!("case-{number}");
        let game = world.game(&name, &version).await;
        let why = told(&world, &game, reason).await;
        eprintln!("{reason}: {why}");
        assert!(why.contains(image.as_str()), "{why}");
        let status = world.until(&game, "counted", |s| s.failures >= 1).await;
        let query = format!(
            "SELECT CAST(round((julianday(next_attempt_at) - julianday(last_observed_at)) * 86400) AS INTEGER)
               FROM runtime_records WHERE game_id = '{game}'"
        );
        if pause > 0 {
            let waits = world.count(&query).await;
            assert!((pause - 2..=pause).contains(&waits), "{reason}: {waits} s, {status:?}");
        }
        world.sql(&format!("DELETE FROM games WHERE game_id = '{game}'")).await;
    }
    assert!(is_running(&world.status(&bystander).await));
    assert_eq!(world.status(&bystander).await.restarts, 0);
}

#[tokio::test]
async fn a_changed_spec_does_not_wait_for_the_next_attempt() {
    let registry = Registry::new().await;
    let (image, _, _pulled) = pushed(&registry, "mended");
    let world = with(&[], |_| {}).await;
    world.register("2.0.0", &format!("{}/absent:1", registry.host())).await;
    world.register("2.0.1", &image).await;
    let game = world.game("mended", "2.0.0").await;
    world.until(&game, "not found", |s| s.reason == "ImageNotFound").await;
    let began = std::time::Instant::now();
    world.sql(&format!("UPDATE games SET target_engine_version = '2.0.1' WHERE game_id = '{game}'")).await;
    world.until(&game, "running", is_running).await;
    assert!(began.elapsed() < Duration::from_secs(50), "the pause was 60 s");
}
