//! A small lobby: it notes what it is sent, and answers as the test says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the lobby was sent.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn seq(&self) -> i64 {
        self.body["data"]["seq"].as_i64().unwrap()
    }

    pub(crate) fn game(&self) -> &str {
        self.body["source"].as_str().unwrap().rsplit('/').next().unwrap()
    }
}

/// How the lobby answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16),
    Redirect(String),
    /// Reads everything, and closes the connection.
    Dies,
    /// Answers after this time.
    Slow(Duration),
    /// Says 200, and then never ends.
    Endless,
}

type Behaviour = dyn FnMut(&Received) -> Answer + Send;
type Body = BoxBody<Bytes, Infallible>;

struct Shared {
    received: Mutex<Vec<Received>>,
    behaviour: Mutex<Box<Behaviour>>,
}

/// A lobby that can be taken away and come back at the same address.
pub(crate) struct Lobby {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Lobby {
    /// One that takes everything.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            behaviour: Mutex::new(Box::new(|_| Answer::Status(204))),
        });
        let serving = Some(tokio::spawn(serve(listener, shared.clone())));
        Self { address, shared, serving }
    }

    pub(crate) fn answers(&self, behaviour: impl FnMut(&Received) -> Answer + Send + 'static) {
        *self.shared.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Nobody listens there any more, and connections that were open are gone.
    pub(crate) async fn goes_away(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
    }

    pub(crate) async fn comes_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.shared.clone())));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/gamekeeper", self.address)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, shared.clone()));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, io::Error> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let received = Received {
        path: parts.uri.path().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    };
    let how = (shared.behaviour.lock().unwrap())(&received);
    shared.received.lock().unwrap().push(received);
    let said = |status: u16, text: &'static str| {
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::from_static(text.as_bytes())).boxed())
            .unwrap()
    };
    match how {
        Answer::Status(status) => Ok(said(status, if status == 204 { "" } else { "so it is" })),
        Answer::Redirect(to) => {
            Ok(Response::builder().status(307).header("location", to).body(Full::default().boxed()).unwrap())
        }
        Answer::Dies => Err(io::Error::other("the lobby dies")),
        Answer::Slow(time) => {
            tokio::time::sleep(time).await;
            Ok(said(200, "at last"))
        }
        Answer::Endless => {
            let frames = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Some((Ok(Frame::data(Bytes::from_static(b"and "))), ()))
            });
            Ok(Response::new(BodyExt::boxed(StreamBody::new(frames))))
        }
    }
}

/// In the order of their first arrival each game's events are 1, 2, 3 …, and an id never changes.
#[track_caller]
pub(crate) fn in_order(received: &[Received]) -> BTreeMap<String, i64> {
    let mut last = BTreeMap::<String, i64>::new();
    let mut ids = BTreeMap::<(String, i64), String>::new();
    for event in received {
        let (game, seq) = (event.game().to_owned(), event.seq());
        let known = ids.entry((game.clone(), seq)).or_insert_with(|| event.id().to_owned());
        assert_eq!(known, event.id(), "an id changed");
        assert_eq!(event.id(), event.body["id"].as_str().unwrap());
        let so_far = last.entry(game.clone()).or_default();
        // One that was told, and not marked as told, comes again; nothing is left out.
        assert!(seq <= *so_far + 1, "game {game}: {seq} after {so_far}");
        assert!(seq >= *so_far, "game {game}: {seq} again after {so_far}");
        *so_far = seq;
    }
    last
}
