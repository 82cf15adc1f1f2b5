//! What only PostgreSQL has: several controllers, roles, a server that goes away and comes back.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod batches;
mod changes;
mod chaos;
mod fencing;
mod holders;
mod leading;
mod leases;
mod locks;
mod measured;
mod migrating;
mod moving;
mod older;
mod pooler;
mod reasons;
mod reflectors;
mod resilience;
mod roles;
mod silence;
mod tls;
mod upserts;
mod waiting;
mod writes;

#[path = "../support/cluster.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod cluster;
#[path = "../support/cut_socket.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod cut_socket;
#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;
#[path = "../support/meddler.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod meddler;
#[path = "../support/lobby.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod receiver;
#[path = "../support/replica.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod replica;
#[path = "../support/set_clock.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod set_clock;
#[path = "../e2e/world.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod world;
