//! `get --watch`: what there is, and then each change.

use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;

use gamekeeper::game::{ConditionStatus, Phase};

use crate::world::World;

/// What a command prints that goes on, until this is dropped.
struct Watching {
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
}

impl Watching {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let mut child = world.files.command(arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Vec<String> {
        let line = self.lines.recv_timeout(Duration::from_secs(30)).expect("a line comes");
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn is_silent(&self) {
        let line = self.lines.recv_timeout(Duration::from_millis(400));
        assert!(matches!(line, Err(mpsc::RecvTimeoutError::Timeout)), "{line:?}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_printed_below_the_same_head_whoever_made_them() {
    let world = World::applied().await;
    let watching = Watching::start(&world, &["get", "games", "--watch"]);
    assert_eq!(watching.next()[..3], ["NAME", "DESIRED", "PHASE"]);
    assert_eq!(watching.next()[..2], ["andromeda", "Running"]);
    world.record("andromeda", Phase::Starting, ConditionStatus::False).await;
    assert_eq!(watching.next()[..4], ["andromeda", "Running", "Starting", "False"]);
    world.run(&["stop", "andromeda"]).await.ok();
    assert_eq!(watching.next()[..3], ["andromeda", "Stopped", "Starting"]);
    watching.is_silent();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_followed_in_the_form_that_was_asked_for() {
    let world = World::applied().await;
    let other = crate::world::GAME.replace("name: andromeda", "name: borealis");
    world.run(&["apply", "-f", &world.files.file("other.yaml", &other)]).await.ok();
    let watching = Watching::start(&world, &["get", "game/borealis", "-w", "-o", "name"]);
    assert_eq!(watching.next(), ["game/borealis"]);
    world.run(&["pause", "andromeda"]).await.ok();
    watching.is_silent();
    world.run(&["pause", "borealis"]).await.ok();
    assert_eq!(watching.next(), ["game/borealis"]);
    let error = world.run(&["get", "all", "--watch"]).await.failed(2);
    assert!(error.contains("--watch follows one kind"), "{error}");
}
