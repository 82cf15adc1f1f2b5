//! What changes, printed as it changes and waited for, whoever changes it.

use serde_json::json;

use super::Kubectl;
use crate::world::{GAMES, World, game};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_prints_a_row_for_each_change() {
    let world = World::new().await;
    for kubectl in Kubectl::all(&world) {
        world.post(GAMES, &game("andromeda")).await.ok(201);
        let mut rows = kubectl.rows(&["get", "games", "-w"]);
        let mut row = async || {
            let line = rows.next().await;
            let words: Vec<_> = line.split_whitespace().take(2).collect();
            words.join(" ")
        };
        assert_eq!(row().await, "NAME DESIRED");
        assert_eq!(row().await, "andromeda Running");
        world.sql("UPDATE games SET desired_status = 'stopped'").await;
        assert_eq!(row().await, "andromeda Stopped");
        kubectl.ok(&["scale", "game", "andromeda", "--replicas=1"]).await;
        // The columns are told once, and so is their head.
        assert_eq!(row().await, "andromeda Running");
        world.post(GAMES, &game("borealis")).await.ok(201);
        assert_eq!(row().await, "borealis Running");
        world.sql("DELETE FROM games").await;
        let mut gone = [row().await, row().await];
        gone.sort();
        assert_eq!(gone, ["andromeda Running", "borealis Running"]);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_for_what_sql_and_the_api_write() {
    let world = World::new().await;
    for kubectl in Kubectl::all(&world) {
        let created = world.post(GAMES, &game("andromeda")).await.ok(201);
        let uid = created["metadata"]["uid"].as_str().unwrap();
        let ready = format!(
            "INSERT INTO runtime_records (game_id, name, status, observed_generation, conditions)
             VALUES ('{uid}', 'andromeda', 'running', 99,
             '[{{\"type\": \"Ready\", \"status\": \"True\", \"reason\": \"Running\", \"message\": \"\",
                \"observedGeneration\": 99, \"lastTransitionTime\": \"2026-11-23T18:00:00Z\"}}]')"
        );
        let stopped = "jsonpath={.spec.desiredStatus}=Stopped";
        let running = "jsonpath={.spec.desiredStatus}=Running";
        for (wanted, by_sql) in [
            ("condition=Ready", Some(ready.as_str())),
            (stopped, Some("UPDATE games SET desired_status = 'stopped'")),
            (running, None),
            ("delete", Some("DELETE FROM runtime_records; DELETE FROM games")),
        ] {
            let waited = format!("--for={wanted}");
            let arguments = ["wait", "game/andromeda", &waited, "--timeout=40s"];
            let waiting = kubectl.start_watching(&arguments).await;
            match by_sql {
                Some(statement) => world.sql(statement).await,
                None => {
                    let path = format!("{GAMES}/andromeda");
                    world.patch(&path, &json!({ "spec": { "desiredStatus": "Running" } })).await.ok(200);
                }
            }
            let output = waiting.wait_with_output().await.unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            let expected = "game.gamekeeper.dev/andromeda condition met\n";
            assert!(output.status.success() && told == expected, "{wanted}: {output:?}");
        }
    }
    world.end().await;
}
