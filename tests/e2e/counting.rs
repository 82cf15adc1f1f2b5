//! A socket before Docker's that counts the requests which pass, and can make some of them slow.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Counts the requests that pass to Docker, by their first lines.
/// Requests for `slow` take a second longer.
pub(crate) async fn counting_socket(path: PathBuf, slow: &'static str) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(path).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
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
                    if !slow.is_empty() && text.contains(slow) {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
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
