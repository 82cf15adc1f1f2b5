//! The real process: it tells the lobby what the table holds, Docker or not, and ends soon.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum_server::tls_rustls::RustlsConfig;
use gamekeeper::store::outbox::OutboxState;

use crate::receiver::Answer;
use crate::receiver::in_order;
use crate::world::{World, game};

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
        .args(world.database.arguments())
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

#[tokio::test(flavor = "multi_thread")]
async fn over_https_only_a_lobby_with_a_certificate_that_the_system_trusts_is_told() {
    let world = World::new().await;
    world.tells(game(1), 1).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (trusted, other) = (world.directory.path().join("ca.pem"), world.directory.path().join("other.pem"));
    std::fs::write(&trusted, cert.pem()).unwrap();
    let stranger = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let tls = RustlsConfig::from_pem(cert.pem().into(), signing_key.serialize_pem().into()).await.unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let lobby = Router::new().fallback(|| async { StatusCode::NO_CONTENT });
    tokio::spawn(axum_server::from_tcp_rustls(listener, tls).unwrap().serve(lobby.into_make_service()));

    let secret = world.secret().display().to_string();
    let start = |certificates: &Path| {
        let pushed = ["--lobby-url", &url, "--lobby-secret-file", &secret];
        Keeper(command(&world).args(pushed).env("SSL_CERT_FILE", certificates).spawn().unwrap())
    };
    let distrusting = start(&other);
    world.until("it was tried", async || !world.find(OutboxState::Retrying).await.is_empty()).await;
    let failing = world.find(OutboxState::Retrying).await;
    assert!(failing[0].last_error.as_ref().unwrap().contains("certificate"), "{failing:?}");
    drop(distrusting);
    let _trusting = start(&trusted);
    world.told().await;
    assert_eq!(world.find(OutboxState::Delivered).await.len(), 1);
}
