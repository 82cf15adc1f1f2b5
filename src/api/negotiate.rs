//! In which form a client wants to read what it asks for: in full, as a table, or its metadata alone.
//!
//! Handlers answer in full, whoever asks. The answer is put into another form on its way out, so that
//! every kind has every form; of a watch, each line ([`lines`]). What is no JSON (a log) passes as it is.

mod lines;
mod lists;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::wire::{IncludeObject, META, metadata_of_one, partial, table};

/// Marks an answer whose body is the lines of a watch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Objects and lists of them, in full.
    Full,
    /// A `Table`.
    Table(IncludeObject),
    /// Objects without spec and status.
    Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FormParameters {
    include_object: Option<String>,
}

impl Form {
    /// What the headers and the parameters of a request ask for: the first form that we have.
    pub(super) fn wanted(headers: &HeaderMap, query: Option<&str>) -> Result<Self, ApiError> {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let form = accepted.flat_map(|value| value.split(',')).find_map(of_clause).unwrap_or(Self::Full);
        let Self::Table(_) = form else { return Ok(form) };
        let include = match parameters(query).include_object.as_deref() {
            None | Some("" | "Metadata") => IncludeObject::Metadata,
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            Some(_) => {
                let message = "includeObject is one of None, Metadata and Object";
                return Err(ApiError::BadRequest(message.into()));
            }
        };
        Ok(Self::Table(include))
    }

    /// An answer in full, in this form.
    fn of(self, answer: Value) -> Value {
        match self {
            Self::Full => answer,
            Self::Table(include) => {
                let kind = answer["kind"].as_str().unwrap_or_default();
                let now = Timestamp::now();
                let shown = match answer["items"].as_array() {
                    Some(items) => {
                        let kind = kind.strip_suffix("List").unwrap_or(kind);
                        table(kind, items, answer["metadata"].clone(), include, now)
                    }
                    None => {
                        table(kind, std::slice::from_ref(&answer), metadata_of_one(&answer), include, now)
                    }
                };
                json!(shown)
            }
            Self::Metadata => match answer["items"].as_array() {
                Some(items) => json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": META,
                    "metadata": answer["metadata"],
                    "items": items.iter().map(partial).collect::<Vec<_>>(),
                }),
                None => partial(&answer),
            },
        }
    }
}

/// The form that one clause of an Accept header asks for, if we have it.
fn of_clause(clause: &str) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let (mut form, mut group, mut version) = (None, None, None);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name {
            "as" => form = Some(value),
            "g" => group = Some(value),
            "v" => version = Some(value),
            _ => {}
        }
    }
    match (form, group, version) {
        (None, ..) => Some(Form::Full),
        (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Form::Table(IncludeObject::default())),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => {
            Some(Form::Metadata)
        }
        _ => None,
    }
}

fn parameters(query: Option<&str>) -> FormParameters {
    let uri = format!("/?{}", query.unwrap_or_default()).parse().ok();
    let parsed = uri.and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok());
    parsed.map(|axum::extract::Query(parameters)| parameters).unwrap_or_default()
}

/// Puts what a handler answers to a GET into the form that the client wants.
pub(super) async fn shape(request: Request, next: Next) -> Response {
    let query = request.uri().query().map(str::to_owned);
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let form = match Form::wanted(request.headers(), query.as_deref()) {
        Ok(form) => form,
        Err(error) => return error.into_response(),
    };
    let response = next.run(request).await;
    let json = HeaderValue::from_static("application/json");
    let is_json = response.headers().get(header::CONTENT_TYPE) == Some(&json);
    if form == Form::Full || !response.status().is_success() || !is_json {
        return response;
    }
    if response.extensions().get::<Lines>().is_some() {
        return response.map(|body| lines::shaped(form, body));
    }
    let (mut parts, body) = response.into_parts();
    let answer = match body.collect().await {
        Ok(answer) => answer.to_bytes(),
        Err(error) => return ApiError::Internal(error.into()).into_response(),
    };
    let shaped = match lists::shaped(form, &answer) {
        Ok(Some(list)) => Ok(list),
        Ok(None) => serde_json::from_slice(&answer).map(|one| form.of(one).to_string().into_bytes()),
        Err(error) => Err(error),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    match shaped {
        Ok(shaped) => Response::from_parts(parts, Body::from(shaped)),
        Err(error) => ApiError::Internal(error.into()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &str, query: &str) -> Result<Form, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Form::wanted(&headers, Some(query)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_form_that_there_is_is_taken() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(wanted(kubectl, "limit=500"), Ok(Form::Table(IncludeObject::Metadata)));
        assert_eq!(wanted(kubectl, "includeObject=Object"), Ok(Form::Table(IncludeObject::Object)));
        assert!(wanted(kubectl, "includeObject=some").is_err());
        assert_eq!(wanted("application/json", "includeObject=some"), Ok(Form::Full));
        assert_eq!(wanted("application/vnd.kubernetes.protobuf, */*", ""), Ok(Form::Full));
        let old = "application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json";
        assert_eq!(wanted(old, ""), Ok(Form::Full));
        let metadata = "application/json; as=PartialObjectMetadataList; g=meta.k8s.io; v=v1";
        assert_eq!(wanted(metadata, ""), Ok(Form::Metadata));
    }
}
