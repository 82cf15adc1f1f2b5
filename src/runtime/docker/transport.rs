//! The connection to Docker: a pool that keeps connections alive, since bollard's own keeps none.
//!
//! Nothing is connected before the first request, so that an absent daemon is an answer of that
//! request and not of the start of the controller.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bytes::Bytes;
use futures::Stream;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyperlocal::UnixConnector;

use super::host::Host;
use super::stranger::{self, Asked};

type Chunks = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send>>;

/// The body of a request, in bollard's shape.
pub(super) type Body = Either<Full<Bytes>, StreamBody<Chunks>>;

/// Enough for the concurrent calls of a busy controller; more are opened when needed, not kept.
const KEPT_CONNECTIONS: usize = 16;
const KEPT_FOR: Duration = Duration::from_secs(60);
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Callers have deadlines of their own; bollard's would count headers only, in whole seconds.
const BOLLARD_TIMEOUT_SECONDS: u64 = 24 * 60 * 60;

/// The header that carries registry credentials.
const REGISTRY_AUTH: &str = "x-registry-auth";

pub(super) struct Transport {
    host: Host,
    chosen: OnceLock<PathBuf>,
    unix: Client<UnixConnector, Body>,
    tcp: Client<HttpConnector, Body>,
}

impl Transport {
    pub(super) fn new(host: Host) -> Arc<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_DEADLINE));
        connector.set_keepalive(Some(Duration::from_secs(30)));
        connector.set_nodelay(true);
        let mut pool = Client::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT_CONNECTIONS);
        Arc::new(Self {
            host,
            chosen: OnceLock::new(),
            unix: pool.build(UnixConnector),
            tcp: pool.build(connector),
        })
    }

    /// bollard over this pool.
    pub(super) fn bollard(self: &Arc<Self>) -> Result<Docker, Error> {
        let transport = Arc::clone(self);
        Docker::connect_with_custom_transport(
            move |request: bollard::BollardRequest| {
                let transport = Arc::clone(&transport);
                async move { transport.request(request).await }
            },
            Some("http://docker"),
            BOLLARD_TIMEOUT_SECONDS,
            bollard::API_DEFAULT_VERSION,
        )
    }

    /// Sends a request to the daemon; of its URI only the path and the query count. What somebody else
    /// answers in the daemon's place is an error.
    pub(super) async fn request(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let asked = Asked { method: request.method().clone(), path: request.uri().path().to_owned() };
        let answer = self.send(request).await?;
        match stranger::of(asked, &answer) {
            None => Ok(answer),
            Some(stranger) => Err(Error::from(std::io::Error::other(stranger.heard(answer).await))),
        }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        make_url_safe(&mut request);
        match &self.host {
            Host::Tcp(address) => {
                let uri = Uri::builder().scheme("http").authority(address.as_str()).path_and_query(path);
                if let Ok(uri) = uri.build() {
                    *request.uri_mut() = uri;
                }
                self.tcp.request(request).await
            }
            Host::Unix(_) | Host::FirstOf(_) => {
                *request.uri_mut() = hyperlocal::Uri::new(self.socket(), &path).into();
                request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
                self.unix.request(request).await
            }
        }
    }

    /// Its socket on this machine, if it has one.
    pub(super) fn socket_on_this_host(&self) -> Option<PathBuf> {
        match &self.host {
            Host::Tcp(_) => None,
            Host::Unix(_) | Host::FirstOf(_) => Some(self.socket()),
        }
    }

    /// The socket. Once one of several was there, it stays: a daemon that goes away must not be
    /// taken for another one, which knows none of the containers.
    fn socket(&self) -> PathBuf {
        match &self.host {
            Host::Unix(path) => path.clone(),
            Host::FirstOf(candidates) => match (self.chosen.get(), Host::first_existing(candidates)) {
                (Some(chosen), _) => chosen.clone(),
                (None, Some(found)) => self.chosen.get_or_init(|| found.to_path_buf()).clone(),
                (None, None) => Host::fallback().to_path_buf(),
            },
            Host::Tcp(_) => PathBuf::new(),
        }
    }
}

/// Docker reads credentials in the URL-safe alphabet, bollard writes them in the other one.
fn make_url_safe(request: &mut Request<Body>) {
    let Some(value) = request.headers_mut().get_mut(REGISTRY_AUTH) else { return };
    let translated: Vec<u8> = value
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        })
        .collect();
    if let Ok(mut translated) = HeaderValue::from_bytes(&translated) {
        translated.set_sensitive(true);
        *value = translated;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_in_the_alphabet_that_docker_reads() {
        let mut request = Request::builder()
            .header(REGISTRY_AUTH, "ab+/cd==")
            .body(Body::Left(Full::new(Bytes::new())))
            .expect("a request");
        make_url_safe(&mut request);
        let header = &request.headers()[REGISTRY_AUTH];
        assert_eq!(header, "ab-_cd==");
        assert!(header.is_sensitive());
    }

    #[test]
    fn a_daemon_that_goes_away_is_not_taken_for_another() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (first, second) = (directory.path().join("docker.sock"), directory.path().join("podman.sock"));
        let transport = Transport {
            host: Host::FirstOf(vec![first.clone(), second.clone()]),
            chosen: OnceLock::new(),
            unix: Client::builder(TokioExecutor::new()).build(UnixConnector),
            tcp: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
        };
        assert_eq!(transport.socket(), Host::fallback());
        std::fs::write(&first, "").expect("a file");
        assert_eq!(transport.socket(), first);
        std::fs::remove_file(&first).expect("its removal");
        std::fs::write(&second, "").expect("a file");
        assert_eq!(transport.socket(), first);
    }
}
