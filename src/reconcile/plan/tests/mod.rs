//! Plans are tested by their printed form against a model of the world that does what it is told.

mod copies;
mod interleavings;
mod patches;
mod players;
mod properties;
mod restores;
mod scenarios;
mod turns;
pub(crate) mod world;
