//! The API over real TLS, on a real SQLite file, without Docker.

mod access;
mod games;
mod history;
mod refusals;
mod versions;
mod world;
