//! The API over real TLS, on a real SQLite file, without Docker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod abuse;
mod access;
mod asking;
mod certificates;
mod clients;
mod connections;
mod controller;
mod games;
mod history;
mod impersonation;
mod kstatus;
mod kubectl;
mod logs;
mod many_players;
mod measured;
mod orphans;
mod outbox;
mod patching;
mod players;
mod refusals;
mod reviews;
mod stream;
mod tokens;
mod turns;
mod versions;
mod watching;
mod watching_history;
mod wire;
mod world;

#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;
#[path = "../support/kubectl.rs"]
mod programs;
