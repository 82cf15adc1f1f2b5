//! Player mappings, on rows written by hand: what a proxy in front of the engines asks.

use gamekeeper::api::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{GAMES, World, game, read, token};

const ROOT: &str = "/apis/gamekeeper.dev/v1";
const MAPPINGS: &str = "/apis/gamekeeper.dev/v1/namespaces/default/playermappings";
/// Who plays by the manifest.
const ANN: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
const BOB: &str = "0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21";
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const PLAYER: &str = "11111111-0000-4000-8000-000000000001";

/// A server with a game of two, which runs; its id.
async fn played() -> (World, String) {
    let world = World::with(|tokens| token(tokens, Role::Viewer, "proxy")).await;
    let made = world.post(GAMES, &game("andromeda")).await.ok(201);
    let id = made["metadata"]["uid"].as_str().unwrap().to_owned();
    world.sql(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{id}', '{BOB}', 'Martians');
         INSERT INTO runtime_records (game_id, name, status, message, current_turn, engine_endpoint, endpoints)
         VALUES ('{id}', 'andromeda', 'running', 'The engine is healthy.', 4, '172.18.0.2:8080', '{{\"hostName\": \"game-{id}:8080\", \"address\": \"172.18.0.2:8080\", \"published\": null}}');
         INSERT INTO player_mappings (game_id, user_id, race_name, engine_player_uuid) VALUES
         ('{id}', '{ANN}', 'Terrans', '{PLAYER}'),
         ('{id}', '{BOB}', 'Martians', '11111111-0000-4000-8000-000000000002');
         INSERT INTO player_stats (game_id, user_id, race_name, turn, planets, population, max_planets, max_population)
         VALUES ('{id}', '{ANN}', 'Terrans', 4, 3, 120, 5, 140);"
    ))
    .await;
    (world, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_finds_player_and_engine_by_game_and_user() {
    let (world, id) = played().await;
    let expected = json!({
        "active": true, "enginePlayerId": PLAYER, "serving": true, "phase": "Running",
        "message": "The engine is healthy.", "endpoint": "172.18.0.2:8080",
        "endpoints": { "hostName": format!("game-{id}:8080"), "address": "172.18.0.2:8080" },
        "currentTurn": 4,
    });
    let paths = [
        format!("{MAPPINGS}/andromeda.{ANN}"),
        format!("{MAPPINGS}/{id}.{ANN}"),
        format!("{ROOT}/playermappings/{id}.{ANN}"),
    ];
    for path in &paths {
        // A viewer's token is enough for a proxy.
        let asked = world.anonymous(Method::GET, path).bearer_auth("proxy").send().await.unwrap();
        let found = read(asked).await.ok(200);
        assert_eq!(
            (&found["kind"], &found["metadata"]["name"]),
            (&json!("PlayerMapping"), &json!(format!("{id}.{ANN}")))
        );
        assert_eq!(
            found["spec"],
            json!({ "game": "andromeda", "gameId": id, "userId": ANN, "raceName": "Terrans" })
        );
        assert_eq!(found["status"], expected, "{path}");
    }
    read(world.anonymous(Method::GET, &paths[0]).send().await.unwrap()).await.refused(401, "Unauthorized");
    let unknown = world.get(&format!("{MAPPINGS}/andromeda.{NOBODY}")).await.refused(404, "NotFound");
    assert!(
        unknown["message"].as_str().unwrap().contains("nobody plays in game \"andromeda\""),
        "{unknown:#}"
    );
    for nowhere in [
        format!("{MAPPINGS}/orion.{ANN}"),
        format!("{ROOT}/playermappings/andromeda.{ANN}"),
        format!("{ROOT}/namespaces/other/playermappings/andromeda.{ANN}"),
        format!("{ROOT}/namespaces/other/playermappings/{id}.{ANN}"),
    ] {
        world.get(&nowhere).await.refused(404, "NotFound");
    }
    for wrong in ["andromeda", "andromeda.x", &format!("andromeda.{}", ANN.to_uppercase()), ".x"] {
        world.get(&format!("{MAPPINGS}/{wrong}")).await.refused(400, "BadRequest");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_is_refused_before_any_controller_has_seen_it() {
    let (world, id) = played().await;
    let of = |user: &str| format!("{MAPPINGS}/andromeda.{user}");
    let set = async |status: &str| {
        world
            .sql(&format!(
                "UPDATE memberships SET status = '{status}' WHERE game_id = '{id}' AND user_id = '{ANN}'"
            ))
            .await;
    };
    world.get(&of(ANN)).await.ok(200);
    set("removed").await;
    let refused = world.get(&of(ANN)).await.refused(403, "Forbidden");
    assert_eq!(refused["message"], format!("user {ANN} was removed from game \"andromeda\""));
    set("active").await;
    world.get(&of(ANN)).await.ok(200);
    world.sql(&format!("DELETE FROM memberships WHERE game_id = '{id}' AND user_id = '{ANN}'")).await;
    world.get(&of(ANN)).await.refused(403, "Forbidden");
    // Once the controller has dropped what it knew, nobody has ever heard of the user.
    world.sql(&format!("DELETE FROM player_mappings WHERE game_id = '{id}' AND user_id = '{ANN}'")).await;
    world.get(&of(ANN)).await.refused(404, "NotFound");
    // A game whose row is gone lets nobody in, whatever is still on record.
    world.sql(&format!("DELETE FROM games WHERE game_id = '{id}'")).await;
    world.get(&of(BOB)).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_a_player_that_is_not_theirs_or_to_an_engine_that_does_not_serve() {
    let (world, id) = played().await;
    let status = async |user: &str| {
        let found: Value = world.get(&format!("{MAPPINGS}/andromeda.{user}")).await.ok(200);
        found["status"].clone()
    };
    // They change places, and the controller has not seen it yet.
    world.sql(&format!(
        "BEGIN;
         UPDATE memberships SET status = 'removed' WHERE game_id = '{id}';
         UPDATE memberships SET status = 'active', race_name = 'Martians' WHERE game_id = '{id}' AND user_id = '{ANN}';
         UPDATE memberships SET status = 'active', race_name = 'Terrans' WHERE game_id = '{id}' AND user_id = '{BOB}';
         COMMIT"
    ))
    .await;
    for user in [ANN, BOB] {
        let status = status(user).await;
        assert_eq!((status.get("enginePlayerId"), &status["serving"]), (None, &json!(false)), "{status:#}");
    }
    world
        .sql(&format!(
            "UPDATE player_mappings SET race_name = 'Martians' WHERE game_id = '{id}' AND user_id = '{ANN}'"
        ))
        .await;
    assert_eq!(status(ANN).await["serving"], true);
    world.sql("UPDATE player_mappings SET active = false").await;
    assert_eq!(status(ANN).await["serving"], false);
    world.sql("UPDATE player_mappings SET active = true").await;
    world.sql("UPDATE runtime_records SET engine_endpoint = NULL, endpoints = NULL, status = 'crash_loop', message = 'It exits.'").await;
    let status = status(ANN).await;
    assert_eq!(
        (
            &status["serving"],
            &status["phase"],
            &status["message"],
            status.get("endpoint"),
            status.get("endpoints")
        ),
        (&json!(false), &json!("CrashLoop"), &json!("It exits."), None, None)
    );
    // A game that nobody has looked at yet has members all the same.
    world.post(GAMES, &game("orion")).await.ok(201);
    let new = world.get(&format!("{MAPPINGS}/orion.{ANN}")).await.ok(200);
    assert_eq!(new["status"], json!({ "active": true, "serving": false }));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_listed_with_how_they_do_those_who_left_too() {
    let (world, id) = played().await;
    world
        .sql(&format!(
            "UPDATE memberships SET status = 'removed' WHERE game_id = '{id}' AND user_id = '{BOB}'"
        ))
        .await;
    let list = world.get(&format!("{MAPPINGS}?fieldSelector=spec.game=andromeda")).await.ok(200);
    assert_eq!(list["kind"], "PlayerMappingList");
    let items = list["items"].as_array().unwrap();
    assert_eq!((&items[0]["spec"]["userId"], &items[0]["status"]["active"]), (&json!(BOB), &json!(false)));
    assert_eq!(
        items[1]["status"],
        json!({
            "active": true, "enginePlayerId": PLAYER,
            "stats": { "turn": 4, "planets": 3, "population": 120, "highestPlanets": 5, "highestPopulation": 140 },
        })
    );
    let first = world.get(&format!("{ROOT}/playermappings?limit=1")).await.ok(200);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(1));
    // How they did outlives the game.
    world.sql(&format!("DELETE FROM player_mappings; DELETE FROM games WHERE game_id = '{id}'")).await;
    let left = world.get(&format!("{MAPPINGS}?fieldSelector=spec.gameId={id}")).await.ok(200);
    let left = left["items"].as_array().unwrap();
    assert_eq!(
        (left.len(), &left[0]["spec"]["game"], &left[0]["status"]["active"]),
        (1, &json!("andromeda"), &json!(false))
    );
    world.end().await;
}
