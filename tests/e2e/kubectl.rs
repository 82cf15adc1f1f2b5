//! kubectl's own verbs on real engines.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::programs::programs;
use crate::world::{DEADLINE, Ran, World, container, docker, exists, inspect};

fn command(world: &World, program: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .arg("--kubeconfig")
        .arg(world.data_dir().join("kubeconfig"))
        .arg("--cache-dir")
        .arg(world.dir.path().join("kubectl-cache"))
        .args(arguments)
        .env("HOME", world.dir.path())
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null());
    command
}

fn run(world: &World, program: &std::path::Path, arguments: &[&str]) -> Ran {
    let output = command(world, program, arguments).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn ok(world: &World, program: &std::path::Path, arguments: &[&str]) -> String {
    let ran = run(world, program, arguments);
    assert_eq!(ran.code, 0, "{program:?} {arguments:?}: {ran:?}\nlog:\n{}", world.log());
    ran.stdout
}

/// The lines of a program that goes on, as they come.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (told, heard) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_until_a_restart_has_come_true() {
    let world = World::started().await;
    let game = world.running("vega").await;
    for program in programs() {
        // Slow enough that whoever did not wait would be seen.
        world.misbehave(&game, &json!({ "startDelayMs": 1500 }));
        let before = world.status(&game).await.container;
        let restarted = ok(&world, program, &["rollout", "restart", "deploy/vega"]);
        assert_eq!(restarted, "deployment.apps/vega restarted\n");
        let told = ok(&world, program, &["rollout", "status", "deploy/vega", "--timeout=90s"]);
        let after = world.status(&game).await;
        assert!(told.contains("successfully rolled out"), "{told}");
        assert!(after.container.is_some() && after.container != before, "{after:?}");
        assert_eq!(
            (after.phase.as_str(), inspect(&game, "{{.State.Running}}").as_str()),
            ("running", "true")
        );
        let shown = ok(&world, program, &["get", "pod", "vega", "--no-headers"]);
        assert_eq!(shown.split_whitespace().take(3).collect::<Vec<_>>(), ["vega", "1/1", "Running"]);

        // It waits for a turn in flight, and so does whoever waits for it.
        world.misbehave(&game, &json!({ "slowTurnMs": 2500 }));
        let before = after.container;
        world.ok(&["force-turn", "vega"]);
        let begun = format!("SELECT count(*) FROM turns WHERE game_id = '{game}' AND finished_at IS NULL");
        world.eventually("a turn is in flight", async || world.count(&begun).await > 0).await;
        ok(&world, program, &["rollout", "restart", "deploy/vega"]);
        ok(&world, program, &["rollout", "status", "deploy/vega", "--timeout=90s"]);
        let after = world.status(&game).await;
        assert!(after.container.is_some() && after.container != before, "{after:?}");
        world.misbehave(&game, &json!({}));

        ok(&world, program, &["scale", "deploy/vega", "--replicas=0"]);
        ok(&world, program, &["wait", "pod/vega", "--for=delete", "--timeout=90s"]);
        world.until(&game, "stopped", |status| status.phase == "stopped").await;
        ok(&world, program, &["scale", "deploy/vega", "--replicas=1"]);
        ok(&world, program, &["rollout", "status", "deploy/vega", "--timeout=90s"]);
        assert_eq!(world.status(&game).await.phase, "running");
    }
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_follows_a_real_engine_s_log() {
    let world = World::started().await;
    let game = world.running("vega").await;
    for (number, program) in programs().iter().enumerate() {
        let all = ok(&world, program, &["logs", "deploy/vega"]);
        assert!(all.lines().all(|line| line.starts_with("engine: ")) && !all.is_empty(), "{all}");
        assert_eq!(ok(&world, program, &["logs", "vega", "--tail=1"]).lines().count(), 1);
        let stamped = ok(&world, program, &["logs", "vega", "--timestamps", "--since=1h", "--tail=1"]);
        let time = stamped.split_whitespace().next().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{stamped}");

        let mut following = command(&world, program, &["logs", "vega", "-f", "--tail=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = lines(&mut following);
        // Its beginning cannot be seen from here: turns are asked for until one is told.
        let mut told = None;
        for _ in 0..20 {
            world.ok(&["force-turn", "vega", "--wait"]);
            told = heard.recv_timeout(Duration::from_secs(1)).ok();
            if told.is_some() {
                break;
            }
        }
        assert!(told.as_deref().is_some_and(|line| line.starts_with("engine: ")), "{told:?}");
        // The log ends with its container's life, and so does kubectl.
        docker(&["kill", "-s", "KILL", &container(&game)]);
        let ended =
            tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(move || following.wait())).await;
        assert!(ended.expect("it ends").unwrap().unwrap().success());
        let restarts = i64::try_from(number).unwrap() + 1;
        world.until(&game, "healed", |status| status.restarts == restarts && status.phase == "running").await;
        let last = ok(&world, program, &["logs", "vega", "-p"]);
        assert!(last.contains("engine: "), "{last}");
        let shown = ok(
            &world,
            program,
            &[
                "get",
                "pod",
                "vega",
                "-o",
                "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}",
            ],
        );
        assert_eq!(shown, "137");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_deletion_is_said_at_once_and_waits_for_nobody_in_silence() {
    let limits = ["--deletion-window", "1ms", "--deletion-share", "1", "--deletion-least", "1"];
    let mut world = World::new().with(&limits);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let programs = programs();
    let mut games = Vec::new();
    for (n, program) in programs.iter().enumerate() {
        let name = format!("vega-{n}");
        games.push(world.running(&name).await);
        let told = run(&world, program, &["delete", "game", &name, "--wait=false"]);
        assert!(told.stderr.contains("Warning: DeletionsHeld: "), "{program:?}: {told:?}");
        assert!(told.stderr.contains("gamekeeper confirm-deletions"), "{program:?}: {told:?}");
    }
    let last = world.running("lyra").await;
    let waited = world.gk(&["delete", "lyra", "--wait", "--timeout", "60s"]);
    assert_eq!(waited.code, 1, "{waited:?}");
    assert!(waited.stderr.contains("game/lyra is not deleted: "), "{waited:?}");
    assert!(waited.stderr.contains("hint: `gamekeeper confirm-deletions`"), "{waited:?}");
    games.push(last);
    assert!(games.iter().all(|game| inspect(game, "{{.State.Running}}") == "true"));
    world.ok(&["confirm-deletions", "--yes"]);
    world.eventually("all of them go", async || !games.iter().any(|game| exists(game))).await;
}
