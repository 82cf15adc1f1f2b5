//! The API's client: what the verbs ask the server.
//!
//! It believes only certificates of the authority in the kubeconfig, follows no redirect and uses no
//! proxy: a token goes to the server it was made by, or nowhere.

pub(crate) mod error;
mod kind;
pub(crate) mod kubeconfig;
mod mirror;
mod object;
mod watch;
mod ways;

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

pub(crate) use error::{ClientError, Refusal};
pub(crate) use kind::Kind;
pub(crate) use kubeconfig::{Access, Impersonation, Whereabouts};
pub(crate) use mirror::{Mirror, Place};
pub(crate) use object::Object;
pub(crate) use watch::Told;
pub(crate) use ways::CONTROLLERS;

use crate::game::operation::OperationKind;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// What kubectl asks for at a time.
const PAGE: &str = "500";

/// How long the server has those wait who are too fast, and how often that is put up with.
const WAIT: Duration = Duration::from_secs(1);
const PATIENCE: u32 = 10;
const TOKENS: &str = "apis/gamekeeper.dev/v1/accesstokens";

/// A connection to the server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    access: std::sync::Arc<Access>,
}

/// How a change is made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Writing {
    /// The desired state came from a manifest.
    pub(crate) from_manifest: bool,
    /// Everything but the change itself: nothing is stored.
    pub(crate) dry_run: bool,
}

/// What one object is asked for by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address<'a> {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace; ignored where the kind has none.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
}

