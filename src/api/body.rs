//! Bodies: read within bounds of size, time and number, in JSON or YAML.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::error::ApiError;
use crate::game::manifest::{SpecProblem, read_json, read_yaml};

/// The largest body that is read, as Kubernetes has it.
pub(super) const MAX_BYTES: usize = 3 << 20;
/// How much of a body that is too large is read before it is refused.
const PATIENCE: usize = 4 * MAX_BYTES;
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
        let announced = announced_length(&parts.headers);
        if announced.is_some_and(|length| length > PATIENCE) {
            return Err(ApiError::TooLarge);
        }
        let turn = tokio::time::timeout(TURN, shared.bodies.clone().acquire_owned()).await;
        let Ok(Ok(place)) = turn else {
            return Err(ApiError::TooMany("too many bodies are being sent at the same time"));
        };
        let bytes = tokio::time::timeout(ARRIVAL, read(body, announced))
            .await
            .map_err(|_| ApiError::BodyTimeout)??;
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

    /// What is asked for in the body of something that is no object of its own.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_path_to_error::deserialize(self.object()?)
            .map_err(|error| ApiError::BadRequest(format!("the body is not what is asked for here: {error}")))
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

/// Reads a body whole. One that is too large is read on for a while and dropped: a client that is
/// cut off while it sends sees a broken connection instead of our answer.
async fn read(mut body: Body, announced: Option<usize>) -> Result<Bytes, ApiError> {
    let mut kept = BytesMut::new();
    let mut arrived = 0;
    let mut fits = announced.is_none_or(|length| length <= MAX_BYTES);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a body broke off");
            ApiError::BadRequest("the body broke off".into())
        })?;
        let Ok(data) = frame.into_data() else { continue };
        arrived += data.len();
        if fits && arrived <= MAX_BYTES {
            kept.extend_from_slice(&data);
        } else {
            fits = false;
            kept = BytesMut::new();
        }
        if arrived > PATIENCE {
            break;
        }
    }
    if fits { Ok(kept.freeze()) } else { Err(ApiError::TooLarge) }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The type without its parameters; JSON where none is given, as the Python client has it.
fn content_type(headers: &HeaderMap) -> String {
    let given =
        headers.get(header::CONTENT_TYPE).map_or("application/json", |value| value.to_str().unwrap_or("?"));
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
