//! Every HTTP error, in one place: which status it is, which words Kubernetes has for it, and what
//! the client is told to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::wire::{Cause, Details, Resource, Status};
use crate::game::manifest::SpecProblem;
use crate::game::ownership::FieldConflict;
use crate::runtime::{Cause as DockerCause, RuntimeError};
use crate::store::{StoreError, WriteError};

/// Why a request got no for an answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// No token, or one that nobody has.
    #[error("a valid bearer token is needed; the kubeconfig in the server's data directory holds one")]
    Unauthorized,
    /// The token's role does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such object.
    #[error("{} \"{name}\" not found", resource.qualified())]
    NotFound {
        /// What kind of object.
        resource: Resource,
        /// Its name.
        name: String,
    },
    /// The object is there, but not what was asked of it.
    #[error("{message}")]
    Nothing {
        /// What kind of object.
        resource: Resource,
        /// Its name.
        name: String,
        /// What is missing.
        message: String,
    },
    /// There is no such path.
    #[error("there is no path {0}; /apis/gamekeeper.dev/v1 and /api/v1 list what there is")]
    NoSuchPath(String),
    /// The path is there, the method is not.
    #[error("{method} is not possible on {path}; the Allow header lists what is")]
    MethodNotAllowed {
        /// What was tried.
        method: String,
        /// Where.
        path: String,
    },
    /// The kind is only a view of another one, and is changed by that.
    #[error("{0}")]
    OnlyShown(&'static str),
    /// There is one already.
    #[error("{} \"{name}\" already exists; change it with PUT or PATCH", resource.qualified())]
    AlreadyExists {
        /// What kind of object.
        resource: Resource,
        /// Its name.
        name: String,
    },
    /// A precondition does not hold, or something stands in the way.
    #[error("the operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified())]
    Conflict {
        /// What kind of object.
        resource: Resource,
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
    /// What is applied would change what others own.
    #[error(
        "apply failed with {} conflict{}: {}; leave the fields out, apply their present values, or take them (force)",
        conflicts.len(), if conflicts.len() == 1 { "" } else { "s" }, conflicting(conflicts)
    )]
    FieldConflicts {
        /// What kind of object.
        resource: Resource,
        /// Its name.
        name: String,
        /// Each field, and who owns it.
        conflicts: Vec<FieldConflict>,
    },
    /// What was sent cannot be an object of this kind.
    #[error("{} \"{name}\" is invalid: {}", resource.kind, told(problems))]
    Invalid {
        /// What kind of object.
        resource: Resource,
        /// Its name.
        name: String,
        /// Everything that is wrong.
        problems: Vec<SpecProblem>,
    },
    /// Another transaction is why a write did not come about: nothing was written, and it may be tried
    /// again.
    #[error("{}", blocked.as_deref().unwrap_or(GAVE_WAY))]
    Contended {
        /// Who has locked what is to be changed, as a sentence, if somebody has.
        blocked: Option<String>,
    },
    /// A value that the database does not take, of an object whose kind has no fields to name.
    #[error("{0}")]
    Unstorable(SpecProblem),
    /// The body is in a format that is not read here.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The body is too large.
    #[error("the body is larger than {} MiB; a single object never needs as much", super::body::MAX_BYTES >> 20)]
    TooLarge,
    /// The body did not come in time.
    #[error("the body did not arrive in time; send it in one go")]
    BodyTimeout,
    /// What is asked for is no longer known.
    #[error("{0}")]
    Expired(String),
    /// Too much is asked at the same time.
    #[error("{0}; try again in a second")]
    TooMany(&'static str),
    /// It can be listed, and that is all.
    #[error(
        "this cannot be watched; list again from time to time (without `watch`), or watch games and events"
    )]
    NotWatchable,
    /// It may come later.
    #[error("{0}")]
    NotImplemented(String),
    /// Something that the answer needs cannot be asked now.
    #[error("{0}")]
    Unavailable(String),
    /// It is our fault. The source is logged, and not told.
    #[error("the server failed at this request; its log says why, under the request id in X-Request-Id")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is said of a write that gave way to nobody knows whom.
const GAVE_WAY: &str =
    "the database gave this write up for another one's sake, and nothing of it was written; try again";

fn conflicting(conflicts: &[FieldConflict]) -> String {
    let all: Vec<String> = conflicts
        .iter()
        .map(|conflict| format!("conflict with {}: {}", conflict.manager, conflict.field))
        .collect();
    all.join(", ")
}

fn told(problems: &[SpecProblem]) -> String {
    match problems {
        [problem] => problem.to_string(),
        problems => {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("[{}]", all.join(", "))
        }
    }
}

