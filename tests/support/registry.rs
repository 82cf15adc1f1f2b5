//! A registry of images on loopback, speaking the distribution protocol as far as Docker asks: it
//! demands credentials, counts requests, refuses, is slow, and goes away, as the test says.
//!
//! Docker speaks to 127.0.0.0/8 in the clear, so nothing has to be configured.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// So much comes of a blob that does not flow, in bytes, and so often.
const DRIP: usize = 512;
const DRIP_EVERY: Duration = Duration::from_millis(20);

/// Who may read.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Everybody,
    /// Name and password, sent with each request.
    Basic(&'static str, &'static str),
    /// Name and password, for a token.
    Bearer(&'static str, &'static str),
}

/// An image as a registry keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) config: Bytes,
    pub(crate) layers: Vec<Bytes>,
}

impl Image {
    /// What Docker calls it.
    pub(crate) fn id(&self) -> String {
        digest(&self.config)
    }

    fn manifest(&self) -> Bytes {
        let part = |kind: &str, content: &Bytes| serde_json::json!({ "mediaType": kind, "size": content.len(), "digest": digest(content) });
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": part(CONFIG, &self.config),
            "layers": self.layers.iter().map(|layer| part(LAYER, layer)).collect::<Vec<_>>(),
        });
        manifest.to_string().into()
    }
}

struct Shared {
    address: SocketAddr,
    access: Mutex<Access>,
    /// The answer to everything, if it is this.
    refusal: Mutex<Option<(u16, String)>>,
    blobs: Mutex<HashMap<String, Bytes>>,
    /// By `name/manifests/tag`, and by digest.
    manifests: Mutex<HashMap<String, Bytes>>,
    requests: Mutex<Vec<String>>,
    /// Whether a blob comes to its end.
    flows: watch::Sender<bool>,
    /// Blobs that nobody wanted to the end.
    broken_off: Mutex<usize>,
}

pub(crate) struct Registry {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Registry {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            access: Mutex::new(Access::Everybody),
            refusal: Mutex::default(),
            blobs: Mutex::default(),
            manifests: Mutex::default(),
            requests: Mutex::default(),
            flows: watch::Sender::new(true),
            broken_off: Mutex::default(),
        });
        let serving = serve(listener, shared.clone());
        Self { shared, serving }
    }

    /// It goes away: nobody listens at its address.
    pub(crate) async fn close(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// It is back, with what it had.
    pub(crate) async fn open(&mut self) {
        let listener = TcpListener::bind(self.shared.address).await.unwrap();
        self.serving = serve(listener, self.shared.clone());
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// Keeps an image under a tag, which it may have been another's. Returns its reference.
    pub(crate) fn push(&self, name: &str, tag: &str, image: &Image) -> String {
        let manifest = image.manifest();
        let mut blobs = self.shared.blobs.lock().unwrap();
        for blob in image.layers.iter().chain([&image.config]) {
            blobs.insert(digest(blob), blob.clone());
        }
        let mut manifests = self.shared.manifests.lock().unwrap();
        manifests.insert(format!("{name}/manifests/{}", digest(&manifest)), manifest.clone());
        manifests.insert(format!("{name}/manifests/{tag}"), manifest);
        format!("{}/{name}:{tag}", self.host())
    }

    pub(crate) fn demand(&self, access: Access) {
        *self.shared.access.lock().unwrap() = access;
    }

    /// Answers everything with this status and these words, in the protocol's form.
    pub(crate) fn refuse(&self, refusal: Option<(u16, &str)>) {
        *self.shared.refusal.lock().unwrap() = refusal.map(|(status, words)| (status, words.to_owned()));
    }

    /// Blobs come to a trickle half way until this is called with `true`.
    pub(crate) fn flow(&self, flows: bool) {
        self.shared.flows.send_replace(flows);
    }

    /// How many blobs nobody wanted to the end.
    pub(crate) fn broken_off(&self) -> usize {
        *self.shared.broken_off.lock().unwrap()
    }

    /// `METHOD PATH` of every request so far that has this in it.
    pub(crate) fn requests(&self, having: &str) -> Vec<String> {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|request| request.contains(having)).cloned().collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    let router = axum::Router::new().fallback(answer).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    shared.requests.lock().unwrap().push(format!("{} {path}", request.method()));
    let refusal = shared.refusal.lock().unwrap().clone();
    if let Some((status, words)) = refusal {
        return refused(status, &words);
    }
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let access = shared.access.lock().unwrap().clone();
    if let Some(challenge) = challenge(&shared, &access, &path, sent) {
        return challenge;
    }
    if path == "/token" {
        return axum::Json(serde_json::json!({ "token": token(&access), "expires_in": 300 })).into_response();
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return refused(404, "page not found") };
    if rest.is_empty() {
        return StatusCode::OK.into_response();
    }
    if let Some((_, wanted)) = rest.split_once("/blobs/") {
        let blob = shared.blobs.lock().unwrap().get(wanted).cloned();
        return blob.map_or_else(|| refused(404, "BLOB_UNKNOWN"), |blob| flowing(shared.clone(), blob));
    }
    let manifest = shared.manifests.lock().unwrap().get(rest).cloned();
    let Some(manifest) = manifest else { return refused(404, "MANIFEST_UNKNOWN") };
    let headers = [
        (header::CONTENT_TYPE, MANIFEST.to_owned()),
        (header::CONTENT_LENGTH, manifest.len().to_string()),
        (header::HeaderName::from_static("docker-content-digest"), digest(&manifest)),
    ];
    let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(manifest) };
    (headers, body).into_response()
}

