//! `runtime_health_snapshots`: what each engine reported, when.

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};
use serde_json::{Value, json};

use crate::game::GameId;
use crate::game::engine::EngineState;
use crate::game::player::Report;

use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::entity::runtime_health_snapshots::{ActiveModel, Entity};
use super::records::cut;

/// The longest text of an error that the schema takes, in bytes.
const MESSAGE: usize = 4_096;

/// Keeps what the engine reported.
pub(super) async fn write(
    db: &impl ConnectionTrait,
    game: GameId,
    timeline: i64,
    report: &Report,
) -> Result<(), DbErr> {
    let state = report.state.as_ref();
    let row = ActiveModel {
        game_id: Set(DbUuid(game.0)),
        observed_at: Set(to_db(report.at)),
        container_id: Set(Some(report.container.to_string())),
        engine_health: Set(report.health.as_row().to_owned()),
        timeline: Set(timeline),
        turn: Set(state.map(|state| state.turn)),
        generating: Set(state.map(|state| state.generating)),
        finished: Set(state.map(|state| state.finished)),
        payload: Set(state.map_or_else(|| json!({}), payload)),
        error_message: Set(report.error.as_ref().map(|error| cut(error, MESSAGE))),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The most that is kept of the players in one report, in bytes of JSON; how each of the game's own
/// does is in `player_stats`.
const PLAYERS: usize = 16 << 10;

/// The engine's answer as it was understood, in the contract's own words. Of very many players the
/// first are kept, and how many are not.
fn payload(state: &EngineState) -> Value {
    let mut room = PLAYERS;
    let mut players = Vec::new();
    for player in &state.players {
        let player = json!({
            "id": player.id.as_str(),
            "raceName": player.race_name.as_str(),
            "planets": player.planets,
            "population": player.population,
        });
        let Some(left) = room.checked_sub(player.to_string().len()) else { break };
        room = left;
        players.push(player);
    }
    let left_out = state.players.len() - players.len();
    let mut payload = json!({
        "gameId": state.game_id.map(|game| game.to_string()),
        "turn": state.turn,
        "generating": state.generating,
        "finished": state.finished,
        "players": players,
    });
    if left_out > 0 {
        payload["playersLeftOut"] = left_out.into();
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::engine::EnginePlayer;

    #[test]
    fn of_very_many_players_a_bounded_part_is_kept() {
        let player = |n: usize| EnginePlayer {
            id: format!("{n:0>128}").parse().unwrap(),
            race_name: format!("{n:0>64}").parse().unwrap(),
            planets: i64::from(u32::MAX),
            population: 1,
        };
        let state = |players: usize| EngineState {
            game_id: None,
            turn: 3,
            generating: false,
            finished: false,
            players: (0..players).map(player).collect(),
        };
        let many = payload(&state(5_000));
        assert!(many.to_string().len() < PLAYERS + 1_024);
        let kept = many["players"].as_array().unwrap().len();
        assert_eq!(many["playersLeftOut"], 5_000 - kept);
        assert!(kept > 40, "{kept}");
        let few = payload(&state(40));
        assert_eq!((few["players"].as_array().unwrap().len(), few.get("playersLeftOut")), (40, None));
    }
}
