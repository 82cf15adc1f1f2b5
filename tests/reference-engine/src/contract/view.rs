//! The state as it is told, which knobs may make differ from the state as it is.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Contract;
use crate::engine::Engine;
use crate::game::{Game, player_id};
use crate::http::Answer;
use crate::knobs::{Knobs, OddPlayers};

pub(super) fn state(engine: &Engine, game: &Game, generating: bool, knobs: &Knobs) -> Answer {
    let turn = game.turn.saturating_sub(knobs.lower_turn_by);
    let mut state = json!({
        "turn": turn,
        "generating": generating,
        "finished": game.finished,
        "players": players(game, knobs.odd_players),
        "version": engine.config.version,
    });
    match (engine.config.contract, &knobs.wrong_game_id) {
        (_, Some(wrong)) => state["gameId"] = json!(wrong),
        (Contract::V1, None) => state["gameId"] = json!(game.game_id),
        (Contract::V0, None) => {}
    }
    if knobs.pad_status_bytes > 0 {
        state["padding"] = json!("x".repeat(knobs.pad_status_bytes));
    }
    let answer = Answer::json(200, &state);
    match engine.config.contract {
        Contract::V1 => answer.with("etag", format!("\"{turn}\"")),
        Contract::V0 => answer,
    }
}

fn players(game: &Game, odd: Option<OddPlayers>) -> Vec<Value> {
    let one = |id: String, race: &str, planets: u64, population: u64| json!({ "id": id, "raceName": race, "planets": planets, "population": population });
    let mut players: Vec<Value> = game
        .players
        .iter()
        .map(|player| {
            let id = match odd {
                Some(OddPlayers::OtherIds) => Uuid::new_v5(&player.id, b"other").to_string(),
                Some(OddPlayers::BadIds) => format!("player-{}", player.race_name),
                Some(OddPlayers::Extra | OddPlayers::Missing | OddPlayers::Duplicate) | None => {
                    player.id.to_string()
                }
            };
            one(id, &player.race_name, player.planets, player.population)
        })
        .collect();
    match odd {
        Some(OddPlayers::Extra) => {
            players.push(one(player_id(&game.game_id, "Stowaways").to_string(), "Stowaways", 1, 1));
        }
        Some(OddPlayers::Missing) => drop(players.pop()),
        Some(OddPlayers::Duplicate) => players.extend(players.first().cloned()),
        Some(OddPlayers::OtherIds | OddPlayers::BadIds) | None => {}
    }
    players
}
