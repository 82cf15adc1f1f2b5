//! Bad input: a clear message that says what to do, an exit code, and nothing half-written.

use std::process::Command;

use uuid::Uuid;

use crate::world::{Ran, World};

fn run_to_the_end(world: &World, more: &[&str]) -> Ran {
    let output = world.run_command().args(more).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[tokio::test]
async fn wrong_manifests_are_refused_with_their_place_and_nothing_is_written() {
    let world = World::started().await;
    let cases = [
        ("yaml", "kind: [Game", "1:"),
        (
            "unknown-field",
            "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: a }\nspec:\n  desiredStatus: Running\n  colour: red\n",
            ":6:3",
        ),
        (
            "semver",
            "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: a }\nspec:\n  desiredStatus: Running\n  engineVersion: \"1.y\"\n",
            "spec.engineVersion",
        ),
        (
            "number",
            "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: a }\nspec:\n  desiredStatus: Running\n  engineVersion: 1.4\n",
            "quote",
        ),
        (
            "twice",
            "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: a }\nspec: { desiredStatus: Stopped }\n---\napiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: a }\nspec: { desiredStatus: Running }\n",
            "twice.yaml:8:19",
        ),
    ];
    for (name, text, expected) in cases {
        let good = "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: good }\nspec: { desiredStatus: Stopped }\n";
        let (bad, good) = (world.file(&format!("{name}.yaml"), text), world.file("good.yaml", good));
        let ran = world.gk(&["apply", "-f", &good, "-f", &bad]);
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
        assert!(
            ran.stderr.contains(&format!("{name}.yaml")) && ran.stderr.contains(expected),
            "{name}: {}",
            ran.stderr
        );
    }
    assert_eq!(world.count("SELECT count(*) FROM games").await, 0);
}

#[tokio::test]
async fn what_is_not_there_is_said_with_its_own_exit_code() {
    let world = World::started().await;
    let missing = world.gk(&["get", "game/nobody"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.stderr.contains("nobody"));
    let timeout = world.gk(&["wait", "game/nobody", "--for=condition=Ready", "--timeout=1s"]);
    assert!([3, 5].contains(&timeout.code), "{timeout:?}");
    let unreachable = Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
        .args(["get", "games", "--kubeconfig", "/nonexistent"])
        .output()
        .unwrap();
    assert_ne!(unreachable.status.code(), Some(0));
}

#[tokio::test]
async fn a_missing_image_without_a_registry_says_so() {
    let world = World::started().await;
    world.register("7.0.0", "gamekeeper-test/nowhere:7").await;
    let game = world.game("no-image", "7.0.0").await;
    let status = world.until(&game, "told", |s| s.failures >= 1).await;
    assert!(status.message.contains("gamekeeper-test/nowhere"), "{status:?}");
    let waited = world.gk(&["wait", "game/no-image", "--for=condition=Ready", "--timeout=1s"]);
    assert_eq!(waited.code, 5, "{waited:?}");
    assert!((waited.stderr + &waited.stdout).contains("no-image"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gamekeeper"));
    command.args(["run", "--listen", &address, "--data-dir"]).arg(world.data_dir());
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains(&address) && stderr.contains("--listen"), "{stderr}");
    assert!(!world.data_dir().exists(), "nothing is half-written");
}

#[tokio::test]
async fn a_first_start_without_docker_says_what_to_do_and_writes_nothing() {
    let world = World::new();
    let ran = run_to_the_end(&world, &["--docker-host", "unix:///nonexistent/docker.sock"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("--docker-host"), "{}", ran.stderr);
    assert!(!world.data_dir().exists());
}

#[tokio::test]
async fn a_second_controller_on_one_directory_is_refused() {
    let world = World::started().await;
    let ran = run_to_the_end(&world, &[]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("another gamekeeper"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_database_of_a_newer_gamekeeper_is_refused_untouched() {
    let mut world = World::started().await;
    world.sql("UPDATE schema_info SET min_binary = '99.0.0', version = 99").await;
    world.stop_keeper();
    let ran = run_to_the_end(&world, &[]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("99.0.0") && ran.stderr.contains("upgrade"), "{}", ran.stderr);
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1, "no epoch was taken");
}

#[tokio::test]
async fn directories_that_cannot_be_used_are_named() {
    let world = World::new();
    // A file in the place of a directory is refused for root too.
    let file = world.file(&format!("file-{}", Uuid::new_v4()), "");
    for flag in ["--data-dir", "--state-root"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gamekeeper"));
        command.args(["run", "--listen", "127.0.0.1:0"]);
        let other = world.dir.path().join(format!("other-{}", &flag[2..]));
        let (data, state) = if flag == "--data-dir" {
            (file.clone(), other.display().to_string())
        } else {
            (other.display().to_string(), file.clone())
        };
        let output = command.args(["--data-dir", &data, "--state-root", &state]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && stderr.contains(flag) && stderr.contains(&file),
            "{flag}: {stderr}"
        );
    }
}
