//! What has to be there before anything is begun, and what to do if it is not.

use std::fs::{DirBuilder, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::runtime::{Runtime, RuntimeError};
use crate::store::history::History;
use crate::store::{Place, Store};

/// Why the controller does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(
        "the address {address} cannot be listened on; is another gamekeeper running? Choose another one with --listen"
    )]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the directory {path} cannot be made; choose another one with {flag}")]
    MakeDirectory { path: PathBuf, flag: &'static str, source: io::Error },
    #[error(
        "the directory {path} cannot be written; check its owner and mode, or choose another one with {flag}"
    )]
    WriteDirectory { path: PathBuf, flag: &'static str, source: io::Error },
    #[error("Docker does not answer; start it, or say where it is with --docker-host or DOCKER_HOST")]
    NoDocker(#[source] RuntimeError),
}

pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })
}

/// Whether there is no database yet.
pub(super) async fn is_first_start(database: &Place) -> bool {
    match database.sqlite_path() {
        Some(path) => !path.exists(),
        // What is wrong otherwise is said when it is opened.
        None => matches!(Store::examine(database).await, Ok(None)),
    }
}

pub(super) async fn docker_answers(runtime: &dyn Runtime) -> Result<(), StartError> {
    runtime.identity().await.map(drop).map_err(StartError::NoDocker)
}

/// A directory of ours, made if it is not there, that can be written.
pub(super) fn directory(path: &Path, flag: &'static str) -> Result<(), StartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StartError::MakeDirectory { path: path.to_owned(), flag, source })?;
    writable(path, flag)
}

/// The state root, made if it is not there: engines of other users pass through it, and list nothing.
pub(super) fn state_root(path: &Path) -> Result<(), StartError> {
    const FLAG: &str = "--state-root";
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(path)
        .map_err(|source| StartError::MakeDirectory { path: path.to_owned(), flag: FLAG, source })?;
    writable(path, FLAG)
}

fn writable(path: &Path, flag: &'static str) -> Result<(), StartError> {
    let probe = path.join(format!(".gamekeeper-probe-{}", std::process::id()));
    let written = File::create_new(&probe).map(drop);
    let _ = std::fs::remove_file(&probe);
    written.map_err(|source| StartError::WriteDirectory { path: path.to_owned(), flag, source })
}

/// The shortest time between two notes of the high-water counter in the state root.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Notes in the state root how far the database has come, so that an older copy of it is recognised.
/// Ends when the recorder does.
pub(super) async fn keep_high_water(runtime: Arc<dyn Runtime>, mut counter: watch::Receiver<i64>) {
    while counter.changed().await.is_ok() {
        let high_water = *counter.borrow_and_update();
        note_high_water(&*runtime, high_water).await;
        tokio::time::sleep(NOTE_EVERY).await;
    }
}

/// So long the state root has to take a note.
const NOTED_WITHIN: Duration = Duration::from_secs(5);

/// Notes in the state root that the high-water counter has come so far, unless nothing was counted yet.
pub(super) async fn note_high_water(runtime: &dyn Runtime, high_water: i64) {
    if high_water == 0 {
        return;
    }
    let noted = tokio::time::timeout(NOTED_WITHIN, runtime.keep_high_water(high_water)).await;
    let why = match noted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => crate::reconcile::apply::chain(&error),
        Err(_) => "the disk did not answer in time".to_owned(),
    };
    // A state root that is wrong freezes the controller; this only cannot be noted.
    tracing::warn!(error = why, "the high-water counter could not be noted in the state root");
}

/// So long are events kept.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A leadership is so old when it first forgets: it begins with more urgent things.
const FORGETS_AFTER: Duration = Duration::from_secs(5 * 60);

/// So long it remembers after it forgot.
const FORGETS_EVERY: Duration = Duration::from_secs(3_600);

/// Forgets what is old, a while after the leadership began and every hour.
pub(super) async fn forget_the_past(store: Store, keep: History, shutdown: CancellationToken) {
    let mut hours = tokio::time::interval_at(Instant::now() + FORGETS_AFTER, FORGETS_EVERY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(hours.tick()).await.is_some() {
        let forgotten = async {
            let now = match store.retention_now().await {
                Ok(now) => now,
                Err(error) => return vec![Err(error)],
            };
            // Each for itself: what one cannot have now is no reason to keep the other.
            vec![
                store.prune_events(now - EVENTS_KEPT).await.map(drop),
                store.prune_history(now, &keep).await.map(drop),
            ]
        };
        for result in shutdown.run_until_cancelled(forgotten).await.into_iter().flatten() {
            if let Err(error) = result {
                tracing::warn!(error = &error as &dyn std::error::Error, "the past could not be forgotten");
            }
        }
    }
}

/// Who leads, for people.
pub(super) fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
