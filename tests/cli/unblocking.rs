//! `unblock`: what it does depends on why a game does not go on.

use gamekeeper::game::{ConditionStatus, Phase};

use crate::world::World;

async fn asked(world: &World) -> i64 {
    let game = world.store.game("default", "andromeda").await.unwrap().unwrap();
    game.manifest.spec.unblock_generation.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_accepts_a_loss_is_asked_about() {
    let world = World::applied().await;
    world.record_as("andromeda", Phase::Blocked, "TurnWentBack").await;
    let unasked = world.run(&["unblock", "andromeda"]).await;
    assert_eq!(unasked.code, 2, "{unasked:?}");
    for expected in ["Blocked (TurnWentBack): So it is.", "a new timeline begins", "add --yes"] {
        assert!(unasked.stderr.contains(expected), "{unasked:?}");
    }
    let tried = world.run(&["unblock", "andromeda", "--dry-run"]).await.ok();
    assert!(tried.contains("unblock requested (generation ") && tried.contains("(dry run)"), "{tried}");
    assert_eq!(asked(&world).await, 0);
    let done = world.run(&["unblock", "game/andromeda", "--yes"]).await.ok();
    assert!(done.starts_with("game/andromeda unblock requested (generation "), "{done}");
    assert_eq!(asked(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_loses_nothing_is_done_at_once() {
    let world = World::applied().await;
    world.record_as("andromeda", Phase::CrashLoop, "Exited").await;
    let done = world.run(&["unblock", "andromeda", "-o", "name"]).await;
    assert!(done.stderr.contains("the backoff ends"), "{done:?}");
    assert_eq!(done.ok(), "game/andromeda\n");
    assert_eq!(asked(&world).await, 1);

    world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    let open = world.run(&["unblock", "andromeda"]).await.ok();
    assert_eq!(open, "game/andromeda unchanged: nothing blocks it\n");
    assert_eq!(asked(&world).await, 1);
    world.run(&["unblock", "nobody"]).await.failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_state_is_not_lifted_by_it() {
    let world = World::applied().await;
    world.record_as("andromeda", Phase::Blocked, "StateMissing").await;
    let refused = world.run(&["unblock", "andromeda", "--yes"]).await.failed(4);
    assert!(refused.contains("Bring the state directory back"), "{refused}");
    assert_eq!(asked(&world).await, 0);
}
