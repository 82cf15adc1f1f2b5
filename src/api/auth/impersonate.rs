//! Impersonation: who asks in the name of somebody else (`kubectl --as`).
//!
//! It is for admins of everything, to see what others see and to try what they may do. A request that asks
//! for it is answered as the other's, or refused: never as the admin's own.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::asked::{Asked, Object, What};
use super::certificate::granted_to;
use super::known::Known;
use super::{By, Caller};
use crate::api::error::ApiError;
use crate::game::access::Grant;

/// The beginning of every header of the kind.
const PREFIX: &str = "impersonate-";
const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// The longest name: what is written down of a change has room for it and for the admin's.
const LONGEST: usize = 100;
/// More groups than anybody is in.
const MOST_GROUPS: usize = 32;

/// In whose name a request asks.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    user: String,
    groups: Vec<String>,
}

/// The caller that a request is to be taken for, if it names one and its own may do that.
///
/// # Errors
/// The caller may not, or what it names is nobody's name.
pub(in crate::api) fn stand_in(
    caller: &Caller,
    known: &Known,
    headers: &HeaderMap,
) -> Result<Option<Caller>, ApiError> {
    let Some(Wanted { user, groups }) = wanted(headers)? else { return Ok(None) };
    let of = |resource: &'static str, name: &str| {
        let object = Object { resource: resource.into(), name: name.to_owned().into(), ..Object::default() };
        caller.may(&Asked { verb: "impersonate", what: What::Object(object) })
    };
    of("users", &user)?;
    groups.iter().try_for_each(|group| of("groups", group))?;
    let mut grants: Vec<Grant> = known.grants_of(&user);
    for group in &groups {
        // As an organisation in a certificate; all other groups mean nothing here.
        grants.extend(granted_to(group).map_err(|why| wrong(format!("Impersonate-Group `{group}`: {why}")))?);
    }
    Ok(Some(Caller {
        name: user.into(),
        by: By::Impersonation,
        grants: grants.into(),
        ends: caller.ends,
        revoked: caller.revoked.clone(),
        behind: Some(caller.key()),
    }))
}

fn wanted(headers: &HeaderMap) -> Result<Option<Wanted>, ApiError> {
    let others = |name: &&HeaderName| name.as_str().starts_with(PREFIX) && ![USER, GROUP].contains(name);
    if let Some(name) = headers.keys().find(others) {
        return Err(wrong(format!("{name}: nobody is known by that here; name a user and groups alone")));
    }
    let mut users = headers.get_all(USER).iter();
    let groups: Vec<String> = headers.get_all(GROUP).iter().map(text).collect::<Result<_, _>>()?;
    let user = match (users.next().map(text).transpose()?, users.next()) {
        (Some(user), None) => user,
        (Some(_), Some(_)) => return Err(wrong("Impersonate-User is there twice; name one user".into())),
        (None, _) if groups.is_empty() => return Ok(None),
        (None, _) => {
            return Err(wrong("Impersonate-Group without Impersonate-User; name a user, too".into()));
        }
    };
    if groups.len() > MOST_GROUPS {
        return Err(wrong(format!("more than {MOST_GROUPS} groups are named")));
    }
    Ok(Some(Wanted { user, groups }))
}

fn text(value: &HeaderValue) -> Result<String, ApiError> {
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let is_name = (1..=LONGEST).contains(&text.chars().count()) && !text.contains(char::is_control);
    if !is_name {
        let message = format!("the user and each group have 1 to {LONGEST} printable characters");
        return Err(wrong(message));
    }
    Ok(text.to_owned())
}

fn wrong(what: String) -> ApiError {
    ApiError::BadRequest(format!("impersonation: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: &[(&'static str, &str)]) -> Result<Option<Wanted>, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        wanted(&headers).map_err(|error| error.to_string())
    }

    #[test]
    fn who_is_named_is_read_and_what_names_nobody_is_refused() {
        assert_eq!(read(&[("accept", "*/*")]), Ok(None));
        let both = read(&[("impersonate-user", "ann"), ("impersonate-group", "gamekeeper:viewer")]);
        assert_eq!(both, Ok(Some(Wanted { user: "ann".into(), groups: vec!["gamekeeper:viewer".into()] })));
        let long = "a".repeat(101);
        for (sent, why) in [
            (&[("impersonate-group", "g")][..], "without Impersonate-User"),
            (&[("impersonate-user", "a"), ("impersonate-user", "b")], "twice"),
            (&[("impersonate-user", "")], "1 to 100 printable"),
            (&[("impersonate-user", &long)], "1 to 100 printable"),
            (&[("impersonate-user", "a\tb")], "1 to 100 printable"),
            (&[("impersonate-user", "a"), ("impersonate-uid", "u")], "impersonate-uid"),
            (&[("impersonate-extra-scopes", "all")], "impersonate-extra-scopes"),
        ] {
            assert!(read(sent).unwrap_err().contains(why), "{sent:?}");
        }
        let many = vec![("impersonate-group", "g"); 33];
        assert!(
            read(&[&[("impersonate-user", "a")][..], &many].concat()).unwrap_err().contains("more than 32")
        );
    }
}
