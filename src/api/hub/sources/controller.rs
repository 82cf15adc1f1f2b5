//! The controller: what operators want of it, and how this process finds it.

use super::super::Hub;
use super::super::object::{Draft, Key};
use super::super::state::{Edit, Kind};
use super::games::take_row_version;
use super::or_left_out;
use crate::api::wire::{ControllerObject, ControllerParts};
use crate::game::controller::{ControllerSpec, NAME, Orphan};
use crate::store::StoreError;

/// Whether the controller has been read.
#[derive(Default)]
pub(super) struct Controllers {
    read: bool,
}

impl Controllers {
    pub(super) fn is_loaded(&self) -> bool {
        self.read
    }

    /// Puts it together anew: half of it is in no database.
    pub(super) async fn catch_up(&mut self, hub: &Hub) -> Result<(), StoreError> {
        let mut object = object(hub, hub.api.store.controller_spec().await?).await?;
        let row_version = take_row_version(&mut object.metadata.resource_version);
        let Some(mut draft) = or_left_out(Draft::new(key(), &object)) else { return Ok(()) };
        draft.row_version = row_version;
        draft.uid = object.metadata.uid.unwrap_or_default();
        if std::mem::replace(&mut self.read, true) {
            hub.publish(Kind::Controller, [Edit::Put(draft)]);
        } else {
            hub.load(Kind::Controller, vec![draft]);
        }
        Ok(())
    }
}

pub(super) fn key() -> Key {
    Key::new("", NAME)
}

/// The controller with this spec.
pub(super) async fn object(hub: &Hub, spec: ControllerSpec) -> Result<ControllerObject, StoreError> {
    let store = &hub.api.store;
    let status = hub.api.controller.borrow().clone();
    let path = |orphan: &Orphan| hub.api.runtime.state_path(orphan.game_id);
    let parts = ControllerParts {
        spec,
        instance: store.instance().await?,
        lead: store.lead().await?,
        state_paths: status.orphans.iter().flatten().map(path).collect(),
        status,
        since: *hub.ready_since.borrow(),
    };
    Ok(parts.into())
}
