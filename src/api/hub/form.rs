//! How objects that are held are written out, in full: lists, and the lines of a watch. Whoever wants
//! another form gets it made of these ([`crate::api::negotiate`]).

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use super::object::{Entry, Shown};
use super::served::Served;
use crate::api::error::ApiError;
use crate::api::wire::{List, ListMeta, Status};

/// So much of a list is made at a time.
const PIECE: usize = 64 << 10;

/// What a line of a watch tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Added,
    Modified,
    Deleted,
}

impl Told {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A list of objects that are held.
pub(super) fn list(served: Served, metadata: ListMeta, items: Vec<Arc<Entry>>) -> Response {
    let head = List::<()> {
        api_version: served.api_version.into(),
        kind: format!("{}List", served.resource.kind),
        metadata,
        items: Vec::new(),
    };
    match serde_json::to_vec(&head) {
        Ok(head) => of_json(pieces(head, items)).into_response(),
        Err(error) => ApiError::Internal(error.into()).into_response(),
    }
}

/// A line of a watch.
pub(super) fn line(out: &mut Vec<u8>, told: Told, object: Shown<'_>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(told.word().as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    object.write(out);
    out.extend_from_slice(b"}\n");
}

/// The line that says how far a watch has come; and, after what there was, that this was all.
pub(super) fn bookmark(out: &mut Vec<u8>, served: Served, version: u64, that_was_all: bool) {
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if that_was_all {
        metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
    }
    let object =
        json!({ "kind": served.resource.kind, "apiVersion": served.api_version, "metadata": metadata });
    own_line(out, "BOOKMARK", &object);
}

/// The last line of a watch that cannot go on.
pub(super) fn error(out: &mut Vec<u8>, status: &Status) {
    own_line(out, "ERROR", &json!(status));
}

fn own_line(out: &mut Vec<u8>, word: &str, object: &serde_json::Value) {
    out.extend_from_slice(json!({ "type": word, "object": object }).to_string().as_bytes());
    out.push(b'\n');
}

/// A body of JSON.
pub(super) fn of_json(body: Body) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], body)
}

/// The list, made as fast as it is read: a client that is slow to read holds no copy of all of it.
fn pieces(mut head: Vec<u8>, items: Vec<Arc<Entry>>) -> Body {
    // It ends in `[]}`.
    head.truncate(head.len().saturating_sub(2));
    let mut items = items.into_iter().enumerate().peekable();
    let mut next = move |mut out: Vec<u8>| {
        while out.len() < PIECE {
            let Some((at, item)) = items.next() else { break };
            if at > 0 {
                out.push(b',');
            }
            item.shown().write(&mut out);
        }
        let more = items.peek().is_some();
        if !more {
            out.extend_from_slice(b"]}");
        }
        (Bytes::from(out), more)
    };
    let (first, more) = next(head);
    if !more {
        return Body::from(first);
    }
    let rest = futures::stream::unfold((true, next), |(more, mut next)| async move {
        if !more {
            return None;
        }
        let (piece, more) = next(Vec::with_capacity(PIECE + PIECE / 4));
        Some((Ok::<_, Infallible>(piece), (more, next)))
    });
    use futures::StreamExt;
    Body::from_stream(futures::stream::once(async move { Ok(first) }).chain(rest))
}
