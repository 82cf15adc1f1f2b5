//! What an engine says about its game.

use super::id::GameId;

/// The engine's state, as its contract describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineState {
    /// The game it serves; none from an engine without identity (`plain/v0`).
    pub game_id: Option<GameId>,
    /// The turn it is at.
    pub turn: i64,
    /// It is generating the next one.
    pub generating: bool,
    /// The game is over.
    pub finished: bool,
    /// Who plays, by the engine's own ids.
    pub players: Vec<EnginePlayer>,
}

/// A player as the engine knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct EnginePlayer {
    /// The engine's own id.
    pub id: String,
    /// Its race.
    pub race_name: String,
    /// Planets now.
    pub planets: i64,
    /// Population now.
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
    /// Healthy, but another game's engine answers there: nothing it says is believed.
    WrongEngine(String),
}
