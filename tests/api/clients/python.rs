//! Kubernetes' own Python client, driven by `tests/support/kubernetes_check.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::watching::{held, made};
use crate::world::{GAMES, World, game};

const PACKAGES: [&str; 1] = ["kubernetes==37.0.2"];
/// How long the client may take to see what happened, its own pauses included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interpreter of an environment that has these packages.
pub(super) fn python(environment: &str, packages: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = std::process::Command::new(root.join("tests/support/python.sh"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(environment))
        .args(packages)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().into()
}

fn script(world: &World, what: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python("kubernetes-python", &PACKAGES));
    command
        .arg(root.join("tests/support/kubernetes_check.py"))
        .arg(world.directory.path().join("kubeconfig"))
        .arg(what)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_makes_lists_changes_and_deletes() {
    let world = World::new().await;
    world
        .sql("INSERT INTO events (kind, name, type, reason, message) VALUES ('Game', 'g-0', 'warning', 'Told', 'By hand.')")
        .await;
    let output = script(&world, "write").stderr(Stdio::piped()).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{told}");
    world.end().await;
}

/// A client that keeps a copy of all games.
struct Copy {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    told: Vec<String>,
    _child: Child,
}

impl Copy {
    fn start(world: &World) -> Self {
        let mut child = script(world, "follow").spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input, output, told: Vec::new(), _child: child }
    }

    /// What it has: names and versions.
    async fn held(&mut self) -> BTreeMap<String, String> {
        self.input.write_all(b"\n").await.unwrap();
        let line = self.output.next_line().await.unwrap().expect("the script goes on");
        let mut line: Value = serde_json::from_str(&line).unwrap();
        self.told.extend(serde_json::from_value::<Vec<String>>(line["told"].take()).unwrap());
        serde_json::from_value(line["copy"].take()).unwrap()
    }

    /// Waits until it has what a list has, and gives what it was told meanwhile.
    async fn has_the_truth(&mut self, world: &World) -> Vec<String> {
        let truth = held(&world.get(GAMES).await.ok(200));
        let reached = async {
            while self.held().await != truth {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            assert_eq!(self.held().await, truth, "{:?}", self.told);
        }
        std::mem::take(&mut self.told)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_the_python_client_keeps_is_the_truth_though_the_server_was_away() {
    let mut world = World::new().await;
    world.sql(&made("g", 5)).await;
    let mut copy = Copy::start(&world);
    assert_eq!(copy.has_the_truth(&world).await, ["listed"]);
    world.post(GAMES, &game("new")).await.ok(201);
    world.sql("UPDATE games SET paused = true WHERE name = 'g-1'").await;
    world.get(GAMES).await.ok(200);
    world.sql("DELETE FROM games WHERE name = 'g-2'").await;
    assert_eq!(copy.has_the_truth(&world).await, ["ADDED new", "MODIFIED g-1", "DELETED g-2"]);

    world.stop().await;
    world.sql(&format!("DELETE FROM games WHERE name = 'g-3'; {}", made("away", 2))).await;
    world.start();
    let told = copy.has_the_truth(&world).await;
    assert_eq!(told.last().map(String::as_str), Some("listed"), "{told:?}");
    world.sql("UPDATE games SET paused = true WHERE name = 'away-1'").await;
    assert_eq!(copy.has_the_truth(&world).await, ["MODIFIED away-1"]);
    drop(copy);
    world.end().await;
}
