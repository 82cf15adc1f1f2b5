//! A record that was lost is made again from what is there.

use crate::world::{World, inspect};

#[tokio::test]
async fn an_engine_whose_record_was_lost_is_adopted_as_it_is() {
    let mut world = World::started().await;
    let game = world.running("orphan").await;
    let started = inspect(&game, "{{.State.StartedAt}}");
    world.kill_keeper();
    world.sql(&format!("DELETE FROM runtime_records WHERE game_id = '{game}'")).await;
    world.start();
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(inspect(&game, "{{.State.StartedAt}}"), started);
    assert_eq!(world.inits(&game), 1);
    assert!(world.operations(&game).await.contains(&"adopt succeeded".to_owned()));
}

#[tokio::test]
async fn a_lost_record_and_a_spec_that_cannot_be_met_tear_nothing_down() {
    let mut world = World::started().await;
    let game = world.running("orphan").await;
    let started = inspect(&game, "{{.State.StartedAt}}");
    world.kill_keeper();
    // No record, no members, and a version that nobody knows.
    world
        .sql(&format!(
            "DELETE FROM runtime_records WHERE game_id = '{game}';
             DELETE FROM memberships WHERE game_id = '{game}';
             UPDATE games SET target_engine_version = '9.9.9' WHERE game_id = '{game}'"
        ))
        .await;
    world.start();
    let status = world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(status.reason, "UnknownEngineVersion");
    assert_eq!(inspect(&game, "{{.State.StartedAt}}"), started);
    assert_eq!(world.inits(&game), 1);
}
