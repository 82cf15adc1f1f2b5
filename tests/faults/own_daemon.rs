//! The daemon itself dies, ends, or has no room left. Each test has a dockerd of its own, for which
//! it needs root.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::ground::{NOTHING, want};
use crate::meddler::{Counts, Meddler};
use crate::second_docker::SecondDocker;
use crate::world::{Status, World, container};

const ENGINE: &str = "gamekeeper/reference-engine:1.4.2";
const LIFE: &str = "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}";

/// A world on a second daemon, and the meddler between them.
async fn world_on(second: &SecondDocker) -> (Meddler, World) {
    second.give(ENGINE);
    let meddler = Meddler::before(second.socket());
    let world = crate::ground::behind(&meddler, &["--silence", "1s", "--relist-interval", "1s"]).await;
    (meddler, world)
}

/// A runtime that does what it is told, and kills the daemon first when it is to start a process for the
/// first time after it was armed. The daemon is dead by then, so nobody hears of the process.
struct DeadlyRuntime(tempfile::TempDir);

impl DeadlyRuntime {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        let script = r#"#!/bin/sh
armed=$(dirname "$0")/armed
for word; do
  if [ "$word" = start ] && pid=$(cat "$armed" 2>/dev/null); then
    rm "$armed"
    # Apart from the caller, which is killed with the connection to the daemon.
    setsid sh -c '
      kill -KILL "$0"
      while [ -n "$(tr -d "\0" 2>/dev/null <"/proc/$0/cmdline")" ]; do sleep 0.01; done
      exec runc "$@"' "$pid" "$@" &
    wait $!
    exit
  fi
done
exec runc "$@"
"#;
        std::fs::write(this.path(), script).unwrap();
        std::fs::set_permissions(this.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        this
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("deadly-runc")
    }

    fn arm(&self, second: &SecondDocker) {
        std::fs::write(self.0.path().join("armed"), second.pid()).unwrap();
    }

    fn has_struck(&self) -> bool {
        !self.0.path().join("armed").exists()
    }
}

/// How often an engine did this, by its own journal.
fn times(world: &World, game: &str, event: &str) -> usize {
    world.journal(game).iter().filter(|line| line["event"] == event).count()
}

fn is_running(status: &Status) -> bool {
    status.phase == "running"
}

#[tokio::test]
async fn engines_that_outlive_their_daemon_are_adopted_and_not_restarted() {
    let second = SecondDocker::running(&["--live-restore"]);
    let (meddler, world) = world_on(&second).await;
    let game = world.running("outlives").await;
    let (before, life) = (meddler.done(), second.docker(&["inspect", "-f", LIFE, &container(&game)]));
    let operations = world.operations(&game).await;
    second.kill();
    let pid = life.rsplit(' ').next().unwrap();
    let status = world.until(&game, "unknown", |s| s.phase == "unknown").await;
    assert_eq!(status.reason, "DockerUnreachable");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "the engine lives");
    second.start();
    world.until(&game, "running", is_running).await;
    assert_eq!(second.docker(&["inspect", "-f", LIFE, &container(&game)]), life);
    assert_eq!((meddler.done() - before, world.operations(&game).await), (NOTHING, operations));
    assert_eq!((world.inits(&game), world.status(&game).await.restarts), (1, 0));
}

