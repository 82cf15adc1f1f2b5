//! What the lobby is told, against a lobby that misbehaves, on a real SQLite file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod delivery;
mod documents;
mod independent;
mod kept;
mod outbox;
mod process;
mod walkthrough;
mod world;

#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;

#[path = "../support/lobby.rs"]
mod receiver;
#[path = "../support/understood.rs"]
mod understood;
