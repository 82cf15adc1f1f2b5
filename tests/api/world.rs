//! A server on a port of its own, with a real SQLite file, and a client that trusts its CA.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gamekeeper::api::auth::{Role, Tokens};
use gamekeeper::api::{Api, HubLimits, Limits, Readiness, ServeError, Tls, TlsSettings, kubeconfig, serve};
use gamekeeper::controller::{Question, Questions};
use gamekeeper::game::InstanceId;
use gamekeeper::game::controller::ControllerStatus;
use gamekeeper::game::spec::Desired;
use gamekeeper::reconcile::explain::Explanation;
use gamekeeper::runtime::docker::{DockerRuntime, Settings};
use gamekeeper::store::Store;
use prometheus_client::registry::Registry;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::database::Database;

/// Where games of the default namespace are.
pub(crate) const GAMES: &str = "/apis/gamekeeper.dev/v1/namespaces/default/games";
/// Where engine versions are.
pub(crate) const VERSIONS: &str = "/apis/gamekeeper.dev/v1/engineversions";

/// A running server.
pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) database: Database,
    pub(crate) instance: InstanceId,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) token: String,
    pub(crate) store: Store,
    pub(crate) ready: watch::Sender<Readiness>,
    pub(crate) controller: watch::Sender<ControllerStatus>,
    questions: Option<Questions>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<Result<(), ServeError>>,
    again: Again,
}

/// A server beside the one of a world.
pub(crate) struct Beside {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Beside {
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.server.await.unwrap().unwrap();
    }
}

/// What a server is started with.
#[derive(Clone)]
struct Again {
    api: Api,
    tls: Tls,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) request_id: String,
    pub(crate) json: Value,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other bounds for what is held for those who list and watch.
    pub(crate) async fn with_limits(limits: HubLimits) -> Self {
        Self::made(limits, |_| {}).await
    }

    /// With other tokens beside the admin's.
    pub(crate) async fn with(more: impl FnOnce(&mut Tokens)) -> Self {
        Self::made(HubLimits::default(), more).await
    }

    async fn made(hub: HubLimits, more: impl FnOnce(&mut Tokens)) -> Self {
        // Tests are refused more often than anybody else.
        let limits = Limits { failures: 10_000, ..Limits::default() };
        Self::made_with(hub, limits, None, more).await
    }

    /// With other bounds for what is asked.
    pub(crate) async fn with_bounds(limits: Limits) -> Self {
        Self::made_with(HubLimits::default(), limits, None, |_| {}).await
    }

    /// With an authority whose client certificates are believed, in PEM.
    pub(crate) async fn with_client_ca(pem: &str) -> Self {
        let limits = Limits { failures: 10_000, ..Limits::default() };
        Self::made_with(HubLimits::default(), limits, Some(pem), |_| {}).await
    }

    async fn made_with(
        hub: HubLimits,
        limits: Limits,
        client_ca: Option<&str>,
        more: impl FnOnce(&mut Tokens),
    ) -> Self {
        // What the server logs stands beside what a test complains of.
        let _ = tracing_subscriber::fmt().with_env_filter("gamekeeper=info").with_test_writer().try_init();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let database = Database::new(path);
        let store = database.open().await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client_ca = client_ca.map(|pem| {
            let file = path.join("clients.pem");
            std::fs::write(&file, pem).unwrap();
            file
        });
        let said = TlsSettings { client_ca, ..TlsSettings::default() };
        let tls = Tls::with(path, address.ip(), said).unwrap();
        let mut tokens = kubeconfig::ensure(path, address, tls.ca_pem()).unwrap();
        more(&mut tokens);
        let instance = InstanceId(uuid::Uuid::new_v4());
        let mut settings = Settings::new(instance, path.join("state"));
        // Nobody listens there, unless a test does.
        settings.host = Some(format!("unix://{}", path.join("docker.sock").display()));
        let (ready, ready_seen) = watch::channel(Readiness::default());
        let (controller, controller_seen) = watch::channel(ControllerStatus::default());
        let (asker, questions) = gamekeeper::controller::questions();
        let api = Api {
            store: store.clone(),
            runtime: Arc::new(DockerRuntime::new(settings).unwrap()),
            ready: ready_seen,
            controller: controller_seen,
            asker,
            max_failures: 3,
            registry: Arc::new(Registry::default()),
            tokens,
            hub,
            limits,
        };
        let client = client(tls.ca_pem());
        let again = Again { api: api.clone(), tls: tls.clone() };
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, api, tls, shutdown.clone()));
        let token = token_in(path);
        Self {
            directory,
            database,
            instance,
            address,
            client,
            token,
            store,
            ready,
            controller,
            questions: Some(questions),
            shutdown,
            server,
            again,
        }
    }

    /// Another server on the same database, with a view of its own.
    pub(crate) async fn beside(&self) -> Beside {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let Again { api, tls } = self.again.clone();
        let api = Api { store: self.database.open().await, ..api };
        Beside { address, server: tokio::spawn(serve(listener, api, tls, shutdown.clone())), shutdown }
    }

    /// Ends the server and starts it again, on the same database and at another port.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_at(TcpListener::bind("127.0.0.1:0").unwrap());
    }

    /// Ends the server; nobody answers at its port until it is started again.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        (&mut self.server).await.unwrap().unwrap();
    }

    /// Starts the server that was stopped again, on the same database and at the same port.
    pub(crate) fn start(&mut self) {
        self.start_at(TcpListener::bind(self.address).unwrap());
    }

    fn start_at(&mut self, listener: TcpListener) {
        self.address = listener.local_addr().unwrap();
        self.shutdown = CancellationToken::new();
        let Again { api, tls } = self.again.clone();
        self.server = tokio::spawn(serve(listener, api, tls, self.shutdown.clone()));
    }

    /// A request with the admin's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    /// A request without a token.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("https://{}{path}", self.address))
    }

    /// What a lobby or a person does: SQL by a connection of their own.
    pub(crate) async fn sql(&self, statements: &str) {
        self.database.sql(statements).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        read(self.request(Method::PUT, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> Answer {
        self.patch_as("merge-patch", path, patch).await
    }

    /// A patch of this kind (`merge-patch`, `json-patch`, `strategic-merge-patch`).
    pub(crate) async fn patch_as(&self, kind: &str, path: &str, patch: &Value) -> Answer {
        let request =
            self.request(Method::PATCH, path).header("content-type", format!("application/{kind}+json"));
        read(request.body(patch.to_string()).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Answers every question in the loop's place, and hands on what would be desired.
    pub(crate) fn answers(&mut self, explanation: Explanation) -> mpsc::UnboundedReceiver<Option<Desired>> {
        let mut questions = self.questions.take().expect("nobody answers yet");
        let (told, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Question { game: _, instead, reply }) = questions.next().await {
                let _ = told.send(instead.map(|desired| *desired));
                let _ = reply.send(explanation.clone());
            }
        });
        asked
    }

    /// The games' state has its place, though there is none of any game.
    pub(crate) async fn has_its_state_root(&self) {
        self.again.api.runtime.bind_state_root().await.unwrap();
    }

    /// Knows no game, in the loop's place.
    pub(crate) fn knows_nothing(&mut self) {
        let mut questions = self.questions.take().expect("nobody answers yet");
        tokio::spawn(async move { while questions.next().await.is_some() {} });
    }

    /// Ends the server, which has to take less than its grace.
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.server).await.expect("it ends").unwrap().unwrap();
    }
}