impl Client {
    /// A client for the server that the kubeconfig names. Connects to nothing yet.
    ///
    /// # Errors
    /// When the kubeconfig is missing or wrong.
    pub(crate) fn new(whereabouts: &Whereabouts) -> Result<Self, ClientError> {
        let access = whereabouts.access()?;
        let wrong = |message: String| ClientError::Kubeconfig { file: access.file.clone(), message };
        // Two providers in one process would be one too many; whoever was first is right.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = reqwest::Certificate::from_pem_bundle(&access.authority)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| wrong("its certificate authority is not a certificate in PEM".into()))?;
        let mut token = HeaderValue::from_str(&format!("Bearer {}", access.token.expose_secret()))
            .map_err(|_| wrong("its token has characters that no token has".into()))?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
        if let Some(Impersonation { user, groups }) = &access.impersonates {
            let value = |text: &String| {
                let nobody = |_| wrong(format!("`{}` is nobody's name", text.escape_debug()));
                HeaderValue::from_bytes(text.as_bytes()).map_err(nobody)
            };
            headers.insert("impersonate-user", value(user)?);
            for group in groups {
                headers.append("impersonate-group", value(group)?);
            }
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("gamekeeper/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .tls_certs_only(authorities)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| wrong(format!("it cannot be used: {error}")))?;
        Ok(Self { http, access: access.into() })
    }

    /// The namespace that the kubeconfig means when none is named.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.access.namespace.as_deref()
    }

    /// The authority whose certificates are believed, as PEM.
    pub(crate) fn authority(&self) -> &[u8] {
        &self.access.authority
    }

    /// What it asks with.
    pub(crate) fn token(&self) -> &secrecy::SecretString {
        &self.access.token
    }

    /// The server, for people.
    pub(crate) fn server(&self) -> &str {
        self.access.server.as_str().trim_end_matches('/')
    }

    /// One object.
    pub(crate) async fn get(&self, object: Address<'_>) -> Result<Object, ClientError> {
        self.json(Method::GET, self.url(&object.path(), &[]), None).await
    }

    /// One object, or none.
    pub(crate) async fn find(&self, object: Address<'_>) -> Result<Option<Object>, ClientError> {
        match self.get(object).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, in one namespace or in all, by label selector.
    pub(crate) async fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<Object>, ClientError> {
        let path = collection(kind, namespace);
        let mut query = vec![("limit", PAGE.to_owned())];
        query.extend(selector.map(|selector| ("labelSelector", selector.to_owned())));
        self.pages(&path, query, None).await.map(|mut objects| {
            for Object(object) in &mut objects {
                // A list says once what its items are.
                if let Value::Object(fields) = object {
                    fields.shift_insert(0, "apiVersion".into(), crate::game::manifest::API_VERSION.into());
                    fields.shift_insert(1, "kind".into(), kind.manifest().into());
                }
            }
            objects
        })
    }

    /// Creates an object.
    pub(crate) async fn create(
        &self,
        object: Address<'_>,
        body: &Value,
        how: Writing,
    ) -> Result<Object, ClientError> {
        let namespace = Some(object.namespace);
        let url = self.url(&collection(object.kind, namespace), &how.query());
        self.json(Method::POST, url, Some(("application/json", body))).await
    }

    /// Changes an object by a merge patch.
    pub(crate) async fn patch(
        &self,
        object: Address<'_>,
        patch: &Value,
        how: Writing,
    ) -> Result<Object, ClientError> {
        let url = self.url(&object.path(), &how.query());
        self.json(Method::PATCH, url, Some(("application/merge-patch+json", patch))).await
    }

    /// Asks for an object's deletion; what comes back is the object as it goes, or a mere success.
    pub(crate) async fn delete(&self, object: Address<'_>, how: Writing) -> Result<Object, ClientError> {
        self.json(Method::DELETE, self.url(&object.path(), &how.query()), None).await
    }

    /// A game's operations, newest first.
    pub(crate) async fn operations(
        &self,
        game: Address<'_>,
        generation: Option<i64>,
        op: Option<OperationKind>,
        limit: usize,
    ) -> Result<Vec<Object>, ClientError> {
        let mut selector = format!("spec.game={}", game.name);
        if let Some(generation) = generation {
            selector.push_str(&format!(",spec.generation={generation}"));
        }
        if let Some(op) = op {
            selector.push_str(&format!(",spec.op={}", op.as_row()));
        }
        let path = ["apis/gamekeeper.dev/v1/namespaces", game.namespace, "operations"].join("/");
        let query = vec![("fieldSelector", selector), ("limit", limit.to_string())];
        self.pages(&path, query, Some(limit)).await
    }

    /// What happened to an object.
    pub(crate) async fn events(&self, object: Address<'_>) -> Result<Vec<Object>, ClientError> {
        let selector =
            format!("involvedObject.name={},involvedObject.kind={}", object.name, object.kind.manifest());
        let path = match object.kind {
            Kind::Game => ["api/v1/namespaces", object.namespace, "events"].join("/"),
            Kind::EngineVersion => "api/v1/events".into(),
        };
        self.pages(&path, vec![("fieldSelector", selector), ("limit", PAGE.into())], None).await
    }

    /// The log of a game's engine, as it comes.
    pub(crate) async fn log(
        &self,
        game: Address<'_>,
        query: &[(&'static str, String)],
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + use<>, ClientError> {
        let path = ["api/v1/namespaces", game.namespace, "pods", game.name, "log"].join("/");
        // A log that is followed has no end, so only the beginning of the answer has a deadline.
        let request = self.http.request(Method::GET, self.url(&path, query)).send();
        let answer = tokio::time::timeout(ANSWER, request)
            .await
            .map_err(|_| ClientError::TimedOut { server: self.server().into(), after: ANSWER })?
            .map_err(|error| self.error(&error))?;
        let status = answer.status();
        if !status.is_success() {
            let body = answer.bytes().await.map_err(|error| self.error(&error))?;
            return Err(ClientError::Refused(Box::new(Refusal::read(status.as_u16(), &body))));
        }
        let client = self.clone();
        Ok(answer.bytes_stream().map_err(move |error| client.error(&error)))
    }

    /// Whether the server is ready, and what it says about it.
    pub(crate) async fn ready(&self) -> Result<(bool, String), ClientError> {
        let url = self.url("readyz", &[("verbose", String::new())]);
        let (status, body) = self.answer(self.http.request(Method::GET, url)).await?;
        match status {
            401 | 403 => Err(ClientError::Refused(Box::new(Refusal::read(status, &body)))),
            _ => Ok(((200..300).contains(&status), String::from_utf8_lossy(&body).into_owned())),
        }
    }

    /// What the server says of its version.
    pub(crate) async fn version(&self) -> Result<Object, ClientError> {
        self.json(Method::GET, self.url("version", &[]), None).await
    }

    /// Every token.
    pub(crate) async fn tokens(&self) -> Result<Vec<Object>, ClientError> {
        self.pages(TOKENS, Vec::new(), None).await
    }

    /// Makes a token; the answer has it.
    pub(crate) async fn create_token(&self, body: &Value, how: Writing) -> Result<Object, ClientError> {
        self.json(Method::POST, self.url(TOKENS, &how.query()), Some(("application/json", body))).await
    }

    /// Takes a token away.
    pub(crate) async fn revoke_token(&self, name: &str, how: Writing) -> Result<Object, ClientError> {
        self.json(Method::DELETE, self.url(&[TOKENS, name].join("/"), &how.query()), None).await
    }

    async fn pages(
        &self,
        path: &str,
        mut query: Vec<(&'static str, String)>,
        most: Option<usize>,
    ) -> Result<Vec<Object>, ClientError> {
        let (mut found, asked) = (Vec::new(), query.len());
        loop {
            let page = self.json(Method::GET, self.url(path, &query), None).await?;
            found.extend(page.list("/items").iter().cloned().map(Object::received));
            let next = page.text("/metadata/continue").map(str::to_owned);
            match next {
                Some(next) if most.is_none_or(|most| found.len() < most) => {
                    query.truncate(asked);
                    query.push(("continue", next));
                }
                _ => return Ok(found),
            }
        }
    }

    async fn json(
        &self,
        method: Method,
        url: Url,
        body: Option<(&'static str, &Value)>,
    ) -> Result<Object, ClientError> {
        let id = uuid::Uuid::now_v7().to_string();
        let text = body.map(|(kind, body)| (kind, Bytes::from(body.to_string())));
        let mut waited = 0;
        let (status, body) = loop {
            let mut request = self.http.request(method.clone(), url.clone()).header("X-Request-Id", &id);
            if let Some((kind, text)) = &text {
                request = request.header(CONTENT_TYPE, *kind).body(text.clone());
            }
            match self.answer(request).await? {
                // Nothing was done: the server says so to whoever is too fast for it.
                (429, _) if waited < PATIENCE => {
                    waited += 1;
                    tokio::time::sleep(WAIT).await;
                }
                answer => break answer,
            }
        };
        if !(200..300).contains(&status) {
            return Err(ClientError::Refused(Box::new(Refusal::read(status, &body).of_request(&id))));
        }
        serde_json::from_slice(&body)
            .map(Object::received)
            .map_err(|error| ClientError::Broken(error.to_string()))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<(u16, Bytes), ClientError> {
        let answer = request.timeout(ANSWER).send().await.map_err(|error| self.error(&error))?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await.map_err(|error| self.error(&error))?))
    }

    fn url(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = self.access.server.clone();
        // Each part is quoted by itself, so a name cannot lead anywhere else.
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn error(&self, error: &reqwest::Error) -> ClientError {
        ClientError::of(error, self.server(), &self.access.file, ANSWER)
    }
}

impl Writing {
    fn query(self) -> Vec<(&'static str, String)> {
        let manager = if self.from_manifest { "gamekeeper-apply" } else { "gamekeeper" };
        let mut query = vec![("fieldManager", manager.to_owned())];
        if self.dry_run {
            query.push(("dryRun", "All".to_owned()));
        }
        query
    }
}

impl Address<'_> {
    fn path(&self) -> String {
        [&collection(self.kind, Some(self.namespace)), self.name].join("/")
    }
}

/// The path of all objects of a kind, in a namespace or in all.
pub(crate) fn collection(kind: Kind, namespace: Option<&str>) -> String {
    let root = "apis/gamekeeper.dev/v1";
    match (kind, namespace) {
        (Kind::Game, Some(namespace)) => [root, "namespaces", namespace, kind.plural()].join("/"),
        _ => [root, kind.plural()].join("/"),
    }
}
