//! Lists and watches, as they are asked for.

use std::ops::Bound;
use std::sync::Arc;

use axum::response::Response;

use super::asked::Asked;
use super::form;
use super::object::{Entry, Key};
use super::pages::Mark;
use super::served::Served;
use super::state::{Kind, Snapshot};
use super::watch;
use super::{Hub, Unknown};
use crate::api::Shared;
use crate::api::error::ApiError;
use crate::api::select::{ListParameters, Selection, VersionMatch};
use crate::api::wire::ListMeta;
use crate::store::ObjectEvent;

/// Which objects of a kind are wanted.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) served: Served,
    /// Those in this namespace; else all.
    pub(super) namespace: Option<String>,
    pub(super) selection: Selection,
}

impl Scope {
    /// What is served of something that is held, if it is wanted.
    pub(super) fn sees(&self, held: &Arc<Entry>) -> Option<Arc<Entry>> {
        let key = held.key();
        let within = self.namespace.as_deref().is_none_or(|namespace| *namespace == *key.namespace);
        // What is made of it has its name and labels: of others nothing need be made.
        let admits = self.selection.admits("metadata.name", &key.name)
            && self.selection.admits_labels(|label| self.served.label(held, label));
        if !within || !admits {
            return None;
        }
        let wanted =
            |entry: &Arc<Entry>| self.selection.wants(&entry.draft.labels, |field| entry.field(field));
        self.served.of(held).filter(wanted)
    }

    /// The objects of a snapshot that are wanted, behind this one.
    pub(super) fn of<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        last: Option<Key>,
    ) -> impl Iterator<Item = Arc<Entry>> + 'a {
        let first = match (last, &self.namespace) {
            (Some(last), _) => Bound::Excluded(last),
            (None, Some(namespace)) => Bound::Included(Key::new(namespace, "")),
            (None, None) => Bound::Unbounded,
        };
        let within = |key: &Key| self.namespace.as_deref().is_none_or(|name| *name == *key.namespace);
        let all = snapshot.objects.range((first, Bound::Unbounded)).take_while(move |(key, _)| within(key));
        all.filter_map(|(_, entry)| self.sees(entry))
    }
}

/// Answers a question for the objects of a kind, in one namespace or in all of them. `fields` can
/// be selected by.
pub(in crate::api) async fn list(
    shared: &Shared,
    served: impl Into<Served>,
    namespace: Option<String>,
    fields: &[&str],
    asked: Asked,
) -> Result<Response, ApiError> {
    let Asked { parameters, who } = asked;
    let served = served.into();
    let kind = served.held;
    let scope = Scope { served, namespace, selection: parameters.selectors(fields)? };
    if parameters.watches() {
        return watch::answer(shared, scope, &parameters, who).await;
    }
    parameters.refuse_watching_alone()?;
    let hub = &shared.hub;
    let (snapshot, last) = match parameters.continued() {
        Some(text) => {
            let (snapshot, last) = go_on(hub, kind, text)?;
            (snapshot, Some(last))
        }
        None => (begin(hub, kind, &parameters).await?, None),
    };
    let limit = parameters.page()?;
    let (metadata, mut items) = page(hub, kind, &scope, snapshot, last, limit);
    if let (Some(latest), None) = (parameters.latest()?, limit) {
        items.drain(..items.len().saturating_sub(latest));
    }
    Ok(form::list(served, metadata, items))
}

/// A list of events that were read beside what is held, as far as they are wanted.
pub(in crate::api) fn list_read(
    hub: &Hub,
    served: Served,
    version: u64,
    read: Vec<ObjectEvent>,
    wanted: &Selection,
) -> Response {
    let metadata = ListMeta { resource_version: version.to_string(), ..ListMeta::default() };
    let read = hub.dressed_events(read);
    let shown = read.iter().filter_map(|event| served.of(event));
    let wanted = shown.filter(|entry| wanted.wants(&entry.draft.labels, |field| entry.field(field)));
    form::list(served, metadata, wanted.collect())
}

/// The snapshot that the first page is of.
async fn begin(hub: &Hub, kind: Kind, parameters: &ListParameters) -> Result<Snapshot, ApiError> {
    match parameters.version()? {
        (None, None) => Ok(hub.latest(kind).await?),
        (None, Some(_)) => {
            Err(ApiError::BadRequest("resourceVersionMatch goes with a resourceVersion".into()))
        }
        (Some(0), Some(VersionMatch::Exact)) => {
            Err(ApiError::BadRequest("resourceVersion 0 is any version, and none exactly".into()))
        }
        (Some(version), exactly) => {
            hub.loaded(kind).await?;
            let snapshot = hub.snapshot(kind);
            match exactly {
                Some(VersionMatch::Exact) if snapshot.version != version => exact(hub, kind, version),
                _ if version > snapshot.version => Err(expired(Unknown::Ahead)),
                _ => Ok(snapshot),
            }
        }
    }
}

fn exact(hub: &Hub, kind: Kind, version: u64) -> Result<Snapshot, ApiError> {
    if let Some(kept) = hub.pages.find(kind, version) {
        return Ok(kept);
    }
    let state = hub.state();
    match state.after(kind, version, 1) {
        // Nothing of the kind has changed since.
        Ok(changes) if changes.is_empty() => Ok(Snapshot { version, ..state.snapshot(kind) }),
        Ok(_) => Err(expired(Unknown::TooOld)),
        Err(unknown) => Err(expired(unknown)),
    }
}

/// The snapshot of the page before, and its last object.
fn go_on(hub: &Hub, kind: Kind, text: &str) -> Result<(Snapshot, Key), ApiError> {
    let mark = Mark::from_text(text).ok_or_else(|| {
        ApiError::BadRequest("the continue token is none of this server's; list from the beginning".into())
    })?;
    let snapshot = hub.pages.find(kind, mark.version).ok_or_else(|| {
        ApiError::Expired(
            "the list that this continue token belongs to is no longer kept; list from the beginning".into(),
        )
    })?;
    Ok((snapshot, mark.last()))
}

fn page(
    hub: &Hub,
    kind: Kind,
    scope: &Scope,
    snapshot: Snapshot,
    last: Option<Key>,
    limit: Option<usize>,
) -> (ListMeta, Vec<Arc<Entry>>) {
    let mut metadata = ListMeta { resource_version: snapshot.version.to_string(), ..ListMeta::default() };
    let Some(limit) = limit else {
        let mut items: Vec<_> = scope.of(&snapshot, last).collect();
        items.sort_by_key(|entry| entry.draft.rank);
        return (metadata, items);
    };
    let mut wanted = scope.of(&snapshot, last);
    let items: Vec<_> = wanted.by_ref().take(limit).collect();
    let more = wanted.next().is_some();
    if let Some(last) = items.last().filter(|_| more) {
        metadata.continued = Mark::new(snapshot.version, last.key()).to_text();
        // What is made on the way out is not made to be counted.
        if scope.selection.is_everything() && scope.served.is_held() {
            metadata.remaining_item_count = Some(1 + wanted.count() as u64);
        }
        hub.pages.keep(kind, snapshot.clone());
    }
    (metadata, items)
}

/// What a client is told whose version is none that can be gone on from.
pub(super) fn expired(unknown: Unknown) -> ApiError {
    ApiError::Expired(match unknown {
        Unknown::TooOld => {
            "too old resource version: what has changed since is no longer known; list again".into()
        }
        Unknown::Ahead => {
            "the resource version is none of this server's, which may have been started since; list again"
                .into()
        }
    })
}
