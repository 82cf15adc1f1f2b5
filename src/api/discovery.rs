//! Where clients learn what there is: discovery and OpenAPI.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::Shared;
use super::error::ApiError;
use super::request::Names;
use super::wire;

/// Every path of discovery.
pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new()
        .route("/api", get(core))
        .route("/apis", get(groups))
        .route("/version", get(|| async { Json(wire::version()) }))
        .route("/openapi/v2", get(openapi_v2))
        .route("/openapi/v3", get(|| async { Json(wire::openapi_index()) }))
        .route("/openapi/v3/{*path}", get(openapi_v3));
    for (path, document) in wire::groups().into_iter().chain(wire::resources()) {
        routes = routes.route(&path, get(async || Json(document)));
    }
    routes
}

async fn core(headers: HeaderMap) -> Response {
    either(&headers, wire::core_discovery, wire::api_versions)
}

async fn groups(headers: HeaderMap) -> Response {
    either(&headers, wire::group_discovery, wire::api_groups)
}

fn either(headers: &HeaderMap, aggregated: fn() -> Value, plain: fn() -> Value) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.any(wire::wants_aggregated) {
        return ([(header::CONTENT_TYPE, wire::AGGREGATED)], aggregated().to_string()).into_response();
    }
    Json(plain()).into_response()
}

/// kubectl asks for it in a format that nobody else reads, and is content with nothing.
async fn openapi_v2() -> impl IntoResponse {
    let nothing = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    (StatusCode::OK, [(header::CONTENT_TYPE, nothing)])
}

async fn openapi_v3(State(_): State<Shared>, Names(path): Names<String>) -> Result<Response, ApiError> {
    let documents = wire::documents();
    let found = documents.iter().find(|document| document.path == path);
    let document = found.ok_or_else(|| {
        ApiError::NoSuchPath(format!("/openapi/v3/{}", path.chars().take(200).collect::<String>()))
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::ETAG, format!("\"{}\"", document.hash)),
    ];
    Ok((headers, document.text.as_str()).into_response())
}
