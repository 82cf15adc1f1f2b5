//! The real kubectl, in every version that can be had here.

mod applying;
mod definitions;
mod deployments;
mod errors;
mod following;
mod matrix;
mod namespaces;
mod pods;
mod reading;
mod writing;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::programs::programs;
use crate::world::World;

/// A kubectl that talks to a world.
pub(crate) struct Kubectl {
    program: PathBuf,
    directory: PathBuf,
    kubeconfig: PathBuf,
}

/// What it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Kubectl {
    /// One of each version, each with a discovery cache of its own.
    pub(crate) fn all(world: &World) -> Vec<Self> {
        let programs = programs().iter().enumerate();
        let kubectl = |(number, program): (usize, &PathBuf)| {
            let directory = world.directory.path().join(format!("kubectl{number}"));
            std::fs::create_dir_all(&directory).unwrap();
            Self {
                program: program.clone(),
                kubeconfig: world.directory.path().join("kubeconfig"),
                directory,
            }
        };
        programs.map(kubectl).collect()
    }

    /// A file of this text, to be named in arguments.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The same with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let mut config: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        config["users"][0]["user"]["token"] = token.into();
        let kubeconfig = self.directory.join("other.kubeconfig");
        std::fs::write(&kubeconfig, serde_yaml::to_string(&config).unwrap()).unwrap();
        Self { program: self.program.clone(), directory: self.directory.clone(), kubeconfig }
    }

    /// The same with a client certificate in place of a token.
    pub(crate) fn with_certificate(&self, certificate: &str, key: &str) -> Self {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let mut config: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        config["users"][0]["user"] = serde_json::json!({
            "client-certificate": self.file("client.crt", certificate),
            "client-key": self.file("client.key", key),
        });
        let kubeconfig = self.directory.join("certificate.kubeconfig");
        std::fs::write(&kubeconfig, serde_yaml::to_string(&config).unwrap()).unwrap();
        Self { program: self.program.clone(), directory: self.directory.clone(), kubeconfig }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.directory.join("cache"))
            .args(arguments)
            .current_dir(&self.directory)
            .env("HOME", &self.directory)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Goes on until it is dropped.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Goes on, and has begun to watch: whatever changes from here on, it sees as a change.
    pub(crate) async fn start_watching(&self, arguments: &[&str]) -> Child {
        // So it tells on standard error what it asks.
        let mut child = self.start(&[arguments, &["-v=6"]].concat());
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut so_far = String::new();
        while let Some(line) = told.next_line().await.unwrap() {
            let watches = line.contains("watch=true");
            so_far += &(line + "\n");
            if watches {
                // It goes on telling, and somebody has to read it.
                tokio::spawn(async move { while let Ok(Some(_)) = told.next_line().await {} });
                return child;
            }
        }
        panic!("it never watched: {so_far}")
    }

    /// The rows that it prints as long as they are asked for.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Rows {
        let mut child = self.start(arguments);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Rows { lines, _child: child }
    }

    pub(crate) async fn run_with(&self, arguments: &[&str], stdin: &str, editor: &str) -> Said {
        let mut child = self.command(arguments).env("KUBE_EDITOR", editor).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "", "false").await
    }

    /// What it prints, if it succeeds.
    #[track_caller]
    pub(crate) fn ok<'a>(&'a self, arguments: &'a [&'a str]) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let said = self.run(arguments).await;
            assert_eq!(said.code, Some(0), "{caller}: {:?} {arguments:?}: {said:#?}", self.program);
            said.out
        }
    }

    /// What it complains of, if it fails.
    #[track_caller]
    pub(crate) fn fails<'a>(&'a self, arguments: &'a [&'a str]) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let said = self.run(arguments).await;
            assert_ne!(said.code, Some(0), "{caller}: {:?} {arguments:?}: {said:#?}", self.program);
            said.err
        }
    }
}

/// What a kubectl prints that goes on; it ends with this.
pub(crate) struct Rows {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Rows {
    pub(crate) async fn next(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line()).await;
        line.expect("a line comes").unwrap().expect("it goes on")
    }
}

/// The words of each line.
pub(crate) fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// A game whose engine runs, as the controller would have written it down.
pub(crate) async fn running(world: &World, name: &str) -> String {
    let game = world.post(crate::world::GAMES, &crate::world::game(name)).await.ok(201);
    let id = game["metadata"]["uid"].as_str().unwrap().to_owned();
    world
        .sql(&format!(
            "INSERT INTO runtime_records (game_id, name, status, reason, message, observed_generation,
                 conditions, current_container_id, current_container_started_at, current_image_id,
                 current_engine_version, applied_spec, endpoints, engine_health, observed_restart_generation,
                 observed_force_turn_generation, observed_patch_generation, observed_unblock_generation,
                 observed_restore_generation, observed_backup_generation)
             SELECT game_id, name, 'running', 'Running', 'It runs.', generation, '{}', 'c0ffee00c0ffee',
                 '2026-11-01T00:00:00.5Z', 'sha256:00', '1.4.2', '{}', '{}', 'healthy', 0, 0, 0, 0, 0, 0
             FROM games WHERE game_id = '{id}'",
            conditions("True"),
            r#"{"engineVersion": "1.4.2", "image": "gamekeeper/reference-engine:1.4.2"}"#,
            r#"{"address": "172.18.0.3:8080"}"#,
        ))
        .await;
    id
}

/// The conditions of a game whose engine runs and serves, or does neither.
pub(crate) fn conditions(status: &str) -> String {
    let of = |kind: &str| {
        serde_json::json!({
            "type": kind, "status": status, "reason": "R", "message": "m", "observedGeneration": 1,
            "lastTransitionTime": "2026-11-01T00:00:01Z",
        })
    };
    serde_json::json!([of("Ready"), of("ContainerRunning"), of("EngineHealthy")]).to_string()
}

/// A game's manifest.
pub(crate) const ANDROMEDA: &str = r#"
apiVersion: gamekeeper.dev/v1
kind: Game
metadata:
  name: andromeda
  labels: { season: "7" }
spec:
  desiredStatus: Running
  engineVersion: "1.4.2"
  turns: { schedule: "0 18 * * *", timeZone: Europe/Berlin }
  players:
  - { userId: 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10, raceName: Terrans }
  resources: { cpu: 500m, memory: 256Mi, pids: 128 }
"#;

/// An engine version's manifest.
pub(crate) const VERSION: &str = r#"
apiVersion: gamekeeper.dev/v1
kind: EngineVersion
metadata: { name: "1.4.2" }
spec: { image: "gamekeeper/reference-engine:1.4.2" }
"#;
