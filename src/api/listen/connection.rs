//! One connection: how it comes in, and what ends it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsAcceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower_layer::Layer;

use super::crowd::{Connection, Crowd};
use crate::api::auth::certificate::{self, Certified};

/// Whoever is at the other end of a connection.
#[derive(Clone)]
pub(in crate::api) struct Peer {
    /// Where from; of IPv6 the network, for a host has all addresses of it.
    pub(in crate::api) address: IpAddr,
    /// What its certificate says, if it showed one.
    pub(in crate::api) certified: Option<Arc<Certified>>,
    pub(in crate::api) connection: Arc<Connection>,
}

/// Lets connections in, within the bounds of the crowd.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) inner: RustlsAcceptor,
    pub(super) crowd: Crowd,
    /// How long a client may leave unread what is written to it.
    pub(super) patience: Duration,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Door {
    type Stream = Held<<RustlsAcceptor as Accept<TcpStream, S>>::Stream>;
    type Service = AddExtension<<RustlsAcceptor as Accept<TcpStream, S>>::Service, Peer>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let address = stream.peer_addr();
        let Self { crowd, patience, .. } = self.clone();
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let address = whole(address?.ip());
            let connection = Arc::new(crowd.enter(address));
            let (stream, service) = tokio::select! {
                accepted = accepted => accepted?,
                () = connection.out() => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certified = shown.map(|certificate| Arc::new(certificate::read(certificate)));
            let out = Some(Box::pin(connection.out()));
            let held = Held { stream, patience, stalled: None, out, connection: Arc::clone(&connection) };
            Ok((held, Extension(Peer { address, certified, connection }).layer(service)))
        })
    }
}

/// What of an address tells one host from another.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// A connection, until its client has left too long unread what was written, or has to make room.
pub(super) struct Held<S> {
    stream: S,
    patience: Duration,
    /// Since the client stopped to read: until when it may.
    stalled: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Shown out; none once it is known whose it is.
    out: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    connection: Arc<Connection>,
}

impl<S> Held<S> {
    fn is_out(&mut self, cx: &mut Context<'_>) -> bool {
        if self.connection.is_known() {
            self.out = None;
        }
        self.out.as_mut().is_some_and(|out| out.as_mut().poll(cx).is_ready())
    }

    /// What came of a write, unless it has waited for the client too long.
    fn or_cut<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_out(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.or_cut(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.or_cut(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_cut(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
