//! Definitions of our own kinds, which never change.

use super::super::Hub;
use super::super::object::{Draft, Key};
use super::super::state::Kind;
use super::or_left_out;
use crate::api::wire::definitions;

/// Whether they are there.
#[derive(Default)]
pub(super) struct Definitions {
    made: bool,
}

impl Definitions {
    /// Makes them, the first time that somebody asks.
    pub(super) fn load(&mut self, hub: &Hub) {
        if std::mem::replace(&mut self.made, true) {
            return;
        }
        let drafts = definitions().into_iter().filter_map(|definition| {
            let mut draft = or_left_out(Draft::new(Key::new("", definition.name()), &definition))?;
            draft.uid = definition.metadata["uid"].as_str().unwrap_or_default().to_owned();
            Some(draft)
        });
        hub.load(Kind::Definition, drafts.collect());
    }
}
