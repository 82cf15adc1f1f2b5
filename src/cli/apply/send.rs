//! One manifest, sent: created, or merged into what is there.

use serde_json::Value;

use super::merge;
use crate::cli::client::{Client, Object, Writing};
use crate::cli::failure::{Exit, Failure};
use crate::cli::files::Document;

/// So often a change is computed again when somebody else was faster.
const ATTEMPTS: usize = 5;

/// What became of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was nothing of this name.
    Created,
    /// What was there differed.
    Configured,
    /// What was there says the same.
    Unchanged,
}

/// A manifest that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The object as it was, if it was there.
    pub(crate) before: Option<Object>,
    /// The object as it is, or would be.
    pub(crate) after: Object,
}

/// Sends a manifest as what it changes of what is there.
pub(crate) async fn send(client: &Client, document: &Document, how: Writing) -> Result<Sent, Failure> {
    let Document { target, namespace, written, place } = document;
    let address = target.address(namespace);
    let pinned = written["metadata"].get("resourceVersion").is_some_and(|version| !version.is_null());
    let mut attempt = 1;
    loop {
        let before = client.find(address).await?;
        let (outcome, sent) = match &before {
            None => {
                let body = merge::to_create(target.kind, namespace, written);
                (Outcome::Created, client.create(address, &body, how).await)
            }
            Some(live) => {
                refuse_another(written, live).map_err(|failure| failure.of(place))?;
                match merge::three_way(target.kind, written, live) {
                    None => (Outcome::Unchanged, Ok(live.clone())),
                    Some(patch) => (Outcome::Configured, client.patch(address, &patch, how).await),
                }
            }
        };
        match sent {
            // It came, went or changed between the question and the change: look again.
            Err(error) if attempt < ATTEMPTS && !pinned && (error.is_conflict() || error.is_not_found()) => {
                attempt += 1
            }
            Err(error) => return Err(at(document, Failure::from(error))),
            Ok(after) => return Ok(Sent { outcome, before, after }),
        }
    }
}

/// A manifest that names the identity of an object that is gone is meant for that one.
fn refuse_another(written: &Value, live: &Object) -> Result<(), Failure> {
    match written.pointer("/metadata/uid").and_then(Value::as_str) {
        Some(uid) if Some(uid) != live.text("/metadata/uid") => Err(Failure::new(
            Exit::Conflict,
            "metadata.uid: is not that of the object there, which is another one of the same name",
        )
        .hint("leave metadata.uid out to change it all the same")),
        _ => Ok(()),
    }
}

/// What the server refuses, at the document's place.
fn at(document: &Document, failure: Failure) -> Failure {
    if failure.exit() == Exit::Unreachable {
        return failure;
    }
    failure.of(&document.target).of(&document.place)
}
