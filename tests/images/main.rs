//! Images, from a registry on loopback, through real Docker and the real binary.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod credentials;
mod patching;
mod pinned;
mod pulls;

#[path = "../support/database.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod database;
#[path = "../support/registry.rs"]
mod registry;
#[path = "../e2e/world.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod world;

use registry::Registry;
use world::{Status, World, docker};

fn is_running(status: &Status) -> bool {
    status.phase == "running"
}

/// A controller without any credentials of this machine's.
async fn with(arguments: &[&str], change: impl FnOnce(&mut World)) -> World {
    let mut world = World::new().with(arguments);
    world.environment.push(("DOCKER_CONFIG".into(), world.dir.path().display().to_string()));
    change(&mut world);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    world
}

/// What a test pulled goes with it.
struct Pulled(String);

impl Drop for Pulled {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

/// An image of its own in the registry; its reference, and what removes it at the end. It has to
/// outlive the world, whose containers run it.
fn pushed(registry: &Registry, name: &str) -> (String, String, Pulled) {
    let image = registry::engine();
    let reference = registry.push(name, "1", &image);
    (reference.clone(), image.id(), Pulled(reference))
}
