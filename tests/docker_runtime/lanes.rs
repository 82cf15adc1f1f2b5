//! Copies and removals that stand still keep their threads, and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use gamekeeper::game::spec::RunAs;
use gamekeeper::game::{BackupReason, GameId, NewBackup};
use gamekeeper::runtime::{MOST_COPIES_BEGUN, MOST_REMOVALS_BEGUN, MayGo, Runtime};
use jiff::Timestamp;

use crate::copies::Spares;
use crate::world::World;

/// Far longer than anything here takes that waits for nobody.
const LONG: Duration = Duration::from_secs(30);

/// No more of the kind finds a thread once nobody comes to its end in so long, however often it is tried.
const FULL: Duration = Duration::from_millis(500);

fn new(game: GameId, id: &str) -> NewBackup {
    NewBackup {
        id: id.parse().expect("a name"),
        game,
        taken_at: Timestamp::from_second(1).expect("a time"),
        reason: BackupReason::Demand,
        turn: None,
        timeline: None,
        build: None,
    }
}

/// So many games with a state each, whose copies and removals stand still.
async fn standing(world: &World, count: usize) -> Vec<GameId> {
    let games: Vec<GameId> = (0..count).map(|_| GameId(uuid::Uuid::new_v4())).collect();
    for game in &games {
        world.docker.create_state_directory(*game, RunAs::Auto).await.expect("a directory");
        world.docker.pause_copying(*game, true);
    }
    games
}

#[tokio::test]
async fn a_copy_is_put_back_whoever_else_copies_and_stands_still() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("turn"), "1").expect("a file");
    world.docker.back_up(&new(world.game, "b-1"), &|_| {}).await.expect("a copy");
    let games = standing(&world, MOST_COPIES_BEGUN + 20).await;
    let news: Vec<NewBackup> = games.iter().map(|game| new(*game, "b-1")).collect();
    let copies = news.iter().map(|new| world.docker.back_up(new, &|_| {}));
    let (backup, restore) = ("b-1".parse().expect("a name"), "r-1".parse().expect("a name"));
    let put_back = async {
        let another = new(world.game, "b-2");
        while tokio::time::timeout(FULL, world.docker.back_up(&another, &|_| {})).await.is_ok() {}
        let put_back = world.docker.put_back(world.game, &backup, &restore, &|_| {});
        tokio::time::timeout(LONG, put_back).await.expect("it waited for copies").expect("it is put back");
    };
    tokio::select! {
        done = futures::future::select_all(copies.map(Box::pin)) => panic!("it stands still: {:?}", done.0),
        () = put_back => {}
    }
}

#[tokio::test]
async fn what_is_too_much_goes_whoever_else_removes_and_stands_still() {
    let world = World::new().prepared().await;
    std::fs::write(world.directory().join("turn"), "1").expect("a file");
    world.docker.back_up(&new(world.game, "b-1"), &|_| {}).await.expect("a copy");
    let games = standing(&world, MOST_REMOVALS_BEGUN + 20).await;
    let removals = games.iter().map(|game| world.docker.remove_copies(*game, &|_| {}));
    let backup = "b-1".parse().expect("a name");
    let may_go: Arc<dyn MayGo> = Arc::new(Spares("another".parse().expect("a name")));
    let another = GameId(uuid::Uuid::new_v4());
    let pruned = async {
        while tokio::time::timeout(FULL, world.docker.remove_copies(another, &|_| {})).await.is_ok() {}
        let removed = world.docker.remove_backup(world.game, &backup, &may_go);
        assert!(
            tokio::time::timeout(LONG, removed).await.expect("it waited for removals").expect("a removal")
        );
    };
    tokio::select! {
        done = futures::future::select_all(removals.map(Box::pin)) => panic!("it stands still: {:?}", done.0),
        () = pruned => {}
    }
    assert!(world.docker.backups(world.game).await.expect("a list").is_empty());
}
