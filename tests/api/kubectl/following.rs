//! What changes, printed as it changes.

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
