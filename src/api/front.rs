//! What every request passes: it gets an id, is let in or not, and is written down.

use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use jiff::Timestamp;
use tracing::Instrument;

use super::Shared;
use super::auth::Caller;
use super::auth::asked::Asked;
use super::auth::caller::By;
use super::auth::decide::changes;
use super::auth::impersonate::stand_in;
use super::error::ApiError;
use super::listen::connection::Peer;
use super::places::Full;
use super::request::RequestId;
use super::unread::Unread;

/// What may be asked without a token.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// Lets a request through to its handler.
pub(super) async fn pass(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::of(request.headers());
    *request.uri_mut() = without_trailing_slash(request.uri());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let writes = changes(&Asked::of(request.method(), request.uri()));
    let span = tracing::info_span!("request", request_id = %id.0);
    request.extensions_mut().insert(id.clone());
    let (request, unread) = Unread::of(request);
    async {
        let (mut response, caller) = enter(&shared, request, next).await;
        unread.settle(&mut response).await;
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            response.headers_mut().insert("x-request-id", value);
        }
        let status = response.status().as_u16();
        if let Some(caller) = caller.as_ref().filter(|_| writes) {
            let (who, by, impersonated_by) = (&*caller.name, caller.by.word(), caller.behind());
            tracing::info!(who, by, impersonated_by, verb = %method, object = %path, result = status, "a write was asked for");
        }
        let milliseconds = began.elapsed().as_millis();
        let who = caller.as_ref().map_or("-", |caller| &caller.name);
        tracing::debug!(who, %method, path, status, milliseconds, "a request was answered");
        response
    }
    .instrument(span)
    .await
}

/// Answers, and says who asked.
async fn enter(shared: &Shared, mut request: Request, next: Next) -> (Response, Option<Caller>) {
    if OPEN.contains(&request.uri().path()) {
        return (next.run(request).await, None);
    }
    let peer = request.extensions().get::<Peer>().cloned();
    let authenticated = authenticate(shared, peer.as_ref(), request.headers(), request.uri()).await;
    let caller = match authenticated {
        Ok(caller) => caller,
        Err(error) => return (error.into_response(), None),
    };
    let caller = match within_bounds(shared, peer.as_ref(), &caller)
        .and_then(|()| stand_in(&caller, &shared.known, request.headers()))
    {
        Ok(other) => other.unwrap_or(caller),
        Err(error) => return (error.into_response(), Some(caller)),
    };
    if let Err(error) =
        caller.may(&Asked::of(request.method(), request.uri())).and_then(|()| without_nul(request.uri()))
    {
        return (error.into_response(), Some(caller));
    }
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    (until_over(response, &caller), Some(caller))
}

/// Who asks: by the certificate of the connection, or else by a token.
async fn authenticate(
    shared: &Shared,
    peer: Option<&Peer>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Caller, ApiError> {
    let certified = peer.and_then(|peer| peer.certified.as_deref());
    if let Some(Ok(caller)) = certified
        && !caller.is_over(Timestamp::now())
    {
        return Ok(caller.clone());
    }
    let refused = match shared.known.authenticate(headers).await {
        Ok(Some(caller)) => return Ok(caller),
        Ok(None) => match certified {
            Some(Err(why)) => ApiError::Forbidden(why.clone()),
            Some(Ok(_)) | None => ApiError::Unauthorized,
        },
        Err(ApiError::Unauthorized) => ApiError::Unauthorized,
        Err(error) => return Err(error),
    };
    // Whoever has a token never waits for those who have none.
    match peer.map(|peer| peer.address) {
        Some(address) if !shared.failures.allows(address) => {
            Err(ApiError::TooMany("too many requests without access came from this address"))
        }
        address => {
            let from = address.map(tracing::field::display);
            tracing::info!(from, path = %shown(uri), why = %refused, "a request without access was refused");
            Err(refused)
        }
    }
}

/// Nothing is called so, and PostgreSQL takes no text with it.
fn without_nul(uri: &Uri) -> Result<(), ApiError> {
    let text = uri.path_and_query().map_or("", PathAndQuery::as_str);
    if text.contains("%00") {
        return Err(ApiError::BadRequest("a NUL has no place in a path, and none in a parameter".into()));
    }
    Ok(())
}

/// Nobody asks so much that others have to wait.
fn within_bounds(shared: &Shared, peer: Option<&Peer>, caller: &Caller) -> Result<(), ApiError> {
    if let Some(peer) = peer {
        peer.connection.is_of(caller.key()).map_err(|full| {
            ApiError::TooMany(match full {
                Full::OfOne => "this client has too many connections open; close some, or send more on one",
                Full::OfAll => "too many connections are open at this server",
            })
        })?;
    }
    if shared.requests.allows(caller.key()) {
        return Ok(());
    }
    Err(ApiError::TooMany("this client asks too often; the server's --max-requests says how often it may"))
}

/// A watch or a log that is followed ends when its caller is good for nothing any more.
fn until_over(response: Response, caller: &Caller) -> Response {
    if caller.by == By::File || response.body().size_hint().exact().is_some() {
        return response;
    }
    let over = caller.clone().over();
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(over))))
}

/// The Python client asks for `/apis/` and `/version/`.
fn without_trailing_slash(uri: &Uri) -> Uri {
    let path = uri.path().trim_end_matches('/');
    if path.len() == uri.path().len() || path.is_empty() {
        return uri.clone();
    }
    let trimmed = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = trimmed.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// What no route takes.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::NoSuchPath(shown(&uri))
}

/// What a route takes, but not so.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::MethodNotAllowed { method: method.as_str().chars().take(20).collect(), path: shown(&uri) }
}

/// What is left of a handler that panicked.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic itself was told by the panic hook.
    ApiError::Internal("a handler panicked".into()).into_response()
}

fn shown(uri: &Uri) -> String {
    uri.path().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_slashes_go_and_the_rest_stays() {
        let trim = |text: &str| without_trailing_slash(&text.parse().unwrap()).to_string();
        assert_eq!(trim("/apis/"), "/apis");
        assert_eq!(trim("/apis//?a=b/"), "/apis?a=b/");
        assert_eq!(trim("https://host:1/version/"), "https://host:1/version");
        assert_eq!((trim("/"), trim("/a?b")), ("/".into(), "/a?b".into()));
    }
}
