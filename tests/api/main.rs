//! The API over real TLS, on a real SQLite file, without Docker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod asking;
mod clients;
mod connections;
mod controller;
mod games;
mod history;
mod kstatus;
mod kubectl;
mod logs;
mod measured;
mod orphans;
mod outbox;
mod patching;
mod players;
mod refusals;
mod stream;
mod turns;
mod versions;
mod watching;
mod wire;
mod world;

#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;
