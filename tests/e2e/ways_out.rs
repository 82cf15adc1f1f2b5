//! The ways out of a freeze, a hold, a block: each by its command, as an operator uses it.

use serde_json::Value;

use crate::world::{World, container, docker, exists, inspect};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A container of ours whose row is gone without a trace.
async fn orphan(world: &mut World, name: &str) -> String {
    let game = world.running(name).await;
    world.kill_keeper();
    world
        .sql(&format!(
            "DELETE FROM games WHERE game_id = '{game}'; DELETE FROM game_tombstones WHERE game_id = '{game}';
             DELETE FROM runtime_records WHERE game_id = '{game}'"
        ))
        .await;
    world.start();
    world
        .eventually("it is reported", async || world.gk(&["status", "-o", "json"]).stdout.contains(&game))
        .await;
    game
}

#[tokio::test]
async fn an_orphan_is_adopted_as_it_runs() {
    let mut world = World::started().await;
    let game = orphan(&mut world, "stray").await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    assert!(world.ok(&["adopt"]).contains(&game), "it lists what could be adopted");
    world.ok(&["adopt", &game, "--dry-run"]);
    assert_eq!(world.count("SELECT count(*) FROM games").await, 0);
    world.ok(&["adopt", &game, "--yes"]);
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    assert_eq!(world.inits(&game), 1);
    docker(&["kill", &container(&game)]);
    world.until(&game, "healed", |status| status.phase == "running" && status.restarts == 1).await;
}

#[tokio::test]
async fn an_orphan_is_removed_and_its_state_stays() {
    let mut world = World::started().await;
    let other = world.running("other").await;
    let game = orphan(&mut world, "stray").await;
    let life = inspect(&other, "{{.Id}} {{.State.StartedAt}}");
    // Without a terminal it asks for the word.
    assert_eq!(world.gk(&["remove", &game]).code, 2);
    assert!(exists(&game));
    world.ok(&["remove", &game, "--yes"]);
    world.eventually("its container is gone", async || !exists(&game)).await;
    assert!(world.state_root().join(&game).join(&game).is_dir());
    world.eventually("it is no orphan any more", async || !world.ok(&["status"]).contains(&game)).await;
    assert_eq!(inspect(&other, "{{.Id}} {{.State.StartedAt}}"), life);
    // The same game made again, without players, and deleted again, by SQL.
    world
        .sql(&format!(
            "INSERT INTO games (game_id, name, desired_status) VALUES ('{game}', 'again', 'stopped')"
        ))
        .await;
    world.until(&game, "seen", |status| status.phase == "stopped" && status.reason == "Stopped").await;
    world.request_deletion(&game).await;
    let rows = format!("SELECT count(*) FROM games WHERE game_id = '{game}'");
    world.eventually("its row is gone", async || world.count(&rows).await == 0).await;
}

#[tokio::test]
async fn held_deletions_are_shown_and_confirmed() {
    let mut world = World::new().with(&["--deletion-window", "1ms"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let mut games = Vec::new();
    for n in 0..5 {
        games.push(world.game(&format!("game-{n}"), "1.4.2").await);
    }
    for game in &games {
        world.until(game, "running", |status| status.phase == "running").await;
    }
    world.sql("DELETE FROM games").await;
    for game in &games {
        world.until(game, "held", |status| status.reason == "DeletionsHeld").await;
    }
    let shown = world.gk(&["confirm-deletions", "--dry-run"]);
    assert!((0..5).all(|n| shown.stderr.contains(&format!("game-{n}"))), "{shown:?}");
    assert_eq!(world.gk(&["confirm-deletions"]).code, 2, "it asks for a word");
    assert!(games.iter().all(|game| exists(game)));
    // One row comes back: its game stays.
    world.game_with_id(&games[0], "game-0", "1.4.2").await;
    world.until(&games[0], "running", |status| status.phase == "running" && status.reason == "Running").await;
    // Four are left, which are few, and the window is over: they are held until they are confirmed.
    world
        .eventually("four are held", async || {
            let status = json(&world.ok(&["status", "-o", "json"]));
            status["status"]["heldDeletions"]["games"].as_array().map(Vec::len) == Some(4)
        })
        .await;
    assert!(games.iter().all(|game| exists(game)));
    world.ok(&["confirm-deletions", "--yes"]);
    world.eventually("what was confirmed goes", async || games[1..].iter().all(|game| !exists(game))).await;
    assert!(exists(&games[0]));
}

#[tokio::test]
async fn an_operator_freezes_looks_and_thaws() {
    let world = World::started().await;
    let game = world.running("calm").await;
    world.ok(&["freeze", "--because", "the disk is being moved", "--wait"]);
    let status = world.gk(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.stdout.contains("FrozenByHand") && status.stdout.contains("the disk is being moved"));
    let explained = world.ok(&["explain", "calm"]);
    assert!(explained.contains("FrozenByHand") && explained.contains("unfreeze"), "{explained}");
    docker(&["kill", &container(&game)]);
    world.until(&game, "frozen", |status| status.reason == "FrozenByHand").await;
    world.ok(&["unfreeze", "--wait"]);
    world.until(&game, "healed", |status| status.phase == "running").await;
    assert_eq!(world.gk(&["status"]).code, 0);
}

#[tokio::test]
async fn what_would_be_done_is_said_before_it_is() {
    let world = World::started().await;
    let game = world.running("steady").await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    let explained = world.ok(&["explain", "steady"]);
    assert!(explained.contains("should run, and does"), "{explained}");
    let file = world.file(
        "games.yaml",
        "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: steady }\nspec:\n  desiredStatus: Running\n  engineVersion: \"1.4.2\"\n  resources: { memory: 64Mi }\n---\napiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: fresh }\nspec:\n  desiredStatus: Running\n  engineVersion: \"1.4.2\"\n  players: [{ userId: 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10, raceName: Terrans }]\n",
    );
    let plan = json(&world.ok(&["plan", "-f", &file, "-o", "json"]));
    let of = |name: &str| {
        let items = plan["items"].as_array().unwrap();
        items
            .iter()
            .find(|item| item["object"] == format!("game/{name}"))
            .unwrap_or_else(|| panic!("{name}: {plan}"))
    };
    assert_eq!(of("steady")["explanation"]["disruption"], "Restart", "{plan:#}");
    let steps: Vec<String> = ["steps", "afterwards"]
        .iter()
        .flat_map(|list| of("steady")["explanation"][list].as_array().unwrap().clone())
        .filter(|step| step["changes"] == true)
        .map(|step| step["step"].as_str().unwrap().split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(steps, ["stop container", "remove container", "create container", "start container"]);
    assert_eq!(of("fresh")["explanation"]["disruption"], "Start");
    let diff = world.gk(&["diff", "-f", &file]);
    assert_eq!(diff.code, 1);
    assert!(diff.stdout.contains("64Mi") && diff.stdout.contains("fresh"), "{}", diff.stdout);
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    assert_eq!(world.count("SELECT count(*) FROM games").await, 1, "nothing is written");
    // And it is what then happens.
    world.ok(&["apply", "-f", &file]);
    world.ok(&["wait", "game/steady", "--for=condition=Ready", "--timeout=60s"]);
    world.eventually("restarted", async || inspect(&game, "{{.Id}} {{.State.StartedAt}}") != life).await;
    assert_eq!(world.gk(&["diff", "-f", &file]).code, 0);
}
