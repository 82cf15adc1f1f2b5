//! `player_mappings` and `player_stats`: who is which player of the engine, and how each does.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::game::player::{Mapping, Standing};
use crate::game::{GameId, UserId};

use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::entity::{player_mappings, player_stats};
use super::{Store, StoreError};

impl Store {
    /// Who is which player of the engine, by game; each game's in the order of users.
    pub(super) async fn mappings(
        &self,
        games: &[DbUuid],
    ) -> Result<HashMap<GameId, Vec<Mapping>>, StoreError> {
        let rows = player_mappings::Entity::find()
            .filter(player_mappings::Column::GameId.is_in(games.iter().copied()))
            .order_by_asc(player_mappings::Column::UserId)
            .all(&self.db)
            .await?;
        let mut of = HashMap::<_, Vec<_>>::new();
        for row in rows {
            // A name that is none was written by hand; the next look at the engine puts it right.
            let Ok(race_name) = row.race_name.parse() else { continue };
            of.entry(GameId(row.game_id.0)).or_default().push(Mapping {
                user_id: UserId(row.user_id.0),
                race_name,
                engine_id: row.engine_player_uuid.0,
                active: row.active,
            });
        }
        Ok(of)
    }

    /// The standing of each user in these games, by game; each game's in the order of users.
    pub(super) async fn standings(
        &self,
        games: &[DbUuid],
    ) -> Result<HashMap<GameId, Vec<Standing>>, StoreError> {
        let rows = player_stats::Entity::find()
            .filter(player_stats::Column::GameId.is_in(games.iter().copied()))
            .order_by_asc(player_stats::Column::UserId)
            .all(&self.db)
            .await?;
        let mut of = HashMap::<_, Vec<_>>::new();
        for row in rows {
            let Ok(race_name) = row.race_name.parse() else { continue };
            of.entry(GameId(row.game_id.0)).or_default().push(Standing {
                user_id: UserId(row.user_id.0),
                race_name,
                timeline: row.timeline,
                turn: row.turn,
                planets: row.planets,
                population: row.population,
                most_planets: row.max_planets,
                most_population: row.max_population,
            });
        }
        Ok(of)
    }
}

/// Makes these the game's mappings, and there are no others.
pub(super) async fn write_mappings(
    db: &impl ConnectionTrait,
    game: GameId,
    players: &[Mapping],
) -> Result<(), DbErr> {
    use player_mappings::{ActiveModel, Column, Entity};
    let users = players.iter().map(|player| DbUuid(player.user_id.0));
    Entity::delete_many()
        .filter(Column::GameId.eq(DbUuid(game.0)))
        .filter(Column::UserId.is_not_in(users))
        .exec(db)
        .await?;
    let now = to_db(jiff::Timestamp::now());
    let rows = players.iter().map(|player| ActiveModel {
        game_id: Set(DbUuid(game.0)),
        user_id: Set(DbUuid(player.user_id.0)),
        race_name: Set(player.race_name.to_string()),
        engine_player_uuid: Set(DbUuid(player.engine_id)),
        active: Set(player.active),
        updated_at: Set(now),
    });
    let in_place = OnConflict::columns([Column::GameId, Column::UserId])
        .update_columns([Column::RaceName, Column::EnginePlayerUuid, Column::Active, Column::UpdatedAt])
        .to_owned();
    for chunk in chunks(rows) {
        Entity::insert_many(chunk).on_conflict(in_place.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Writes how these users do; the others stay as they are.
pub(super) async fn write_standings(
    db: &impl ConnectionTrait,
    game: GameId,
    standings: &[Standing],
) -> Result<(), DbErr> {
    use player_stats::{ActiveModel, Column, Entity};
    let now = to_db(jiff::Timestamp::now());
    let rows = standings.iter().map(|standing| ActiveModel {
        game_id: Set(DbUuid(game.0)),
        user_id: Set(DbUuid(standing.user_id.0)),
        race_name: Set(standing.race_name.to_string()),
        timeline: Set(standing.timeline),
        turn: Set(standing.turn),
        planets: Set(standing.planets),
        population: Set(standing.population),
        max_planets: Set(standing.most_planets),
        max_population: Set(standing.most_population),
        updated_at: Set(now),
    });
    let in_place = OnConflict::columns([Column::GameId, Column::UserId])
        .update_columns([
            Column::RaceName,
            Column::Timeline,
            Column::Turn,
            Column::Planets,
            Column::Population,
            Column::MaxPlanets,
            Column::MaxPopulation,
            Column::UpdatedAt,
        ])
        .to_owned();
    for chunk in chunks(rows) {
        Entity::insert_many(chunk).on_conflict(in_place.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// As many rows as one statement takes: databases bound its variables (SQLite: 32,766).
fn chunks<T>(rows: impl Iterator<Item = T>) -> Vec<Vec<T>> {
    const ROWS: usize = 1_000;
    let mut chunks: Vec<Vec<T>> = Vec::new();
    for row in rows {
        match chunks.last_mut().filter(|chunk| chunk.len() < ROWS) {
            Some(chunk) => chunk.push(row),
            None => chunks.push(vec![row]),
        }
    }
    chunks
}
