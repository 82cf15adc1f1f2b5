//! Rows that no strict reader can read: their games say so, and nothing is torn down for it.

use uuid::Uuid;

use crate::world::{Status, World, container, docker, exists, inspect};

const LIFE: &str = "{{.Id}} {{.State.StartedAt}}";

/// A table, a column, what breaks it, and what makes it whole again.
const BREAKS: [(&str, &str, &str, &str); 3] = [
    ("games", "turn_schedule", "CAST(x'30ff' AS TEXT)", "''"),
    ("games", "resources", r#"'{"cpu": "\udc00"}'"#, "'{}'"),
    ("memberships", "race_name", "CAST(x'54ff' AS TEXT)", "'Terrans'"),
];

async fn set(world: &World, game: &str, table: &str, column: &str, value: &str) {
    world.sql(&format!("UPDATE {table} SET {column} = {value} WHERE game_id = '{game}'")).await;
}

fn is_told(status: &Status) -> bool {
    status.reason == "UnreadableRow"
}

#[tokio::test]
async fn an_unreadable_row_says_so_and_its_engine_goes_on() {
    let world = World::started().await;
    let (game, good) = (world.running("torn").await, world.running("good").await);
    let before = inspect(&game, LIFE);
    for (table, column, broken, whole) in BREAKS {
        set(&world, &game, table, column, broken).await;
        let status = world.until(&game, "told", is_told).await;
        assert_eq!(status.phase, "running", "{status:?}");
        let name = format!("{table}.{column}");
        assert!(
            status.message.contains(&name) && status.message.contains("write this column anew"),
            "{status:?}"
        );
        let listed = world.ok(&["get", "games"]);
        assert!(listed.lines().any(|line| line.contains("torn") && line.contains("False")), "{listed}");
        let described = world.ok(&["describe", "game/torn"]);
        assert!(described.contains(&name) && described.contains("UnreadableRow"), "{described}");
        set(&world, &game, table, column, whole).await;
        world.until(&game, "whole again", |status| !is_told(status) && status.phase == "running").await;
    }
    assert_eq!(inspect(&game, LIFE), before, "nothing was done to its engine");
    world.ok(&["restart", "good", "--wait", "--timeout", "60s"]);
    assert!(exists(&good));
}

#[tokio::test]
async fn an_unreadable_row_heals_stops_and_starts_as_far_as_it_can_be_read() {
    let world = World::started().await;
    let game = world.running("torn").await;
    set(&world, &game, "games", "annotations", r#"'{"x": 1e999}'"#).await;
    set(&world, &game, "games", "resources", r#"'{"cpu": "\udc00"}'"#).await;
    world.until(&game, "told", is_told).await;
    docker(&["kill", &container(&game)]);
    let healed = |s: &Status| s.restarts == 1 && s.phase == "running" && is_told(s);
    world.until(&game, "healed from what was applied", healed).await;
    set(&world, &game, "games", "desired_status", "'stopped'").await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    assert!(!exists(&game));
    set(&world, &game, "games", "desired_status", "'running'").await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(world.inits(&game), 1);
    set(&world, &game, "games", "resources", "'{}'").await;
    // Somebody who writes the whole object writes what could not be read too.
    world.ok(&["stop", "torn", "--wait", "--timeout", "60s"]);
    let broken =
        format!("SELECT count(*) FROM games WHERE game_id = '{game}' AND annotations LIKE '%1e999%'");
    assert_eq!(world.count(&broken).await, 0);
    world.ok(&["delete", "torn", "--wait", "--timeout", "60s"]);
    assert!(!exists(&game));
}

#[tokio::test]
async fn a_row_unreadable_from_the_first_is_invalid_until_it_is_corrected() {
    let world = World::started().await;
    let user = Uuid::new_v4();
    let insert = |game: &str, name: &str| {
        format!(
            "BEGIN IMMEDIATE;
             INSERT INTO games (game_id, name, desired_status, target_engine_version, resources)
             VALUES ('{game}', '{name}', 'running', '1.4.2', '{{\"cpu\": \"\\ud800\"}}');
             INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{user}', 'Terrans');
             COMMIT"
        )
    };
    let (by_row, by_manifest) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    world.sql(&insert(&by_row, "by-row")).await;
    world.sql(&insert(&by_manifest, "by-manifest")).await;
    for game in [&by_row, &by_manifest] {
        let status = world.until(game, "invalid", |status| status.phase == "invalid").await;
        assert!(is_told(&status) && status.message.contains("games.resources"), "{status:?}");
        assert!(!exists(game) && !world.state_root().join(game).exists());
    }
    let lobby = "SELECT count(*) FROM game_status WHERE status = 'invalid' AND reason = 'UnreadableRow' AND NOT ready";
    assert_eq!(world.count(lobby).await, 2);

    set(&world, &by_row, "games", "resources", "'{}'").await;
    let manifest = format!(
        "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: {{ name: by-manifest }}\nspec:\n  desiredStatus: Running\n  engineVersion: \"1.4.2\"\n  players: [{{ userId: {user}, raceName: Terrans }}]\n"
    );
    let file = world.file("by-manifest.yaml", &manifest);
    world.ok(&["apply", "-f", &file, "--wait", "--timeout", "60s"]);
    world.until(&by_row, "running", |status| status.phase == "running").await;
    assert!(world.ok(&["apply", "-f", &file]).contains("unchanged"));
}

#[tokio::test]
async fn what_only_people_read_keeps_no_game_from_starting_and_is_told() {
    let world = World::started().await;
    let (game, user) = (Uuid::new_v4(), Uuid::new_v4());
    world
        .sql(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO games (game_id, name, desired_status, target_engine_version, labels, annotations, display_name)
             VALUES ('{game}', 'torn', 'running', '1.4.2', '{{\"x\": \"\\ud800\"}}', '{{\"x\": 7}}', CAST(x'ff' AS TEXT));
             INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{user}', 'Terrans');
             COMMIT"
        ))
        .await;
    let game = game.to_string();
    world.until(&game, "running", |status| status.phase == "running" && !is_told(status)).await;
    let described = world.ok(&["describe", "game/torn"]);
    for told in ["games.labels", "games.display_name", "metadata.annotations[x]", "write this column anew"] {
        assert!(described.contains(told), "{told}: {described}");
    }
    let settled = format!("SELECT count(*) FROM game_status WHERE game_id = '{game}' AND settled AND ready");
    world.eventually("settled", async || world.count(&settled).await == 1).await;
}

#[tokio::test]
async fn an_unreadable_engine_version_starts_nothing_and_stops_nobody() {
    let world = World::started().await;
    let old = world.game("old", "1.4.1").await;
    world.until(&old, "running", |status| status.phase == "running").await;
    let before = inspect(&old, LIFE);
    world.sql(r#"UPDATE engine_versions SET resources = '{"cpu": "\ud800"}' WHERE version = '1.4.1'"#).await;
    let told = |status: &Status| status.reason == "UnknownEngineVersion";
    let status = world.until(&old, "told", told).await;
    assert_eq!((status.phase.as_str(), inspect(&old, LIFE)), ("running", before.clone()));
    let new = world.game("new", "1.4.1").await;
    world.until(&new, "invalid", |status| status.phase == "invalid").await;
    world.running("other").await;
    let listed = world.ok(&["get", "engineversions"]);
    assert!(listed.contains("1.4.1") && listed.contains("1.4.2"), "{listed}");
    let manifest = "apiVersion: gamekeeper.dev/v1\nkind: EngineVersion\nmetadata: { name: \"1.4.1\" }\nspec: { image: \"gamekeeper/reference-engine:1.4.1\" }\n";
    world.ok(&["apply", "-f", &world.file("version.yaml", manifest)]);
    world.until(&new, "running", |status| status.phase == "running").await;
    world.until(&old, "as it was", |status| status.phase == "running" && !told(status)).await;
    assert_eq!(inspect(&old, LIFE), before);
}

#[tokio::test]
async fn rows_past_the_databases_own_checks_hurt_nobody() {
    let world = World::started().await;
    let (running, stopped) = (world.running("running").await, world.running("stopped").await);
    world.ok(&["stop", "stopped", "--wait", "--timeout", "60s"]);
    let before = inspect(&running, LIFE);
    let nameless = Uuid::new_v4();
    world
        .sql(&format!(
            "PRAGMA ignore_check_constraints = ON;
             UPDATE games SET desired_status = 'flying' WHERE game_id IN ('{running}', '{stopped}');
             INSERT INTO games (game_id, name, desired_status) VALUES
                 ('../../etc', 'dots', 'running'),
                 ('{}', 'loud', 'running'),
                 ('{{{nameless}}}', 'braced', 'running'),
                 (CAST(x'ff' AS TEXT), 'bytes', 'running'),
                 ('{nameless}', '../x', 'running')",
            nameless.to_string().to_uppercase()
        ))
        .await;
    let later = world.running("later").await;
    for (game, phase) in [(&running, "running"), (&stopped, "stopped")] {
        let told = |status: &Status| status.phase == phase;
        world.until(game, phase, told).await;
        let spec = format!(
            "SELECT conditions LIKE '%spec.desiredStatus%' FROM runtime_records WHERE game_id = '{game}'"
        );
        world.eventually("its mistake is shown", async || world.count(&spec).await == 1).await;
    }
    assert_eq!(inspect(&running, LIFE), before, "what runs goes on");
    assert!(!exists(&stopped), "what stands still is not started by a slip of the pen");
    let status = world.until(&nameless.to_string(), "invalid", |status| status.phase == "invalid").await;
    assert!(is_told(&status) && status.message.contains("games.name"), "{status:?}");
    let listed = world.ok(&["get", "games"]);
    assert!(listed.contains("later") && listed.contains(&nameless.to_string()), "{listed}");
    let known = world.count("SELECT count(*) FROM runtime_records").await;
    assert_eq!(known, 4, "no record of a game without an identity");
    assert!(exists(&later));
}
