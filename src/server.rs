//! The whole thing in one process: database, controller, API.
//!
//! Everything that can be refused is checked before anything is written: the port, Docker, the
//! directories. Then the parts are put together, one line is printed when all of them work, and the
//! process waits to be told to end.

mod ground;
mod lobby;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api, Readiness};
use crate::config::Config;
use crate::controller::{self, Limits, Metrics, Parts};
use crate::engine::{Deadlines, EngineClient};
use crate::game::InstanceId;
use crate::game::controller::ControllerStatus;
use crate::runtime::docker::DockerRuntime;
use crate::store::Store;
use lobby::Lobby;

/// How long rounds that hang in Docker may keep the recorder open.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How long the API may take to finish what it has begun.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Runs the controller and the API until SIGTERM or SIGINT. Engines are left running.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let listener = ground::listen(config.listen)?;
    let metrics_listener = config.metrics_listen.map(ground::listen).transpose()?;
    let url = config.database_url.as_str();
    if ground::is_first_start(url) {
        // A first start without Docker is a mistake; a later one finds Docker again by itself.
        ground::docker_answers(&DockerRuntime::new(config.docker(InstanceId(uuid::Uuid::nil())))?).await?;
    }
    ground::directory(&config.data_dir, "--data-dir")?;
    let _lock = ground::lock(&config.data_dir)?;
    ground::state_root(&config.state_root)?;

    let store = Store::open(url).await?.telling_the_lobby(lobby::is_told(&config.lobby));
    let instance = store.instance().await?;
    let mut registry = Registry::default();
    let lobby = Lobby::prepare(&config.lobby, instance.id, &mut registry)?;
    let runtime = Arc::new(DockerRuntime::new(config.docker(instance.id))?);
    let epoch = store.take_lead(&ground::holder()).await?;
    let (recorder, writer) = store.recorder(epoch);
    tracing::info!(instance = %instance.id, epoch = epoch.0, "leading");
    tokio::spawn(ground::keep_high_water(runtime.clone(), recorder.high_water()));

    let metrics = Metrics::new(&mut registry);
    let registry = Arc::new(registry);
    let (health_sender, health) = watch::channel(ControllerStatus::default());
    let (asker, questions) = controller::questions();
    let shutdown = CancellationToken::new();

    let address = listener.local_addr()?;
    let tls = api::Tls::load_or_create(&config.data_dir, address.ip())?;
    let tokens = api::kubeconfig::ensure(&config.data_dir, address, tls.ca_pem())?;
    let api = Api {
        store: store.clone(),
        runtime: runtime.clone(),
        ready: readiness(health.clone()),
        controller: health.clone(),
        asker,
        max_failures: config.max_failures,
        registry: registry.clone(),
        tokens,
    };
    let mut serving = tokio::spawn(api::serve(listener, api, tls, shutdown.clone()));
    if let Some(listener) = metrics_listener {
        tokio::spawn(api::serve_metrics(listener, registry, shutdown.clone()));
    }
    tokio::spawn(ground::forget_the_past(store.clone(), config.history, shutdown.clone()));
    let telling = lobby.start(&store, &shutdown);
    let last_word = store.clone();
    let parts = Parts {
        store,
        recorder,
        epoch,
        runtime,
        engines: EngineClient::new(Deadlines { turn: config.turn_deadline, ..Deadlines::default() }),
        policy: config.policy(),
        limits: Limits {
            starts: config.max_starts,
            pulls: config.max_pulls,
            disruptions: config.max_disruptions,
            patch_failures: config.max_failures,
            engine_calls: config.max_engine_calls,
            turns: config.max_turns,
            ..Limits::default()
        },
        relist_every: config.relist_interval,
        metrics,
    };
    let mut controlling = tokio::spawn(controller::run(parts, questions, health_sender, shutdown.clone()));
    tokio::spawn(say_when_ready(health, address, config.clone()));

    let ended = tokio::select! {
        () = told_to_end() => Ok(()),
        ended = &mut controlling => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)),
        ended = &mut serving => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)),
    };
    tracing::info!("ending; engines are left running");
    shutdown.cancel();
    if !controlling.is_finished() {
        controlling.await??;
    }
    if !serving.is_finished() && tokio::time::timeout(LAST_REQUESTS, serving).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    // It ends soon by itself, whatever the lobby does.
    telling.await?;
    // The recorder's last sender went with the controller: what was asked for is written.
    if tokio::time::timeout(LAST_WRITES, writer).await.is_err() {
        tracing::warn!("some rounds did not end in time; the next start looks at their games again");
    }
    if let Err(error) = last_word.close().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the database was not tidied up; nothing is lost"
        );
    }
    ended
}

/// Prints the one line that scripts wait for.
async fn say_when_ready(mut health: watch::Receiver<ControllerStatus>, address: SocketAddr, config: Config) {
    if health.wait_for(|health| health.started).await.is_err() {
        return;
    }
    let url = api::kubeconfig::server_url(address);
    let mut out = std::io::stdout().lock();
    // Nobody may be listening to standard output, which is no reason to end.
    let _ = writeln!(out, "gamekeeper is ready: {url} (kubeconfig: {})", config.kubeconfig().display());
    let _ = out.flush();
}

/// What `/readyz` says of the controller's health.
fn readiness(mut health: watch::Receiver<ControllerStatus>) -> watch::Receiver<Readiness> {
    let (sender, receiver) = watch::channel(problems(&health.borrow()));
    tokio::spawn(async move {
        while health.changed().await.is_ok() {
            let now = problems(&health.borrow_and_update());
            sender.send_replace(now);
        }
    });
    receiver
}

fn problems(health: &ControllerStatus) -> Readiness {
    let ControllerStatus {
        started,
        freezes,
        docker_down,
        database_down,
        ground: _,
        held_deletions: _,
        orphans: _,
    } = health;
    let mut problems = Vec::new();
    if !started {
        problems.push("the controller has not looked at everything yet".to_owned());
    }
    for freeze in freezes {
        problems.push(format!("frozen ({}): {} {}", freeze.reason, freeze.message, freeze.way_out));
    }
    if let Some(why) = docker_down {
        problems.push(format!("Docker does not answer: {why}"));
    }
    if let Some(why) = database_down {
        problems.push(format!("the database does not answer: {why}"));
    }
    Readiness { problems }
}

/// Waits for SIGTERM or SIGINT. A second one ends the process at once.
async fn told_to_end() {
    let wait = async || match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut term), Ok(mut int)) => {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        }
        _ => std::future::pending().await,
    };
    wait().await;
    tokio::spawn(async move {
        wait().await;
        std::process::exit(130);
    });
}
