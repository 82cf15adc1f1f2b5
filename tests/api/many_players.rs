//! Games with thousands of players: what it costs to write one grows with their number, not with its square.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{GAMES, World, game, read};

/// `GAMEKEEPER_ROWS=5000` is for figures of a release build.
fn many() -> usize {
    std::env::var("GAMEKEEPER_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

fn manifest(name: &str, races: &str, players: usize) -> Value {
    let mut manifest = game(name);
    let player =
        |n: usize| json!({ "userId": uuid::Uuid::from_u128(n as u128), "raceName": format!("{races}{n}") });
    manifest["spec"]["players"] = (0..players).map(player).collect();
    manifest
}

async fn apply(world: &World, name: &str, manifest: &Value) -> (Duration, Value) {
    let began = Instant::now();
    let path = format!("{GAMES}/{name}?fieldManager=test");
    let request = world.request(Method::PATCH, &path).header("content-type", "application/apply-patch+yaml");
    let answer = read(request.body(manifest.to_string()).send().await.unwrap()).await;
    assert!(answer.code.is_success(), "{:?}", answer.json);
    (began.elapsed(), answer.json)
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_players_are_applied_as_one_change_in_time_that_grows_with_their_number() {
    let world = World::new().await;
    let (few, many) = (many() / 4, many());
    let mut took = Vec::new();
    for (name, players) in [("few", few), ("many", many)] {
        let (made, object) = apply(&world, name, &manifest(name, "a", players)).await;
        assert_eq!(object["metadata"]["generation"], 1);
        assert_eq!(object["spec"]["players"].as_array().unwrap().len(), players);
        // The same again changes nothing.
        let (same, object) = apply(&world, name, &manifest(name, "a", players)).await;
        assert_eq!(object["metadata"]["generation"], 1);
        // Every player has another race, and a tenth of them is gone.
        let (changed, object) = apply(&world, name, &manifest(name, "b", players - players / 10)).await;
        assert_eq!(object["metadata"]["generation"], 2);
        assert_eq!(object["spec"]["players"].as_array().unwrap().len(), players - players / 10);
        let changes = format!(
            "SELECT count(*) FROM game_changes AS c JOIN games AS g ON g.game_id = c.game_id WHERE g.name = '{name}'"
        );
        assert_eq!(world.database.count(&changes).await, 2);
        eprintln!("{players} players: made in {made:?}, the same again {same:?}, changed in {changed:?}");
        took.push(made + same + changed);
    }
    // A second or two; it was minutes.
    assert!(took[1] < Duration::from_secs(60), "{took:?}");
    assert!(took[1] < took[0].max(Duration::from_millis(200)) * 8, "{took:?}");
    world.end().await;
}
