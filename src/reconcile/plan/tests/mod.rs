//! Plans are tested by their printed form against a model of the world that does what it is told.

mod called_off;
mod copies;
mod ended;
mod images;
mod interleavings;
mod lives;
mod parts;
mod patches;
mod players;
mod properties;
mod requests;
mod restores;
mod scenarios;
mod turns;
pub(crate) mod world;
