//! What is done to engines, behind the controllers' backs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::lobby::CALM;
use super::report::Record;
use crate::world::{World, container, docker};

/// Ways of being a bad engine, for a while.
fn manners(random: &mut StdRng) -> Value {
    match random.random_range(0..8) {
        0 => json!({ "slowTurnMs": 1_500 }),
        1 => json!({ "hangOnTurn": 0, "hangMs": 4_000, "hangTimes": 1_000 }),
        2 => json!({ "crashOnTurn": 0, "crashWhen": "during", "crashTimes": 2 }),
        3 => json!({ "crashOnTurn": 0, "crashWhen": "after", "crashTimes": 1 }),
        4 => json!({ "dropTurnAnswer": true }),
        5 => json!({ "slowStatusMs": 700 }),
        _ => json!({}),
    }
}

/// Goes on until it is told to end, and leaves no engine frozen or badly behaved.
pub(super) async fn suffer(
    world: Arc<World>,
    record: Arc<Record>,
    reach: u64,
    seed: u64,
    over: CancellationToken,
) {
    let mut random = StdRng::seed_from_u64(seed);
    while !over.is_cancelled() {
        let pause = Duration::from_millis(random.random_range(500..6_000));
        let _ = tokio::time::timeout(pause, over.cancelled()).await;
        let games = game_ids(&world).await;
        if games.is_empty() {
            continue;
        }
        let game = &games[random.random_range(0..games.len())];
        let began = Instant::now();
        let kind = blow(&world, &mut random, game, reach, &over).await;
        record.blow(kind, game, began, false);
    }
    for game in game_ids(&world).await {
        docker(&["unpause", &container(&game)]);
        behave(&world, &game, &json!({}));
    }
}

async fn blow(
    world: &World,
    random: &mut StdRng,
    game: &str,
    reach: u64,
    over: &CancellationToken,
) -> &'static str {
    let name = container(game);
    match random.random_range(0..9) {
        0 | 1 => {
            docker(&["kill", &name]);
            "engine killed"
        }
        2 => {
            docker(&["stop", "--time", "1", &name]);
            "engine stopped"
        }
        3 => {
            docker(&["pause", &name]);
            let long = Duration::from_secs(random.random_range(1..=reach.clamp(2, 15)));
            let _ = tokio::time::timeout(long, over.cancelled()).await;
            docker(&["unpause", &name]);
            "engine frozen"
        }
        4 => {
            docker(&["network", "disconnect", "--force", world.network(), &name]);
            "engine off its network"
        }
        5 => {
            docker(&["rm", "--force", &name]);
            "engine removed"
        }
        _ => {
            behave(world, game, &manners(random));
            "engine's manners changed"
        }
    }
}

/// At once, as the engine reads it at each request; not where there is no state.
fn behave(world: &World, game: &str, how: &Value) {
    let directory = world.state_root().join(game);
    let (new, file) = (world.dir.path().join(format!("manners-{game}")), directory.join("misbehave.json"));
    std::fs::write(&new, how.to_string()).unwrap();
    if directory.is_dir() {
        let _ = std::fs::rename(new, file);
    }
}

async fn game_ids(world: &World) -> Vec<String> {
    let query = format!("SELECT game_id::text FROM games WHERE name NOT LIKE '{CALM}%'");
    loop {
        match super::watch::asked(world, &query).await {
            Ok(rows) => return rows.into_iter().map(|mut row| row.remove(0)).collect(),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
