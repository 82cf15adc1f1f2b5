//! Who gets in, what is open to all, and the kubeconfig.

use std::process::Command;
use std::time::Duration;

use gamekeeper::api::auth::Role;
use gamekeeper::api::{Readiness, serve_metrics};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{GAMES, VERSIONS, World, game, read, token, version};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_but_health_is_told() {
    let world = World::new().await;
    for path in ["/", "/nope", "/version", "/metrics", "/api", GAMES, "/livezz", "/livez/x"] {
        let response = world.anonymous(Method::GET, path).send().await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"));
        read(response).await.refused(401, "Unauthorized");
        for wrong in ["", "x", &format!("{}x", world.token), &world.token[1..]] {
            let request = world.anonymous(Method::GET, path).bearer_auth(wrong);
            read(request.send().await.unwrap()).await.refused(401, "Unauthorized");
        }
        let basic = world.anonymous(Method::GET, path).basic_auth("admin", Some(&world.token));
        read(basic.send().await.unwrap()).await.refused(401, "Unauthorized");
    }
    for path in ["/livez", "/readyz", "/livez/", "/readyz?verbose"] {
        assert_eq!(world.anonymous(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_bound_what_a_token_does_and_stand_in_the_row() {
    let world = World::with(|tokens| {
        token(tokens, Role::Viewer, "viewer");
        token(tokens, Role::Lobby, "lobby");
    })
    .await;
    let post = async |token: &str, path: &str, body| {
        read(world.anonymous(Method::POST, path).bearer_auth(token).json(&body).send().await.unwrap()).await
    };
    post("viewer", GAMES, game("a")).await.refused(403, "Forbidden");
    post("lobby", VERSIONS, version("1.4.2")).await.refused(403, "Forbidden");
    post("lobby", &format!("{GAMES}?fieldManager=gamekeeper-apply"), game("lobbys")).await.ok(201);
    let apply = "?fieldManager=kubectl-client-side-apply";
    post(&world.token, &format!("{GAMES}{apply}"), game("manifests")).await.ok(201);
    post(&world.token, GAMES, game("operators")).await.ok(201);

    let mut ids = Vec::new();
    for name in ["lobbys", "manifests", "operators"] {
        ids.push(world.store.game("default", name).await.unwrap().unwrap().id);
    }
    let desired = world.store.desired(&ids).await.unwrap();
    for (name, source, who) in
        [("lobbys", "lobby", "lobby"), ("manifests", "manifest", "admin"), ("operators", "operator", "admin")]
    {
        let (row, _) = desired.iter().find(|(row, _)| row.name.as_str() == name).unwrap();
        assert_eq!((row.source.as_row(), row.requested_by.as_str()), (source, who), "{name}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_s_id_is_echoed_and_stands_in_the_row() {
    let world = World::new().await;
    let request = world.request(Method::POST, GAMES).json(&game("a")).header("x-request-id", "lobby-42");
    assert_eq!(read(request.send().await.unwrap()).await.request_id, "lobby-42");
    let id = world.store.game("default", "a").await.unwrap().unwrap().id;
    assert_eq!(world.store.desired(&[id]).await.unwrap()[0].0.request_id, "lobby-42");
    for odd in ["two words", "\"quoted\"", &"x".repeat(129)] {
        let request = world.request(Method::GET, GAMES).header("x-request-id", odd);
        let echoed = read(request.send().await.unwrap()).await.request_id;
        assert!(uuid::Uuid::parse_str(&echoed).is_ok(), "{echoed}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_what_is_missing() {
    let world = World::new().await;
    let text = async |path: &str| {
        let response = world.anonymous(Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(text("/readyz").await, (200, "ok".into()));
    let problems = vec!["Docker cannot be asked".into(), "the state root is not writable".into()];
    world.ready.send(Readiness { problems }).unwrap();
    assert_eq!(
        text("/readyz").await,
        (503, "Docker cannot be asked\nthe state root is not writable\n".into())
    );
    assert_eq!(text("/livez").await, (200, "ok".into()));
    let metrics = world.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert_eq!(metrics.text().await.unwrap(), "# EOF\n");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_names_what_there_is() {
    let world = World::new().await;
    assert_eq!(world.get("/api").await.ok(200)["versions"], json!(["v1"]));
    assert_eq!(world.get("/apis/").await.ok(200)["groups"][0]["name"], "gamekeeper.dev");
    let resources = world.get("/apis/gamekeeper.dev/v1").await.ok(200);
    assert_eq!(resources["groupVersion"], "gamekeeper.dev/v1");
    assert_eq!(resources["resources"][0]["name"], "games");
    assert_eq!(world.get("/api/v1").await.ok(200)["kind"], "APIResourceList");
    let version = world.get("/version/").await.ok(200);
    assert!(version["minor"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_with_the_kubeconfig_as_it_is() {
    let world = World::new().await;
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("skipped: there is no kubectl");
        return world.end().await;
    }
    let kubectl = async |arguments: &[&str], input: &str| {
        let mut command = tokio::process::Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(world.directory.path().join("kubeconfig"))
            .args(arguments)
            .env("HOME", world.directory.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (ok, out, err) = kubectl(&["get", "--raw", GAMES], "").await;
    assert!(ok && out.contains("GameList"), "{out}{err}");
    let manifest = game("andromeda").to_string();
    let (ok, out, err) = kubectl(&["create", "--validate=false", "-f", "-"], &manifest).await;
    assert!(ok && out.contains("created"), "{out}{err}");
    let patch = r#"{"spec":{"paused":true}}"#;
    let (ok, out, err) = kubectl(&["patch", "game", "andromeda", "--type=merge", "-p", patch], "").await;
    assert!(ok && out.contains("patched"), "{out}{err}");
    let (ok, out, err) = kubectl(&["get", "games", "-o", "jsonpath={.items[*].spec.paused}"], "").await;
    assert!(ok && out == "true", "{out}{err}");
    let (ok, out, err) = kubectl(&["delete", "game", "andromeda", "--wait=false"], "").await;
    assert!(ok && out.contains("deleted"), "{out}{err}");
    let freeze = r#"{"spec":{"frozen":true,"frozenBecause":"the disk moves"}}"#;
    let (ok, out, err) =
        kubectl(&["patch", "controller", "gamekeeper", "--type=merge", "-p", freeze], "").await;
    assert!(ok && out.contains("patched"), "{out}{err}");
    let (ok, out, err) = kubectl(&["get", "controllers", "-o", "jsonpath={.items[*].spec.frozen}"], "").await;
    assert!(ok && out == "true", "{out}{err}");
    world.store.controller_event(true, "Frozen", "by hand").await.unwrap();
    let (ok, out, err) = kubectl(&["describe", "controller", "gamekeeper"], "").await;
    assert!(ok && out.contains("the disk moves") && out.contains("by hand"), "{out}{err}");
    let (ok, _, err) = kubectl(&["get", "game", "none"], "").await;
    assert!(!ok && err.contains("NotFound"), "{err}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_let_go() {
    let world = World::new().await;
    let mut silent = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(15), silent.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_alone_are_served_in_the_clear_on_loopback_only() {
    let registry = std::sync::Arc::new(prometheus_client::registry::Registry::default());
    let shutdown = tokio_util::sync::CancellationToken::new();
    let everywhere = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = serve_metrics(everywhere, registry.clone(), shutdown.clone()).await;
    assert!(refused.unwrap_err().to_string().contains("loopback"));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve_metrics(listener, registry, shutdown.clone()));
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    connection.write_all(ask).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("# EOF"), "{answer}");
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(8), server).await.expect("it ends").unwrap().unwrap();
}