/// What is answered to who may not read; none to who may.
fn challenge(shared: &Shared, access: &Access, path: &str, sent: Option<&str>) -> Option<Response> {
    let basic =
        |name: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    let (expected, demand) = match access {
        Access::Everybody => return None,
        Access::Basic(name, password) => (basic(name, password), "Basic realm=\"images\"".to_owned()),
        Access::Bearer(name, password) if path == "/token" => (basic(name, password), String::new()),
        Access::Bearer(..) => {
            let realm = format!("Bearer realm=\"http://{}/token\",service=\"images\"", shared.address);
            (format!("Bearer {}", token(access)), realm)
        }
    };
    if sent == Some(expected.as_str()) {
        return None;
    }
    let mut response = refused(401, "UNAUTHORIZED");
    if let Ok(demand) = demand.parse() {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, demand);
    }
    Some(response)
}

fn token(access: &Access) -> String {
    digest(format!("{access:?}").as_bytes()).replace(':', "-")
}

fn refused(status: u16, code: &str) -> Response {
    let errors =
        serde_json::json!({ "errors": [{ "code": code, "message": code.to_lowercase().replace('_', " ") }] });
    (StatusCode::from_u16(status).unwrap(), axum::Json(errors)).into_response()
}

/// Half of the blob at once, then a trickle, and the rest when blobs flow. Docker notices that nobody
/// waits for a pull any more when it next has something to tell of it: a registry that says nothing
/// at all would hide that.
fn flowing(shared: Arc<Shared>, blob: Bytes) -> Response {
    let length = blob.len();
    let flows = shared.flows.subscribe();
    let watched = Watched { shared, left: blob, flows };
    let body = futures::stream::unfold(watched, move |mut watched| async move {
        let begun = watched.left.len() < length;
        let next = match watched.left.len() {
            0 => return None,
            left if !begun => left / 2,
            left if *watched.flows.borrow() => left,
            left => {
                let _ = tokio::time::timeout(DRIP_EVERY, watched.flows.wait_for(|flows| *flows)).await;
                left.min(DRIP)
            }
        };
        let chunk = watched.left.split_to(next.max(1));
        Some((Ok::<_, Infallible>(chunk), watched))
    });
    ([(header::CONTENT_LENGTH, length.to_string())], Body::from_stream(body)).into_response()
}

/// Notes when an answer is dropped before its end.
struct Watched {
    shared: Arc<Shared>,
    left: Bytes,
    flows: watch::Receiver<bool>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.left.is_empty() {
            *self.shared.broken_off.lock().unwrap() += 1;
        }
    }
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The reference engine, as an image that nothing else has: with a layer and an id of its own.
pub(crate) fn engine() -> Image {
    use std::process::Command;
    let directory = tempfile::tempdir().unwrap();
    let run = |command: &str| {
        let ended = Command::new("sh").args(["-c", command]).current_dir(&directory).status().unwrap();
        assert!(ended.success(), "{command}");
    };
    run("docker save gamekeeper/reference-engine:1.4.2 | tar -x");
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    let saved: serde_json::Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut config: serde_json::Value = serde_json::from_slice(&read(&text(&saved[0]["Config"]))).unwrap();
    let layers = saved[0]["Layers"].as_array().unwrap();
    let mut layers: Vec<Bytes> = layers.iter().map(|layer| read(&text(layer)).into()).collect();

    let unique = uuid::Uuid::new_v4();
    std::fs::write(directory.path().join("unique"), unique.as_bytes().repeat(100_000)).unwrap();
    run("tar -cf layer.tar unique");
    let layer: Bytes = read("layer.tar").into();
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(digest(&layer).into());
    if let Some(history) = config["history"].as_array_mut() {
        history.push(serde_json::json!({ "created": "2026-01-01T00:00:00Z", "created_by": "a test" }));
    }
    config["config"]["Labels"] = serde_json::json!({ "unique": unique.to_string() });
    layers.push(layer);
    Image { config: config.to_string().into(), layers }
}
