//! Plans are tested by their printed form against a model of the world that does what it is told.

mod agreement;
mod beside;
mod called_off;
mod copies;
mod doubt;
mod ended;
mod images;
mod interleavings;
mod lives;
mod not_sent;
mod parts;
mod patches;
mod places;
mod players;
mod properties;
mod reasons;
mod requests;
mod restores;
mod rivals;
mod scenarios;
mod strangers;
mod stuck;
mod turns;
mod withdrawn;
pub(crate) mod world;
