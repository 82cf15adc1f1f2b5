//! Several who write the same row at the same time, as an ORM's `save` does: one after the other.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::waiting::{client, does};

const GAME: &str = "00000000-0000-4000-8000-000000000001";

/// Two who write the row while a third one has it, by these statements, of which the last needs it exclusively.
async fn queue(database: &Database, third: &str, writes: [&str; 2]) {
    let mut holder = client(database, third).await;
    let mut writing = Vec::new();
    for number in 0..2 {
        let mut writer = client(database, &format!("SET application_name = 'writer-{number}'")).await;
        let [first, then] = writes.map(str::to_owned);
        writing.push(tokio::spawn(async move {
            does(&mut writer, &first).await;
            // Both have got as far as the first lets them.
            tokio::time::sleep(Duration::from_millis(500)).await;
            does(&mut writer, &format!("{then}; COMMIT")).await;
        }));
    }
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'writer-%' AND wait_event_type = 'Lock'";
    let asked = Instant::now();
    while database.count(waits).await < 2 {
        assert!(asked.elapsed() < Duration::from_secs(10), "they wait for nobody");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    does(&mut holder, "COMMIT").await;
    for writer in writing {
        writer.await.unwrap_or_else(|error| panic!("{writes:?}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_of_one_row_wait_for_each_other_and_lose_no_deadlock() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    drop(database.open().await);
    let game = format!("INSERT INTO games (game_id, desired_status) VALUES ('{GAME}', 'stopped')");
    let version = "INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')";
    database.sql(&format!("{game}; {version}")).await;
    let game_again = format!("{game} ON CONFLICT (game_id)");
    let version_again = format!("{version} ON CONFLICT (version)");
    let locks = format!("SELECT FROM games WHERE game_id = '{GAME}' FOR UPDATE");
    for (third, first, then) in [
        (
            "UPDATE games SET display_name = 'x'",
            format!(
                "{game_again} DO UPDATE SET game_id = excluded.game_id, display_name = excluded.display_name"
            ),
            "SELECT 1",
        ),
        (
            "UPDATE engine_versions SET enabled = false",
            format!("{version_again} DO UPDATE SET version = excluded.version, enabled = excluded.enabled"),
            "SELECT 1",
        ),
        ("SELECT FROM games FOR UPDATE", format!("{game_again} DO NOTHING"), locks.as_str()),
        (
            "SELECT FROM engine_versions FOR UPDATE",
            format!("{version_again} DO NOTHING"),
            "SELECT FROM engine_versions FOR UPDATE",
        ),
    ] {
        queue(&database, third, [&first, then]).await;
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.count(deadlocks).await, 0);
}
