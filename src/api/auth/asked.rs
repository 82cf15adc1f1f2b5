//! What a request asks for, as far as it matters for what is allowed.

use std::borrow::Cow;

use axum::http::{Method, Uri};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Asked<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; somebody who
    /// only wants to know may name others.
    pub(in crate::api) verb: &'a str,
    pub(in crate::api) what: What<'a>,
}

/// Of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum What<'a> {
    /// A path that is no object's.
    Path(Cow<'a, str>),
    Object(Object<'a>),
}

/// An object, or all of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct Object<'a> {
    pub(in crate::api) group: Cow<'a, str>,
    pub(in crate::api) resource: Cow<'a, str>,
    pub(in crate::api) subresource: Cow<'a, str>,
    /// None: in none, or in all of them.
    pub(in crate::api) namespace: Option<Cow<'a, str>>,
    pub(in crate::api) name: Cow<'a, str>,
}

/// Paths below a pod that do something with it, whatever the method: kubectl asks with GET.
const ACTS: [&str; 4] = ["exec", "attach", "portforward", "proxy"];

impl<'a> Asked<'a> {
    /// By this method at this address.
    pub(in crate::api) fn of(method: &Method, uri: &'a Uri) -> Self {
        let path = uri.path();
        let object = of_path(path);
        let verb = match (&object, method.as_str()) {
            (Some(object), "GET" | "HEAD" | "OPTIONS") => of_reading(object, uri.query()),
            (None, "GET" | "HEAD" | "OPTIONS") => "get",
            (Some(_), "POST") => "create",
            (Some(_), "PUT") => "update",
            (Some(_), "PATCH") => "patch",
            (Some(object), "DELETE") if object.name.is_empty() => "deletecollection",
            (Some(_), "DELETE") => "delete",
            // Of a path that is no object's, and by a method that nobody knows: anything may be meant.
            _ => "update",
        };
        Self { verb, what: object.map_or(What::Path(path.into()), What::Object) }
    }
}

fn of_reading(object: &Object<'_>, query: Option<&str>) -> &'static str {
    if object.resource == "pods" && ACTS.contains(&&*object.subresource) {
        return "create";
    }
    let watches = query.unwrap_or_default().split('&').any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // As the handlers read it.
        name == "watch" && value != "0" && !value.eq_ignore_ascii_case("false")
    });
    match (object.name.is_empty(), watches) {
        (true, true) => "watch",
        (true, false) => "list",
        (false, _) => "get",
    }
}

/// The object that a path leads to, if it leads to any. The router looks at paths as they are sent,
/// and hands on names decoded: so it is done here, or what was decided would be about another object.
fn of_path(path: &str) -> Option<Object<'_>> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let group = match parts.next()? {
        "api" => {
            parts.next()?;
            ""
        }
        "apis" => {
            let group = parts.next()?;
            parts.next()?;
            group
        }
        _ => return None,
    };
    let parts: Vec<&str> = parts.collect();
    let (namespace, rest) = match parts.as_slice() {
        [] => return None,
        // A namespace itself is in itself.
        ["namespaces"] => (None, &parts[..]),
        ["namespaces", name] => (Some(*name), &parts[..]),
        ["namespaces", name, rest @ ..] => (Some(*name), rest),
        all => (None, all),
    };
    let at = |index: usize| rest.get(index).map_or(Cow::Borrowed(""), |part| decoded(part));
    Some(Object {
        group: decoded(group),
        resource: at(0),
        subresource: at(2),
        namespace: namespace.map(decoded),
        name: at(1),
    })
}

/// What does not become text is nobody's name.
fn decoded(part: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(part).decode_utf8().unwrap_or(Cow::Borrowed("\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(method: &str, uri: &str) -> String {
        let uri: Uri = uri.parse().unwrap();
        let Asked { verb, what } = Asked::of(&method.parse().unwrap(), &uri);
        match what {
            What::Path(path) => format!("{verb} {path}"),
            What::Object(Object { group, resource, subresource, namespace, name }) => {
                format!("{verb} {group}|{resource}|{subresource}|{}|{name}", namespace.unwrap_or("*".into()))
            }
        }
    }

    #[test]
    fn a_request_is_what_kubernetes_takes_it_for() {
        let own = "/apis/gamekeeper.dev/v1";
        for (method, path, expected) in [
            ("GET", "/version", "get /version"),
            ("POST", "/version", "update /version"),
            ("GET", "/api/v1", "get /api/v1"),
            ("GET", "/apis/gamekeeper.dev", "get /apis/gamekeeper.dev"),
            ("GET", own, "get /apis/gamekeeper.dev/v1"),
            ("GET", "/apis/gamekeeper.dev/v1/games", "list gamekeeper.dev|games||*|"),
            ("GET", "/apis/gamekeeper.dev/v1/games?watch=1&x=y", "watch gamekeeper.dev|games||*|"),
            ("GET", "/apis/gamekeeper.dev/v1/games?watch=false", "list gamekeeper.dev|games||*|"),
            ("HEAD", "/apis/gamekeeper.dev/v1/namespaces/a/games/b", "get gamekeeper.dev|games||a|b"),
            (
                "PATCH",
                "/apis/gamekeeper.dev/v1/namespaces/a/games/b/scale",
                "patch gamekeeper.dev|games|scale|a|b",
            ),
            (
                "DELETE",
                "/apis/gamekeeper.dev/v1/namespaces/a/games",
                "deletecollection gamekeeper.dev|games||a|",
            ),
            (
                "POST",
                "/apis/gamekeeper.dev/v1/namespaces/a/outbox/retry",
                "create gamekeeper.dev|outbox||a|retry",
            ),
            (
                "POST",
                "/apis/gamekeeper.dev/v1/controllers/gamekeeper/adopt",
                "create gamekeeper.dev|controllers|adopt|*|gamekeeper",
            ),
            ("GET", "/api/v1/namespaces/a/pods/b/log?follow=true", "get |pods|log|a|b"),
            ("GET", "/api/v1/namespaces/a/pods/b/exec?command=sh", "create |pods|exec|a|b"),
            ("GET", "/api/v1/namespaces/a/pods/b/portforward", "create |pods|portforward|a|b"),
            ("GET", "/api/v1/namespaces", "list |namespaces||*|"),
            ("GET", "/api/v1/namespaces/a", "get |namespaces||a|a"),
            ("BREW", "/api/v1/namespaces/a/pods/b", "update |pods||a|b"),
            ("GET", "/api/v1/namespaces/%61/pods/%2e%2e", "get |pods||a|.."),
            ("GET", "/api/v1/namespaces/a%2Fb/pods", "list |pods||a/b|"),
            ("GET", "/api/v1/namespaces/%ff/pods", "list |pods||\u{fffd}|"),
            ("GET", "/api/v1//namespaces/a/pods", "get ||a|*|namespaces"),
        ] {
            assert_eq!(shown(method, path), expected, "{method} {path}");
        }
    }
}
