//! The whole thing in one process: database, controller, API.
//!
//! Everything that can be refused is checked before anything is written: the port, Docker, the
//! directories. Then the parts are put together, one line is printed when all of them work, and the
//! process waits to be told to end.

mod candidate;
mod ground;
mod lobby;
mod office;

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
use crate::controller::{self, Metrics};
use crate::game::InstanceId;
use crate::game::controller::{ControllerStatus, DOCKER_WAY_OUT};
use crate::runtime::docker::DockerRuntime;
use crate::store::Store;
use lobby::Lobby;
use office::Office;

/// How long the API may take to finish what it has begun.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Runs the controller and the API until SIGTERM or SIGINT. Engines are left running.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let listener = ground::listen(config.listen)?;
    let metrics_listener = config.metrics_listen.map(ground::listen).transpose()?;
    if ground::is_first_start(&config.database).await {
        // A first start without Docker is a mistake; a later one finds Docker again by itself.
        ground::docker_answers(&DockerRuntime::new(config.docker(InstanceId(uuid::Uuid::nil())))?).await?;
    }
    ground::directory(&config.data_dir, "--data-dir")?;
    let _lock = config.database.lock()?;
    ground::state_root(&config.state_root)?;

    let store = Store::open(&config.database).await?.telling_the_lobby(lobby::is_told(&config.lobby));
    let instance = store.instance().await?;
    let mut registry = Registry::default();
    let lobby = Lobby::prepare(&config.lobby, instance.id, &mut registry)?;
    let runtime = Arc::new(DockerRuntime::new(config.docker(instance.id))?);
    let metrics = Metrics::new(&mut registry);
    let registry = Arc::new(registry);
    let status = watch::Sender::new(ControllerStatus::default());
    // Nobody answers before there is a leader.
    let (asker, _) = controller::questions();
    let shutdown = CancellationToken::new();

    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the API listens beyond this machine, as --listen says; whoever asks needs a token or a certificate");
    }
    let said = api::TlsSettings { names: config.tls_names.clone(), client_ca: config.client_ca.clone() };
    let tls = api::Tls::with(&config.data_dir, address.ip(), said)?;
    let tokens = api::kubeconfig::ensure(&config.data_dir, address, tls.ca_pem())?;
    let api = Api {
        store: store.clone(),
        runtime: runtime.clone(),
        ready: readiness(status.subscribe()),
        controller: status.subscribe(),
        asker: asker.clone(),
        max_failures: config.max_failures,
        registry: registry.clone(),
        tokens,
        hub: api::HubLimits {
            watches: config.max_watches,
            all_watches: config.max_watches_in_all,
            ..api::HubLimits::default()
        },
        limits: api::Limits { requests: config.max_requests, ..api::Limits::default() },
    };
    let mut serving = tokio::spawn(api::serve(listener, api, tls, shutdown.clone()));
    if let Some(listener) = metrics_listener {
        tokio::spawn(api::serve_metrics(listener, registry, shutdown.clone()));
    }
    tokio::spawn(say_when_ready(status.subscribe(), address, config.clone()));
    let last_word = store.clone();
    let office = Office { config, store, runtime, lobby, metrics, status, asker };
    let mut leading = tokio::spawn(office.run(shutdown.clone()));

    let ended = tokio::select! {
        () = told_to_end() => Ok(()),
        ended = &mut leading => ended.map_err(anyhow::Error::from).and_then(|ended| ended),
        ended = &mut serving => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)),
    };
    tracing::info!("ending; engines are left running");
    shutdown.cancel();
    last_word.ends_soon();
    if !leading.is_finished() {
        leading.await??;
    }
    if !serving.is_finished() && tokio::time::timeout(LAST_REQUESTS, serving).await.is_err() {
        tracing::warn!("some requests did not end in time");
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
    let Ok(health) = health.wait_for(|health| health.started || health.stands_by).await else { return };
    let ready = if health.started { "is ready" } else { "is ready and stands by" };
    let url = api::kubeconfig::server_url(address);
    let mut out = std::io::stdout().lock();
    // Nobody may be listening to standard output, which is no reason to end.
    let _ = writeln!(out, "gamekeeper {ready}: {url} (kubeconfig: {})", config.kubeconfig().display());
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
        stands_by,
        started,
        freezes,
        docker_down,
        database_down,
        ground: _,
        held_deletions: _,
        orphans: _,
    } = health;
    let mut problems = Vec::new();
    if !started && !stands_by {
        problems.push("the controller has not looked at everything yet".to_owned());
    }
    for freeze in freezes {
        let what = if *stands_by { "cannot take the lead" } else { "frozen" };
        problems.push(format!("{what} ({}): {} {}", freeze.reason, freeze.message, freeze.way_out));
    }
    if let Some(why) = docker_down {
        problems.push(format!("Docker does not answer: {why}; {DOCKER_WAY_OUT}"));
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
