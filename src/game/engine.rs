//! What an engine says about its game.

use super::id::GameId;
use super::text::Text;

/// The highest turn that an engine is believed to be at.
pub const HIGHEST_TURN: i64 = i32::MAX as i64;

/// The most players that an engine is believed to have.
pub const MOST_PLAYERS: usize = 10_000;

/// The most planets, and the highest population, that a player is believed to have: 2^53 - 1, as far as
/// every reader of JSON counts.
pub const HIGHEST_COUNT: i64 = (1 << 53) - 1;

/// The engine's state, as its contract describes it, within the bounds of what is believed.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineState {
    /// The game it serves; none from an engine without identity (`plain/v0`).
    pub game_id: Option<GameId>,
    /// The turn it is at; 0 to [`HIGHEST_TURN`].
    pub turn: i64,
    /// It is generating the next one.
    pub generating: bool,
    /// The game is over.
    pub finished: bool,
    /// Who plays, by the engine's own ids; at most [`MOST_PLAYERS`].
    pub players: Vec<EnginePlayer>,
}

/// A player as the engine knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct EnginePlayer {
    /// The engine's own id.
    pub id: Text<128>,
    /// Its race.
    pub race_name: Text<64>,
    /// Planets now; at most [`HIGHEST_COUNT`].
    pub planets: i64,
    /// Population now; at most [`HIGHEST_COUNT`].
    pub population: i64,
}

/// What came of asking an engine how it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Healthy, and it has a game.
    Has(EngineState),
    /// Healthy, and it has no game yet.
    NotInitialised,
    /// No health: no connection, no answer in time, or an answer that says so.
    Unhealthy(String),
    /// Healthy, and what it says of its game cannot be so: it is no JSON, or beyond all bounds.
    /// Nothing of it is believed.
    NotUnderstood(String),
    /// Healthy, but another game's engine answers there: nothing it says is believed.
    WrongEngine(String),
}
