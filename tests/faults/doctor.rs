//! `gamekeeper doctor` tries what the controller will do, says what does not work, and leaves nothing.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::meddler::{Action, Call, Meddler, When};
use crate::world::{Ran, World, docker};

/// A world without a server.
fn world() -> World {
    let world = World::new();
    std::fs::create_dir(world.data_dir()).unwrap();
    std::fs::set_permissions(world.data_dir(), std::fs::Permissions::from_mode(0o700)).unwrap();
    world
}

fn command(world: &World, meddler: &Meddler, more: &[&str]) -> Command {
    let mut command = world.command(&["doctor", "--listen", "127.0.0.1:0", "--network", world.network()]);
    command.args(["--docker-host", &meddler.host(), "--state-root"]).arg(world.state_root());
    command.args(world.database.arguments()).args(more);
    command
}

fn doctor(world: &World, meddler: &Meddler, more: &[&str]) -> Ran {
    let output = command(world, meddler, more).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// That nothing of a trial is left, at Docker or on the disk.
fn leaves_nothing(world: &World, meddler: &Meddler) {
    let asked = meddler.asked();
    let name = asked.iter().find_map(|asked| {
        let at = asked.path.find("gamekeeper-doctor-")?;
        asked.path[at..].split(['&', '/', '?']).next().map(str::to_owned)
    });
    let name = name.expect("a trial");
    let of_name = format!("name={name}");
    assert_eq!(docker(&["ps", "-aq", "--filter", &of_name]).stdout, "");
    assert_eq!(docker(&["network", "ls", "-q", "--filter", &of_name]).stdout, "");
    assert_eq!(docker(&["images", "-q", &format!("gamekeeper/doctor:{name}")]).stdout, "");
    let left: Vec<_> =
        std::fs::read_dir(world.state_root()).unwrap().map(|left| left.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn the_doctor_tries_an_engines_container_and_leaves_nothing() {
    let (world, meddler) = (world(), Meddler::before_docker());
    let ran = doctor(&world, &meddler, &[]);
    for expected in [
        "ok    an engine's network: one can be made",
        "ok    an engine's container: made in network",
        "ok    an engine's log: a line was read back",
        "ok    docker's clock:",
        "state root's disk:",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {ran:?}");
    }
    leaves_nothing(&world, &meddler);
    let done = meddler.done();
    assert_eq!((done.creates, done.starts), (1, 1));
}

#[tokio::test]
async fn the_doctor_says_what_would_make_games_fail() {
    let world = world();
    let no = |code: u16| Action::Respond(code, json!({ "message": "no" }));
    let log = || When::call(Call::Logs);
    let archive = || When::call(Call::Other).about("/archive");
    let userns = || {
        Action::rewrite(|mut info| {
            info["SecurityOptions"] = json!(["name=seccomp,profile=default", "name=userns"]);
            info
        })
    };
    let pool = json!({ "message": "could not find an available, non-overlapping IPv4 address pool" });
    let cases = [
        (When::call(Call::Create), no(403), "FAIL  an engine's container: POST /containers/create"),
        (When::call(Call::Start), no(403), "FAIL  an engine's container: POST /containers/{id}/start"),
        (When::call(Call::CreateNetwork), Action::Respond(404, pool), "default-address-pools"),
        (log(), no(501), "--engine-log-driver json-file or local"),
        (log(), Action::Respond(200, json!("")), "warn  an engine's log:"),
        (archive(), no(403), "warn  a look into a container: HEAD /containers/{id}/archive"),
        (When::call(Call::Info), userns(), "warn  docker's users: Docker remaps users"),
    ];
    for (when, action, expected) in cases {
        let meddler = Meddler::before_docker();
        let trap = meddler.set(when, action);
        let ran = doctor(&world, &meddler, &[]);
        trap.sprung().await;
        assert!(ran.stdout.contains(expected), "{expected}: {ran:?}");
        leaves_nothing(&world, &meddler);
    }
    let meddler = Meddler::before_docker();
    let mistyped = world.dir.path().join("mistyped");
    let ran = doctor(&world, &meddler, &["--state-root-on-host", mistyped.to_str().unwrap()]);
    assert!(ran.stdout.contains("FAIL  an engine's container: Docker finds no directory at"), "{ran:?}");
    assert!(ran.stdout.contains("set --state-root-on-host"), "{ran:?}");
    leaves_nothing(&world, &meddler);
}

#[tokio::test]
async fn a_doctor_that_is_interrupted_removes_what_it_made() {
    for when in [When::call(Call::Start), When::call(Call::Logs)] {
        let (world, meddler) = (world(), Meddler::before_docker());
        let held = meddler.set(when, Action::HoldAfter);
        let child =
            command(&world, &meddler, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        held.sprung().await;
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        leaves_nothing(&world, &meddler);
    }
}
