//! Players: which player of the engine a user is, and how each user does.

use jiff::Timestamp;
use uuid::Uuid;

use super::engine::EngineState;
use super::id::{ContainerId, GameId, RaceName, UserId};

/// Which player of the engine a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Who.
    pub user_id: UserId,
    /// Under which name.
    pub race_name: RaceName,
    /// The engine's own id of the player where it reported one, else [`derived_id`].
    pub engine_id: Uuid,
    /// Whether the user may act; not any more once removed.
    pub active: bool,
}

/// The id of a player whose engine has reported none: derived from game and user, so that minting
/// twice gives the same.
pub fn derived_id(game: GameId, user: UserId) -> Uuid {
    Uuid::new_v5(&game.0, user.0.as_bytes())
}

/// How a user does, now and at the best so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub user_id: UserId,
    /// Under which name.
    pub race_name: RaceName,
    /// The history of the game that it is of.
    pub timeline: i64,
    /// The turn at which it was reported.
    pub turn: i64,
    /// Planets then.
    pub planets: i64,
    /// Population then.
    pub population: i64,
    /// The most planets at any turn of this timeline.
    pub most_planets: i64,
    /// The highest population at any turn of this timeline.
    pub most_population: i64,
}

/// How an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Healthy,
    /// It does not, or says that it is not well.
    Unhealthy,
}

impl Health {
    /// As the database has it.
    pub fn as_row(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What an engine reported: a row of `runtime_health_snapshots`.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// When it was asked.
    pub at: Timestamp,
    /// Which container.
    pub container: ContainerId,
    /// How it is.
    pub health: Health,
    /// What it says of its game; nothing if it does not answer.
    pub state: Option<EngineState>,
    /// Why it is not healthy.
    pub error: Option<String>,
    /// It says something new. What says the same again is kept now and then, and told to nobody.
    pub news: bool,
}
