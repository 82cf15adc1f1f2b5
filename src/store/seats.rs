//! Who plays as which player of the engine: looked up for a proxy, one at a time, and listed for
//! people, with how each does.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, JsonValue, QueryFilter, QueryOrder,
    QuerySelect, RelationDef,
};
use uuid::Uuid;

use crate::game::record::Endpoints;
use crate::game::{GameId, Phase, UserId};

use super::convert::from_db;
use super::db_uuid::DbUuid;
use super::entity::{games, memberships, player_mappings, player_stats, runtime_records};
use super::lookup::GameFilter;
use super::mark::{Mark, above, nothing};
use super::{Store, StoreError};

/// A member's place in a game, and where the game is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its game.
    pub game: GameId,
    /// The game's namespace.
    pub namespace: String,
    /// The game's name.
    pub name: String,
    /// The member.
    pub user: UserId,
    /// The race, as the lobby has it.
    pub race: String,
    /// The engine's player; none while the game has no engine, or this race no player yet.
    pub engine_player: Option<Uuid>,
    /// How the game is; none until the controller has looked at it.
    pub phase: Option<Phase>,
    /// Why it is so.
    pub message: String,
    /// Where the engine is reached; none unless it serves.
    pub endpoint: Option<String>,
    /// Every way to reach it.
    pub endpoints: Option<Endpoints>,
    /// The turn that the engine is at.
    pub current_turn: Option<i64>,
}

/// Why somebody has no seat.
#[derive(Debug, thiserror::Error)]
pub enum SeatRefusal {
    /// There is no such game.
    #[error("there is no such game")]
    NoGame,
    /// The game does not know the user.
    #[error("the game does not know this user")]
    NoPlayer,
    /// The user played, and does no more.
    #[error("the user was removed from the game")]
    Removed,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a user does, now and at the best so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerStats {
    /// The turn at which that was reported.
    pub turn: i64,
    /// Planets at that turn.
    pub planets: i64,
    /// Population at that turn.
    pub population: i64,
    /// The most planets so far.
    pub max_planets: i64,
    /// The highest population so far.
    pub max_population: i64,
    /// When it was written.
    pub updated_at: Timestamp,
}

/// Everything that is known of one user in one game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// The game.
    pub game: GameId,
    /// The game's namespace.
    pub namespace: String,
    /// The game's name.
    pub name: String,
    /// The user.
    pub user: UserId,
    /// The race now, or the last one.
    pub race: String,
    /// Whether the lobby has the user in the game.
    pub active: bool,
    /// The engine's player.
    pub engine_player: Option<Uuid>,
    /// How the user does; none until the engine has said so.
    pub stats: Option<PlayerStats>,
}

#[derive(FromQueryResult)]
struct SeatRow {
    game_id: DbUuid,
    namespace: String,
    name: Option<String>,
    member_race: Option<String>,
    member_status: Option<String>,
    mapped_race: Option<String>,
    mapped_player: Option<DbUuid>,
    mapped_active: Option<bool>,
    phase: Option<String>,
    message: Option<String>,
    endpoint: Option<String>,
    endpoints: Option<JsonValue>,
    current_turn: Option<i64>,
}

/// Those behind this game's (`id`) player (`other`).
fn after(last: Option<&Mark>, game: impl ColumnTrait, user: impl ColumnTrait) -> Condition {
    last.map_or_else(Condition::all, |last| {
        above(game, DbUuid(last.id), above(user, DbUuid(last.other), nothing()))
    })
}

/// The row of this user in another table of this game.
fn of_user<E, C>(entity: E, game: C, user: C, of: UserId) -> RelationDef
where
    E: EntityTrait<Column = C>,
    C: ColumnTrait,
{
    let id = DbUuid(of.0);
    games::Entity::belongs_to(entity)
        .from(games::Column::GameId)
        .to(game)
        .on_condition(move |_, table| Expr::col((table, user)).eq(id).into_condition())
        .into()
}

impl Store {
    /// The seat of a user in a game, which is named by its id or, in its namespace, by its name. One
    /// statement, by primary keys alone.
    ///
    /// Who plays is what the lobby says now; the controller need not have seen it.
    ///
    /// # Errors
    /// There is no seat, or the database failed.
    pub async fn seat(&self, namespace: Option<&str>, game: &str, user: UserId) -> Result<Seat, SeatRefusal> {
        use memberships::Column as M;
        use player_mappings::Column as P;
        use runtime_records::Column as R;
        let mut query = games::Entity::find()
            .select_only()
            .columns([games::Column::GameId, games::Column::Namespace, games::Column::Name])
            .join(JoinType::LeftJoin, of_user(memberships::Entity, M::GameId, M::UserId, user))
            .join(JoinType::LeftJoin, of_user(player_mappings::Entity, P::GameId, P::UserId, user))
            .join(
                JoinType::LeftJoin,
                games::Entity::belongs_to(runtime_records::Entity)
                    .from(games::Column::GameId)
                    .to(R::GameId)
                    .into(),
            )
            .column_as(M::RaceName, "member_race")
            .column_as(M::Status, "member_status")
            .column_as(P::RaceName, "mapped_race")
            .column_as(P::EnginePlayerUuid, "mapped_player")
            .column_as(P::Active, "mapped_active")
            .column_as(R::Status, "phase")
            .column_as(R::Message, "message")
            .column_as(R::EngineEndpoint, "endpoint")
            .column_as(R::Endpoints, "endpoints")
            .column_as(R::CurrentTurn, "current_turn");
        if let Some(namespace) = namespace {
            query = query.filter(games::Column::Namespace.eq(namespace));
        }
        let by_id = game.parse::<GameId>().ok();
        let found = match by_id {
            Some(id) => {
                let query = query.clone().filter(games::Column::GameId.eq(DbUuid(id.0)));
                query.into_model::<SeatRow>().one(&self.db).await.map_err(StoreError::from)?
            }
            None => None,
        };
        let found = match (found, namespace) {
            (None, Some(_)) => {
                let query = query.filter(games::Column::Name.eq(game));
                query.into_model().one(&self.db).await.map_err(StoreError::from)?
            }
            (found, _) => found,
        };
        seat_of(found.ok_or(SeatRefusal::NoGame)?, user)
    }

