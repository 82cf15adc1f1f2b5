//! The image that a game runs is pinned: what its tag points to later changes nothing until asked.

use crate::registry::{self, Registry};
use crate::world::{World, container, docker, inspect};
use crate::{Pulled, is_running, pushed, with};

/// The engine and its image are gone, as after a clean-up of the host, while nobody looked.
fn clean_up(world: &mut World, game: &str, image: &str) {
    world.kill_keeper();
    assert_eq!(docker(&["rm", "-f", &container(game)]).code, 0);
    assert_eq!(docker(&["rmi", "-f", image]).code, 0);
    world.start();
}

#[tokio::test]
async fn a_moved_tag_changes_nothing_for_who_runs_and_is_taken_by_who_comes_new() {
    let registry = Registry::new().await;
    let (image, old, _pulled) = pushed(&registry, "moved");
    let world = with(&["--pull-policy", "always"], |_| {}).await;
    world.register("2.0.0", &image).await;
    let game = world.game("old", "2.0.0").await;
    world.until(&game, "running", is_running).await;
    let newer = registry::engine();
    registry.push("moved", "1", &newer);
    let _newer = Pulled(newer.id());
    let _older = Pulled(old.clone());
    let other = world.game("new", "2.0.0").await;
    world.until(&other, "running", is_running).await;
    world.ok(&["restart", "old", "--wait", "--timeout", "60s"]);
    docker(&["rm", "-f", &container(&game)]);
    world.until(&game, "healed", |s| is_running(s) && s.restarts >= 1).await;
    assert_eq!((inspect(&game, "{{.Image}}"), inspect(&other, "{{.Image}}")), (old, newer.id()));
    assert_eq!((world.inits(&game), world.inits(&other)), (1, 1));
    docker(&["rm", "-f", &container(&game), &container(&other)]);
}

#[tokio::test]
async fn an_image_that_was_removed_is_fetched_again_by_who_ran_it() {
    let registry = Registry::new().await;
    let (image, id, _pulled) = pushed(&registry, "removed");
    let mut world = with(&[], |_| {}).await;
    world.register("2.0.0", &image).await;
    let game = world.game("removed", "2.0.0").await;
    world.until(&game, "running", is_running).await;
    clean_up(&mut world, &game, &image);
    world.until(&game, "healed", |s| is_running(s) && s.restarts >= 1).await;
    assert_eq!((inspect(&game, "{{.Image}}"), world.inits(&game)), (id, 1));
}

#[tokio::test]
async fn an_image_that_was_removed_and_whose_tag_moved_waits_for_a_person() {
    let registry = Registry::new().await;
    let (image, old, _pulled) = pushed(&registry, "lost");
    let mut world = with(&[], |_| {}).await;
    world.register("2.0.0", &image).await;
    let game = world.game("lost", "2.0.0").await;
    world.until(&game, "running", is_running).await;
    let newer = registry::engine();
    registry.push("lost", "1", &newer);
    clean_up(&mut world, &game, &image);
    let status = world.until(&game, "blocked", |s| s.phase == "blocked").await;
    assert_eq!(status.reason, "PinnedImageGone");
    assert_eq!(docker(&["inspect", &container(&game)]).code, 1, "the other image was not run");
    // A person says that it may be.
    world.ok(&["unblock", "lost", "--yes"]);
    world.until(&game, "running", is_running).await;
    assert_eq!((inspect(&game, "{{.Image}}"), world.inits(&game)), (newer.id(), 1));
    assert_ne!(newer.id(), old);
}
