//! The end of a game.

use crate::world::{World, exists};

#[tokio::test]
async fn deletion_keeps_the_state_by_default_and_the_history_always() {
    let world = World::started().await;
    let game = world.running("kept").await;
    world.ok(&["delete", "game/kept"]);
    world.ok(&["wait", "game/kept", "--for=delete", "--timeout=60s"]);
    assert!(!exists(&game));
    assert!(world.state_root().join(&game).join(&game).is_dir());
    let status = world.status(&game).await;
    assert_eq!((status.phase.as_str(), status.reason.as_str()), ("stopped", "Deleted"));
    assert_eq!(world.operations(&game).await, ["start succeeded", "delete succeeded"]);
    let handled =
        format!("SELECT count(*) FROM game_tombstones WHERE game_id = '{game}' AND handled_at IS NOT NULL");
    assert_eq!(world.count(&handled).await, 1);
}

#[tokio::test]
async fn deletion_removes_the_state_when_the_policy_says_so_and_nothing_beside_it() {
    let world = World::started().await;
    let game = world.running("gone").await;
    let other = world.running("other").await;
    world.sql(&format!("UPDATE games SET deletion_policy = 'delete' WHERE game_id = '{game}'")).await;
    world.ok(&["delete", "game/gone"]);
    world.ok(&["wait", "game/gone", "--for=delete", "--timeout=60s"]);
    assert!(!world.state_root().join(&game).exists());
    assert!(world.state_root().join(&other).join(&other).is_dir() && exists(&other));
}

#[tokio::test]
async fn a_game_of_the_same_name_can_be_made_after_a_deletion() {
    let world = World::started().await;
    let first = world.running("phoenix").await;
    world.ok(&["delete", "game/phoenix"]);
    world.ok(&["wait", "game/phoenix", "--for=delete", "--timeout=60s"]);
    let second = world.running("phoenix").await;
    assert_ne!(first, second);
    assert_eq!(world.inits(&second), 1);
}
