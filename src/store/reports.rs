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

/// The engine's answer as it was understood, in the contract's own words.
fn payload(state: &EngineState) -> Value {
    let players = state.players.iter().map(|player| {
        json!({
            "id": player.id,
            "raceName": player.race_name,
            "planets": player.planets,
            "population": player.population,
        })
    });
    json!({
        "gameId": state.game_id.map(|game| game.to_string()),
        "turn": state.turn,
        "generating": state.generating,
        "finished": state.finished,
        "players": players.collect::<Vec<_>>(),
    })
}
