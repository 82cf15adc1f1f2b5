//! A world of one test: an instance, a network and a state root of its own, and nothing left of
//! them afterwards.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use gamekeeper::game::{ContainerId, Epoch, GameId, ImageRef, InstanceId, Resources};
use gamekeeper::runtime::docker::{DockerRuntime, Settings, StateRoot};
use gamekeeper::runtime::{Container, ContainerState, ImageSelector, NewContainer, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

/// The engine that the tests run.
pub const ENGINE: &str = "gamekeeper/reference-engine:1.4.1";

pub struct World {
    pub instance: InstanceId,
    pub game: GameId,
    pub docker: DockerRuntime,
    pub state_root: PathBuf,
    settings: Settings,
    _directory: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let instance = InstanceId(Uuid::new_v4());
        let state_root = directory.path().join("state");
        let mut settings = Settings::new(instance, &state_root);
        settings.network = format!("gktest-{}", &instance.to_string()[..8]);
        change(&mut settings);
        let docker = DockerRuntime::new(settings.clone()).expect("a runtime");
        StateRoot::new(state_root.clone(), Some(instance)).bind().expect("a state root");
        Self { instance, game: GameId(Uuid::new_v4()), docker, state_root, settings, _directory: directory }
    }

    /// Another runtime that is told the same: another process of the same instance.
    pub fn twin(&self) -> DockerRuntime {
        DockerRuntime::new(self.settings.clone()).expect("a runtime")
    }

    pub fn network(&self) -> &str {
        &self.settings.network
    }

    pub fn container_name(&self) -> String {
        format!("gamekeeper-{}", self.game)
    }

    pub fn directory(&self) -> PathBuf {
        self.state_root.join(self.game.to_string())
    }

    pub fn wanted(&self) -> NewContainer {
        NewContainer {
            game: self.game,
            name: "andromeda".parse().expect("a name"),
            engine_version: "1.4.1".into(),
            inputs: "{}".into(),
            spec_hash: "abc".into(),
            epoch: Epoch(7),
            image: ImageSelector::Reference(ImageRef::new(ENGINE)),
            port: 8080,
            run_as: Default::default(),
            relaxations: vec![],
            resources: Resources { cpu_millis: Some(500), memory_bytes: Some(64 << 20), pids: Some(64) },
            with_token: true,
        }
    }

    /// Network and state directory are there.
    pub async fn prepared(self) -> Self {
        self.docker.create_network().await.expect("a network");
        self.docker.create_state_directory(self.game, Default::default()).await.expect("a directory");
        self
    }

    pub async fn created(&self) -> ContainerId {
        self.docker.create(&self.wanted()).await.expect("a container")
    }

    pub async fn running(&self) -> Container {
        let id = self.created().await;
        self.docker.start(self.game, &id).await.expect("a start");
        self.seen().await
    }

    /// The game's container, which has to be there.
    pub async fn seen(&self) -> Container {
        self.docker.inspect(self.game).await.expect("an inspect").expect("a container")
    }

    pub async fn exited(&self) -> Container {
        eventually("the container has exited", || async {
            let seen = self.seen().await;
            matches!(seen.state, ContainerState::Exited { .. }).then_some(seen)
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let label = format!("label=gamekeeper.dev/instance={}", self.instance);
        for name in docker(&["ps", "-aq", "--no-trunc", "--filter", &label]).split_whitespace() {
            docker(&["rm", "-f", "-v", name]);
        }
        let named = format!("name={}", self.settings.network);
        for name in
            docker(&["ps", "-aq", "--filter", &format!("name={}", self.container_name())]).split_whitespace()
        {
            docker(&["rm", "-f", "-v", name]);
        }
        for id in docker(&["network", "ls", "-q", "--no-trunc", "--filter", &named]).split_whitespace() {
            docker(&["network", "rm", id]);
        }
    }
}

/// Docker's own client: what a person at the keyboard does.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("Docker's client");
    if !output.status.success() {
        eprintln!("docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What Docker's client says of a container.
pub fn inspected(id: &ContainerId) -> serde_json::Value {
    let text = docker(&["inspect", id.as_str()]);
    let mut containers: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    containers.remove(0)
}

/// Waits until it gives something, and fails after 20 s.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The status line of `GET /healthz`.
pub async fn health(address: &str) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = "GET /healthz HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.lines().next().map(str::to_owned).filter(|line| line.contains("200"))
}
