//! What of a request's body its handler left unread.
//!
//! Over HTTP/1.1 the next request comes behind it on the same connection, and hyper cuts off a
//! connection whose request was not read to its end. The client learns of that only with its next
//! request, and most do not dare to send a write again. So what is still on its way is read, as far as
//! that is little, and else the answer says that the connection is closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

/// So much is read, and dropped.
const MOST: usize = 64 << 10;
/// So long it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A body that can still be read when its handler is done with it.
#[derive(Clone)]
struct Kept(Arc<Mutex<Body>>);

/// What may be left of a request once it is answered.
pub(super) struct Unread(Option<Left>);

enum Left {
    Body(Kept),
    /// The client waits for leave to send it, and gets an answer instead.
    NotSent,
}

impl Unread {
    /// Keeps hold of the body of a request.
    pub(super) fn of(request: Request) -> (Request, Self) {
        let alone = request.version() == Version::HTTP_2 || request.body().is_end_stream();
        if alone {
            return (request, Self(None));
        }
        let asks = request.headers().contains_key(header::EXPECT);
        let (parts, body) = request.into_parts();
        let kept = Kept(Arc::new(Mutex::new(body)));
        let request = Request::from_parts(parts, Body::new(kept.clone()));
        (request, Self(Some(if asks { Left::NotSent } else { Left::Body(kept) })))
    }

    /// Reads what is left before the answer is sent.
    pub(super) async fn settle(self, response: &mut Response) {
        let read = match self.0 {
            None => true,
            Some(Left::Body(body)) => {
                tokio::time::timeout(PATIENCE, body.read_out()).await.unwrap_or_default()
            }
            Some(Left::NotSent) => response.status().is_success(),
        };
        if !read {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl Kept {
    /// Whether it came to its end.
    async fn read_out(mut self) -> bool {
        let mut left = MOST;
        if self.size_hint().lower() > MOST as u64 {
            return false;
        }
        loop {
            match self.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => {
                    let length = frame.data_ref().map_or(0, Buf::remaining);
                    let Some(less) = left.checked_sub(length) else { return false };
                    left = less;
                }
            }
        }
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
