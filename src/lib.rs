//! Gamekeeper keeps every game's engine running.
//!
//! See `docs/architecture.md` for how the modules fit together.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod engine;
pub mod game;
pub mod lobby;
pub mod reconcile;
pub mod runtime;
pub mod server;
pub mod store;
pub mod telemetry;