#[tokio::test]
async fn engines_that_their_daemon_took_along_are_healed() {
    // At its end it stops them; after being killed, this one ends what it finds when it comes back.
    let second = SecondDocker::running(&[]);
    let (meddler, world) = world_on(&second).await;
    let games = [world.running("one").await, world.running("two").await];
    for (end, round) in [(SecondDocker::stop as fn(&SecondDocker), 1), (SecondDocker::kill, 2)] {
        let before = meddler.done();
        end(&second);
        for game in &games {
            world.until(game, "unknown", |s| s.phase == "unknown").await;
        }
        assert_eq!(meddler.done() - before, NOTHING);
        second.start();
        for game in &games {
            let status = world.until(game, "healed", |s| is_running(s) && s.restarts == round).await;
            assert!(status.last_exit_code.is_some(), "{status:?}");
            assert_eq!(world.inits(game), 1);
        }
        assert_eq!(meddler.done() - before, Counts { starts: 2, ..NOTHING });
    }
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_deleted_and_a_stop_still_works() {
    // A file system of its own for the daemon's data; it goes with the daemon.
    let second = SecondDocker::on(&[], |data| {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs", data]).status();
        assert!(mounted.unwrap().success(), "mounting needs root");
    });
    let (meddler, world) = world_on(&second).await;
    let game = world.running("on-board").await;
    let state = world.state_root().join(&game).join(&game).join("state.json");
    let kept = std::fs::read(&state).unwrap();
    let before = meddler.done();

    let filler = format!("{}/filler", second.data());
    let filled =
        Command::new("dd").args(["if=/dev/zero", &format!("of={filler}"), "bs=64k"]).output().unwrap();
    assert!(String::from_utf8_lossy(&filled.stderr).contains("No space left"), "{filled:?}");
    // What is to be made cannot be: told, with pauses; nothing else is touched for it.
    let newcomer = world.game("newcomer", "1.4.2").await;
    let full = |s: &Status| s.failures >= 2 && s.message.contains("no space left");
    let status = world.until(&newcomer, "told", full).await;
    assert!(status.next_attempt_at.is_some());
    let done = meddler.done() - before;
    assert_eq!((done.removes, done.stops, done.starts), (0, 0, 0), "{status:?}");
    assert_eq!(world.status(&game).await.phase, "running");

    want(&world, &game, "stopped").await;
    world.until(&game, "stopped", |s| s.phase == "stopped").await;
    assert_eq!(std::fs::read(&state).unwrap(), kept);
    assert!(std::path::Path::new(&filler).exists(), "nobody has made room");

    std::fs::remove_file(&filler).unwrap();
    world.until(&newcomer, "running", is_running).await;
    want(&world, &game, "running").await;
    world.until(&game, "running", is_running).await;
    assert_eq!((world.inits(&game), world.inits(&newcomer)), (1, 1));
}

#[tokio::test]
async fn a_process_that_was_started_by_a_dying_daemon_is_not_given_a_second_one() {
    let runtime = DeadlyRuntime::new();
    let added = format!("deadly={}", runtime.path().display());
    let second = SecondDocker::running(&["--add-runtime", &added, "--default-runtime", "deadly"]);
    let (meddler, world) = world_on(&second).await;
    let game = world.running("survivor").await;
    let first = second.docker(&["inspect", "-f", "{{.Id}}", &container(&game)]);
    let lives = times(&world, &game, "start");
    runtime.arm(&second);
    second.docker(&["kill", &container(&game)]);
    // The next start is the one in which the daemon dies.
    world.eventually("the daemon dies in a start", async || runtime.has_struck()).await;
    world.eventually("its process serves", async || times(&world, &game, "start") == lives + 1).await;
    world.until(&game, "unknown", |s| s.phase == "unknown").await;
    let before = meddler.done();
    // Else Docker may hear of the process seconds later, from the one that watches over it.
    second.start_forgetful();
    let status = world.until(&game, "blocked", |s| s.phase == "blocked").await;
    assert_eq!(status.reason, "StateInUse", "{status:?}");
    assert!(status.message.contains(&first[..12]), "{}", status.message);
    assert_eq!(second.docker(&["inspect", "-f", "{{.State.Running}}", &first]), "false", "by Docker's word");
    let told = crate::ground::told(&world, &game, "StateInUse").await;
    let pid = told.split_once("kill ").and_then(|(_, rest)| rest.split_once('`')).expect("a process").0;
    let looks = || world.log().matches("looked at everything").count();
    let seen = looks();
    world.eventually("two relists", async || looks() >= seen + 2).await;
    assert_eq!(meddler.done() - before, NOTHING);
    assert_eq!((times(&world, &game, "start"), times(&world, &game, "conflict")), (lives + 1, 0));

    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    world.until(&game, "healed", is_running).await;
    assert_eq!((times(&world, &game, "start"), times(&world, &game, "conflict")), (lives + 2, 0));
    assert_eq!(world.inits(&game), 1);
}
