//! Answers that are not Docker's: of a proxy that lets a call not through, of a server that is no Docker.
//!
//! Docker and Podman say who they are in the head of what they answer (`Api-Version`, `Server`). What
//! others say in a body is mostly a page for people, and is shown to nobody.

use std::fmt;
use std::time::Duration;

use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::text::one_line;
use crate::runtime::Cause;

/// The most that is read of a plain text, in bytes, and for how long.
const LONGEST_TEXT: usize = 400;
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The longest name of a server that is shown, in characters.
const LONGEST_NAME: usize = 60;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
}

/// An answer that is not Docker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stranger {
    asked: Asked,
    status: StatusCode,
    /// Who it says that it is.
    server: Option<String>,
    is_text: bool,
    /// Its words, where they are not a page.
    text: Option<String>,
}

/// Whoever answered, if it was not Docker.
pub(super) fn of<T>(asked: Asked, answer: &Response<T>) -> Option<Stranger> {
    let (status, head) = (answer.status(), answer.headers());
    let kind = named(head, &CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_refusal = matches!(status.as_u16(), 401 | 403 | 405 | 407);
    let is_strange = match status.as_u16() {
        // Docker has no pages.
        _ if kind == "text/html" => true,
        101 | 200..=299 | 304 => false,
        _ if is_dockers(head) => false,
        // Docker's router has a few answers without its head.
        _ => is_refusal || kind != "application/json",
    };
    let server = named(head, &SERVER).map(|name| one_line(name).chars().take(LONGEST_NAME).collect());
    is_strange.then(|| Stranger { asked, status, server, is_text: kind == "text/plain", text: None })
}

fn named<'a>(head: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    head.get(name)?.to_str().ok()
}

fn is_dockers(head: &HeaderMap) -> bool {
    let server = named(head, &SERVER).unwrap_or_default();
    head.contains_key("api-version") || server.starts_with("Docker/") || server.starts_with("Libpod/")
}

impl Stranger {
    /// With what it says, where that is a plain text.
    pub(super) async fn heard(mut self, answer: Response<Incoming>) -> Self {
        if self.is_text {
            let body = Limited::new(answer.into_body(), LONGEST_TEXT).collect();
            let heard = tokio::time::timeout(LONGEST_WAIT, body).await;
            let text = heard.ok().and_then(Result::ok).map(|body| body.to_bytes());
            let text = text.map(|bytes| one_line(&String::from_utf8_lossy(&bytes)));
            self.text = text.filter(|text| !text.is_empty() && !text.contains('<'));
        }
        self
    }

    /// What it is called.
    pub(super) fn cause(&self) -> Cause {
        match self.status.as_u16() {
            401 | 403 | 405 | 407 => Cause::Forbidden,
            _ => Cause::NotDocker,
        }
    }

    /// A gateway says that nobody is behind it.
    pub(super) fn is_gateway(&self) -> bool {
        matches!(self.status.as_u16(), 502..=504)
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { method, path } = &self.asked;
        let who = self.server.as_deref().unwrap_or("a server that does not say who it is");
        write!(f, "{method} {} was answered with {} by {who}", one_line(path), self.status.as_u16())?;
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Stranger {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, head: &[(&str, &str)]) -> Option<Stranger> {
        let mut answer = Response::builder().status(status);
        for (name, value) in head {
            answer = answer.header(*name, *value);
        }
        let asked = Asked { method: Method::POST, path: "/containers/create".into() };
        of(asked, &answer.body(()).expect("an answer"))
    }

    #[test]
    fn an_answer_is_dockers_by_its_head_and_a_page_is_nobodys() {
        const JSON: (&str, &str) = ("content-type", "application/json");
        const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
        let docker = ("server", "Docker/20.10.24+dfsg1 (linux)");
        let podman = ("server", "Libpod/4.3.1 (linux)");
        for head in
            [&[JSON, docker][..], &[JSON, podman], &[("api-version", "1.41"), ("content-type", "text/plain")]]
        {
            for status in [200, 400, 403, 404, 409, 500] {
                assert_eq!(answer(status, head), None, "{status} {head:?}");
            }
        }
        // Docker's router, of a path that it does not know.
        assert_eq!(answer(404, &[JSON]), None);
        for (status, head, cause) in [
            (403, &[HTML][..], Cause::Forbidden),
            (403, &[JSON], Cause::Forbidden),
            (407, &[("content-type", "text/plain")], Cause::Forbidden),
            (404, &[HTML], Cause::NotDocker),
            (404, &[("content-type", "text/plain")], Cause::NotDocker),
            (200, &[HTML], Cause::NotDocker),
            (302, &[HTML, ("server", "nginx")], Cause::NotDocker),
        ] {
            let stranger = answer(status, head).expect("it is not Docker's");
            assert_eq!(stranger.cause(), cause, "{stranger}");
            assert!(
                stranger.to_string().starts_with("POST /containers/create was answered with "),
                "{stranger}"
            );
        }
        let gateway = answer(502, &[HTML, ("server", "nginx/1.2")]).expect("it is not Docker's");
        assert!(gateway.is_gateway() && gateway.to_string().ends_with("with 502 by nginx/1.2"), "{gateway}");
    }
}
