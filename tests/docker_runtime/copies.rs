//! Copies of the state of a real engine: taken, put back, pruned, and called off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gamekeeper::game::backup::Keep;
use gamekeeper::game::{Backup, BackupId, BackupReason, NewBackup, RestoreId};
use gamekeeper::runtime::{MayGo, Runtime, RuntimeError};
use jiff::Timestamp;

use crate::world::{World, eventually, health};

fn new(world: &World, id: &str, at: i64) -> NewBackup {
    NewBackup {
        id: id.parse().expect("a name"),
        game: world.game,
        taken_at: Timestamp::from_second(at).expect("a time"),
        reason: BackupReason::Patch,
        turn: Some(0),
        timeline: Some(1),
        build: None,
    }
}

async fn back_up(world: &World, id: &str, at: i64) -> Result<Backup, RuntimeError> {
    world.docker.back_up(&new(world, id, at), &|_| {}).await
}

async fn put_back(world: &World, id: &str, restore: &str) -> Result<Backup, RuntimeError> {
    let (id, restore): (BackupId, RestoreId) =
        (id.parse().expect("a name"), restore.parse().expect("a name"));
    world.docker.put_back(world.game, &id, &restore, &|_| {}).await
}

/// Every file in a directory, with its content.
fn files(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(top).expect("a listing") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

#[tokio::test]
async fn an_engine_that_is_put_back_finds_its_state_as_it_was() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("misbehave.json"), r#"{"earlyFiles": true}"#).expect("a file");
    let running = world.running().await;
    let address = running.reachable_at.expect("an address");
    eventually("the engine is healthy", || health(&address)).await;
    assert!(back_up(&world, "alive", 1).await.is_ok(), "an engine at rest may run");
    assert!(matches!(put_back(&world, "alive", "r-0").await, Err(RuntimeError::DirectoryInUse(_))));
    world.docker.stop(world.game, &running.id, Duration::from_secs(10)).await.expect("a stop");
    let then = files(&world.directory());
    let told = AtomicU64::new(0);
    let tell = |progress: gamekeeper::runtime::CopyProgress| {
        told.fetch_max(progress.files_total, Ordering::Relaxed);
    };
    let backup = world.docker.back_up(&new(&world, "dead", 2), &tell).await.expect("a copy");
    assert_eq!(backup.files, then.len() as u64);
    assert_eq!(told.into_inner(), backup.files, "it was told how far it is");

    let inside = world.directory().join("turn");
    std::fs::write(&inside, "one that went wrong").expect("a file");
    put_back(&world, "dead", "r-1").await.expect("it is put back");
    assert_eq!(files(&world.directory()), then);
    // The container that is there mounts what is in the place now, and its user may write there.
    world.docker.start(world.game, &running.id).await.expect("a start");
    let address = world.seen().await.reachable_at.expect("an address");
    eventually("the engine is healthy", || health(&address)).await;
    assert!(world.state_root.join(format!(".gamekeeper/failed/{}/r-1/state/turn", world.game)).exists());
}

/// Everything may go but this copy.
#[derive(Debug)]
pub(crate) struct Spares(pub(crate) BackupId);

impl MayGo for Spares {
    fn anything(&self) -> bool {
        true
    }

    fn copy(&self, id: &BackupId) -> bool {
        *id != self.0
    }

    fn put_back(&self, _: &RestoreId) -> bool {
        true
    }
}

#[tokio::test]
async fn copies_that_are_too_many_or_too_old_go_and_what_is_spared_stays() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("turn"), "1").expect("a file");
    for (id, at) in [("a", 100), ("b", 200), ("c", 300), ("d", 400)] {
        back_up(&world, id, at).await.expect("a copy");
    }
    let now = Timestamp::from_second(450).expect("a time");
    let keep = Keep { count: 2, age: Some(Duration::from_secs(1_000)) };
    let spares: Arc<dyn MayGo> = Arc::new(Spares("a".parse().expect("a name")));
    let gone = world.docker.prune_backups(world.game, keep, &spares, now).await.expect("a pruning");
    assert_eq!(gone, ["b".parse().expect("a name")]);
    let left = world.docker.backups(world.game).await.expect("a list");
    assert_eq!(left.iter().map(|backup| backup.id.as_str()).collect::<Vec<_>>(), ["a", "c", "d"]);
    let again = world.docker.prune_backups(world.game, keep, &spares, now).await.expect("a pruning");
    assert!(again.is_empty());
}

#[tokio::test]
async fn a_copy_that_is_called_off_leaves_nothing_and_is_taken_later() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("large"), vec![7; 64 << 20]).expect("a file");
    let (reached, mut begun) = tokio::sync::watch::channel(0);
    let tell = |progress: gamekeeper::runtime::CopyProgress| {
        reached.send_replace(progress.bytes);
    };
    let copy = new(&world, "called-off", 1);
    tokio::select! {
        done = world.docker.back_up(&copy, &tell) => panic!("it was over before it was called off: {done:?}"),
        _ = begun.wait_for(|bytes| *bytes > 0) => {}
    }
    let kept = world.state_root.join(format!(".gamekeeper/backups/{}", world.game));
    let is_empty = || std::fs::read_dir(&kept).is_ok_and(|mut entries| entries.next().is_none());
    eventually("nothing of it is left", || async { is_empty().then_some(()) }).await;
    assert!(world.docker.backups(world.game).await.expect("a list").is_empty());
    back_up(&world, "called-off", 2).await.expect("a copy");
}
