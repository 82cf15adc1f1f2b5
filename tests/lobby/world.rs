//! A database, games that have something to tell, a lobby, and deliverers that come and go.

use std::path::PathBuf;
use std::time::Duration;

use gamekeeper::game::record::Record;
use gamekeeper::game::spec::Requests;
use gamekeeper::game::{GameId, InstanceId, Phase};
use gamekeeper::lobby::event::{Snapshot, StatusChanged};
use gamekeeper::lobby::{LobbyEvent, LobbyMetrics, Pace, Patience, Push, deliver};
use gamekeeper::store::outbox::{OutboxEvent, OutboxFilter, OutboxState};
use gamekeeper::store::{Recorder, Recording, Store};
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::receiver::Lobby;

/// The longest that anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A secret that signs nothing else.
pub(crate) const SECRET: &str = "whsec_dGhpcy1pcy1hLXNlY3JldC1vZi0zMi1ieXRlcy0hISE=";

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) lobby: Lobby,
    pub(crate) pace: Pace,
    pub(crate) deadline: Duration,
    pub(crate) instance: InstanceId,
    pub(crate) registry: Registry,
    metrics: LobbyMetrics,
    recorder: Recorder,
    deliverer: Option<(JoinHandle<()>, CancellationToken)>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let _ = tracing_subscriber::fmt().with_env_filter("gamekeeper=debug").with_test_writer().try_init();
        let directory = tempfile::tempdir().unwrap();
        let database = Database::new(directory.path());
        let store = database.open().await.telling_the_lobby(true);
        let lease = store.take_lead("test").await.unwrap();
        let recorder = store.recorder(lease).0;
        std::fs::write(directory.path().join("secret"), SECRET).unwrap();
        let mut registry = Registry::default();
        let patience = Patience {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(80),
            give_up_after: 4,
        };
        Self {
            store,
            recorder,
            lobby: Lobby::new().await,
            pace: Pace { at_once: 16, look_every: Duration::from_millis(20), patience },
            deadline: Duration::from_secs(5),
            instance: InstanceId(uuid::Uuid::new_v4()),
            metrics: LobbyMetrics::new(&mut registry),
            registry,
            deliverer: None,
            database,
            directory,
        }
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    /// Starts a deliverer, as a process that takes the lead does.
    pub(crate) fn deliver(&mut self) {
        let url = self.lobby.url().parse().unwrap();
        let push = Push::new(url, &self.secret(), self.deadline, self.instance).unwrap();
        let shutdown = CancellationToken::new();
        let delivering = deliver(self.store.clone(), push, self.pace, self.metrics.clone(), shutdown.clone());
        assert!(self.deliverer.replace((tokio::spawn(delivering), shutdown)).is_none());
    }

    /// The deliverer is told to end, and does so soon.
    pub(crate) async fn end_delivery(&mut self) {
        let (delivering, shutdown) = self.deliverer.take().unwrap();
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(10), delivering).await.expect("it ends").unwrap();
    }

    /// The deliverer ends as in a power cut.
    pub(crate) async fn kill_delivery(&mut self) {
        let (delivering, _) = self.deliverer.take().unwrap();
        delivering.abort();
        let _ = delivering.await;
    }

    /// From here on this one writes.
    pub(crate) fn recorder_is(&mut self, recorder: Recorder) {
        self.recorder = recorder;
    }

    pub(crate) async fn record(&self, recording: Recording) {
        self.recorder.record(recording).await.unwrap();
    }

    pub(crate) async fn records(&self, game: GameId, lobby: Vec<LobbyEvent>) {
        self.records_at(game, lobby, jiff::Timestamp::now()).await;
    }

    pub(crate) async fn records_at(&self, game: GameId, lobby: Vec<LobbyEvent>, at: jiff::Timestamp) {
        let mut record = Record::first_seen(Requests::default());
        record.phase = Phase::Running;
        let recording = Recording {
            lobby: lobby.iter().map(|event| event.at(at)).collect(),
            ..Recording::of(game, "default".parse().unwrap(), name(game).parse().unwrap(), record)
        };
        self.record(recording).await;
    }

    /// So many events of a game.
    pub(crate) async fn tells(&self, game: GameId, count: i64) {
        self.records(game, (1..=count).map(snapshot).collect()).await;
    }

    pub(crate) async fn find(&self, state: OutboxState) -> Vec<OutboxEvent> {
        let filter = OutboxFilter { state: Some(state), ..OutboxFilter::default() };
        self.store.find_outbox(&filter, 100_000).await.unwrap()
    }

    /// Waits until nothing is left to be told.
    pub(crate) async fn told(&self) {
        self.until("everything is told", async || self.store.outbox_depth().await.unwrap().open == 0).await;
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let began = tokio::time::Instant::now();
        while !holds().await {
            assert!(began.elapsed() < DEADLINE, "in vain waited until {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The name of a game, from its id.
pub(crate) fn name(game: GameId) -> String {
    format!("game-{}", game.0.as_u128())
}

/// A game of its own.
pub(crate) fn game(number: u128) -> GameId {
    GameId(uuid::Uuid::from_u128(number))
}

pub(crate) fn snapshot(turn: i64) -> LobbyEvent {
    LobbyEvent::Snapshot(Snapshot {
        turn,
        finished: false,
        engine_health: gamekeeper::lobby::event::EngineHealth::Healthy,
        observed_at: jiff::Timestamp::now(),
        players: Vec::new(),
    })
}

pub(crate) fn status(message: &str) -> LobbyEvent {
    LobbyEvent::StatusChanged(StatusChanged {
        status: Phase::Running,
        previous_status: Some(Phase::Starting),
        reason: "Running".into(),
        message: message.into(),
        observed_generation: 1,
        engine_version: Some("1.4.2".into()),
        engine_endpoint: None,
    })
}
