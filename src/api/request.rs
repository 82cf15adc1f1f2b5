//! What of a request the handlers see: names of its path, parameters, and what kind of write it is.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use crate::game::Source;
use crate::store::{Author, Preconditions};

/// What apply tools call themselves: their writes come from kept manifests.
const APPLIES: [&str; 2] = ["gamekeeper-apply", "kubectl-client-side-apply"];

/// The longest request id that is taken over; the schema takes no longer one.
const LONGEST_REQUEST_ID: usize = 128;

/// The id of one request, echoed in the answer and written into the audit.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

impl RequestId {
    /// The client's own if it is one word of harmless characters, else a new one.
    pub(super) fn of(headers: &axum::http::HeaderMap) -> Self {
        let given = headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(|id| {
            let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b);
            (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(harmless)
        });
        Self(given.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned))
    }
}

/// The names in a path.
pub(super) struct Names<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(_) => Err(ApiError::NoSuchPath(parts.uri.path().to_owned())),
        }
    }
}

/// The parameters of a request.
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let parsed = Query::<T>::try_from_uri(&parts.uri);
        parsed.map(|Query(parameters)| Self(parameters)).map_err(|error| {
            ApiError::BadRequest(format!("the parameters after `?` cannot be read: {}", error.body_text()))
        })
    }
}

/// A boolean parameter, as Kubernetes reads one: whatever is not `false` or `0` is true.
pub(super) fn flag(value: Option<&str>) -> bool {
    value.is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
}

/// A number in a parameter.
pub(super) fn number(name: &str, value: Option<&str>) -> Result<Option<u64>, ApiError> {
    value
        .filter(|value| !value.is_empty())
        .map(|value| {
            value.parse().map_err(|_| ApiError::BadRequest(format!("{name} has to be a whole number")))
        })
        .transpose()
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WriteParameters {
    field_manager: Option<String>,
    dry_run: Option<String>,
    field_validation: Option<String>,
    force: Option<String>,
}

/// What becomes of fields that nobody knows, and of fields that are there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    /// They are refused; so it is where nothing is asked for.
    Strict,
    /// They are left out, and the client is warned.
    Warn,
    /// They are left out.
    Ignore,
}

impl Validation {
    fn asked(value: Option<&str>) -> Result<Self, ApiError> {
        match value {
            None | Some("" | "Strict") => Ok(Self::Strict),
            Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some(_) => Err(ApiError::BadRequest("fieldValidation is one of Strict, Warn and Ignore".into())),
        }
    }
}

/// The longest name of a manager.
const LONGEST_MANAGER: usize = 128;

/// Who a client without `fieldManager` is: what stands before the version in its User-Agent.
fn agent(parts: &Parts) -> String {
    let agent = parts.headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    let name = agent.and_then(|agent| agent.split('/').next()).map(str::trim).unwrap_or_default();
    if name.is_empty() { "unknown".into() } else { name.chars().take(LONGEST_MANAGER).collect() }
}

/// A write: who is behind it, and whether it is only tried.
pub(super) struct Write {
    pub(super) author: Author,
    pub(super) dry_run: bool,
    pub(super) validation: Validation,
    /// Who owns what is written.
    pub(super) manager: String,
    /// The client named it.
    pub(super) manager_named: bool,
    /// Fields of others are taken.
    pub(super) force: bool,
    /// By which path below the object; empty for the object itself.
    pub(super) subresource: &'static str,
}

impl<S: Send + Sync> FromRequestParts<S> for Write {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Parameters(parameters) = Parameters::<WriteParameters>::from_request_parts(parts, state).await?;
        let dry_run = dry_run(parameters.dry_run.as_deref())?;
        // Both are set before any handler runs; without them nobody may write.
        let caller = parts.extensions.get::<Caller>().ok_or(ApiError::Unauthorized)?;
        let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let validation = Validation::asked(parameters.field_validation.as_deref())?;
        let force = flag(parameters.force.as_deref());
        let named = parameters.field_manager.filter(|manager| !manager.is_empty());
        if named.as_ref().is_some_and(|manager| {
            manager.chars().count() > LONGEST_MANAGER || manager.chars().any(char::is_control)
        }) {
            let message = format!("fieldManager has at most {LONGEST_MANAGER} characters, all printable");
            return Err(ApiError::BadRequest(message));
        }
        let applied = named.as_ref().is_some_and(|manager| APPLIES.contains(&manager.as_str()));
        let source = match (caller.is_lobby(), applied) {
            (true, _) => Source::Lobby,
            (false, true) => Source::Manifest,
            (false, false) => Source::Operator,
        };
        let author = Author { source, requested_by: caller.written_as(), request_id: id };
        let manager_named = named.is_some();
        let manager = named.unwrap_or_else(|| agent(parts));
        Ok(Self { author, dry_run, validation, manager, manager_named, force, subresource: "" })
    }
}

impl Write {
    /// What is applied comes from a kept manifest, whoever applies it.
    pub(super) fn of_manifest(mut self) -> Self {
        if self.author.source == Source::Operator {
            self.author.source = Source::Manifest;
        }
        self
    }
}

fn dry_run(value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("") => Ok(false),
        Some("All") => Ok(true),
        Some(_) => Err(ApiError::BadRequest("dryRun can only be `All`".into())),
    }
}

/// The body of a DELETE, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteOptions {
    #[serde(default)]
    preconditions: Option<DeletePreconditions>,
    #[serde(default)]
    dry_run: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeletePreconditions {
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    resource_version: Option<String>,
}

/// What the body of a DELETE says: what has to hold, and whether it is only tried.
pub(super) fn delete_options(body: Option<Value>) -> Result<(Preconditions, bool), ApiError> {
    let options: DeleteOptions = match body {
        None => DeleteOptions::default(),
        Some(body) => serde_path_to_error::deserialize(body)
            .map_err(|error| ApiError::BadRequest(format!("the body is not DeleteOptions: {error}")))?,
    };
    let dry = options.dry_run.unwrap_or_default().iter().try_fold(false, |_, word| dry_run(Some(word)))?;
    let DeletePreconditions { uid, resource_version } = options.preconditions.unwrap_or_default();
    Ok((Preconditions { uid: stated(uid), resource_version: stated(resource_version) }, dry))
}

/// A precondition that says something.
pub(super) fn stated(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}
