//! A socket between a client and Docker that can be cut, restored, and made to hang; it counts
//! connections. For tests of what happens when Docker is not there, without touching Docker.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

/// The socket. Cut at drop.
pub struct CutSocket {
    directory: tempfile::TempDir,
    upstream: PathBuf,
    tasks: Mutex<JoinSet<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    connections: AtomicUsize,
    whole: AtomicBool,
    /// How often all connections were silenced.
    silenced: AtomicUsize,
    /// Whether bytes flow.
    flowing: watch::Sender<bool>,
}

impl CutSocket {
    /// A socket that leads to Docker's own, whole.
    pub async fn to_docker() -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        Self::to(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock")).await
    }

    /// A socket that leads to another one, whole.
    pub async fn to(upstream: impl AsRef<Path>) -> Self {
        let socket = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            upstream: upstream.as_ref().to_owned(),
            tasks: Mutex::new(JoinSet::new()),
            shared: Arc::new(Shared {
                connections: AtomicUsize::new(0),
                whole: AtomicBool::new(false),
                silenced: AtomicUsize::new(0),
                flowing: watch::Sender::new(true),
            }),
        };
        socket.restore().await;
        socket
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    /// How many connections were made to it so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends every connection, and takes the socket away.
    pub async fn cut(&self) {
        self.tasks.lock().await.shutdown().await;
        self.shared.whole.store(false, Ordering::SeqCst);
        let _ = std::fs::remove_file(self.path());
    }

    /// Puts it back, and lets bytes flow.
    pub async fn restore(&self) {
        self.shared.flowing.send_replace(true);
        if self.shared.whole.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = std::fs::remove_file(self.path());
        let listener = UnixListener::bind(self.path()).expect("a socket");
        let accepting = accept(listener, self.upstream.clone(), Arc::clone(&self.shared));
        self.tasks.lock().await.spawn(accepting);
    }

    /// Has it lead elsewhere from its next restoration on. Gives where it led before.
    pub fn lead_to(&mut self, upstream: impl AsRef<Path>) -> PathBuf {
        std::mem::replace(&mut self.upstream, upstream.as_ref().to_owned())
    }

    /// Connections stay and are accepted, but nothing flows any more, until [`Self::restore`].
    pub fn hang(&self) {
        self.shared.flowing.send_replace(false);
    }

    /// Every connection that there is stays open, and nothing flows on it ever again, not even its end; a
    /// new one is as good as any.
    pub fn silence(&self) {
        self.shared.silenced.fetch_add(1, Ordering::SeqCst);
    }
}

async fn accept(listener: UnixListener, upstream: PathBuf, shared: Arc<Shared>) {
    // Aborting this task drops the set, and with it every connection.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let upstream = upstream.clone();
        let way =
            Way { flowing: shared.flowing.subscribe(), shared: Arc::clone(&shared), made: silences(&shared) };
        connections.spawn(async move {
            if let Ok(server) = UnixStream::connect(upstream).await {
                let (client_reads, client_writes) = client.into_split();
                let (server_reads, server_writes) = server.into_split();
                tokio::join!(
                    carry(client_reads, server_writes, way.clone()),
                    carry(server_reads, client_writes, way)
                );
            }
        });
    }
}

/// What a connection's bytes pass.
#[derive(Clone)]
struct Way {
    flowing: watch::Receiver<bool>,
    shared: Arc<Shared>,
    /// How often all were silenced before this one was made.
    made: usize,
}

fn silences(shared: &Shared) -> usize {
    shared.silenced.load(Ordering::SeqCst)
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: Way) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await;
        while silences(&way.shared) > way.made {
            if !matches!(from.read(&mut buffer).await, Ok(1..)) {
                std::future::pending::<()>().await;
            }
        }
        let Ok(count @ 1..) = read else { break };
        if way.flowing.wait_for(|flowing| *flowing).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
    let _ = to.shutdown().await;
}