impl ApiError {
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound { .. } | Self::Nothing { .. } | Self::NoSuchPath(_) => {
                (StatusCode::NOT_FOUND, "NotFound")
            }
            Self::MethodNotAllowed { .. } | Self::OnlyShown(_) | Self::NotWatchable => {
                (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed")
            }
            Self::AlreadyExists { .. } => (StatusCode::CONFLICT, "AlreadyExists"),
            Self::Conflict { .. } | Self::FieldConflicts { .. } | Self::Contended { .. } => {
                (StatusCode::CONFLICT, "Conflict")
            }
            Self::Invalid { .. } | Self::Unstorable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
            Self::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "Timeout"),
            Self::Expired(_) => (StatusCode::GONE, "Expired"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::NotImplemented(_) => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    fn details(&self) -> Option<Details> {
        match self {
            Self::NotFound { resource, name }
            | Self::Nothing { resource, name, .. }
            | Self::AlreadyExists { resource, name }
            | Self::Conflict { resource, name, .. } => Some(Details {
                name: name.clone(),
                group: resource.group.into(),
                kind: resource.plural.into(),
                ..Details::default()
            }),
            Self::Invalid { resource, name, problems } => Some(Details {
                name: name.clone(),
                group: resource.group.into(),
                kind: resource.kind.into(),
                causes: problems.iter().map(cause).collect(),
                ..Details::default()
            }),
            Self::FieldConflicts { resource, name, conflicts } => Some(Details {
                name: name.clone(),
                group: resource.group.into(),
                kind: resource.plural.into(),
                causes: conflicts.iter().map(field_conflict).collect(),
                ..Details::default()
            }),
            Self::TooMany(_) | Self::Contended { .. } => {
                Some(Details { retry_after_seconds: Some(1), ..Details::default() })
            }
            Self::Unstorable(problem) => Some(Details { causes: vec![cause(problem)], ..Details::default() }),
            Self::BadRequest(_)
            | Self::Unauthorized
            | Self::Forbidden(_)
            | Self::NoSuchPath(_)
            | Self::MethodNotAllowed { .. }
            | Self::OnlyShown(_)
            | Self::UnsupportedMediaType(_)
            | Self::TooLarge
            | Self::BodyTimeout
            | Self::Expired(_)
            | Self::NotWatchable
            | Self::NotImplemented(_)
            | Self::Unavailable(_)
            | Self::Internal(_) => None,
        }
    }

    /// The error as Kubernetes has it.
    pub(super) fn status(&self) -> Status {
        let (code, reason) = self.code();
        Status::failure(code.as_u16(), reason, self.to_string(), self.details())
    }

    /// What a failed write means to the client.
    pub(super) fn of_write(resource: Resource, name: &str, error: WriteError) -> Self {
        let name = name.to_owned();
        match error {
            WriteError::NotFound => Self::NotFound { resource, name },
            WriteError::AlreadyExists => Self::AlreadyExists { resource, name },
            WriteError::Conflict(conflict) => Self::Conflict { resource, name, why: conflict.to_string() },
            WriteError::Refused(why) => {
                Self::Invalid { resource, name, problems: vec![super::refusal::said(&why)] }
            }
            WriteError::Value(value) => {
                Self::Invalid { resource, name, problems: vec![super::refusal::problem(&value)] }
            }
            WriteError::Store(error) => error.into(),
        }
    }

    /// What a failed question to the runtime means to a client who asks about this object.
    pub(super) fn of_runtime(resource: Resource, name: &str, error: RuntimeError) -> Self {
        let name = name.to_owned();
        match error {
            RuntimeError::Unreachable(_) | RuntimeError::TimedOut { .. } => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "Docker could not be asked for a client"
                );
                Self::Unavailable(
                    "Docker cannot be asked now; check that it runs (`gamekeeper doctor`), then try again"
                        .into(),
                )
            }
            RuntimeError::NotFound(_) | RuntimeError::NotOurs(_) => {
                let message = format!("{} \"{name}\" has no container now", resource.qualified());
                Self::Nothing { resource, name, message }
            }
            RuntimeError::StateRootNotOurs => {
                Self::Unavailable(format!("{error}; `gamekeeper status` says more"))
            }
            RuntimeError::StateDirectory { .. } | RuntimeError::DiskTimedOut { .. } => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the disk could not be read for a client"
                );
                Self::Unavailable(
                    "the games' state on the disk cannot be read now; `gamekeeper doctor` and the log say why"
                        .into(),
                )
            }
            RuntimeError::Because {
                cause: cause @ (DockerCause::NotDocker | DockerCause::Forbidden),
                ..
            } => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what a client asked for was not let through to Docker"
                );
                Self::Unavailable(format!("{}; the log says which call it was", cause.words()))
            }
            RuntimeError::Conflict(_)
            | RuntimeError::Because { .. }
            | RuntimeError::DirectoryInUse(_)
            | RuntimeError::MountSourceMissing { .. }
            | RuntimeError::StateInUse(_)
            | RuntimeError::MayBeAlive { .. }
            | RuntimeError::Refused(_)
            | RuntimeError::Pull { .. }
            | RuntimeError::ImageGone { .. }
            | RuntimeError::NoRoom(_)
            | RuntimeError::RoomKept(_)
            | RuntimeError::StateChanged
            | RuntimeError::StateUnfit(_)
            | RuntimeError::BackupNameTaken(_)
            | RuntimeError::BackupDamaged(_)
            | RuntimeError::Failed(_) => Self::Internal(error.into()),
        }
    }
}

fn field_conflict(conflict: &FieldConflict) -> Cause {
    Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {}", conflict.manager),
        field: conflict.field.clone(),
    }
}

fn cause(problem: &SpecProblem) -> Cause {
    Cause {
        reason: "FieldValueInvalid".into(),
        message: problem.message.clone(),
        field: problem.field.clone(),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_contended() {
            return Self::Contended { blocked: error.locked() };
        }
        match (error.unanswered(), error.refused_value()) {
            (Some(why), _) => Self::Unavailable(why),
            (None, Some(value)) => Self::Unstorable(super::refusal::problem(&value)),
            (None, None) => Self::Internal(error.into()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Internal(source) = &self {
            tracing::error!(error = &**source as &dyn std::error::Error, "a request failed");
        }
        let mut response = (self.code().0, Json(self.status())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"gamekeeper\""),
                );
            }
            Self::TooMany(_) | Self::Contended { .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
