//! Image references, as Docker reads them.

use crate::game::id::ImageRef;

/// Docker's own limit of a repository's name, and of a tag; a digest is shorter.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// Checks the syntax of `[registry[:port]/]repository[:tag][@digest]`.
///
/// # Errors
/// A sentence: what is wrong with it.
pub fn parse_image(text: &str) -> Result<ImageRef, String> {
    let wrong =
        |why: &str| Err(format!("`{}` is not an image reference: {why}", super::problem::shorten(text)));
    if text.is_empty() {
        return Err("is empty; write an image reference as in \"registry.example/engine:1.4.2\"".into());
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let after_slash = named.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match named[after_slash..].find(':') {
        Some(colon) => (&named[..after_slash + colon], Some(&named[after_slash + colon + 1..])),
        None => (named, None),
    };
    if repository.len() > MAX_REPOSITORY {
        return wrong("its repository has more than 255 characters");
    }
    let (registry, path) = match repository.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (Some(first), rest),
        _ => (None, repository),
    };
    if registry.is_some_and(|registry| !is_registry(registry)) {
        return wrong("its registry is not a host name with or without a port");
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return wrong("its repository has to be in lower case");
    }
    if !path.split('/').all(is_component) {
        return wrong(
            "each part of its repository is made of a-z and 0-9, with `.`, `_`, `__` or `-` between them",
        );
    }
    if registry.is_none() && path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return wrong("it reads as an image's id");
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return wrong(
            "its tag has to be 1 to 128 of A-Z, a-z, 0-9, `_`, `.` and `-`, not beginning with `.` or `-`",
        );
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return wrong("its digest has to be `sha256:` and 64 hexadecimal digits in lower case");
    }
    Ok(ImageRef::new(text))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let a_port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    host.split('.').all(label) && port.is_none_or(a_port)
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separator = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    let ends =
        text.bytes().next().is_some_and(alphanumeric) && text.bytes().next_back().is_some_and(alphanumeric);
    ends && text
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .all(separator)
}

fn is_tag(text: &str) -> bool {
    (1..=MAX_TAG).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !text.starts_with(['.', '-'])
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_are_docker_s() {
        let digest = format!("sha256:{}", "a0".repeat(32));
        for good in [
            "engine",
            "engine:1.4.2",
            "gamekeeper/reference-engine:1.4.2",
            "registry.example/a/b/engine:1.4.2",
            "localhost:5000/engine",
            "Registry.Example:443/engine:RC_1",
            "a__b/c--d.e_f:x",
            &format!("engine@{digest}"),
            &format!("registry.example:5000/engine:1.4.2@{digest}"),
        ] {
            assert!(parse_image(good).is_ok(), "{good}: {:?}", parse_image(good));
        }
        for bad in [
            "",
            "Engine:1",
            "engine:",
            "engine:-1",
            "engine:1:2",
            "engine@sha256:12",
            "engine@md5:00",
            "/engine",
            "engine/",
            "a//b",
            "a___b",
            "a..b",
            "-a",
            "../../etc/passwd",
            "engine 1",
            "engine\0",
            "ängine",
            "http://registry/engine",
            "registry.example:99999/engine",
            "registry.example:/engine",
            &"f".repeat(64),
            &"x".repeat(10_000),
            &format!("engine:{}", "x".repeat(129)),
        ] {
            assert!(parse_image(bad).is_err(), "{bad}");
        }
    }
}
