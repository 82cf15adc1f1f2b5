//! With nothing to do, nothing is done.

use crate::counting::counting_socket;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_relist_with_nothing_to_do_is_one_call_and_writes_nothing() {
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
    let other: Vec<&String> = calls.iter().filter(|line| !line.contains("/containers/json")).collect();
    assert!(other.is_empty(), "a relist made more than one call: {other:?}");
    assert_eq!(world.count(writes).await, written, "a relist wrote");
}
