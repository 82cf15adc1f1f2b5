//! A directory, the real API on a port of its own, and the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{io::Write, net::TcpListener};

use gamekeeper::api::{Api, HubLimits, Limits, Readiness, Tls, kubeconfig, serve};
use gamekeeper::controller::{Question, Questions};
use gamekeeper::game::controller::ControllerStatus;
use gamekeeper::game::record::Record;
use gamekeeper::game::spec::Requests;
use gamekeeper::game::{Condition, ConditionStatus, ConditionType, InstanceId, Phase};
use gamekeeper::reconcile::explain::Explanation;
use gamekeeper::runtime::docker::{DockerRuntime, Settings};
use gamekeeper::store::recorder::RecordedEvent;
use gamekeeper::store::{Recorder, Recording, Store};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::database::Database;

/// A game that is right.
pub(crate) const GAME: &str = r#"apiVersion: gamekeeper.dev/v1
kind: Game
metadata: { name: andromeda, labels: { season: "7" } }
spec:
  desiredStatus: Running
  engineVersion: "1.4.2"
  turns: { schedule: "0 18 * * *", timeZone: UTC, missed: Once }
  players:
    - { userId: 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10, raceName: Terrans }
    - { userId: 0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21, raceName: Martians }
  resources: { cpu: 0.5, memory: 256Mi }
"#;

/// A version that is right.
pub(crate) const VERSION: &str = r#"apiVersion: gamekeeper.dev/v1
kind: EngineVersion
metadata: { name: "1.4.2" }
spec: { image: "gamekeeper/reference-engine:1.4.2" }
"#;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A directory for files, and for the data of a server that may be there.
#[derive(Clone)]
pub(crate) struct Files(Arc<tempfile::TempDir>);

impl Files {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file; its path as an argument.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs the command with nothing of this process's environment that it would read.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[], "")
    }

    /// The command, to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gamekeeper"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GAMEKEEPER_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).env("GAMEKEEPER_DATA_DIR", self.path("data"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The same with variables and standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ran {
        let mut child = self.command(arguments).envs(variables.iter().copied()).spawn().unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// What it printed, if it ended with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// What it complained of, if it ended with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        self.stderr
    }
}

/// A server beside the files.
pub(crate) struct World {
    pub(crate) files: Files,
    pub(crate) store: Store,
    /// Whose the state root is, once it is bound.
    pub(crate) instance: InstanceId,
    /// How the whole controller is.
    pub(crate) controller: watch::Sender<ControllerStatus>,
    recorder: Recorder,
    questions: Option<Questions>,
    _server: DropGuard,
    /// For as long as the server is there.
    _database: Database,
}

impl World {
    pub(crate) async fn new() -> Self {
        let files = Files::new();
        let data = files.path("data");
        std::fs::create_dir(&data).unwrap();
        let Served { store, instance, controller, questions, shutdown, database } = serve_in(&data).await;
        let lease = store.take_lead("test").await.unwrap();
        let recorder = store.recorder(lease).0;
        let questions = Some(questions);
        Self {
            files,
            store,
            instance,
            controller,
            recorder,
            questions,
            _database: database,
            _server: shutdown.drop_guard(),
        }
    }

    /// With a version and a game, applied.
    pub(crate) async fn applied() -> Self {
        let world = Self::new().await;
        let all = world.files.file("all.yaml", &format!("{GAME}---\n{VERSION}"));
        world.run(&["apply", "-f", &all]).await.ok();
        world
    }

    /// Answers every question in the loop's place.
    pub(crate) fn answers(&mut self, explanation: Explanation) {
        let mut questions = self.questions.take().expect("nobody answers yet");
        tokio::spawn(async move {
            while let Some(Question { game: _, instead, reply }) = questions.next().await {
                let version =
                    instead.and_then(|desired| desired.version).map(|entry| entry.image.to_string());
                let waiting_on = version.into_iter().collect();
                let _ = reply.send(Explanation { waiting_on, ..explanation.clone() });
            }
        });
    }

