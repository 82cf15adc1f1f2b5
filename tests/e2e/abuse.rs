//! Secrets that are nowhere to be seen, and engines that lead elsewhere.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::world::{World, inspect};

/// X9: what a controller at work writes down, shows and answers, at its most talkative.
#[tokio::test]
async fn no_secret_is_in_logs_answers_events_metrics_or_the_database() {
    const LOBBY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let world = World::new();
    let secret = world.file("lobby-secret", LOBBY);
    // Nobody listens there: the lobby's errors are told again and again.
    let lobby =
        ["--lobby-url", "http://127.0.0.1:9/told", "--lobby-secret-file", &secret, "--log-level", "debug"];
    let mut world = world.with(&lobby);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("draco").await;
    let variables = inspect(&game, "{{range .Config.Env}}{{println .}}{{end}}");
    let engine =
        variables.lines().find_map(|line| line.strip_prefix("GAME_ADMIN_TOKEN=")).unwrap().to_owned();
    assert!(engine.len() >= 20, "{engine}");

    let made = world.ok(&["token", "create", "ci", "--role", "operator"]);
    let token = made.trim();
    let config = std::fs::read_to_string(world.data_dir().join("kubeconfig")).unwrap();
    let admin = config.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap().to_owned();
    let own = world.file("ci.kubeconfig", &config.replace(&admin, token));
    let wrong = world.file("wrong.kubeconfig", &config.replace(&admin, &format!("{token}x")));
    let mut told = String::new();
    for arguments in [
        &["get", "games", "-o", "yaml"][..],
        &["describe", "game/draco"],
        &["explain", "draco"],
        &["events"],
        &["events", "--controller"],
        &["ops", "draco"],
        &["status"],
        &["outbox", "list"],
        &["logs", "draco"],
        &["token", "list", "-o", "json"],
        &["restart", "draco"],
        &["get", "games", "--kubeconfig", &own],
        &["restart", "draco", "--kubeconfig", &own],
        &["get", "games", "--kubeconfig", &wrong],
        &["token", "list", "--kubeconfig", &own],
        &["token", "revoke", "ci"],
        &["get", "games", "--kubeconfig", &own],
    ] {
        let ran = world.gk(arguments);
        told.push_str(&format!("{arguments:?}\n{}{}", ran.stdout, ran.stderr));
    }
    let tried = "SELECT count(*) FROM lobby_outbox WHERE attempts > 0";
    world.eventually("the lobby was tried", async || world.count(tried).await > 0).await;
    for table in [
        "games",
        "runtime_records",
        "events",
        "operation_log",
        "lobby_outbox",
        "game_changes",
        "access_tokens",
    ] {
        told.push_str(&format!("{:?}", world.rows(&format!("SELECT * FROM {table}")).await));
    }
    let log = world.log();
    assert!(log.contains("DEBUG"), "the log is not at its most talkative");
    for (what, secret) in [
        ("an engine's token", engine.as_str()),
        ("a token", token),
        ("the administrator's token", admin.as_str()),
        ("the lobby's secret", LOBBY.trim_start_matches("whsec_")),
    ] {
        for (place, text) in [("the log", &log), ("what was told", &told)] {
            let found = text.lines().find(|line| line.contains(secret));
            assert!(found.is_none(), "{what} is in {place}: {found:?}");
        }
    }
}

/// X9: the password of a database that cannot be reached.
#[test]
fn the_password_of_a_database_is_in_no_error() {
    let directory = tempfile::tempdir().unwrap();
    for url in [
        "postgres://keeper:hunter2@127.0.0.1:1/games",
        "postgres://keeper:hunter2@no-such-host.invalid/games",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
            .args([
                "run",
                "--log-level",
                "debug",
                "--listen",
                "127.0.0.1:0",
                "--database-url",
                url,
                "--data-dir",
            ])
            .arg(directory.path())
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && !said.contains("hunter2"), "{said}");
    }
}

/// X8: an engine that answers with another address.
#[tokio::test]
async fn an_engine_that_redirects_is_not_followed() {
    let world = World::started().await;
    let game = world.running("draco").await;
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let location = format!("http://{}/latest/meta-data", trap.local_addr().unwrap());
    world.misbehave(&game, &json!({ "redirectStatus": location }));
    let away = |status: &crate::world::Status| status.phase == "engine_unreachable";
    world.until(&game, "an engine that only redirects counts as unreachable", away).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(trap.accept().err().map(|error| error.kind()), Some(std::io::ErrorKind::WouldBlock));
}
