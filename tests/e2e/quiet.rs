//! With nothing to do, nothing is done.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::world::World;

/// Counts the requests that pass to Docker, by their first lines.
async fn counting_socket(path: std::path::PathBuf) -> Arc<std::sync::Mutex<Vec<String>>> {
    let listener = UnixListener::bind(path).unwrap();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let lines = seen.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lines = lines.clone();
            tokio::spawn(async move {
                let upstream = UnixStream::connect(docker_socket()).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_docker, mut to_docker) = upstream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_docker, &mut to_client).await });
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    let requests = text.lines().filter(|line| line.ends_with(" HTTP/1.1")).map(str::to_owned);
                    lines.lock().unwrap().extend(requests);
                    if to_docker.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    seen
}

fn docker_socket() -> String {
    let host = crate::world::docker(&["context", "inspect", "-f", "{{.Endpoints.docker.Host}}"]).stdout;
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| host.trim().to_owned());
    host.trim_start_matches("unix://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relist_with_nothing_to_do_is_one_call_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let seen = counting_socket(path.clone()).await;
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
