//! From SIGKILL of an engine's process to the engine answering again: Gamekeeper beside Docker's own
//! `--restart always`, in turns, with the same image and the same limits.
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{IMAGE, Keeper, address_of, docker, report, until_healthy};

const SAMPLES: usize = 10;
const DEADLINE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let keeper = Keeper::start();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for sample in 0..SAMPLES {
        // A fresh engine each time on both sides: both wait longer after a second death.
        let name = format!("heal-{sample}");
        keeper.gk(&[
            "apply",
            "-f",
            &keeper.manifest(std::slice::from_ref(&name)),
            "--wait",
            "--timeout",
            "60s",
        ]);
        ours.push(kill_and_wait(&keeper.container(&name)));

        let name = format!("gk-bench-{}-{sample}", std::process::id());
        run_always(&keeper, &name);
        bare.push(kill_and_wait(&name));
        docker(&["rm", "-f", &name]);
    }
    report("SIGKILL to answering again", &ours, "--restart", &bare, 1.15)
}

fn kill_and_wait(container: &str) -> f64 {
    let address = address_of(container);
    until_healthy(container, &address, DEADLINE);
    // By its process id: `docker kill` counts as a wish, after which Docker itself would not restart it.
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", container]);
    let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
    let began = Instant::now();
    assert!(killed.success(), "killing another user's process needs root");
    until_healthy(container, &address, DEADLINE).duration_since(began).as_secs_f64()
}

fn run_always(keeper: &Keeper, name: &str) {
    let state = keeper.dir.path().join(name);
    std::fs::create_dir(&state).expect("a directory");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).expect("its mode");
    let mount = format!("type=bind,source={},target=/var/lib/galaxy-game", state.display());
    let game = uuid::Uuid::new_v4();
    docker(&[
        "run",
        "-d",
        "--restart",
        "always",
        "--name",
        name,
        "--network",
        &keeper.network,
        "--mount",
        &mount,
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--memory",
        "256m",
        "--pids-limit",
        "256",
        "--user",
        "10001:10001",
        "-e",
        &format!("GAME_ID={game}"),
        "-e",
        &format!("GAME_STATE_PATH=/var/lib/galaxy-game/{game}"),
        "-e",
        "GAME_ADMIN_TOKEN=bench",
        IMAGE,
    ]);
}
