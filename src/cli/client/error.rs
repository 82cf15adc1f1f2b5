//! Why the server could not be asked, or refused.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::cli::failure::{Exit, Failure};

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody says where the kubeconfig is, and there is no home directory.
    #[error("nothing says where the server is")]
    NoPlace,
    /// No server was started with this data directory.
    #[error("no kubeconfig found; looked for {}", .0.display())]
    NoKubeconfig(PathBuf),
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable {
        /// Which one.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The kubeconfig does not say how to speak to the server.
    #[error("{}: {message}", file.display())]
    Kubeconfig {
        /// Which one.
        file: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Nobody listens there.
    #[error("the server at {server} is not running ({why})")]
    NotRunning {
        /// Where.
        server: String,
        /// Why it seems so.
        why: String,
    },
    /// Somebody listens there, with a certificate of another authority.
    #[error("what answers at {server} is not the server that {} was written by ({why})", file.display())]
    Certificate {
        /// Where.
        server: String,
        /// The kubeconfig.
        file: PathBuf,
        /// What is wrong with the certificate.
        why: String,
    },
    /// No answer in time.
    #[error("the server at {server} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Where.
        server: String,
        /// How long it had.
        after: Duration,
    },
    /// The connection broke, or what came was not to be understood.
    #[error("the server's answer could not be read: {0}")]
    Broken(String),
    /// The server refused.
    #[error("{}", .0.told())]
    Refused(Box<Refusal>),
}

/// A refusal in the server's words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) code: u16,
    /// One CamelCase word.
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) message: String,
    /// Which object, and what is wrong with which of its fields.
    pub(crate) details: RefusalDetails,
    /// Under which id the server logs the request.
    #[serde(skip)]
    pub(crate) request_id: String,
}

/// The part of a refusal that is about an object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RefusalDetails {
    /// What is wrong, field by field.
    pub(crate) causes: Vec<Cause>,
    /// It is not about the object: the same may be asked again, and not before so long.
    pub(crate) retry_after_seconds: Option<u64>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    /// The field's path.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl Refusal {
    /// From an answer's body, which may be anything.
    pub(super) fn read(code: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Self>(body) {
            Ok(refusal) if !refusal.message.is_empty() => Self { code, ..refusal },
            _ => {
                let text = String::from_utf8_lossy(&body[..body.len().min(300)]).trim().to_owned();
                let message = if text.is_empty() { format!("the server answered {code}") } else { text };
                Self { code, message, ..Self::default() }
            }
        }
    }

    /// With the id under which it was asked.
    pub(super) fn of_request(self, id: &str) -> Self {
        Self { request_id: id.to_owned(), ..self }
    }

    fn told(&self) -> String {
        match self.code {
            401 => format!("the server does not accept this token ({})", self.message),
            403 => format!("not allowed: {}", self.message),
            _ => self.message.clone(),
        }
    }
}

impl ClientError {
    /// From what the HTTP client says.
    pub(super) fn of(error: &reqwest::Error, server: &str, file: &std::path::Path, after: Duration) -> Self {
        let server = server.to_owned();
        if let Some(why) = certificate_problem(error) {
            return Self::Certificate { server, file: file.to_owned(), why };
        }
        if error.is_connect() {
            return Self::NotRunning { server, why: innermost(error) };
        }
        if error.is_timeout() {
            return Self::TimedOut { server, after };
        }
        Self::Broken(innermost(error))
    }

    /// Whether it might go better a little later: the server is away.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::TimedOut { .. } | Self::Broken(_))
    }

    /// Whether the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404)
    }

    /// A conflict of versions: somebody else was faster, so the change is to be computed anew. A row that somebody
    /// has locked is none: the server has waited for it, and there is nothing to compute.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(refusal)
            if refusal.code == 409 && refusal.details.retry_after_seconds.is_none())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let start =
            "start one with `gamekeeper run`, or say where it is by --kubeconfig FILE or --data-dir DIR";
        let (exit, hint) = match &error {
            ClientError::NoPlace | ClientError::NoKubeconfig(_) => (Exit::Unreachable, Some(start)),
            ClientError::NotRunning { .. } => (
                Exit::Unreachable,
                Some("start it with `gamekeeper run`; `gamekeeper doctor` finds what is in its way"),
            ),
            ClientError::Certificate { .. } => (
                Exit::Unreachable,
                Some(
                    "another server may be on its port; name the right kubeconfig by --kubeconfig or --data-dir",
                ),
            ),
            ClientError::TimedOut { .. } => {
                (Exit::Unreachable, Some("look at its log; `gamekeeper doctor` may tell more"))
            }
            ClientError::Unreadable { .. } => (
                Exit::NotAllowed,
                Some("the kubeconfig belongs to the user who runs the server; be that user, or copy it"),
            ),
            ClientError::Kubeconfig { .. } => {
                (Exit::Usage, Some("use the kubeconfig that `gamekeeper run` wrote in its data directory"))
            }
            ClientError::Broken(_) => (Exit::Failed, None),
            ClientError::Refused(refusal) => of_refusal(refusal),
        };
        let failure = Self::new(exit, error.to_string());
        match (hint, error) {
            (Some(hint), _) => failure.hint(hint),
            (None, ClientError::Refused(refusal))
                // 503 says by itself what is away; everything else is the server's fault.
                if refusal.code >= 500 && refusal.code != 503 && !refusal.request_id.is_empty() =>
            {
                failure.hint(format!("the server's log says more, under request_id={}", refusal.request_id))
            }
            (None, ClientError::Refused(refusal)) => {
                failure.notes(refusal.details.causes.iter().map(|cause| {
                    if cause.field.is_empty() {
                        cause.message.clone()
                    } else {
                        format!("{}: {}", cause.field, cause.message)
                    }
                }))
            }
            (None, _) => failure,
        }
    }
}

fn of_refusal(refusal: &Refusal) -> (Exit, Option<&'static str>) {
    match refusal.code {
        400 | 413 | 415 | 422 => (Exit::Usage, None),
        401 => (Exit::NotAllowed, Some("use the kubeconfig that this server wrote in its data directory")),
        403 => (Exit::NotAllowed, Some("ask for a token with a role that may do this")),
        404 => (Exit::NotFound, None),
        409 => (Exit::Conflict, None),
        _ => (Exit::Failed, None),
    }
}

/// What is wrong with the server's certificate, if that is what failed.
fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.to_string());
        }
        // An I/O error's source is that of the error within, not the error within.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = within.map(|within| within as _).or_else(|| error.source());
    }
    None
}

fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_locked_is_no_conflict_of_versions() {
        let refused = |details: &str| {
            let body = format!(
                r#"{{"kind": "Status", "code": 409, "reason": "Conflict", "message": "no", "details": {details}}}"#
            );
            ClientError::Refused(Box::new(Refusal::read(409, body.as_bytes())))
        };
        assert!(refused(r#"{"name": "andromeda", "kind": "games"}"#).is_conflict());
        assert!(!refused(r#"{"retryAfterSeconds": 1}"#).is_conflict());
    }
}
