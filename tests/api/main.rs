//! The API over real TLS, on a real SQLite file, without Docker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod games;
mod history;
mod logs;
mod refusals;
mod versions;
mod world;
