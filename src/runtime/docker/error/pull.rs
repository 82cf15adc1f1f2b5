//! Why a pull failed. Docker says it in words alone, and a registry adds its own.
//!
//! The links of the chain are looked at from the outermost inwards, and the first that is known decides:
//! a registry's code comes before its words. The names of the image are taken out first.

use std::time::Duration;

use bollard::errors::Error;

use super::super::text::one_line;
use super::classify;
use super::said::Said;
use crate::game::ImageRef;
use crate::runtime::{PullFailure, RuntimeError};

/// What a link means that is this.
const LINKS: &[(&str, PullFailure)] = &[
    ("no space left on device", PullFailure::DiskFull),
    ("disk quota exceeded", PullFailure::DiskFull),
    // Codes of the distribution protocol, before the registry's words.
    ("toomanyrequests", PullFailure::RateLimited),
    ("unauthorized", PullFailure::Unauthorized),
    ("denied", PullFailure::Unauthorized),
    ("authentication required", PullFailure::Unauthorized),
    ("no basic auth credentials", PullFailure::Unauthorized),
    ("authorization failed", PullFailure::Unauthorized),
    ("manifest unknown", PullFailure::NotFound),
    ("name unknown", PullFailure::NotFound),
    ("no such image", PullFailure::NotFound),
    ("not found", PullFailure::NotFound),
    ("eof", PullFailure::Unreachable),
    ("unexpected eof", PullFailure::Unreachable),
    ("x509", PullFailure::Unreachable),
    ("no such host", PullFailure::Unreachable),
    ("i/o timeout", PullFailure::Unreachable),
    ("connection refused", PullFailure::Unreachable),
    ("connection reset by peer", PullFailure::Unreachable),
    ("network is unreachable", PullFailure::Unreachable),
    ("no route to host", PullFailure::Unreachable),
    ("tls handshake timeout", PullFailure::Unreachable),
    ("proxy authentication required", PullFailure::Unreachable),
    ("server gave http response to https client", PullFailure::Unreachable),
    ("timeout exceeded while awaiting headers", PullFailure::Unreachable),
];

/// What a link means that begins so.
const BEGINNINGS: &[(&str, PullFailure)] = &[
    ("dial tcp", PullFailure::Unreachable),
    ("proxyconnect tcp", PullFailure::Unreachable),
    ("remote error", PullFailure::Unreachable),
    ("context deadline exceeded", PullFailure::Unreachable),
    ("request canceled", PullFailure::Unreachable),
    ("net/http", PullFailure::Unreachable),
    // Docker Hub says so of a repository that does not exist as well.
    ("pull access denied", PullFailure::Unauthorized),
    ("requested access to the resource is denied", PullFailure::Unauthorized),
    ("unauthorized", PullFailure::Unauthorized),
    ("incorrect username or password", PullFailure::Unauthorized),
    ("no matching manifest for ", PullFailure::OtherPlatform),
    ("no match for platform in manifest", PullFailure::OtherPlatform),
    ("no image found in ", PullFailure::OtherPlatform),
    ("image operating system ", PullFailure::OtherPlatform),
    ("too many requests", PullFailure::RateLimited),
];

/// What comes before a status of HTTP within a link.
const BEFORE_STATUS: [&str; 4] =
    ["", "error parsing http ", "invalid status code from registry ", "unexpected status code "];

/// The end of a pull that failed.
pub(in super::super) fn pull_error(error: Error, silence: Duration, image: &ImageRef) -> RuntimeError {
    let message = match error {
        // Not a thing of Docker's is not there, but one of the registry's.
        Error::DockerResponseServerError { status_code: 404 | 500, message }
        | Error::DockerStreamError { error: message } => message,
        other => match classify("pull", silence, other) {
            RuntimeError::NotFound(message)
            | RuntimeError::Conflict(message)
            | RuntimeError::Refused(message)
            | RuntimeError::Failed(message) => message,
            other => return other,
        },
    };
    RuntimeError::Pull { kind: pull_failure(&message, image), message: one_line(&message) }
}

fn pull_failure(message: &str, image: &ImageRef) -> PullFailure {
    let names = names(image.as_str());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Said::of(message, &names).links().find_map(of_link).unwrap_or(PullFailure::Other)
}

fn of_link(link: &str) -> Option<PullFailure> {
    let whole = LINKS.iter().find(|(words, _)| link == *words);
    let begins = || BEGINNINGS.iter().find(|(words, _)| link.starts_with(words));
    if let Some((_, kind)) = whole.or_else(begins) {
        return Some(*kind);
    }
    // `manifest for NAME not found`, without the name.
    if link.starts_with("manifest for") && link.ends_with("not found") {
        return Some(PullFailure::NotFound);
    }
    BEFORE_STATUS.iter().find_map(|before| of_status(link.strip_prefix(before)?))
}

/// A status of HTTP and what it is called.
fn of_status(text: &str) -> Option<PullFailure> {
    let (status, _) = text.split_once(' ').unwrap_or((text, ""));
    match status.parse::<u16>().ok()? {
        401 | 403 => Some(PullFailure::Unauthorized),
        404 => Some(PullFailure::NotFound),
        407 | 500..=599 => Some(PullFailure::Unreachable),
        429 => Some(PullFailure::RateLimited),
        _ => None,
    }
}

/// The ways in which an image is called in an answer.
fn names(reference: &str) -> Vec<String> {
    let (name, tag) = super::super::image::name_and_tag(reference);
    let mut names =
        vec![reference.to_owned(), name.to_owned(), format!("{name}:{tag}"), format!("{name}@{tag}")];
    names.extend(
        names
            .clone()
            .iter()
            .flat_map(|name| [format!("docker.io/{name}"), format!("docker.io/library/{name}")]),
    );
    let parts = name.split_once('/').into_iter().flat_map(|(host, path)| [host.to_owned(), path.to_owned()]);
    names.extend(parts);
    // A plain word may be one that means something; a name that is one is never a link of its own.
    names.retain(|name| name.contains(['.', ':', '/', '@']));
    names
}

#[cfg(test)]
mod tests;
