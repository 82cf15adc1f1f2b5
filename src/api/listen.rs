//! The listening sockets, with every bound that keeps one client from keeping out the others.

pub(super) mod connection;
pub(super) mod crowd;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::routes::router;
use super::tls::Tls;
use super::{Api, Shared, front, health};
use connection::Door;
use crowd::Crowd;

/// How long a client may take for its headers, and for its first request.
const HEADERS: Duration = Duration::from_secs(10);
/// How many requests one connection carries at the same time.
const STREAMS: u32 = 100;
/// The largest head of a request.
const HEAD_BYTES: u32 = 64 << 10;
/// How often a silent HTTP/2 connection is asked whether it lives, and how long that may take.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
/// How long requests may go on once the server is to end.
const GRACE: Duration = Duration::from_secs(5);
/// How often the certificate is looked at.
const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(12 * 3_600);

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be served on.
    #[error("the API's socket failed")]
    Socket(#[source] io::Error),
    /// Metrics without a token are for this machine alone.
    #[error(
        "{0} is not a loopback address; metrics without a token are only served on one, such as 127.0.0.1"
    )]
    NotLoopback(std::net::SocketAddr),
}

/// Serves the API until `shutdown`; then requests have five seconds to end, and log streams end at
/// once.
///
/// # Errors
/// The socket failed.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    tls: Tls,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    listener.set_nonblocking(true).map_err(ServeError::Socket)?;
    let handle = Handle::new();
    let acceptor = Door {
        inner: RustlsAcceptor::new(tls.config()).handshake_timeout(HEADERS),
        crowd: Crowd::new(api.limits),
        patience: api.hub.patience,
    };
    let mut server = axum_server::from_tcp(listener)
        .map_err(ServeError::Socket)?
        .acceptor(acceptor)
        .handle(handle.clone());
    bound(&mut server);
    let server = server.first_request_timeout(HEADERS);
    let app = router(Shared::new(api, shutdown.clone()));
    let served = server.serve(app.into_make_service());
    let ending = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = served => served.map_err(ServeError::Socket),
        () = ending => Ok(()),
        () = keep_certificate(&tls) => Ok(()),
    }
}

/// Serves the metrics alone, in the clear and without a token, on a loopback address.
///
/// # Errors
/// The address is not a loopback one, or the socket failed.
pub async fn serve_metrics(
    listener: TcpListener,
    registry: Arc<Registry>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Socket)?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    listener.set_nonblocking(true).map_err(ServeError::Socket)?;
    let handle = Handle::new();
    let metrics = move || {
        let registry = Arc::clone(&registry);
        async move { health::exposition(&registry) }
    };
    let app = Router::new()
        .route("/metrics", get(metrics))
        .fallback(front::no_such_path)
        .method_not_allowed_fallback(front::method_not_allowed);
    let mut server = axum_server::from_tcp(listener).map_err(ServeError::Socket)?.handle(handle.clone());
    bound(&mut server);
    let served = server.first_request_timeout(HEADERS).serve(app.into_make_service());
    tokio::pin!(served);
    tokio::select! {
        served = &mut served => return served.map_err(ServeError::Socket),
        () = shutdown.cancelled() => handle.graceful_shutdown(Some(GRACE)),
    }
    served.await.map_err(ServeError::Socket)
}

fn bound<A: axum_server::Address, Acc>(server: &mut Server<A, Acc>) {
    let builder = server.http_builder();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES);
}

async fn keep_certificate(tls: &Tls) {
    loop {
        tokio::time::sleep(LOOK_AT_CERTIFICATE).await;
        let tls = tls.clone();
        let renewed = tokio::task::spawn_blocking(move || tls.renew()).await;
        if let Ok(Err(error)) = renewed {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the server certificate could not be renewed"
            );
        }
    }
}
