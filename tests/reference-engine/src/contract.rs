//! The calls: who may make them, and what they answer. `manifests/engine-openapi.yaml` says the same in OpenAPI.

mod calls;
mod view;

use crate::config::Contract;
use crate::engine::Engine;
use crate::http::{Answer, Request};
use crate::knobs::Knobs;
use crate::log::say;

const ADMIN: &str = "/api/v1/admin/";

/// Answers one request.
pub(crate) fn answer(engine: &Engine, request: &Request) -> Answer {
    let knobs = engine.knobs.current();
    if request.path == "/healthz" {
        return match request.method.as_str() {
            "GET" | "HEAD" => calls::health(&knobs),
            _ => wrong_method(),
        };
    }
    let Some(call) = request.path.strip_prefix(ADMIN) else {
        return Answer::error(404, "notFound", "no such path");
    };
    let setting_knobs = call == "misbehave";
    if !authorised(engine, request) || (knobs.refuse_token && !setting_knobs) {
        return Answer::error(401, "unauthorized", "the bearer token is missing or wrong")
            .with("www-authenticate", "Bearer".into());
    }
    let answer = route(engine, request, call, &knobs);
    if request.method != "GET" {
        say!("{} {} -> {}", request.method, request.path, answer.status);
    }
    answer
}

fn route(engine: &Engine, request: &Request, call: &str, knobs: &Knobs) -> Answer {
    match (call, request.method.as_str()) {
        ("status", "GET") => calls::status(engine, knobs),
        ("init", "POST") => calls::init(engine, request, knobs),
        ("turn", "PUT") => calls::turn(engine, request, knobs),
        ("misbehave", "GET" | "PUT" | "DELETE") => calls::misbehave(engine, request),
        ("status" | "init" | "turn" | "misbehave", _) => wrong_method(),
        _ => Answer::error(404, "notFound", "no such path"),
    }
}

fn wrong_method() -> Answer {
    Answer::error(405, "method", "this path has no such method")
}

/// v0 has no token; v1 without one configured lets nobody in.
fn authorised(engine: &Engine, request: &Request) -> bool {
    if engine.config.contract == Contract::V0 {
        return true;
    }
    let given = request.header("authorization").and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match (&engine.config.token, given) {
        (Some(token), Some(given)) => same(token.as_bytes(), given.as_bytes()),
        _ => false,
    }
}

/// Takes the same time wherever the two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (x, y)| std::hint::black_box(all | (x ^ y)));
    a.len() == b.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn tokens_are_compared_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(
            !same(b"secret", b"secreT")
                && !same(b"secret", b"secre")
                && !same(b"secret", b"")
                && !same(b"", b"s")
        );
    }
}
