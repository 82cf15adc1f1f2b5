//! Gamekeeper keeps every game's engine running.
//!
//! See `docs/architecture.md` for how the modules fit together.

pub mod api;
pub mod controller;
pub mod engine;
pub mod game;
pub mod reconcile;
pub mod runtime;
pub mod store;
