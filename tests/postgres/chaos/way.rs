//! The way from a controller to its database, by TCP: it can be cut, fall silent in one direction or in
//! both, become slow, and lose connections without a word as a router does that forgets them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The server finds out so long after a connection was lost that nobody is there, as by its keep-alive.
const FOUND_OUT: Duration = Duration::from_secs(20);

/// How it is on the way now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// Nothing reaches the server.
    pub(super) up_silent: bool,
    /// Nothing reaches the client.
    pub(super) down_silent: bool,
    /// Every piece takes so much longer.
    pub(super) delay: Duration,
}

/// What all connections hear of.
#[derive(Clone)]
struct Signs {
    weather: watch::Receiver<Weather>,
    cuts: watch::Receiver<u64>,
    losses: watch::Receiver<u64>,
}

/// The way. Gone at drop, with every connection.
pub(super) struct Way {
    pub(super) address: SocketAddr,
    weather: watch::Sender<Weather>,
    cuts: watch::Sender<u64>,
    losses: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Way {
    /// To a socket of the server or the pooler.
    pub(super) async fn to(upstream: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, cuts, losses) =
            (watch::Sender::default(), watch::Sender::new(0), watch::Sender::new(0));
        let signs =
            Signs { weather: weather.subscribe(), cuts: cuts.subscribe(), losses: losses.subscribe() };
        let accepting = tokio::spawn(accept(listener, upstream.to_owned(), signs));
        Self { address, weather, cuts, losses, accepting }
    }

    /// Every connection ends at once, and is reset.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Nothing flows on the present connections ever again, and nobody is told; new ones are good.
    pub(super) fn lose(&self) {
        self.losses.send_modify(|losses| *losses += 1);
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: PathBuf, signs: Signs) {
    // Aborting this task drops the set, and with it every connection.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (upstream, mut signs) = (upstream.clone(), signs.clone());
        signs.cuts.mark_unchanged();
        signs.losses.mark_unchanged();
        connections.spawn(async move {
            // Nobody behind it: its end is the answer.
            if let Ok(server) = UnixStream::connect(upstream).await {
                connection(client, server, signs).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut client: TcpStream, mut server: UnixStream, mut signs: Signs) {
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let up = carry(client_reads, server_writes, signs.weather.clone(), |weather| weather.up_silent);
    let down = carry(server_reads, client_writes, signs.weather.clone(), |weather| weather.down_silent);
    tokio::select! {
        ((), ()) = async { tokio::join!(up, down) } => {}
        _ = signs.cuts.changed() => {
            let _ = client.set_zero_linger();
        }
        _ = signs.losses.changed() => {
            tokio::time::sleep(FOUND_OUT).await;
            drop(server);
            // The client hears nothing until it gives up by itself.
            let mut unread = [0; 4096];
            while matches!(client.read(&mut unread).await, Ok(1..)) {}
        }
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut weather: watch::Receiver<Weather>,
    silent: impl Fn(&Weather) -> bool,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await;
        let Ok(now) = weather.wait_for(|weather| !silent(weather)).await.map(|now| *now) else { return };
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        let Ok(count @ 1..) = read else { break };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
