//! Plans are tested by their printed form against a model of the world that does what it is told.

mod called_off;
mod copies;
mod ended;
mod interleavings;
mod parts;
mod patches;
mod players;
mod properties;
mod reasons;
mod requests;
mod restores;
mod rivals;
mod scenarios;
mod turns;
pub(crate) mod world;
