//! Other containers on a game's state: who only reads is harmless, and who can write is found before the
//! engine goes.

use std::path::Path;

use crate::world::{World, docker, inspect};

/// A container of somebody's with something mounted, removed at the end.
struct Sidecar(String);

impl Sidecar {
    fn with(source: &Path, mode: &str, label: &str) -> Self {
        let name = format!("gk-sidecar-{}", uuid::Uuid::new_v4().simple());
        let volume = format!("{}:/seen:{mode}", source.display());
        let started = docker(&[
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            "none",
            "-v",
            &volume,
            "--label",
            label,
            "-e",
            "GAME_ID=x",
            "-e",
            "GAME_STATE_PATH=/tmp/x",
            "gamekeeper/reference-engine:1.4.1",
        ]);
        assert_eq!(started.code, 0, "{started:?}");
        Self(name)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

async fn last(world: &World, game: &str, op: &str) -> (String, String, String) {
    let query = format!(
        "SELECT status, coalesce(error_code, ''), coalesce(error_message, '') FROM operation_log
          WHERE game_id = '{game}' AND op = '{op}' ORDER BY created_at DESC, operation_id DESC LIMIT 1"
    );
    let rows = world.rows(&query).await;
    rows.first().map_or_else(Default::default, |row| (row.get(0), row.get(1), row.get(2)))
}

#[tokio::test]
async fn a_sidecar_that_reads_is_harmless_and_one_that_can_write_is_found_before_the_engine_goes() {
    let world = World::started().await;
    let game = world.running("watched").await;
    let directory = world.state_root().join(&game);

    let reader = Sidecar::with(&directory, "ro", "a=b");
    let before = inspect(&game, "{{.Id}}");
    world.ok(&["restart", "watched", "--wait", "--timeout", "60s"]);
    let playing = inspect(&game, "{{.Id}}");
    assert_ne!(playing, before);
    drop(reader);

    for source in [world.state_root(), directory.join(&game), directory.clone()] {
        let writer = Sidecar::with(&source, "rw", "a=b");
        world.ok(&["restart", "watched"]);
        world
            .eventually("the restart is refused", async || {
                let (status, code, why) = last(&world, &game, "restart").await;
                status == "failed" && code == "DirectoryInUse" && why.contains(&writer.0)
            })
            .await;
        assert_eq!(inspect(&game, "{{.Id}} {{.State.Running}}"), format!("{playing} true"), "{source:?}");
    }

    let writer = Sidecar::with(&world.state_root(), "rw", "a=b");
    world.ok(&["patch", "watched", "--to", "1.4.1"]);
    world
        .eventually("the patch is put off", async || {
            let (_, code, why) = last(&world, &game, "patch").await;
            code == "DirectoryInUse" && why.contains(&writer.0)
        })
        .await;
    assert_eq!(inspect(&game, "{{.Id}} {{.State.Running}}"), format!("{playing} true"));
    world
        .until(&game, "still running", |status| status.phase == "running" && status.endpoint.is_some())
        .await;
    world.ok(&["patch", "watched", "--to", "1.4.2"]);
    drop(writer);

    // Whom an operator answers for is let through.
    let _writer = Sidecar::with(&world.state_root(), "rw", "gamekeeper.dev/may-write-state=true");
    world.ok(&["restart", "watched", "--wait", "--timeout", "60s"]);
    assert_ne!(inspect(&game, "{{.Id}}"), playing);
    assert_eq!(world.inits(&game), 1);
}
