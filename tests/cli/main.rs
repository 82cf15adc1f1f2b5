//! The real binary: what it does without a server, and against the real API on a real database
//! (without Docker and without a controller; those are in the end-to-end tests).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
mod backups_of_databases;
mod changes;
mod controller;
mod offline;
mod orphans;
mod outbox;
mod patching;
mod tokens;
mod turns;
mod unblocking;
mod waiting;
mod watching;
mod world;

#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;
