//! A socket before Docker's that reads what is said and meddles with it on command.
//!
//! A test gives it rules: *when* such a request comes, *do* this with it. Rules can hold a request
//! before Docker has seen it, or Docker's answer before the client has, so that the client can be
//! killed at exactly that moment; they can answer in Docker's place, rewrite an answer, or cut the
//! connection; the stream of events is meddled with line by line. Each rule is a [`Trap`] that tells
//! how often it was sprung, so that a test can prove that its fault happened. All requests are on
//! record, and [`Meddler::done`] counts what Docker did because of them.
//!
//! It runs on a thread of its own: tests may block theirs.

#![allow(dead_code)]

#[path = "meddler/call.rs"]
mod call;
#[path = "meddler/events.rs"]
mod events;
#[path = "meddler/forward.rs"]
mod forward;
#[path = "meddler/rule.rs"]
mod rule;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};

pub use call::{Asked, Call, Counts};
pub use events::Meddling;
pub use rule::{Action, Trap, When};
use rule::{Rule, TrapState};

/// The socket. Gone at drop, and with it every connection.
pub struct Meddler {
    directory: tempfile::TempDir,
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What every connection knows.
struct Shared {
    upstream: PathBuf,
    asked: Mutex<Vec<Asked>>,
    rules: Mutex<Vec<Rule>>,
    events: watch::Sender<Option<(Meddling, Arc<TrapState>)>>,
}

impl Meddler {
    /// Before the Docker that the tests use.
    pub fn before_docker() -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        Self::before(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"))
    }

    /// Before another socket.
    pub fn before(upstream: impl AsRef<Path>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let shared = Arc::new(Shared {
            upstream: upstream.as_ref().to_owned(),
            asked: Mutex::default(),
            rules: Mutex::default(),
            events: watch::Sender::new(None),
        });
        let (end, ended) = oneshot::channel();
        let (path, serving) = (directory.path().join("docker.sock"), Arc::clone(&shared));
        // Bound here, so that it is there when this returns.
        let listener = std::os::unix::net::UnixListener::bind(path).expect("a socket");
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = ended => {}
                }
            });
        });
        Self { directory, shared, end: Some(end), thread: Some(thread) }
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("docker.sock").display())
    }

    /// From now on, when such a request comes, do this. Of several rules the first one acts.
    pub fn set(&self, when: When, action: Action) -> Trap {
        let (rule, trap) = rule::new(when, action);
        self.shared.rules.lock().expect("rules").push(rule);
        trap
    }

    /// From now on, do this to the stream of events, the streams that are open included. The last
    /// word counts.
    pub fn meddle_with_events(&self, meddling: Meddling) -> Trap {
        let trap = Trap::new();
        self.shared.events.send_replace(Some((meddling, trap.state())));
        trap
    }

    /// Forgets all rules. What they hold stays held: who asked is dead, or will be.
    pub fn clear(&self) {
        self.shared.rules.lock().expect("rules").clear();
        self.shared.events.send_replace(None);
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("the record").clone()
    }

    /// How often this was asked, whatever became of it.
    pub fn times(&self, call: Call) -> usize {
        self.asked().iter().filter(|asked| asked.call == call).count()
    }

    /// What Docker did: requests that it got and did not refuse.
    pub fn done(&self) -> Counts {
        Counts::of(&self.asked())
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::os::unix::net::UnixListener, shared: Arc<Shared>) {
    listener.set_nonblocking(true).expect("a socket that does not block");
    let listener = UnixListener::from_std(listener).expect("a socket");
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| forward::answer(Arc::clone(&shared), request));
            // That a client went away in the middle is what tests are about.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
        });
    }
}
