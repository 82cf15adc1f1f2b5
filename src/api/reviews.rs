//! Questions about oneself: `kubectl auth can-i`, `can-i --list` and `whoami`.
//!
//! The answers come from the function that decides about every request. From 1.32 on kubectl asks in
//! protobuf ([`protobuf`]) and reads an answer in JSON.

mod protobuf;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;

use super::Shared;
use super::auth::Caller;
use super::auth::asked::{Asked, Object, What};
use super::auth::decide::decide;
use super::body::RawBody;
use super::error::ApiError;
use super::request::Write;
use super::wire::{
    self, AccessReview, AccessReviewStatus, NonResourceAttributes, NonResourceRule, ResourceAttributes,
    ResourceRule, RulesReview, RulesReviewStatus, SelfReview, SelfReviewStatus, UserInfo,
};
use crate::game::access::Grant;
use protobuf::FromProtobuf;

/// Below which paths what no object is may be read.
const PATHS: [&str; 8] =
    ["/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/version", "/livez", "/readyz"];

/// The paths of `authorization.k8s.io/v1`.
pub(super) fn authorization() -> Router<Shared> {
    Router::new()
        .route("/selfsubjectaccessreviews", post(access))
        .route("/selfsubjectrulesreviews", post(rules))
}

/// The paths of `authentication.k8s.io/v1`, and of `v1beta1`, which kubectl 1.27 asks for unseen.
pub(super) fn authentication(version: &'static str) -> Router<Shared> {
    let whoami = move |shared, caller, request| whoami(version, shared, caller, request);
    Router::new().route("/selfsubjectreviews", post(whoami))
}

/// A question, read.
async fn question<T: DeserializeOwned + FromProtobuf>(
    shared: &Shared,
    mut request: Request,
) -> Result<T, ApiError> {
    use axum::RequestExt;
    use axum::extract::FromRequest;
    // Nothing is written, whatever is said of how; what makes no sense is refused all the same.
    let _: Write = request.extract_parts_with_state(shared).await?;
    let body = RawBody::from_request(request, shared).await?;
    match body.protobuf() {
        Some(bytes) => protobuf::read(bytes),
        None => body.read(),
    }
}

fn answer(review: impl Serialize) -> Response {
    (StatusCode::CREATED, Json(review)).into_response()
}

/// `POST …/selfsubjectaccessreviews`.
async fn access(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let AccessReview { spec, .. } = question(&shared, request).await?;
    let decided = match (&spec.resource_attributes, &spec.non_resource_attributes) {
        (Some(about), None) => caller.may(&of_object(about)),
        (None, Some(NonResourceAttributes { path, verb })) => {
            let verb = verb.to_ascii_lowercase();
            caller.may(&Asked { verb: &verb, what: What::Path(path.as_str().into()) })
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = "spec has to have one of resourceAttributes and nonResourceAttributes";
            return Err(ApiError::BadRequest(message.into()));
        }
    };
    let reason = decided.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Ok(answer(AccessReview {
        api_version: "authorization.k8s.io/v1".into(),
        kind: "SelfSubjectAccessReview".into(),
        metadata: Map::new(),
        spec,
        status: AccessReviewStatus { allowed: decided.is_ok(), reason },
    }))
}

fn of_object(about: &ResourceAttributes) -> Asked<'_> {
    let ResourceAttributes { namespace, verb, group, version: _, resource, subresource, name } = about;
    // kubectl names a namespace whatever the kind.
    let in_none = wire::routes().iter().any(|kind| {
        !kind.namespaced && kind.group == group && kind.resource.split('/').next() == Some(resource.as_str())
    });
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty() && !in_none);
    let object = Object {
        group: group.as_str().into(),
        resource: resource.as_str().into(),
        subresource: subresource.as_str().into(),
        namespace: namespace.map(|namespace| namespace.as_str().into()),
        name: name.as_str().into(),
    };
    Asked { verb, what: What::Object(object) }
}

/// `POST …/selfsubjectrulesreviews`.
async fn rules(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let RulesReview { spec, .. } = question(&shared, request).await?;
    let mut resource_rules = Vec::new();
    for kind in wire::routes() {
        let (resource, subresource) = kind.resource.split_once('/').unwrap_or((&kind.resource, ""));
        let may = |verb: &&&str| {
            let namespace = kind.namespaced.then(|| spec.namespace.as_str().into());
            let (group, resource) = (kind.group.into(), resource.into());
            let object =
                Object { group, resource, subresource: subresource.into(), namespace, name: "".into() };
            decide(&caller.grants, &Asked { verb, what: What::Object(object) }).is_ok()
        };
        let verbs: Vec<String> = kind.verbs.iter().filter(may).map(ToString::to_string).collect();
        if !verbs.is_empty() {
            let (api_groups, resources) = (vec![kind.group.to_owned()], vec![kind.resource.clone()]);
            resource_rules.push(ResourceRule { verbs, api_groups, resources });
        }
    }
    let somebody = Object { resource: "users".into(), ..Object::default() };
    if decide(&caller.grants, &Asked { verb: "impersonate", what: What::Object(somebody) }).is_ok() {
        resource_rules.push(ResourceRule {
            verbs: vec!["impersonate".into()],
            api_groups: vec![String::new()],
            resources: vec!["users".into(), "groups".into()],
        });
    }
    let metrics = Asked { verb: "get", what: What::Path("/metrics".into()) };
    let metrics = decide(&caller.grants, &metrics).is_ok().then_some("/metrics");
    let paths = PATHS.into_iter().chain(metrics).map(str::to_owned).collect();
    let non_resource_rules = vec![NonResourceRule { verbs: vec!["get".into()], non_resource_urls: paths }];
    Ok(answer(RulesReview {
        api_version: "authorization.k8s.io/v1".into(),
        kind: "SelfSubjectRulesReview".into(),
        metadata: Map::new(),
        spec,
        status: RulesReviewStatus { resource_rules, non_resource_rules, incomplete: false },
    }))
}

/// `POST …/selfsubjectreviews`.
async fn whoami(
    version: &'static str,
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let SelfReview { .. } = question(&shared, request).await?;
    let groups = caller.grants.iter().flat_map(groups).collect();
    let metadata = Map::from_iter([("creationTimestamp".to_owned(), Timestamp::now().to_string().into())]);
    Ok(answer(SelfReview {
        api_version: format!("authentication.k8s.io/{version}"),
        kind: "SelfSubjectReview".into(),
        metadata,
        status: SelfReviewStatus { user_info: UserInfo { username: caller.name.to_string(), groups } },
    }))
}

fn groups(grant: &Grant) -> Vec<String> {
    let role = grant.role.word();
    match grant.namespaces.as_slice() {
        [] => vec![format!("gamekeeper:{role}")],
        namespaces => namespaces.iter().map(|name| format!("gamekeeper:{role}:{name}")).collect(),
    }
}
