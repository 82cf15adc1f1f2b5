//! Bodies: read within bounds of size, time and number, in JSON or YAML.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::error::ApiError;
use crate::game::manifest::{SpecProblem, read_json, read_yaml};

/// The largest body that is read, as Kubernetes has it.
pub(super) const MAX_BYTES: usize = 3 << 20;
/// How many bodies may be held at the same time: with [`MAX_BYTES`], the bound of their memory.
pub(super) const AT_ONCE: usize = 16;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(20);
/// How long a request waits for its turn to send its body.
const TURN: Duration = Duration::from_secs(5);

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
    MergePatch,
}

/// A body that was read whole.
pub(super) struct RawBody {
    format: Option<Format>,
    content_type: String,
    bytes: Bytes,
    /// Held for as long as the bytes are.
    _place: OwnedSemaphorePermit,
}

impl FromRequest<Shared> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let content_type = content_type(&parts.headers);
        let format = format(&content_type);
        if announced_length(&parts.headers).is_some_and(|length| length > MAX_BYTES) {
            return Err(ApiError::TooLarge);
        }
        let turn = tokio::time::timeout(TURN, shared.bodies.clone().acquire_owned()).await;
        let Ok(Ok(place)) = turn else {
            return Err(ApiError::TooMany("too many bodies are being sent at the same time"));
        };
        let bytes = tokio::time::timeout(ARRIVAL, read(body)).await.map_err(|_| ApiError::BodyTimeout)??;
        Ok(Self { format, content_type, bytes, _place: place })
    }
}

impl RawBody {
    /// The object in the body.
    pub(super) fn object(&self) -> Result<Value, ApiError> {
        let parsed = match self.format {
            Some(Format::Json) => read_json(&self.bytes),
            Some(Format::Yaml) => self.text().and_then(read_yaml),
            Some(Format::MergePatch) | None => {
                return Err(ApiError::UnsupportedMediaType(format!(
                    "a body of type `{}` is not read here; send application/json or application/yaml",
                    self.content_type
                )));
            }
        };
        let object = parsed.map_err(|problem| self.unreadable(&problem))?;
        if object.is_object() { Ok(object) } else { Err(not_an_object()) }
    }

    /// The merge patch in the body.
    pub(super) fn merge_patch(&self) -> Result<Value, ApiError> {
        if self.format != Some(Format::MergePatch) {
            return Err(ApiError::UnsupportedMediaType(format!(
                "a patch of type `{}` is not supported; send application/merge-patch+json \
                 (kubectl patch --type=merge)",
                self.content_type
            )));
        }
        let patch = read_json(&self.bytes).map_err(|problem| self.unreadable(&problem))?;
        if patch.is_object() { Ok(patch) } else { Err(not_an_object()) }
    }

    /// The object in the body, if there is a body.
    pub(super) fn optional(&self) -> Result<Option<Value>, ApiError> {
        if self.bytes.is_empty() { Ok(None) } else { self.object().map(Some) }
    }

    fn text(&self) -> Result<&str, SpecProblem> {
        std::str::from_utf8(&self.bytes).map_err(|_| SpecProblem::new("", "is not UTF-8"))
    }

    fn unreadable(&self, problem: &SpecProblem) -> ApiError {
        let format = if self.format == Some(Format::Yaml) { "YAML" } else { "JSON" };
        if self.bytes.is_empty() {
            return ApiError::BadRequest(format!("the body is empty; send an object in {format}"));
        }
        ApiError::BadRequest(format!("the body cannot be read as {format}: {problem}"))
    }
}

fn not_an_object() -> ApiError {
    ApiError::BadRequest("the body has to be an object (`{…}`), not a list or a single value".into())
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(ApiError::TooLarge),
        Err(error) => {
            tracing::debug!(error = &*error as &dyn std::error::Error, "a body broke off");
            Err(ApiError::BadRequest("the body broke off".into()))
        }
    }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The type without its parameters; JSON where none is given, as the Python client has it.
fn content_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).map_or("application/json", |value| value.to_str().unwrap_or("?"));
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.is_empty() { "application/json".into() } else { essence.chars().take(100).collect() }
}

fn format(content_type: &str) -> Option<Format> {
    match content_type {
        "application/json" => Some(Format::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" => Some(Format::Yaml),
        "application/merge-patch+json" => Some(Format::MergePatch),
        _ => None,
    }
}
