//! What is allowed: a pure function of what a caller was granted and of what is asked.
//!
//! A kind that is not named here is one that is read by every role, and written by operators: what is
//! added without a thought is never open to the lobby or to the public.

use super::asked::{Asked, Object, What};
use crate::game::access::{Grant, Role};
use crate::game::manifest::GROUP;

/// Tokens: who may ask at all.
const TOKENS: &str = "accesstokens";
/// What is in no namespace and read by those, too, who are held to some: clients cannot do without.
const READ_BY_ALL: [(&str, &str); 2] =
    [(GROUP, "engineversions"), ("apiextensions.k8s.io", "customresourcedefinitions")];
/// In whose name somebody else may ask.
const WHO: [&str; 2] = ["users", "groups"];
/// Where everybody may ask about themselves.
const ABOUT_ONESELF: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Refusal {
    /// No role of the caller's allows it anywhere; the strongest is this.
    Role(Option<Role>),
    /// It would be allowed in these namespaces.
    Namespaces(Vec<String>),
}

/// Whether one of these grants allows what is asked.
pub(in crate::api) fn decide(grants: &[Grant], asked: &Asked<'_>) -> Result<(), Refusal> {
    let mut namespaces = Vec::new();
    for grant in grants {
        if !role_allows(grant.role, asked) {
            continue;
        }
        if holds_there(grant, asked) {
            return Ok(());
        }
        namespaces.extend(grant.namespaces.iter().map(ToString::to_string));
    }
    if namespaces.is_empty() {
        return Err(Refusal::Role(grants.iter().map(|grant| grant.role).max()));
    }
    namespaces.sort_unstable();
    namespaces.dedup();
    Err(Refusal::Namespaces(namespaces))
}

/// Whether it would change something, and so is written down.
pub(in crate::api) fn changes(asked: &Asked<'_>) -> bool {
    match &asked.what {
        What::Path(_) => !reads(asked.verb),
        What::Object(object) => !asks_about_oneself(asked.verb, object) && !reads_object(asked.verb, object),
    }
}

fn role_allows(role: Role, asked: &Asked<'_>) -> bool {
    let object = match &asked.what {
        What::Path(_) => return reads(asked.verb) || matches!(role, Role::Operator | Role::Admin),
        What::Object(object) => object,
    };
    if asks_about_oneself(asked.verb, object) {
        return true;
    }
    match role {
        Role::Admin => true,
        // (A request for everything asks for these, too.)
        Role::Operator => !is_for_admins(asked.verb, object),
        Role::Lobby => {
            !is_for_admins(asked.verb, object) && (reads_object(asked.verb, object) || is_game(object))
        }
        Role::Viewer => !may_be_tokens(object) && reads_object(asked.verb, object),
    }
}

/// Whether a grant holds where this is.
fn holds_there(grant: &Grant, asked: &Asked<'_>) -> bool {
    if grant.namespaces.is_empty() {
        return true;
    }
    let object = match &asked.what {
        // What is told there is of everything there is.
        What::Path(path) => return reads(asked.verb) && path != "/metrics",
        What::Object(object) => object,
    };
    match &object.namespace {
        Some(namespace) if !namespace.is_empty() => {
            grant.namespaces.iter().any(|held| held.as_str() == &**namespace)
        }
        _ => asks_about_oneself(asked.verb, object) || (reads(asked.verb) && is(object, &READ_BY_ALL)),
    }
}

fn reads(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

fn reads_object(verb: &str, object: &Object<'_>) -> bool {
    // A plan is asked for by sending a manifest, and changes nothing.
    let plans = verb == "create" && is_game(object) && object.subresource == "plan";
    let acts = matches!(&*object.subresource, "exec" | "attach" | "portforward" | "proxy" | "*");
    plans || (reads(verb) && !acts)
}

fn is(object: &Object<'_>, kinds: &[(&str, &str)]) -> bool {
    kinds.iter().any(|(group, resource)| object.group == *group && object.resource == *resource)
}

fn asks_about_oneself(verb: &str, object: &Object<'_>) -> bool {
    verb == "create" && is(object, &ABOUT_ONESELF)
}

fn is_game(object: &Object<'_>) -> bool {
    is(object, &[(GROUP, "games")])
}

fn is_for_admins(verb: &str, object: &Object<'_>) -> bool {
    may_be_tokens(object) || may_be_impersonation(verb, object)
}

fn may_be_impersonation(verb: &str, object: &Object<'_>) -> bool {
    let is_anybody = object.resource == "*" || WHO.contains(&&*object.resource);
    verb == "impersonate" || (verb == "*" && is_anybody)
}

fn may_be_tokens(object: &Object<'_>) -> bool {
    let is = |part: &str, whole: &str| part == whole || part == "*";
    is(&object.group, GROUP) && is(&object.resource, TOKENS)
}

impl Refusal {
    /// For the caller of this name, who is known by this: what is wrong, and what to do.
    pub(in crate::api) fn told(&self, who: &str, by: &str, asked: &Asked<'_>) -> String {
        let what = match &asked.what {
            What::Path(path) => format!("{} {}", asked.verb, shortened(path)),
            What::Object(object) => {
                let Object { group, resource, subresource, namespace, name: _ } = object;
                let below = if subresource.is_empty() { "" } else { "/" };
                let dot = if group.is_empty() { "" } else { "." };
                let place = match namespace {
                    Some(namespace) => format!(" in namespace \"{}\"", shortened(namespace)),
                    None => String::new(),
                };
                let kind = shortened(&format!("{resource}{dot}{group}{below}{subresource}"));
                format!("{} {kind}{place}", asked.verb)
            }
        };
        let why = match self {
            Self::Role(None) => "has no role here".to_owned(),
            Self::Role(_) if matches!(&asked.what, What::Object(object) if is_for_admins(asked.verb, object)) => {
                "does not allow it; it needs an admin's".into()
            }
            Self::Role(Some(Role::Viewer)) => "only reads; use the token of an operator".into(),
            Self::Role(Some(Role::Lobby)) => {
                "changes games and nothing else; use the token of an operator".into()
            }
            Self::Role(Some(Role::Operator | Role::Admin)) => "does not allow it; it needs an admin's".into(),
            Self::Namespaces(allowed) => {
                let s = if allowed.len() == 1 { "" } else { "s" };
                format!("is good for the namespace{s} {} alone; ask there (-n)", allowed.join(", "))
            }
        };
        format!("{} may not {what}: this {by} {why}", shortened(who))
    }
}

fn shortened(text: &str) -> String {
    let kept: String = text.chars().take(128).collect();
    kept.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
