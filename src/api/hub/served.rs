//! What is listed and watched: what is held, or what is made of it on its way out. Of the latter
//! nothing is kept.

use std::sync::Arc;

use super::object::{Draft, Entry};
use super::sources::or_left_out;
use super::state::Kind;
use crate::api::wire::{
    DEPLOYMENTS, Deployment, EVENTS_OF_GROUP, GAME_LABEL, GroupEvent, PODS, Pod, Resource, Source,
};

/// A kind of object as clients see it.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Served {
    /// What it is made of.
    pub(super) held: Kind,
    pub(super) resource: Resource,
    pub(super) api_version: &'static str,
    /// How; none if it is that.
    made: Option<fn(&Entry) -> Option<Draft>>,
}

impl From<Kind> for Served {
    fn from(held: Kind) -> Self {
        Self { held, resource: held.resource(), api_version: held.api_version(), made: None }
    }
}

impl Served {
    /// The games' Pods.
    pub(in crate::api) const PODS: Self =
        Self { held: Kind::Game, resource: PODS, api_version: "v1", made: Some(pod) };
    /// The games' Deployments.
    pub(in crate::api) const DEPLOYMENTS: Self =
        Self { held: Kind::Game, resource: DEPLOYMENTS, api_version: "apps/v1", made: Some(deployment) };

    /// The events, in the shape of their own group.
    pub(in crate::api) const EVENTS: Self = Self {
        held: Kind::Event,
        resource: EVENTS_OF_GROUP,
        api_version: "events.k8s.io/v1",
        made: Some(event),
    };

    /// Nothing is made of what is held.
    pub(super) fn is_held(&self) -> bool {
        self.made.is_none()
    }

    /// A label of what is served of something that is held.
    pub(super) fn label<'a>(&self, held: &'a Entry, label: &str) -> Option<&'a str> {
        if !self.is_held() && self.held == Kind::Game && label == GAME_LABEL {
            return Some(&held.key().name);
        }
        held.draft.labels.get(label).map(String::as_str)
    }

    /// What is served of something that is held, at its version; none if there is nothing.
    pub(in crate::api) fn of(&self, held: &Arc<Entry>) -> Option<Arc<Entry>> {
        let Some(make) = self.made else { return Some(Arc::clone(held)) };
        make(held).map(|draft| Arc::new(Entry { draft, version: held.version }))
    }
}

fn pod(game: &Entry) -> Option<Draft> {
    let pod = Pod::of(&source(game)?)?;
    let mut draft = or_left_out(Draft::new(game.key().clone(), &pod))?;
    draft.fields = pod.fields();
    (draft.uid, draft.labels) = (pod.metadata.uid, pod.metadata.labels);
    Some(draft)
}

fn deployment(game: &Entry) -> Option<Draft> {
    let deployment = Deployment::of(&source(game)?);
    let mut draft = or_left_out(Draft::new(game.key().clone(), &deployment))?;
    (draft.uid, draft.labels) = (deployment.metadata.uid, deployment.metadata.labels);
    Some(draft)
}

fn event(core: &Entry) -> Option<Draft> {
    let event = or_left_out(GroupEvent::of(&core.draft.json))?;
    let mut draft = or_left_out(Draft::new(core.key().clone(), &event))?;
    let renamed = |(field, value): &(&'static str, String)| (GroupEvent::field(field), value.clone());
    draft.fields = core.draft.fields.iter().map(renamed).collect();
    draft.rank = core.draft.rank;
    Some(draft)
}

fn source(game: &Entry) -> Option<Source> {
    or_left_out(serde_json::from_slice(&game.draft.json))
}
