//! Images that are gone: a restore that would need one, and a game that ran it.

use std::path::PathBuf;

use uuid::Uuid;

use crate::world::{World, container, docker, force, inspect, set};

const LIFE: &str = "{{.Id}} {{.State.StartedAt}}";

/// An image of its own, which no registry has; removed with this.
struct OwnImage {
    name: String,
    id: String,
    /// It, as a file.
    saved: PathBuf,
}

impl OwnImage {
    fn of(version: &str, world: &World) -> Self {
        let mark = Uuid::new_v4().simple().to_string();
        // Nobody listens there, so that it cannot be fetched.
        let name = format!("127.0.0.1:1/gk-e2e-{mark}:{version}");
        let made = docker(&["create", &format!("gamekeeper/reference-engine:{version}")]).stdout;
        let label = format!("LABEL gk.e2e={mark}");
        let committed = docker(&["commit", "--change", &label, made.trim(), &name]);
        docker(&["rm", made.trim()]);
        let id = committed.stdout.trim().to_owned();
        let saved = world.dir.path().join("image.tar");
        let image = Self { name, id, saved };
        assert_eq!(docker(&["save", "-o", &image.saved.to_string_lossy(), &image.name]).code, 0);
        image
    }

    fn remove(&self) {
        let removed = docker(&["image", "rm", &self.name]);
        assert!(removed.code == 0 && docker(&["image", "inspect", &self.id]).code != 0, "{removed:?}");
    }

    fn bring_back(&self) {
        assert_eq!(docker(&["load", "-i", &self.saved.to_string_lossy()]).code, 0);
        assert_eq!(docker(&["image", "inspect", &self.id]).code, 0);
    }
}

impl Drop for OwnImage {
    fn drop(&mut self) {
        docker(&["image", "rm", "-f", &self.name]);
    }
}

/// Waits until the game runs this version, at this turn.
async fn runs(world: &World, game: &str, version: &str, turn: i64) {
    let query = format!(
        "SELECT count(*) FROM runtime_records
          WHERE game_id = '{game}' AND status = 'running' AND reason = 'Running'
            AND current_engine_version = '{version}' AND current_turn = {turn}"
    );
    world.eventually(&format!("{version} at turn {turn}"), async || world.count(&query).await == 1).await;
}

#[tokio::test]
async fn an_image_that_is_gone_is_found_before_a_restore_and_left_by_a_change_of_version() {
    let mut world = World::new();
    let old = OwnImage::of("1.4.1", &world);
    world.start();
    world.register("1.4.1", &old.name).await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.game("andromeda", "1.4.1").await;
    runs(&world, &game, "1.4.1", 0).await;
    set(&world, &game, "target_engine_version = '1.4.2'").await;
    runs(&world, &game, "1.4.2", 0).await;
    force(&world, &game, 1).await;
    let copies = world.ok(&["backups", "andromeda", "-o", "name"]);
    let copy = copies.lines().find(|copy| copy.ends_with("-before-1.4.2")).expect("a copy");
    let copy = copy.rsplit('/').next().unwrap().to_owned();

    // What its engine runs was pruned, and no registry has it: the present engine is left alone.
    old.remove();
    let life = inspect(&game, LIFE);
    let tried = world.gk(&["restore", "andromeda", &copy, "--dry-run"]);
    assert!(tried.code != 0 && tried.stderr.contains("is not on the host"), "{tried:?}");
    let refused = world.gk(&["restore", "andromeda", &copy, "--yes", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("could not be fetched"), "{refused:?}");
    assert_eq!(inspect(&game, LIFE), life);
    runs(&world, &game, "1.4.2", 1).await;

    // With it there the copy is put back.
    old.bring_back();
    world.ok(&["restore", "andromeda", &copy, "--dry-run"]);
    set(&world, &game, "target_engine_version = '1.4.1'").await;
    world.ok(&["restore", "andromeda", &copy, "--yes", "--wait"]);
    runs(&world, &game, "1.4.1", 0).await;
    force(&world, &game, 1).await;

    // It goes together with the container: another version takes the game over, by a copy of its state.
    world.stop_keeper();
    docker(&["rm", "-f", &container(&game)]);
    old.remove();
    world.start();
    let down = world.until(&game, "down", |status| status.failures >= 2).await;
    assert!(down.message.contains("could not be fetched"), "{down:?}");
    world.ok(&["patch", "andromeda", "--to", "1.4.2", "--wait", "--timeout", "60s"]);
    runs(&world, &game, "1.4.2", 1).await;
    force(&world, &game, 2).await;
}
