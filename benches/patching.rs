//! How long a game is down that is patched: from its old engine's end to its new one's first healthy
//! answer, beside the bare sequence straight on Docker's API, in turns: stop, remove, create, copy
//! the state, flush the copy, start, healthy. The state is what a young game has, and as much again
//! as `GAMEKEEPER_BENCH_STATE_MIB` says.
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptions, StartContainerOptions,
    StopContainerOptions,
};
use support::{IMAGE, Keeper, address_of, api, docker, report};

const OTHER: &str = "gamekeeper/reference-engine:1.4.1";
const SAMPLES: usize = 11;
const DEADLINE: Duration = Duration::from_secs(60);
/// More than the ratio that is wanted is a failure.
const LIMIT: f64 = 1.2;

#[tokio::main]
async fn main() -> ExitCode {
    let (keeper, docker_api) = (Keeper::start(), api());
    keeper.gk(&["apply", "-f", &keeper.manifest(&["patched".into()]), "--wait", "--timeout", "60s"]);
    let versions = keeper.dir.path().join("versions.yaml");
    let version = format!(
        "apiVersion: gamekeeper.dev/v1\nkind: EngineVersion\nmetadata: {{ name: \"1.4.1\" }}\nspec: {{ image: \"{OTHER}\" }}\n"
    );
    std::fs::write(&versions, version).expect("a manifest");
    keeper.gk(&["apply", "-f", &versions.display().to_string()]);
    let container = keeper.container("patched");
    let game = container.trim_start_matches("gamekeeper-").to_owned();
    let state = keeper.dir.path().join("games").join(&game);
    ballast(&state);
    let database = keeper.dir.path().join("data/gamekeeper.db");

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut straight = Straight::new(&keeper, &docker_api, &container, &state).await;
    for sample in 0..SAMPLES {
        let (version, image) = if sample % 2 == 0 { ("1.4.1", OTHER) } else { ("1.4.2", IMAGE) };
        ours.push(patched(&docker_api, &database, &game, &container, version).await);
        bare.push(straight.patched(image).await);
    }
    straight.remove().await;
    report("downtime of a patch", &ours, "bare API", &bare, LIMIT)
}

/// More state than a young game has.
fn ballast(state: &Path) {
    let mib = std::env::var("GAMEKEEPER_BENCH_STATE_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(0);
    let content: Vec<u8> = (0..1_usize << 20).map(|byte| (byte % 251) as u8).collect();
    for number in 0..mib {
        std::fs::write(state.join(format!("ballast-{number}")), &content).expect("written");
    }
}

/// Asks for the version as a lobby does, and measures from the last healthy answer of the old engine
/// to the first of the new one.
async fn patched(api: &Docker, database: &Path, game: &str, container: &str, version: &str) -> f64 {
    let address = address_of(container);
    let old = docker(&["inspect", "-f", "{{.Id}}", container]);
    let sql = format!("UPDATE games SET target_engine_version = '{version}' WHERE game_id = '{game}'");
    let asked = std::process::Command::new("sqlite3").arg(database).args([".timeout 5000", &sql]).status();
    assert!(asked.expect("sqlite3 runs").success());
    let mut last = Instant::now();
    while is_healthy(&address) {
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
    }
    healthy_again(api, container, Some(&old)).await.duration_since(last).as_secs_f64()
}

/// When the container of this name, another one than the old, answers healthily. Docker is asked by
/// its API: a process for each question would slow down what is measured.
async fn healthy_again(api: &Docker, name: &str, old: Option<&str>) -> Instant {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < DEADLINE, "{name} is not healthy");
        if let Ok(found) = api.inspect_container(name, None::<InspectContainerOptions>).await
            && found.id.as_deref() != old
            && let Some(address) = address(found)
            && is_healthy(&address)
        {
            return Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn address(found: ContainerInspectResponse) -> Option<String> {
    let networks = found.network_settings?.networks?;
    let ip = networks.into_values().find_map(|network| network.ip_address).filter(|ip| !ip.is_empty())?;
    Some(format!("{ip}:8080"))
}

fn is_healthy(address: &str) -> bool {
    let Ok(address) = address.parse() else { return false };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 2")
}

/// The same by hand: a container like the game's on a copy of its state.
struct Straight<'a> {
    api: &'a Docker,
    name: String,
    state: PathBuf,
    copies: PathBuf,
    body: ContainerCreateBody,
    number: usize,
}

impl<'a> Straight<'a> {
    async fn new(keeper: &Keeper, api: &'a Docker, container: &str, state: &Path) -> Self {
        let sample = api.inspect_container(container, None::<InspectContainerOptions>).await.expect("it");
        let name = format!("gk-bench-{}", std::process::id());
        let (own, copies) = (keeper.dir.path().join(&name), keeper.dir.path().join("copies"));
        copy(state, &own);
        std::fs::create_dir(&copies).expect("a directory");
        let body = body(sample, &own, keeper);
        let straight = Self { api, name, state: own, copies, body, number: 0 };
        straight.create(IMAGE).await;
        straight.start().await;
        straight
    }

    async fn create(&self, image: &str) {
        let options = CreateContainerOptionsBuilder::new().name(&self.name).build();
        let body = ContainerCreateBody { image: Some(image.to_owned()), ..self.body.clone() };
        self.api.create_container(Some(options), body).await.expect("created");
    }

    async fn start(&self) -> Instant {
        self.api.start_container(&self.name, None::<StartContainerOptions>).await.expect("started");
        healthy_again(self.api, &self.name, None).await
    }

    async fn patched(&mut self, image: &str) -> f64 {
        self.number += 1;
        let began = Instant::now();
        let grace = StopContainerOptions { t: Some(10), signal: None };
        self.api.stop_container(&self.name, Some(grace)).await.expect("stopped");
        self.api.remove_container(&self.name, None::<RemoveContainerOptions>).await.expect("removed");
        self.create(image).await;
        copy(&self.state, &self.copies.join(self.number.to_string()));
        self.start().await.duration_since(began).as_secs_f64()
    }

    async fn remove(&self) {
        let force = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
        self.api.remove_container(&self.name, Some(force)).await.expect("removed");
    }
}

/// As an operator copies what must not be lost: with owners and times, on the disk at the end.
fn copy(from: &Path, to: &Path) {
    let script = format!("cp -a '{0}' '{1}' && find '{1}' -exec sync {{}} +", from.display(), to.display());
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().expect("sh runs").success());
}

fn body(sample: ContainerInspectResponse, state: &Path, keeper: &Keeper) -> ContainerCreateBody {
    let config = sample.config.expect("its configuration");
    let mut host = sample.host_config.expect("the host's");
    for mount in host.mounts.iter_mut().flatten() {
        mount.source = Some(state.display().to_string());
    }
    host.network_mode = Some(keeper.network.clone());
    ContainerCreateBody {
        user: config.user,
        env: config.env,
        healthcheck: config.healthcheck,
        exposed_ports: config.exposed_ports,
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}
