//! Tokens: made, listed, taken away. Only who may do everything comes here.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use uuid::Uuid;

use super::Shared;
use super::auth::{PREFIX, digest, mint};
use super::body::RawBody;
use super::change::Answer;
use super::error::ApiError;
use super::request::{Names, Parameters, Write, delete_options};
use super::select::ListParameters;
use super::wire::{ACCESS_TOKENS, AccessTokenManifest, AccessTokenObject, AccessTokenSpec, List, Status};
use super::write::{name_of, refuse_version_at_creation};
use crate::game::Namespace;
use crate::game::access::{AccessToken, Grant, NewToken};
use crate::game::manifest::{API_VERSION, SpecProblem};
use crate::store::{Preconditions, WriteError};

const FIELDS: [&str; 1] = ["metadata.name"];
/// More namespaces than anybody lists one by one.
const MOST_NAMESPACES: usize = 100;

/// `GET …/accesstokens`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<AccessTokenObject>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    // There are so few that they are one page, whatever its length was to be.
    parameters.page()?;
    let (now, none) = (Timestamp::now(), BTreeMap::new());
    let wanted = |token: &AccessToken| {
        let name = token.token.name.as_str();
        selection.wants(&none, |field| (field == "metadata.name").then_some(name))
    };
    let found = shared.api.store.access_tokens().await?.into_iter().filter(wanted);
    let items = found.map(|token| AccessTokenObject::new(token, now)).collect();
    Ok(Json(List::new(API_VERSION, ACCESS_TOKENS.kind, shared.hub.version(), items)))
}

/// `GET …/accesstokens/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names(name): Names<String>,
) -> Result<Json<AccessTokenObject>, ApiError> {
    Ok(Json(AccessTokenObject::new(present(&shared, &name).await?, Timestamp::now())))
}

/// `POST …/accesstokens`. The answer has the token, and nothing has it again.
pub(super) async fn create(
    State(shared): State<Shared>,
    write: Write,
    body: RawBody,
) -> Result<Answer<AccessTokenObject>, ApiError> {
    let mut warnings = Vec::new();
    let body = body.object_as(write.validation, &mut warnings)?;
    let name: String = name_of(&body);
    let wrong = |problems| ApiError::Invalid { resource: ACCESS_TOKENS, name: name.clone(), problems };
    let manifest: AccessTokenManifest = serde_path_to_error::deserialize(body)
        .map_err(|error| wrong(vec![SpecProblem::new(error.path().to_string(), error.inner())]))?;
    refuse_version_at_creation(&manifest.metadata)?;
    let now = Timestamp::now();
    let new = validated(&shared, &manifest, now).map_err(wrong)?;
    let token = format!("{PREFIX}{}", mint());
    let store = &shared.api.store;
    let kept = if write.dry_run {
        if store.access_tokens().await?.iter().any(|token| token.token.name == new.name) {
            return Err(ApiError::AlreadyExists { resource: ACCESS_TOKENS, name });
        }
        let created_by = write.author.requested_by.clone();
        AccessToken { id: Uuid::nil(), token: new, digest: digest(&token), created_by, created_at: now }
    } else {
        let kept = store.create_token(&new, digest(&token), &write.author).await;
        let kept = kept.map_err(|error| refused(&name, error))?;
        shared.known.look().await?;
        tracing::info!(
            who = write.author.requested_by,
            token = %kept.token.name,
            role = kept.token.grant.role.word(),
            namespaces = ?kept.token.grant.namespaces,
            expires_at = kept.token.expires_at.map(tracing::field::display),
            "an access token was made"
        );
        kept
    };
    let mut object = AccessTokenObject::new(kept, now);
    object.status.token = (!write.dry_run).then_some(token);
    Ok(Answer::created(object).after(warnings))
}

