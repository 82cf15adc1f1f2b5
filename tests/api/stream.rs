//! A client that watches: the lines of a watch, one by one.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use serde_json::Value;

use crate::world::World;

/// How long a line may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing comes where nothing is to come.
const SILENCE: Duration = Duration::from_millis(400);

/// An open watch.
pub(crate) struct Watch {
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    read: Vec<u8>,
}

/// One line of it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) kind: String,
    pub(crate) object: Value,
}

impl Line {
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn version(&self) -> u64 {
        let version = self.object["metadata"]["resourceVersion"].as_str();
        version.and_then(|version| version.parse().ok()).unwrap_or_default()
    }

    /// As in `ADDED andromeda`.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.kind, self.name())
    }
}

impl Watch {
    pub(crate) async fn open(world: &World, path: &str) -> Self {
        Self::at(world, world.address, path).await
    }

    /// In another form.
    pub(crate) async fn accepting(world: &World, path: &str, accept: &str) -> Self {
        Self::ask(world, world.address, path, accept).await
    }

    /// At another server of the same database.
    pub(crate) async fn at(world: &World, address: SocketAddr, path: &str) -> Self {
        Self::ask(world, address, path, "application/json").await
    }

    /// By somebody else.
    pub(crate) async fn of(world: &World, address: SocketAddr, token: &str, path: &str) -> Self {
        Self::ask_as(world, address, token, path, "application/json").await
    }

    async fn ask(world: &World, address: SocketAddr, path: &str, accept: &str) -> Self {
        Self::ask_as(world, address, &world.token, path, accept).await
    }

    async fn ask_as(world: &World, address: SocketAddr, token: &str, path: &str, accept: &str) -> Self {
        let request = world.client.get(format!("https://{address}{path}")).bearer_auth(token);
        let request = request.header("accept", accept);
        let response = request.timeout(Duration::from_secs(600)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json");
        Self { chunks: Box::pin(response.bytes_stream()), read: Vec::new() }
    }

    /// The next line, which has to come.
    pub(crate) async fn next(&mut self) -> Line {
        let line = tokio::time::timeout(PATIENCE, self.read()).await.expect("a line comes");
        line.expect("the watch goes on")
    }

    /// Nothing comes.
    pub(crate) async fn is_silent(&mut self) {
        if let Ok(line) = tokio::time::timeout(SILENCE, self.read()).await {
            panic!("nothing should come: {line:#?}");
        }
    }

    /// It ends, and says nothing more.
    pub(crate) async fn ends(&mut self) {
        let end = tokio::time::timeout(PATIENCE, self.read()).await.expect("it ends");
        assert!(end.is_none(), "{end:#?}");
    }

    pub(crate) async fn read(&mut self) -> Option<Line> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let mut line: Value = serde_json::from_slice(&line).unwrap();
                let kind = line["type"].as_str().unwrap().to_owned();
                return Some(Line { kind, object: line["object"].take() });
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.read.extend_from_slice(&chunk),
                Some(Err(_)) | None => return None,
            }
        }
    }
}
