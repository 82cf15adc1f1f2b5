//! The real kubectl, in every version that can be had here.

mod applying;
mod errors;
mod following;
mod reading;
mod writing;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

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

/// The programs: found, or fetched, once.
fn programs() -> &'static [PathBuf] {
    static FOUND: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubectl");
        let found = std::process::Command::new(root.join("tests/support/kubectl.sh"))
            .arg(kept)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(found.status.success(), "tests/support/kubectl.sh failed");
        String::from_utf8(found.stdout).unwrap().lines().map(PathBuf::from).collect()
    })
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

/// The words of each line.
pub(crate) fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
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
