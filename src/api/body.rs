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
use super::change::Change;
use super::error::ApiError;
use super::request::{Validation, Write};
use crate::game::manifest::{SpecProblem, read_json, read_json_leniently, read_yaml, read_yaml_leniently};

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

/// What kubectl patches with by itself, where it knows the kind.
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
    MergePatch,
    JsonPatch,
    ApplyPatch,
}

/// A patch of one kind or another, unread as far as its object is concerned.
pub(super) enum PatchBody {
    Merge(Value),
    Json(json_patch::Patch),
    Apply(Value),
}

impl PatchBody {
    /// The change that it asks for, with the write that it is.
    pub(super) fn of(self, write: Write) -> Result<(Change, Write), ApiError> {
        match self {
            Self::Apply(config) => Ok((Change::Apply(config), write.of_manifest())),
            Self::Merge(_) | Self::Json(_) if write.force => {
                Err(ApiError::BadRequest("force has a meaning only for an apply; leave it out".into()))
            }
            Self::Merge(patch) => Ok((Change::Merge(patch), write)),
            Self::Json(patch) => Ok((Change::Json(patch), write)),
        }
    }
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
        self.object_as(Validation::Strict, &mut Vec::new())
    }

    /// The object in the body, with what becomes of fields that are there twice.
    pub(super) fn object_as(
        &self,
        validation: Validation,
        warnings: &mut Vec<String>,
    ) -> Result<Value, ApiError> {
        let parsed = match self.format {
            Some(Format::Json) => self.json(validation, warnings),
            Some(Format::Yaml) => self.yaml(validation, warnings),
            Some(Format::MergePatch | Format::JsonPatch | Format::ApplyPatch) | None => {
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

    /// The patch in the body.
    pub(super) fn patch(
        &self,
        validation: Validation,
        warnings: &mut Vec<String>,
    ) -> Result<PatchBody, ApiError> {
        let read = match self.format {
            Some(Format::ApplyPatch) => self.yaml(validation, warnings),
            Some(Format::MergePatch | Format::JsonPatch) => self.json(validation, warnings),
            Some(Format::Json | Format::Yaml) | None => {
                let strategic = self.content_type == STRATEGIC;
                let what = if strategic {
                    "a strategic merge patch is not possible for this kind".to_owned()
                } else {
                    format!("a patch of type `{}` is not supported", self.content_type)
                };
                return Err(ApiError::UnsupportedMediaType(format!(
                    "{what}; send application/merge-patch+json (kubectl patch --type=merge), \
                     application/json-patch+json (--type=json) or application/apply-patch+yaml \
                     (kubectl apply --server-side)"
                )));
            }
        };
        let patch = read.map_err(|problem| self.unreadable(&problem))?;
        match (self.format, patch) {
            (Some(Format::ApplyPatch), config @ Value::Object(_)) => Ok(PatchBody::Apply(config)),
            (Some(Format::MergePatch), patch @ Value::Object(_)) => Ok(PatchBody::Merge(patch)),
            // The Python client calls a list of steps a merge patch too.
            (Some(Format::MergePatch | Format::JsonPatch), steps @ Value::Array(_)) => {
                serde_path_to_error::deserialize(steps).map(PatchBody::Json).map_err(|error| {
                    ApiError::BadRequest(format!("the body is not a list of steps of a JSON patch: {error}"))
                })
            }
            (Some(Format::JsonPatch), _) => Err(ApiError::BadRequest(
                "a JSON patch is a list of steps (`[{\"op\": …}]`); for an object send \
                 application/merge-patch+json"
                    .into(),
            )),
            _ => Err(not_an_object()),
        }
    }

    /// The patch in the body, if it is a strategic merge patch.
    pub(super) fn strategic_patch(&self) -> Result<Option<Value>, ApiError> {
        if self.content_type != STRATEGIC {
            return Ok(None);
        }
        let patch = read_json(&self.bytes).map_err(|problem| self.unreadable(&problem))?;
        if patch.is_object() { Ok(Some(patch)) } else { Err(not_an_object()) }
    }

    fn json(&self, validation: Validation, warnings: &mut Vec<String>) -> Result<Value, SpecProblem> {
        if validation == Validation::Strict {
            return read_json(&self.bytes);
        }
        self.lenient(read_json_leniently(&self.bytes)?, validation, warnings)
    }

    fn yaml(&self, validation: Validation, warnings: &mut Vec<String>) -> Result<Value, SpecProblem> {
        let text = self.text()?;
        if validation == Validation::Strict {
            return read_yaml(text);
        }
        self.lenient(read_yaml_leniently(text)?, validation, warnings)
    }

    fn lenient(
        &self,
        (value, twice): (Value, Vec<String>),
        validation: Validation,
        warnings: &mut Vec<String>,
    ) -> Result<Value, SpecProblem> {
        if validation == Validation::Warn {
            warnings.extend(twice.iter().map(|field| format!("duplicate field \"{field}\"")));
        }
        Ok(value)
    }

    /// The body, if it is in Kubernetes' protobuf: some questions are read in it.
    pub(super) fn protobuf(&self) -> Option<&[u8]> {
        (self.content_type == PROTOBUF).then_some(&*self.bytes)
    }

    /// The object in the body, if there is a body.
    pub(super) fn optional(&self) -> Result<Option<Value>, ApiError> {
        if self.bytes.is_empty() { Ok(None) } else { self.object().map(Some) }
    }

    fn text(&self) -> Result<&str, SpecProblem> {
        std::str::from_utf8(&self.bytes).map_err(|_| SpecProblem::new("", "is not UTF-8"))
    }

    fn unreadable(&self, problem: &SpecProblem) -> ApiError {
        let yaml = matches!(self.format, Some(Format::Yaml | Format::ApplyPatch));
        let format = if yaml { "YAML" } else { "JSON" };
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
        "application/json-patch+json" => Some(Format::JsonPatch),
        "application/apply-patch+yaml" => Some(Format::ApplyPatch),
        _ => None,
    }
}
