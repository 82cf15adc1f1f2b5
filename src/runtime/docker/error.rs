//! What a failed call means. Silence, a refused connection and an answer are never confused: only
//! an answer in Docker's own words says that something is not there.

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;

use super::text::one_line;
use crate::runtime::RuntimeError;

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
    match error {
        Error::DockerResponseServerError { status_code, message } => answered(status_code, &message),
        Error::RequestTimeoutError => RuntimeError::TimedOut { call, after },
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::SocketNotFoundError(_) => RuntimeError::Unreachable(Box::new(error)),
        Error::DockerStreamError { error } => RuntimeError::Failed(one_line(&error)),
        other => RuntimeError::Failed(one_line(&format!("`{call}`: {other}"))),
    }
}

fn answered(status: u16, message: &str) -> RuntimeError {
    let shown =
        if message.trim().is_empty() { format!("Docker answered {status}") } else { one_line(message) };
    match status {
        404 if says_absent(message) => RuntimeError::NotFound(shown),
        // Not Docker's words: a proxy, or a server that is no Docker at all.
        404 => RuntimeError::Failed(format!("what answers is not Docker (404: {shown})")),
        409 => RuntimeError::Conflict(shown),
        500 if says_taken(message) => RuntimeError::Conflict(shown),
        408 | 429 => RuntimeError::Failed(shown),
        400..=499 | 501 => RuntimeError::Refused(shown),
        // A proxy without its daemon, or a daemon that is coming up or going down.
        502..=504 => RuntimeError::Unreachable(format!("{status}: {shown}").into()),
        _ => RuntimeError::Failed(shown),
    }
}

/// Docker's and Podman's ways of saying that something is not there.
fn says_absent(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["no such container", "no such image", "image not known"].iter().any(|words| message.contains(words))
        || (message.contains("network") && message.contains("not found"))
}

/// Podman's ways of saying, with a 500, that a name is taken.
fn says_taken(message: &str) -> bool {
    message.contains("that name is already in use") || message.contains("network already exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status_code: u16, message: &str) -> RuntimeError {
        let error = Error::DockerResponseServerError { status_code, message: message.into() };
        classify("inspect", Duration::from_secs(1), error)
    }

    #[test]
    fn only_dockers_own_words_say_that_something_is_absent() {
        for words in [
            "No such container: gamekeeper-x",
            "no container with name or ID \"x\" found: no such container",
            "No such image: x:1",
            "network gamekeeper not found",
            "unable to find network with name or ID x: network not found",
        ] {
            assert!(matches!(of(404, words), RuntimeError::NotFound(_)), "{words}");
        }
        for words in ["", "404 page not found", "<html>nginx</html>"] {
            assert!(matches!(of(404, words), RuntimeError::Failed(_)), "{words}");
        }
    }

    #[test]
    fn answers_are_told_apart_from_silence() {
        assert!(matches!(of(409, "x"), RuntimeError::Conflict(_)));
        for podman in [
            "container create: …: that name is already in use",
            "network name x already used: network already exists",
        ] {
            assert!(matches!(of(500, podman), RuntimeError::Conflict(_)), "{podman}");
        }
        assert!(matches!(
            of(500, "listen tcp 127.0.0.1:80: bind: address already in use"),
            RuntimeError::Failed(_)
        ));
        assert!(matches!(of(400, "x"), RuntimeError::Refused(_)));
        assert!(matches!(of(500, "no space left on device"), RuntimeError::Failed(_)));
        assert!(matches!(of(503, ""), RuntimeError::Unreachable(_)));
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = classify("list", Duration::from_secs(1), Error::IOError { err: refused });
        assert!(matches!(error, RuntimeError::Unreachable(_)));
    }
}
