//! No database, no decision: engines are left as they are until it is back.

use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions, Connection, SqliteConnection};

use crate::world::{World, container, docker, inspect};

#[tokio::test]
async fn while_the_database_takes_no_writes_nothing_is_decided() {
    let world = World::started().await;
    let game = world.running("patient").await;
    let other = world.running("untouched").await;
    let life = inspect(&other, "{{.Id}} {{.State.StartedAt}}");
    let options = SqliteConnectOptions::new()
        .filename(world.data_dir().join("gamekeeper.db"))
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging();
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut holder).await.unwrap();
    docker(&["kill", &container(&game)]);
    // Longer than a write waits for its turn.
    world
        .eventually("a round could not be recorded", async || {
            world.log().contains("nothing was recorded, so nothing was done")
        })
        .await;
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false", "it was started without a record of it");
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    holder.close().await.unwrap();
    let began = Instant::now();
    world.until(&game, "healed", |status| status.phase == "running" && status.restarts == 1).await;
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(world.inits(&game), 1);
    assert_eq!(inspect(&other, "{{.Id}} {{.State.StartedAt}}"), life);
}
