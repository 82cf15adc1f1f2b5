//! With nothing to do, nothing is done.

use crate::counting::counting_socket;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_relist_with_nothing_to_do_is_two_calls_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let seen = counting_socket(path.clone(), "").await;
    let host = format!("unix://{}", path.display());
    let mut world = World::new().with(&["--docker-host", &host, "--relist-interval", "500ms"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    for name in ["a", "b", "c"] {
        world.running(name).await;
    }
    let writes = "SELECT sum(record_version) FROM runtime_records";
    let lists = || seen.lock().unwrap().iter().filter(|line| line.contains("/containers/json")).count();
    // Whatever the starts left to be looked at is looked at by the second relist from here.
    let settled = lists() + 2;
    world.eventually("two relists", async || lists() >= settled).await;
    let (written, first) = (world.count(writes).await, seen.lock().unwrap().len());
    let target = lists() + 4;
    world.eventually("four relists", async || lists() >= target).await;
    let calls: Vec<String> = seen.lock().unwrap()[first..].to_vec();
    // One list, and one look whether the state root is still the one that Docker mounts.
    let is_look = |line: &str| line.starts_with("HEAD /containers/") && line.contains("/archive?path=");
    let (looks, lists): (Vec<&String>, Vec<_>) = calls.iter().partition(|line| is_look(line));
    let other: Vec<_> = lists.iter().filter(|line| !line.contains("/containers/json")).collect();
    assert!(other.is_empty(), "a relist made more than two calls: {other:?}");
    assert!(looks.len().abs_diff(lists.len()) <= 1, "{} lists and {} looks", lists.len(), looks.len());
    assert_eq!(world.count(writes).await, written, "a relist wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_announced_is_seen_by_the_next_relist() {
    let mut world = World::new().with(&["--relist-interval", "1s"]);
    world.start();
    let seen = world.game("seen", "no-such").await;
    world.until(&seen, "seen", |status| status.phase == "invalid").await;
    silence_the_feed(&world).await;
    let unseen = world.game("unseen", "no-such").await;
    world.until(&unseen, "seen by a relist", |status| status.phase == "invalid").await;
}

/// Takes away what announces a change of a game.
async fn silence_the_feed(world: &World) {
    if world.database.is_postgres() {
        let triggers = "SELECT quote_ident(t.tgname), t.tgrelid::regclass::text FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid \
                        WHERE p.prosrc LIKE '%''_desired''%' AND p.pronamespace = current_schema()::regnamespace";
        for row in world.rows(triggers).await {
            let (trigger, table): (String, String) = (row.get(0), row.get(1));
            world.sql(&format!("DROP TRIGGER {trigger} ON {table}")).await;
        }
    } else {
        world
            .sql("CREATE TRIGGER silent BEFORE UPDATE ON desired_feed BEGIN SELECT RAISE(IGNORE); END")
            .await;
    }
}