    /// Who plays or played in these games: by game, then by user; behind this one, if one is given.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_players(
        &self,
        of: &GameFilter,
        behind: Option<&Mark>,
        limit: u64,
    ) -> Result<Vec<Player>, StoreError> {
        let games = self.games_of(of).await?;
        // The first so many of all are among the first so many of each.
        let members = memberships::Entity::find()
            .filter(games.condition(memberships::Column::GameId))
            .filter(after(behind, memberships::Column::GameId, memberships::Column::UserId))
            .order_by_asc(memberships::Column::GameId)
            .order_by_asc(memberships::Column::UserId)
            .limit(limit)
            .all(&self.db)
            .await?;
        let mapped = player_mappings::Entity::find()
            .filter(games.condition(player_mappings::Column::GameId))
            .filter(after(behind, player_mappings::Column::GameId, player_mappings::Column::UserId))
            .order_by_asc(player_mappings::Column::GameId)
            .order_by_asc(player_mappings::Column::UserId)
            .limit(limit)
            .all(&self.db)
            .await?;
        let stats = player_stats::Entity::find()
            .filter(games.condition(player_stats::Column::GameId))
            .filter(after(behind, player_stats::Column::GameId, player_stats::Column::UserId))
            .order_by_asc(player_stats::Column::GameId)
            .order_by_asc(player_stats::Column::UserId)
            .limit(limit)
            .all(&self.db)
            .await?;
        let ids: HashSet<DbUuid> = members
            .iter()
            .map(|row| row.game_id)
            .chain(mapped.iter().map(|row| row.game_id))
            .chain(stats.iter().map(|row| row.game_id))
            .collect();
        let names = self.names_of(ids).await?;
        let mut players = BTreeMap::new();
        let new = |game: DbUuid, user: DbUuid, race: &str| {
            let (namespace, name) = names.get(&game).cloned().unwrap_or_default();
            Player {
                game: GameId(game.0),
                namespace,
                name,
                user: UserId(user.0),
                race: race.to_owned(),
                active: false,
                engine_player: None,
                stats: None,
            }
        };
        for row in members {
            let player = players
                .entry((row.game_id, row.user_id))
                .or_insert_with(|| new(row.game_id, row.user_id, &row.race_name));
            player.active = row.status == "active";
        }
        for row in mapped {
            let player = players
                .entry((row.game_id, row.user_id))
                .or_insert_with(|| new(row.game_id, row.user_id, &row.race_name));
            player.engine_player = (player.race == row.race_name).then_some(row.engine_player_uuid.0);
        }
        for row in stats {
            let player = players
                .entry((row.game_id, row.user_id))
                .or_insert_with(|| new(row.game_id, row.user_id, &row.race_name));
            player.stats = Some(PlayerStats {
                turn: row.turn,
                planets: row.planets,
                population: row.population,
                max_planets: row.max_planets,
                max_population: row.max_population,
                updated_at: from_db(row.updated_at),
            });
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(players.into_values().take(most).collect())
    }
}

fn seat_of(row: SeatRow, user: UserId) -> Result<Seat, SeatRefusal> {
    let race = match (row.member_status.as_deref(), row.member_race) {
        (Some("active"), Some(race)) => race,
        (Some(_), _) => return Err(SeatRefusal::Removed),
        // The lobby took the row away, and the controller has not followed yet.
        (None, _) if row.mapped_race.is_some() => return Err(SeatRefusal::Removed),
        (None, _) => return Err(SeatRefusal::NoPlayer),
    };
    // A player of the race that the user had before is somebody else by now.
    let mapped = row.mapped_active == Some(true) && row.mapped_race.as_deref() == Some(race.as_str());
    Ok(Seat {
        game: GameId(row.game_id.0),
        namespace: row.namespace,
        name: row.name.filter(|name| !name.is_empty()).unwrap_or_else(|| row.game_id.to_string()),
        user,
        race,
        engine_player: row.mapped_player.filter(|_| mapped).map(|id| id.0),
        phase: row.phase.as_deref().and_then(Phase::from_row),
        message: row.message.unwrap_or_default(),
        endpoint: row.endpoint,
        endpoints: row.endpoints.and_then(|json| serde_json::from_value(json).ok()),
        current_turn: row.current_turn,
    })
}
