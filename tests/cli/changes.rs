//! Commands that change something, against the real API.

use gamekeeper::game::{ConditionStatus, Phase};

use crate::world::{Files, GAME, VERSION, World, serve_in};

#[tokio::test(flavor = "multi_thread")]
async fn applying_creates_then_changes_then_is_quiet() {
    let world = World::new().await;
    let all = world.files.file("all.yaml", &format!("{GAME}---\n{VERSION}"));
    let created = world.run(&["apply", "-f", &all]).await.ok();
    let lines: Vec<_> = created.lines().collect();
    assert!(lines[0].starts_with("engineversion/1.4.2 created"), "{created}");
    assert!(lines[1].starts_with("game/andromeda created (generation "), "{created}");

    let before = world.run(&["get", "game/andromeda", "-o", "json"]).await.ok();
    let again = world.run(&["apply", "-f", &all]).await.ok();
    assert!(again.lines().all(|line| line.contains(" unchanged")), "{again}");
    assert_eq!(world.run(&["get", "game/andromeda", "-o", "json"]).await.ok(), before, "no write");

    let changed = world.files.file("all.yaml", &format!("{}---\n{VERSION}", GAME.replace("256Mi", "1Gi")));
    let changed = world.run(&["apply", "-f", &changed]).await.ok();
    assert!(changed.contains("game/andromeda configured (generation "), "{changed}");
    assert!(world.run(&["get", "andromeda", "-o", "yaml"]).await.ok().contains("memory: 1Gi"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_stores_nothing() {
    let world = World::new().await;
    let game = world.files.file("game.yaml", GAME);
    let told = world.run(&["apply", "-f", &game, "--dry-run"]).await.ok();
    assert!(told.contains("game/andromeda created") && told.contains("(dry run)"), "{told}");
    world.run(&["get", "game/andromeda"]).await.failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_stays_and_what_left_the_manifest_goes_back() {
    let world = World::new().await;
    let game = world.files.file("game.yaml", &GAME.replace("  resources:", "  paused: true\n  resources:"));
    world.run(&["apply", "-f", &game]).await.ok();
    world.run(&["restart", "andromeda"]).await.ok();
    let without = world
        .files
        .file("game.yaml", &GAME.replace("timeZone: UTC, missed: Once", "timeZone: Europe/Berlin"));
    world.run(&["apply", "-f", &without]).await.ok();
    let now: serde_json::Value =
        serde_json::from_str(&world.run(&["get", "andromeda", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(now["spec"]["paused"], false);
    assert_eq!(now["spec"]["turns"]["timeZone"], "Europe/Berlin");
    assert_eq!(now["spec"]["restartGeneration"], 1, "a request is neither undone nor repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_can_be_applied_again() {
    let world = World::applied().await;
    let read = world.run(&["get", "game/andromeda", "-o", "yaml"]).await.ok();
    let file = world.files.file("read.yaml", &read.replace("1Gi", "2Gi"));
    world.run(&["apply", "-f", &file]).await.ok();
    let again = world.run(&["restart", "andromeda"]).await.ok();
    assert!(again.starts_with("game/andromeda restart requested (generation "), "{again}");
    let stale = world.files.file("stale.yaml", &read.replace("256Mi", "2Gi"));
    world.run(&["apply", "-f", &stale]).await.failed(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_told_at_the_document() {
    let world = World::applied().await;
    let other = world.files.file("other.yaml", &VERSION.replace("engine:1.4.2", "engine:other"));
    let ran = world.run(&["apply", "-f", &other]).await;
    let error = ran.stderr.clone();
    assert!([2, 4].contains(&ran.code), "{ran:?}");
    assert!(error.contains("other.yaml:1:1: engineversion/1.4.2: ") && error.contains("image"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn start_stop_and_restart_say_which_generation_they_made() {
    let world = World::applied().await;
    let stopped = world.run(&["stop", "andromeda", "--now"]).await.ok();
    assert!(stopped.starts_with("game/andromeda stop requested (generation "), "{stopped}");
    let again = world.run(&["stop", "game/andromeda", "--now"]).await.ok();
    assert!(again.starts_with("game/andromeda unchanged (generation "), "{again}");
    assert_eq!(world.run(&["start", "gm/andromeda", "-o", "name"]).await.ok(), "game/andromeda\n");
    let spec = world.run(&["get", "andromeda", "-o", "yaml"]).await.ok();
    assert!(spec.contains("desiredStatus: Running") && !spec.contains("stopNow: true"), "{spec}");
    let some = world.run(&["restart", "nobody", "andromeda"]).await;
    assert_eq!(some.code, 3, "{some:?}");
    assert!(
        some.stdout.contains("game/andromeda restart requested") && some.stderr.contains("nobody"),
        "{some:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_asked_for_at_once_are_all_asked_for() {
    let world = World::applied().await;
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| world.files.run(&["restart", "andromeda"]).ok());
            }
        });
    });
    let spec = world.run(&["get", "andromeda", "-o", "yaml"]).await.ok();
    assert!(spec.contains("restartGeneration: 4"), "{spec}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_goes_says_so_and_one_that_is_not_there_too() {
    let world = World::applied().await;
    world.run(&["delete", "ev/1.4.2"]).await.failed(4);
    let told = world.run(&["delete", "game/andromeda"]).await.ok();
    assert!(told.starts_with("game/andromeda deletion requested (generation "), "{told}");
    assert!(world.run(&["get"]).await.ok().contains("Deleting"));
    world.run(&["delete", "game/nobody"]).await.failed(3);
    assert_eq!(world.run(&["delete", "game/nobody", "--ignore-not-found"]).await.ok(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_can_be_printed_in_several_forms() {
    let world = World::applied().await;
    world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    let table = world.run(&["get"]).await.ok();
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        ["NAME", "DESIRED", "PHASE", "READY", "VERSION", "TURN", "NEXT-TURN", "RESTARTS", "AGE"]
    );
    assert_eq!(lines[1][..5], ["andromeda", "Running", "Running", "True", "1.4.2"]);
    assert!(world.run(&["get", "games", "-A"]).await.ok().starts_with("NAMESPACE"));
    assert_eq!(world.run(&["get", "all", "-o", "name"]).await.ok(), "engineversion/1.4.2\ngame/andromeda\n");
    assert_eq!(world.run(&["get", "-l", "season=8", "-o", "name"]).await.ok(), "");
    assert_eq!(world.run(&["get", "-l", "season=7", "-o", "name"]).await.ok(), "game/andromeda\n");
    let list: serde_json::Value =
        serde_json::from_str(&world.run(&["get", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(list["items"][0]["kind"], "Game");
    let described = world.run(&["describe", "andromeda", "ev/1.4.2"]).await.ok();
    for expected in
        ["Spec:", "Status:", "Conditions:", "So it is.", "image: gamekeeper/reference-engine:1.4.2"]
    {
        assert!(described.contains(expected), "{described}");
    }
    assert!(world.run(&["ops", "andromeda"]).await.ok().is_empty());
    world.run(&["ops", "nobody"]).await.failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_known_and_a_server_that_is_another_are_told_apart() {
    let world = World::new().await;
    let own = std::fs::read_to_string(world.files.path("data/kubeconfig")).unwrap();
    let config: serde_json::Value = serde_yaml::from_str(&own).unwrap();
    let token = config["users"][0]["user"]["token"].as_str().unwrap();
    let wrong = world.files.file("wrong", &own.replace(token, "wrong"));
    let error = world.run(&["get", "--kubeconfig", &wrong]).await.failed(7);
    assert!(error.contains("does not accept this token"), "{error}");

    let other = Files::new();
    let _other_server = serve_in(&other.path("")).await;
    let others = std::fs::read_to_string(other.path("kubeconfig")).unwrap();
    let others: serde_json::Value = serde_yaml::from_str(&others).unwrap();
    let server =
        |config: &serde_json::Value| config["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    let mixed = world.files.file("mixed", &own.replace(&server(&config), &server(&others)));
    let error = world.run(&["get", "--kubeconfig", &mixed]).await.failed(6);
    assert!(error.contains("is not the server that"), "{error}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = world.files.file("gone", &own.replace(&server(&config), &format!("https://{free}")));
    let error = world.run(&["get", "--kubeconfig", &gone]).await.failed(6);
    assert!(error.contains("is not running (Connection refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_games_ask_for_goes_after_them() {
    let world = World::applied().await;
    let error = world.run(&["delete", "ev/1.4.2", "andromeda"]).await;
    assert_eq!(error.code, 4, "{error:?}");
    assert!(error.stdout.starts_with("game/andromeda deletion requested"), "{error:?}");
    assert!(error.stderr.contains("hint: with --wait"), "{error:?}");
    let other = world.files.file("orion.yaml", &crate::world::GAME.replace("andromeda", "orion"));
    world.run(&["apply", "-f", &other]).await.ok();
    let all = ["delete", "ev/1.4.2", "andromeda", "orion", "--wait", "--timeout=60s"];
    let (ran, ()) = tokio::join!(world.run(&all), async {
        // The last that is asked to go.
        while !world.run(&["get", "orion", "-o", "json"]).await.ok().contains("deletionTimestamp") {}
        for game in ["andromeda", "orion"] {
            world.gone(game).await;
        }
    });
    let told = ran.ok();
    for gone in ["game/andromeda deleted\n", "game/orion deleted\n"] {
        assert!(told.contains(gone), "{told}");
    }
    assert!(told.ends_with("engineversion/1.4.2 deleted\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_only_tried_deletes_nothing() {
    let world = World::applied().await;
    let told = world.run(&["delete", "andromeda", "--dry-run"]).await.ok();
    assert!(told.starts_with("game/andromeda ") && told.ends_with("(dry run)\n"), "{told}");
    let game = world.store.game("default", "andromeda").await.unwrap().unwrap();
    assert_eq!(game.manifest.metadata.deletion_timestamp, None);
    world.run(&["delete", "nobody", "--dry-run"]).await.failed(3);
    assert_eq!(world.run(&["delete", "andromeda", "--dry-run", "--wait"]).await.code, 2);
}
