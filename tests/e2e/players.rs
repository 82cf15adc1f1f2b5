//! Who is which player of the engine: minted, adopted, refused, dropped.

use serde_json::json;
use uuid::Uuid;

use crate::world::World;

/// `race engine-id active`, by race.
async fn mappings(world: &World, game: &str) -> Vec<(String, Uuid, bool)> {
    let query = format!(
        "SELECT race_name, engine_player_uuid, active FROM player_mappings WHERE game_id = '{game}' ORDER BY race_name, active"
    );
    let row = |row: &crate::database::Row| (row.get(0), row.get::<String>(1).parse().unwrap(), row.get(2));
    world.rows(&query).await.iter().map(row).collect()
}

/// Status and message of `PlayersInSync`.
async fn in_sync(world: &World, game: &str) -> (String, String) {
    let query = format!("SELECT conditions FROM runtime_records WHERE game_id = '{game}'");
    let rows = world.rows(&query).await;
    let conditions: serde_json::Value =
        rows.first().map(|row| row.get::<String>(0).parse().unwrap()).unwrap_or_default();
    let of_players = conditions.as_array().into_iter().flatten().find(|c| c["type"] == "PlayersInSync");
    let text = |member: &str| of_players.and_then(|c| c[member].as_str()).unwrap_or_default().to_owned();
    (text("status"), text("message"))
}

async fn join(world: &World, game: &str, race: &str) -> Uuid {
    let user = Uuid::new_v4();
    world
        .sql(&format!(
            "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{user}', '{race}')"
        ))
        .await;
    user
}

#[tokio::test]
async fn the_engines_own_ids_are_adopted_and_survive_a_restart_of_everything() {
    let mut world = World::started().await;
    let game = world.running("andromeda").await;
    let before = mappings(&world, &game).await;
    let [(race, id, true)] = &before[..] else { panic!("{before:?}") };
    assert_eq!((race.as_str(), in_sync(&world, &game).await.0.as_str()), ("Terrans", "True"));
    // It is the engine's: a derived one would be of another version.
    assert_ne!(id.get_version_num(), 0);
    world.kill_keeper();
    world.start();
    let restarted = format!("UPDATE games SET restart_generation = 1 WHERE game_id = '{game}'");
    world.sql(&restarted).await;
    world
        .eventually("it was restarted", async || {
            world.operations(&game).await.contains(&"restart succeeded".to_owned())
        })
        .await;
    assert_eq!(mappings(&world, &game).await, before);

    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    assert_eq!(mappings(&world, &game).await, []);
    let results = format!("SELECT count(*) FROM player_stats WHERE game_id = '{game}'");
    assert_eq!(world.count(&results).await, 1);
    world.sql(&format!("UPDATE games SET desired_status = 'running' WHERE game_id = '{game}'")).await;
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(mappings(&world, &game).await, before);
}

#[tokio::test]
async fn a_change_of_membership_is_shown_with_its_difference() {
    let world = World::started().await;
    let game = world.running("andromeda").await;
    join(&world, &game, "Vulcans").await;
    world.eventually("the difference is shown", async || in_sync(&world, &game).await.0 == "False").await;
    let (_, message) = in_sync(&world, &game).await;
    assert!(message.contains("the engine has no player for Vulcans"), "{message}");
    assert_eq!(mappings(&world, &game).await.len(), 1, "who has no player in the engine is none");

    world
        .sql(&format!(
            "BEGIN IMMEDIATE;
             UPDATE memberships SET status = 'removed' WHERE game_id = '{game}' AND race_name = 'Vulcans';
             UPDATE memberships SET status = 'removed' WHERE game_id = '{game}' AND race_name = 'Terrans';
             COMMIT"
        ))
        .await;
    world
        .eventually("who was removed is refused", async || {
            mappings(&world, &game).await.iter().all(|(_, _, active)| !active)
        })
        .await;
    let (_, message) = in_sync(&world, &game).await;
    assert!(message.contains("nobody plays Terrans"), "{message}");
    assert_eq!(world.status(&game).await.phase, "running", "it is not stranded");

    join(&world, &game, "Terrans").await;
    world.eventually("in sync again", async || in_sync(&world, &game).await.0 == "True").await;
    let now = mappings(&world, &game).await;
    let [(_, left, false), (_, substitute, true)] = &now[..] else { panic!("{now:?}") };
    assert_eq!(left, substitute, "the substitute is the same player of the engine");
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn whatever_an_engine_says_of_its_players_is_shown_and_breaks_nothing() {
    let world = World::started().await;
    for (odd, in_sync_is) in [
        ("otherIds", "True"),
        ("extra", "False"),
        ("missing", "False"),
        ("duplicate", "True"),
        ("badIds", "True"),
    ] {
        let game = Uuid::new_v4().to_string();
        world.misbehave(&game, &json!({ "oddPlayers": odd }));
        world.game_with_id(&game, &format!("odd-{}", odd.to_lowercase()), "1.4.2").await;
        world.until(&game, "running", |status| status.phase == "running").await;
        assert_eq!(in_sync(&world, &game).await.0, in_sync_is, "{odd}");
        let mapped = mappings(&world, &game).await;
        assert_eq!(mapped.len(), usize::from(odd != "missing"), "{odd}: {mapped:?}");
    }
}
