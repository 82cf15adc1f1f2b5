//! Logs that never end, and how they end. A socket that answers like Docker stands in for it, so
//! that the test sees when its side of the stream is let go.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::Notify;

use crate::world::{GAMES, World, game, read};

const LOG: &str = "/api/v1/namespaces/default/pods/andromeda/log?follow=true";

#[derive(Clone)]
struct Docker {
    instance: String,
    owner: String,
    let_go: Arc<Notify>,
}

/// Rings when it is dropped.
struct Ring(Arc<Notify>);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn inspect(State(docker): State<Docker>, Path(_): Path<String>) -> Json<Value> {
    Json(json!({
        "Id": "c0ffee",
        "Image": "sha256:00",
        "State": { "Status": "exited", "StartedAt": "2026-11-01T00:00:00Z", "ExitCode": 0 },
        "Config": { "Labels": {
            "gamekeeper.dev/instance": docker.instance, "gamekeeper.dev/game-id": docker.owner,
        } },
    }))
}

/// One line, then silence.
async fn endless(State(docker): State<Docker>, Path(_): Path<String>) -> Body {
    let ring = Ring(docker.let_go);
    let line = b"turn 1\n";
    let frame = [&[1, 0, 0, 0, 0, 0, 0, line.len() as u8], line.as_slice()].concat();
    let silence = futures::stream::once(async move {
        let _held = ring;
        std::future::pending::<Result<Bytes, std::io::Error>>().await
    });
    Body::from_stream(futures::stream::iter([Ok(Bytes::from(frame))]).chain(silence))
}

pub(crate) async fn world_with_docker(owner: Option<&str>) -> (World, Arc<Notify>) {
    let world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let id = world.store.game("default", "andromeda").await.unwrap().unwrap().id;
    let let_go = Arc::new(Notify::new());
    let docker = Docker {
        instance: world.instance.to_string(),
        owner: owner.map_or_else(|| id.to_string(), str::to_owned),
        let_go: let_go.clone(),
    };
    let app = Router::new()
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/logs", get(endless))
        .with_state(docker);
    let socket = UnixListener::bind(world.directory.path().join("docker.sock")).unwrap();
    tokio::spawn(async move { axum::serve(socket, app).await });
    (world, let_go)
}

async fn first_line(world: &World) -> Response {
    let mut response = world.request(Method::GET, LOG).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.chunk().await.unwrap().unwrap(), "turn 1\n");
    response
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), future)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_the_log() {
    let (world, let_go) = world_with_docker(None).await;
    let response = first_line(&world).await;
    drop(response);
    soon("Docker's stream is let go", let_go.notified()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_ends_with_the_server_and_ends_well() {
    let (world, let_go) = world_with_docker(None).await;
    let mut response = first_line(&world).await;
    world.shutdown.cancel();
    assert_eq!(soon("the log ends", response.chunk()).await.unwrap(), None);
    soon("Docker's stream is let go", let_go.notified()).await;
    drop(response);
    soon("the server ends", world.end()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_container_s_log_is_not_told() {
    let (world, _) = world_with_docker(Some("6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10")).await;
    let status = read(world.request(Method::GET, LOG).send().await.unwrap()).await.refused(404, "NotFound");
    assert!(status["message"].as_str().unwrap().contains("has no container"), "{status:#}");
    world.end().await;
}
