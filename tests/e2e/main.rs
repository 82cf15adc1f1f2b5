//! Gamekeeper as its users run it: the real binary, a real SQLite file, real Docker, real engines.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod abuse;
mod adoption;
mod agreement;
mod backups;
mod beyond_bounds;
mod blocked;
mod counting;
mod crowd;
mod database_away;
mod deletion;
mod docker_silent;
mod frozen;
mod healing;
mod hostile;
mod hostile_image;
mod hostile_spec;
mod inputs;
mod kubectl;
mod late_docker;
#[allow(dead_code, reason = "shared with the fault tests")]
mod ledger;
mod long_copies;
mod lost_images;
mod patch_commands;
mod patching;
mod patching_many;
mod players;
mod quiet;
mod restores;
mod second_life;
mod sidecars;
mod starting;
mod stopping;
mod telling;
mod turn_commands;
mod turns;
mod turns_lag;
mod unreadable;
mod vanished;
mod ways_out;
#[allow(dead_code, reason = "shared with the fault tests")]
mod world;

#[path = "../support/cut_socket.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod cut_socket;
#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;

#[path = "../support/kubectl.rs"]
mod programs;
#[path = "../support/lobby.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod receiver;
#[path = "../support/understood.rs"]
mod understood;