impl Answer {
    /// The object, with this status.
    #[track_caller]
    pub(crate) fn ok(self, code: u16) -> Value {
        assert_eq!(self.code.as_u16(), code, "{:#}", self.json);
        self.json
    }

    /// The Status, which says the same as the status line.
    #[track_caller]
    pub(crate) fn refused(self, code: u16, reason: &str) -> Value {
        assert_eq!(self.code.as_u16(), code, "{:#}", self.json);
        assert_eq!(self.json["kind"], "Status", "{:#}", self.json);
        assert_eq!(self.json["apiVersion"], "v1");
        assert_eq!(self.json["status"], "Failure");
        assert_eq!(self.json["code"], code);
        assert_eq!(self.json["reason"], reason, "{:#}", self.json);
        assert!(self.json["message"].as_str().is_some_and(|message| !message.is_empty()));
        self.json
    }
}

pub(crate) async fn read(response: Response) -> Answer {
    let code = response.status();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
    if json.is_object() {
        assert_eq!(kind.as_deref(), Some("application/json"));
    }
    Answer { code, request_id, json }
}

/// A client that trusts this CA and nothing else.
pub(crate) fn client(ca_pem: &str) -> Client {
    // The process has one provider; a second test in it finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    Client::builder().tls_certs_only([ca]).no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

fn token_in(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("kubeconfig")).unwrap();
    let config: Value = serde_yaml::from_str(&text).unwrap();
    config["users"][0]["user"]["token"].as_str().unwrap().to_owned()
}

/// The SHA-256 of a text, in hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A role with its token, for [`World::with`].
pub(crate) fn token(tokens: &mut Tokens, role: Role, token: &str) {
    tokens.replace(token, role, token);
}

/// A game's manifest.
pub(crate) fn game(name: &str) -> Value {
    json!({
        "apiVersion": "gamekeeper.dev/v1",
        "kind": "Game",
        "metadata": { "name": name, "labels": { "season": "7" } },
        "spec": {
            "desiredStatus": "Running",
            "engineVersion": "1.4.2",
            "players": [{ "userId": "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10", "raceName": "Terrans" }],
        },
    })
}

/// An engine version's manifest.
pub(crate) fn version(name: &str) -> Value {
    json!({
        "apiVersion": "gamekeeper.dev/v1",
        "kind": "EngineVersion",
        "metadata": { "name": name },
        "spec": { "image": format!("gamekeeper/reference-engine:{name}") },
    })
}

/// What the controller would do about a game that starts.
pub(crate) fn explanation() -> Explanation {
    serde_json::from_value(json!({
        "summary": "It would be started.", "phase": "Pending", "reason": "New", "message": "It is new.",
        "generation": 1, "observedGeneration": 0,
        "desired": [{ "what": "Status", "is": "Running" }], "observed": [],
        "steps": [{ "step": "create container for 1.4.2", "cause": "there is none", "changes": true }],
        "afterwards": [], "disruption": "Start", "waitingOn": [], "failures": 0, "settled": false,
    }))
    .unwrap()
}