    /// Runs a command while the server goes on.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let files = self.files.clone();
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let run = move || files.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// Waits until a command has written this into the game's spec.
    pub(crate) async fn asked(&self, name: &str, field: &str, value: impl Into<serde_json::Value>) {
        let value = value.into();
        loop {
            let json = self.run(&["get", name, "-o", "json"]).await.ok();
            let game: serde_json::Value = serde_json::from_str(&json).unwrap();
            if game["spec"][field] == value {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What a controller would record of the game as it is now.
    pub(crate) async fn record(&self, name: &str, phase: Phase, ready: ConditionStatus) {
        self.recorder.record(self.recording(name, phase, ready).await).await.unwrap();
    }

    /// What a controller would record of a game that does not go on, with its engine's last words.
    pub(crate) async fn record_as(&self, name: &str, phase: Phase, reason: &str) {
        let mut recording = self.recording(name, phase, ConditionStatus::False).await;
        recording.record.reason = reason.into();
        recording.record.last_log_lines = Some("out of planets\n".into());
        self.recorder.record(recording).await.unwrap();
    }

    /// What a controller would tell of a game.
    pub(crate) async fn happened(&self, name: &str, reason: &str, message: &str) {
        let event = RecordedEvent { warning: true, reason: reason.into(), message: message.into() };
        let recording = self.recording(name, Phase::Running, ConditionStatus::True).await;
        self.recorder.record(Recording { event: Some(event), ..recording }).await.unwrap();
    }

    /// What a controller would record when its deletion is done.
    pub(crate) async fn gone(&self, name: &str) {
        let done = self.recording(name, Phase::Stopped, ConditionStatus::True).await;
        self.recorder
            .record(Recording { deleted: Some(gamekeeper::game::spec::Deletion::Requested), ..done })
            .await
            .unwrap();
    }

    /// Writes what a controller would.
    pub(crate) async fn written(&self, recording: Recording) {
        self.recorder.record(recording).await.unwrap();
    }

    pub(crate) async fn recording(&self, name: &str, phase: Phase, ready: ConditionStatus) -> Recording {
        let game = self.store.game("default", name).await.unwrap().unwrap();
        let generation = game.manifest.metadata.generation.unwrap();
        let mut record = Record::first_seen(Requests::default());
        record.phase = phase;
        record.observed_generation = generation;
        record.reason = "Because".into();
        record.message = "So it is.".into();
        record.conditions = vec![Condition {
            kind: ConditionType::Ready,
            status: ready,
            reason: "Because".into(),
            message: "So it is.".into(),
            last_transition_time: jiff::Timestamp::now(),
            observed_generation: generation,
        }];
        Recording::of(game.id, "default".parse().unwrap(), name.parse().unwrap(), record)
    }
}

/// A server, and what stands in the controller's place.
pub(crate) struct Served {
    pub(crate) store: Store,
    pub(crate) instance: InstanceId,
    pub(crate) controller: watch::Sender<ControllerStatus>,
    pub(crate) questions: Questions,
    pub(crate) shutdown: CancellationToken,
    pub(crate) database: Database,
}

/// The real API with its data in this directory.
pub(crate) async fn serve_in(data: &Path) -> Served {
    let database = Database::new(data);
    let store = database.open().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Tls::load_or_create(data, address.ip()).unwrap();
    let tokens = kubeconfig::ensure(data, address, tls.ca_pem()).unwrap();
    let instance = InstanceId(uuid::Uuid::new_v4());
    let mut settings = Settings::new(instance, data.join("games"));
    settings.host = Some("unix:///nonexistent".into());
    let (controller, controller_seen) = watch::channel(ControllerStatus::default());
    let (asker, questions) = gamekeeper::controller::questions();
    let api = Api {
        store: store.clone(),
        runtime: Arc::new(DockerRuntime::new(settings).unwrap()),
        ready: watch::channel(Readiness::default()).1,
        controller: controller_seen,
        asker,
        max_failures: 3,
        registry: Arc::new(Registry::default()),
        tokens,
        hub: HubLimits::default(),
        limits: Limits::default(),
    };
    let shutdown = CancellationToken::new();
    tokio::spawn(serve(listener, api, tls, shutdown.clone()));
    Served { store, instance, controller, questions, shutdown, database }
}
