//! What every request passes: it gets an id, is let in or not, and is written down.

use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tracing::Instrument;

use super::Shared;
use super::auth::Caller;
use super::auth::asked::Asked;
use super::auth::caller::By;
use super::auth::decide::changes;
use super::error::ApiError;
use super::request::RequestId;

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
    async {
        let (mut response, caller) = enter(&shared, request, next).await;
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            response.headers_mut().insert("x-request-id", value);
        }
        let status = response.status().as_u16();
        if let Some(Caller { name, by, .. }) = caller.as_ref().filter(|_| writes) {
            let by = by.word();
            tracing::info!(who = %name, by, verb = %method, object = %path, result = status, "a write was asked for");
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
    let caller = match shared.known.authenticate(request.headers()).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return (ApiError::Unauthorized.into_response(), None),
        Err(error) => return (error.into_response(), None),
    };
    if let Err(error) = caller.may(&Asked::of(request.method(), request.uri())) {
        return (error.into_response(), Some(caller));
    }
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    (until_over(response, &caller), Some(caller))
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