/// `DELETE …/accesstokens/{name}`.
pub(super) async fn delete(
    State(shared): State<Shared>,
    Names(name): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Status>, ApiError> {
    let (Preconditions { uid, resource_version: _ }, tried) = delete_options(body.optional()?)?;
    if write.dry_run || tried {
        present(&shared, &name).await?;
        return Ok(Json(Status::deleted(ACCESS_TOKENS, &name)));
    }
    let preconditions = Preconditions { uid, resource_version: None };
    let gone = shared.api.store.delete_token(&name, &preconditions).await;
    gone.map_err(|error| refused(&name, error))?;
    // From here on it is refused.
    shared.known.look().await?;
    tracing::info!(who = write.author.requested_by, token = name, "an access token was revoked");
    Ok(Json(Status::deleted(ACCESS_TOKENS, &name)))
}

async fn present(shared: &Shared, name: &str) -> Result<AccessToken, ApiError> {
    let mut all = shared.api.store.access_tokens().await?.into_iter();
    let found = all.find(|token| token.token.name.as_str() == name);
    found.ok_or_else(|| ApiError::NotFound { resource: ACCESS_TOKENS, name: name.to_owned() })
}

fn refused(name: &str, error: WriteError) -> ApiError {
    match error {
        WriteError::AlreadyExists => ApiError::Conflict {
            resource: ACCESS_TOKENS,
            name: name.to_owned(),
            why: "there is one of this name, and a token never changes; revoke it first, or choose another \
                  name"
                .into(),
        },
        error => ApiError::of_write(ACCESS_TOKENS, name, error),
    }
}

fn validated(
    shared: &Shared,
    manifest: &AccessTokenManifest,
    now: Timestamp,
) -> Result<NewToken, Vec<SpecProblem>> {
    let AccessTokenManifest { api_version, kind, metadata, spec, status: _ } = manifest;
    let AccessTokenSpec { role, namespaces, expires_at } = spec;
    let mut problems = Vec::new();
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, ACCESS_TOKENS.kind) {
        let message = format!("send an {} of {API_VERSION}", ACCESS_TOKENS.kind);
        problems.push(SpecProblem::new("kind", message));
    }
    if metadata.namespace.as_ref().is_some_and(|namespace| !namespace.is_empty()) {
        let message = "a token is in no namespace; name those that it is good for in spec.namespaces";
        problems.push(SpecProblem::new("metadata.namespace", message));
    }
    if !metadata.labels.is_empty() || !metadata.annotations.keys().all(|key| is_kubectls(key)) {
        let message = "a token has neither labels nor annotations; leave them out";
        problems.push(SpecProblem::new("metadata.labels", message));
    }
    if shared.known.is_taken(&metadata.name) {
        let message = "is the name of a token in the server's data directory; choose another one";
        problems.push(SpecProblem::new("metadata.name", message));
    }
    if expires_at.is_some_and(|end| end <= now) {
        problems.push(SpecProblem::new("spec.expiresAt", "is past; name a time to come"));
    }
    if namespaces.len() > MOST_NAMESPACES {
        let message = format!("has more than {MOST_NAMESPACES} namespaces; leave it out for all of them");
        problems.push(SpecProblem::new("spec.namespaces", message));
    }
    let mut noted = |field: &str, wrong: String| problems.push(SpecProblem::new(field, wrong));
    let name = metadata.name.parse();
    let name =
        name.map_err(|error: crate::game::id::InvalidId| noted("metadata.name", error.to_string())).ok();
    let role = role.parse().map_err(|wrong| noted("spec.role", wrong)).ok();
    let mut held = Vec::new();
    for (at, namespace) in namespaces.iter().enumerate().take(MOST_NAMESPACES) {
        match namespace.parse::<Namespace>() {
            Ok(namespace) if held.contains(&namespace) => {}
            Ok(namespace) => held.push(namespace),
            Err(error) => noted(&format!("spec.namespaces[{at}]"), error.to_string()),
        }
    }
    match (name, role) {
        (Some(name), Some(role)) if problems.is_empty() => {
            Ok(NewToken { name, grant: Grant { role, namespaces: held }, expires_at: *expires_at })
        }
        _ => Err(problems),
    }
}

/// `kubectl apply` puts what it applied there.
fn is_kubectls(key: &str) -> bool {
    key == "kubectl.kubernetes.io/last-applied-configuration"
}
