//! The real process: it tells the lobby what the table holds, Docker or not, and ends soon.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::receiver::Answer;
use crate::world::{World, game, in_order};

struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(world: &World) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gamekeeper"));
    command
        .args(["run", "--listen", "127.0.0.1:0", "--docker-host", "unix:///nonexistent", "--data-dir"])
        .arg(world.directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// A server of this world's database. It finds no Docker, which is no business of the lobby's.
fn run(world: &World, arguments: &[&str]) -> Keeper {
    Keeper(command(world).args(arguments).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_the_lobby_what_earlier_ones_have_written() {
    let world = World::new().await;
    world.tells(game(1), 3).await;
    world.tells(game(2), 3).await;
    world.lobby.answers(|received| Answer::Status(if received.seq() == 2 { 410 } else { 200 }));
    let (url, secret) = (world.lobby.url(), world.secret().display().to_string());
    let pushed = ["--lobby-url", &url, "--lobby-secret-file", &secret, "--lobby-give-up-after", "1"];
    let mut keeper = run(&world, &pushed);
    world.told().await;
    assert_eq!(in_order(&world.lobby.received()).values().copied().collect::<Vec<_>>(), [3, 3]);
    let told = Command::new("kill").args(["-TERM", &keeper.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ending = tokio::task::spawn_blocking(move || keeper.0.wait().unwrap().code());
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(30), ending).await.expect("it ends").unwrap(),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lobby_whose_deliveries_could_not_be_signed_is_refused_at_the_start() {
    let world = World::new().await;
    std::fs::write(world.secret(), "hunter2").unwrap();
    let secret = world.secret().display().to_string();
    for (arguments, code, expected) in [
        (&["--lobby-url", "http://127.0.0.1:9/"][..], 2, "--lobby-secret-file: what is pushed is signed"),
        (
            &["--lobby-url", "http://127.0.0.1:9/", "--lobby-secret-file", &secret][..],
            1,
            "is no secret: it has less than 24 bytes",
        ),
        (&["--lobby-mode", "push"][..], 2, "--lobby-mode: push needs to know where to"),
    ] {
        let ran = command(&world).args(arguments).output().unwrap();
        let told = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(code), "{told}");
        assert!(told.contains(expected) && !told.contains("hunter2"), "{told}");
    }
}
