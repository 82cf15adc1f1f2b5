use std::time::Duration;

use crate::reconcile::Policy;
use crate::reconcile::explain::{Guard, explain};
use crate::reconcile::plan::tests::world::{Newer, World};

/// A game that runs 1.4.2 and asks for another version.
fn asking_for(version: &str) -> World {
    let mut world = World::running();
    world.wants(version);
    world
}

fn patch(world: &World) -> Option<Guard> {
    let explained = explain(&world.desired, &world.record, &world.observation(), &Policy::default());
    assert_eq!(explained.guard, None, "turns go on");
    explained.patch
}

#[test]
fn a_version_that_is_not_there_has_a_reason_and_a_way_out() {
    assert_eq!(patch(&World::running()), None);
    let pending = patch(&asking_for("1.4.3")).unwrap();
    assert!(pending.reason == "PatchPending" && pending.way_out.contains("by itself"), "{pending:?}");

    let mut incompatible = asking_for("1.5.0");
    incompatible.converge();
    let told = patch(&incompatible).unwrap();
    assert!(
        told.reason == "PatchSemverIncompatible" && told.way_out.contains("--allow-incompatible"),
        "{told:?}"
    );

    let mut failed = asking_for("1.4.3");
    failed.newer = Newer::ExitsAtStart;
    failed.converge();
    for _ in 0..100 {
        failed.later(Duration::from_secs(1));
    }
    let told = patch(&failed).unwrap();
    assert!(told.reason == "PatchFailed" && told.way_out.contains("--retry"), "{told:?}");
}
