//! What a failed call means. Silence, a refused connection and an answer are never confused: only
//! an answer in Docker's own words says that something is not there.
//!
//! In the order of what tells most: who answered ([`super::stranger`]), the status, the call, and the
//! words ([`rows`]), which are compared link by link ([`said`]) and never searched.

mod pull;
mod rows;
mod said;

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;

use super::stranger::Stranger;
use super::text::one_line;
use crate::runtime::{Cause, RuntimeError};
pub(super) use pull::pull_error;
use said::Said;

/// Runs a call with a deadline that covers all of it, headers and body.
pub(super) async fn within<T>(
    call: &'static str,
    after: Duration,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, RuntimeError> {
    match tokio::time::timeout(after, future).await {
        Ok(answer) => answer.map_err(|error| classify(call, after, error)),
        Err(_) => Err(RuntimeError::TimedOut { call, after }),
    }
}

/// `None` where the thing asked for is not there.
pub(super) fn if_there<T>(answer: Result<T, RuntimeError>) -> Result<Option<T>, RuntimeError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(RuntimeError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn classify(call: &'static str, after: Duration, error: Error) -> RuntimeError {
    let error = match stranger(error) {
        Ok(stranger) if stranger.is_gateway() => return RuntimeError::Unreachable(Box::new(stranger)),
        Ok(stranger) => {
            return RuntimeError::Because { cause: stranger.cause(), said: stranger.to_string() };
        }
        Err(error) => error,
    };
    match error {
        Error::DockerResponseServerError { status_code, message } => answered(call, status_code, &message),
        Error::RequestTimeoutError => RuntimeError::TimedOut { call, after },
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::SocketNotFoundError(_) => RuntimeError::Unreachable(Box::new(error)),
        Error::DockerStreamError { error } => answered(call, 500, &error),
        // A success that is none of Docker's answers.
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => RuntimeError::Because {
            cause: Cause::NotDocker,
            said: one_line(&format!("the answer to `{call}` cannot be read: {error}")),
        },
        other => RuntimeError::Failed(one_line(&format!("`{call}`: {other}"))),
    }
}

/// Who answered in Docker's place, if somebody did.
fn stranger(error: Error) -> Result<Stranger, Error> {
    match error {
        Error::IOError { err } if err.get_ref().is_some_and(|inner| inner.is::<Stranger>()) => {
            err.downcast::<Stranger>().map_err(Error::from)
        }
        other => Err(other),
    }
}

fn answered(call: &'static str, status: u16, message: &str) -> RuntimeError {
    let is_page = message.trim_start().starts_with('<');
    let shown = match message.trim() {
        "" => format!("Docker answered `{call}` with {status}"),
        _ if is_page => format!("`{call}` was answered with {status} and a page"),
        _ => one_line(message),
    };
    let said = Said::of(message, &[]);
    if let Some(cause) = rows::cause(call, status, &said).filter(|_| !is_page) {
        let asked = if cause == Cause::Forbidden { format!("{}: ", endpoint(call)) } else { String::new() };
        return RuntimeError::Because { cause, said: format!("{asked}{shown}") };
    }
    match status {
        // Not Docker's words: a proxy, or a server that is no Docker at all.
        404 if is_page || is_no_page(message) => {
            let said = format!("404 to `{call}`: {shown}");
            RuntimeError::Because { cause: Cause::NotDocker, said }
        }
        404 if says_absent(&said) => RuntimeError::NotFound(shown),
        _ if says_no_source(status, &said) => RuntimeError::MountSourceMissing { on_host: shown },
        409 | 500 if call == "start" && says_alive(&said) => {
            RuntimeError::MayBeAlive { message: shown, why: "nobody has looked".into() }
        }
        409 => RuntimeError::Conflict(shown),
        500 if says_taken(&said) => RuntimeError::Conflict(shown),
        400 | 501 => RuntimeError::Refused(shown),
        // A proxy without its daemon, or a daemon that is coming up or going down.
        502..=504 => RuntimeError::Unreachable(format!("{status}: {shown}").into()),
        _ => RuntimeError::Failed(shown),
    }
}

/// What a router says of a path that it does not have.
fn is_no_page(message: &str) -> bool {
    matches!(message.trim(), "" | "page not found" | "404 page not found" | "Not Found")
}

/// Docker's and Podman's ways of saying that something is not there.
fn says_absent(said: &Said) -> bool {
    ["no such container", "no such image"].iter().any(|words| said.begins(words) || said.ends(words))
        || said.ends("image not known")
        || said.ends("network not found")
        || said.ends_around("network ", " not found")
}

/// Docker's and Podman's ways of refusing a mount whose source is missing where they look for it.
fn says_no_source(status: u16, said: &Said) -> bool {
    let is_podmans = said.has_beginning("statfs ") && said.ends("no such file or directory");
    (status == 400 && said.has_beginning("bind source path does not exist")) || is_podmans
}

/// Docker's ways of saying that a container cannot be started because what was made for it at another start
/// is still there, as its process may be.
fn says_alive(said: &Said) -> bool {
    const WORDS: [&str; 4] = [
        "id already in use",
        "container with given id already exists",
        "already exists",
        "device or resource busy",
    ];
    WORDS.iter().any(|words| said.ends(words))
}

/// Podman's ways of saying, with a 500, that a name is taken.
fn says_taken(said: &Said) -> bool {
    said.ends("that name is already in use") || said.ends("network already exists")
}

/// Method and path of a call.
fn endpoint(call: &str) -> &'static str {
    match call {
        "info" => "GET /info",
        "list" => "GET /containers/json",
        "inspect" => "GET /containers/ID/json",
        "logs" => "GET /containers/ID/logs",
        "create" => "POST /containers/create",
        "start" => "POST /containers/ID/start",
        "stop" => "POST /containers/ID/stop",
        "remove" => "DELETE /containers/ID",
        "network list" => "GET /networks",
        "network inspect" => "GET /networks/ID",
        "network create" => "POST /networks/create",
        "network remove" => "DELETE /networks/ID",
        "image inspect" => "GET /images/NAME/json",
        "pull" => "POST /images/create",
        _ => "a call of Docker's API",
    }
}

#[cfg(test)]
mod tests;
