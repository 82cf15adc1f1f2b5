//! Player mappings: which player of the engine a user is, and where the game is played.

use schemars::JsonSchema;
use serde::Serialize;

use super::{EndpointsStatus, PLAYER_MAPPINGS};
use crate::game::manifest::API_VERSION;
use crate::game::{GameId, Phase, UserId};
use crate::store::{Player, PlayerStats, Seat};

/// A user in a game.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PlayerMapping")]
pub struct PlayerMappingObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `PlayerMapping`.
    pub kind: String,
    /// Its identity.
    pub metadata: PlayerMappingMeta,
    /// Who, and in which game.
    pub spec: PlayerMappingSpec,
    /// What is true of it.
    pub status: PlayerMappingStatus,
}

/// The identity of a mapping.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlayerMappingMeta {
    /// `GAME-ID.USER-ID`.
    pub name: String,
    /// The namespace of its game.
    pub namespace: String,
}

/// Who, and in which game.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerMappingSpec {
    /// The name of the game.
    pub game: String,
    /// The id of the game.
    pub game_id: String,
    /// The user.
    pub user_id: String,
    /// The user's race; of somebody removed, the last one.
    pub race_name: String,
}

/// What is true of a mapping.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerMappingStatus {
    /// The lobby has the user in the game now.
    pub active: bool,
    /// The engine's player; absent while the game has no engine, or the race no player yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_player_id: Option<String>,
    /// The game and where it is played; told where one mapping is asked for.
    #[serde(flatten)]
    pub table: Option<PlayedAt>,
    /// How the user does; told in lists, once the engine has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<PlayerStatsStatus>,
}

/// How a game is, for whoever wants to play it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayedAt {
    /// There is an engine that serves, and it has a player for the user: both of what a proxy needs.
    pub serving: bool,
    /// How the game is; absent until the controller has looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// A sentence for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Where the controller reaches the engine, while it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Every way to reach the engine, while it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointsStatus>,
    /// The turn that the engine is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_turn: Option<i64>,
}

/// How a user does, now and at the best so far.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerStatsStatus {
    /// The turn at which that was reported.
    pub turn: i64,
    /// Planets at that turn.
    pub planets: i64,
    /// Population at that turn.
    pub population: i64,
    /// The most planets so far.
    pub highest_planets: i64,
    /// The highest population so far.
    pub highest_population: i64,
}

impl PlayerMappingObject {
    fn new(
        game: GameId,
        namespace: String,
        name: String,
        user: UserId,
        race_name: String,
        status: PlayerMappingStatus,
    ) -> Self {
        Self {
            api_version: API_VERSION.into(),
            kind: PLAYER_MAPPINGS.kind.into(),
            metadata: PlayerMappingMeta { name: format!("{game}.{user}"), namespace },
            spec: PlayerMappingSpec {
                game: name,
                game_id: game.to_string(),
                user_id: user.to_string(),
                race_name,
            },
            status,
        }
    }
}

impl From<Seat> for PlayerMappingObject {
    fn from(seat: Seat) -> Self {
        let Seat {
            game,
            namespace,
            name,
            user,
            race,
            engine_player,
            phase,
            message,
            endpoint,
            endpoints,
            current_turn,
        } = seat;
        let serving = endpoint.is_some() && engine_player.is_some();
        let table = PlayedAt {
            serving,
            phase,
            message,
            endpoint,
            endpoints: endpoints.map(EndpointsStatus::from),
            current_turn,
        };
        let status = PlayerMappingStatus {
            active: true,
            engine_player_id: engine_player.map(|id| id.to_string()),
            table: Some(table),
            stats: None,
        };
        Self::new(game, namespace, name, user, race, status)
    }
}

impl From<Player> for PlayerMappingObject {
    fn from(player: Player) -> Self {
        let Player { game, namespace, name, user, race, active, engine_player, stats } = player;
        let status = PlayerMappingStatus {
            active,
            engine_player_id: engine_player.map(|id| id.to_string()),
            table: None,
            stats: stats.map(PlayerStatsStatus::from),
        };
        Self::new(game, namespace, name, user, race, status)
    }
}

impl From<PlayerStats> for PlayerStatsStatus {
    fn from(stats: PlayerStats) -> Self {
        let PlayerStats { turn, planets, population, max_planets, max_population, updated_at: _ } = stats;
        Self { turn, planets, population, highest_planets: max_planets, highest_population: max_population }
    }
}
