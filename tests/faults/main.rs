//! What must be survived: the real binary against real Docker, with a fault put in at an exact place.
//!
//! Each test proves that its fault happened, and compares what Docker was made to do with what a run
//! without faults needs: a controller that gets there by making everything anew is wrong too.
//! `docs/faults.md` says which test shows what.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod causes;
mod clock;
mod copies;
mod doctor;
mod doubt;
mod engines;
mod ground;
mod hands;
mod identity;
mod killed;
mod limbo;
mod meddling;
mod names;
mod observation;
mod other_builds;
mod other_docker;
mod own_daemon;
mod patches;
mod refused;
mod starts;
mod sweep;
mod turns;

#[path = "../support/cut_socket.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod cut_socket;
#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;
#[path = "../e2e/ledger.rs"]
mod ledger;
#[path = "../support/meddler.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod meddler;
#[path = "../support/second_docker.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod second_docker;
#[path = "../support/set_clock.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod set_clock;
#[path = "../e2e/world.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod world;
