//! The lobby's part of the process: what is pushed, and what keeps the outbox small.

use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{LobbyConfig, LobbyMode};
use crate::game::InstanceId;
use crate::lobby::{LobbyMetrics, Pace, Patience, Push, PushError, deliver, keep_bounded};
use crate::store::Store;
use crate::store::outbox::Retention;

/// What is prepared before anything is begun, so that mistakes are told at the start.
#[derive(Clone)]
pub(super) struct Lobby {
    push: Option<Push>,
    pace: Pace,
    retention: Retention,
    metrics: LobbyMetrics,
}

impl Lobby {
    pub(super) fn prepare(
        config: &LobbyConfig,
        instance: InstanceId,
        registry: &mut Registry,
    ) -> Result<Self, PushError> {
        let push = config
            .push()
            .map(|(url, secret)| Push::new(url.url().clone(), secret, config.deadline, instance))
            .transpose()?;
        let patience = Patience { give_up_after: config.give_up_after, ..Patience::default() };
        let kept = |span| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let retention = Retention {
            delivered: kept(config.keep_delivered),
            undelivered: kept(config.keep_undelivered),
            ..Retention::default()
        };
        let metrics = LobbyMetrics::new(registry);
        Ok(Self { push, pace: Pace { patience, ..Pace::default() }, retention, metrics })
    }

    /// Begins. Only whoever leads may.
    pub(super) fn start(&self, store: &Store, shutdown: &CancellationToken) -> JoinHandle<()> {
        let Self { push, pace, retention, metrics } = self.clone();
        tokio::spawn(keep_bounded(store.clone(), retention, metrics.clone(), shutdown.clone()));
        match push {
            Some(push) => tokio::spawn(deliver(store.clone(), push, pace, metrics, shutdown.clone())),
            None => tokio::spawn(std::future::ready(())),
        }
    }
}

/// Whether there is anybody to read the outbox.
pub(super) fn is_told(config: &LobbyConfig) -> bool {
    match config.mode {
        LobbyMode::Push | LobbyMode::Pull => true,
        LobbyMode::Off => false,
    }
}
