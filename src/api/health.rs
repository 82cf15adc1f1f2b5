//! Whether the process lives, whether it is ready, and its metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::registry::Registry;
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use super::request::Parameters;

/// Whether the controller does its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What keeps it from that, each a sentence; none of them: it is ready.
    pub problems: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Verbosity {
    verbose: Option<String>,
}

/// `GET /livez`: it answers, so it lives.
pub(super) async fn live() -> &'static str {
    "ok"
}

/// `GET /readyz`: `ok`, or what keeps it from being ready, line by line.
pub(super) async fn ready(
    State(shared): State<Shared>,
    Parameters(Verbosity { verbose }): Parameters<Verbosity>,
) -> Response {
    let problems = shared.api.ready.borrow().problems.clone();
    if problems.is_empty() {
        let told = if verbose.is_some() { "[+]controller ok\nreadyz check passed\n" } else { "ok" };
        return told.into_response();
    }
    let mark = if verbose.is_some() { "[-]" } else { "" };
    let mut told: String = problems.iter().map(|problem| format!("{mark}{problem}\n")).collect();
    if verbose.is_some() {
        told.push_str("readyz check failed\n");
    }
    (StatusCode::SERVICE_UNAVAILABLE, told).into_response()
}

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, ApiError> {
    exposition(&shared.api.registry)
}

/// The metrics in OpenMetrics' text.
pub(super) fn exposition(registry: &Arc<Registry>) -> Result<Response, ApiError> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)
        .map_err(|error| ApiError::Internal(error.into()))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
