//! The database: rows in, domain out. Only this module names sea-orm's types.
//!
//! Desired state is written by lobby and operators (through [`desired`] when they come by the API),
//! observed state by the controller alone (through [`recorder`]). No Docker or engine call happens
//! inside a transaction.

pub(crate) mod access;
mod again;
mod connection;
pub mod controller;
mod convert;
mod copy;
mod db_uuid;
pub mod desired;
mod entity;
mod events;
mod examine;
mod feed;
mod followed;
mod forecast;
pub mod history;
mod lease;
mod ledger;
mod lock;
mod lookup;
mod mark;
mod moment;
mod open;
mod operations;
mod orphans;
pub mod outbox;
mod place;
mod players;
mod readable;
pub mod recorder;
mod records;
mod registry;
mod reports;
mod seats;
mod served;
#[cfg(test)]
mod settled;
mod tombstones;
mod turns;
pub mod version_records;
mod versions;
mod written_time;

pub use access::MOST_TOKENS;
pub use controller::ControllerChange;
pub use copy::{CopyError, Counted};
pub use desired::{Author, Conflict, Preconditions, RowVersion, StoredGame, WriteError, Written};
pub use examine::Examined;
pub use feed::Changed;
pub use followed::TurnKey;
pub use lease::{LEASE, Lead, Taken};
pub use ledger::{SlotFilter, StoredSlot, StoredTurn, TurnFilter};
pub use lock::LockError;
pub use lookup::GameFilter;
pub use mark::Mark;
pub use moment::{SpecThen, StoredChange, StoredMoment, StoredSnapshot};
pub use open::OpenError;
pub use operations::{
    EventFilter, GameOperation, ObjectEvent, OperationFilter, StoredEvent, StoredOperation,
};
pub use outbox::NewLobbyEvent;
pub use place::{DEFAULT_SCHEMA, Migrations, Place, PlaceError};
pub use recorder::{Recorder, Recording};
pub use seats::{Player, PlayerStats, Seat, SeatRefusal};
pub use served::Feeds;
pub use versions::StoredVersion;

use std::sync::Arc;

use sea_orm::DbErr;
use tokio::sync::Notify;

use crate::game::Epoch;

use connection::Connections;

/// A question to the database failed.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be asked")]
pub struct StoreError(#[from] DbErr);

impl StoreError {
    /// What is to be told of a write of which nobody knows whether it was made: the connection was
    /// lost while it was committed.
    pub fn unanswered(&self) -> Option<String> {
        match &self.0 {
            DbErr::Custom(said) if connection::is_unanswered(&self.0) => Some(said.clone()),
            _ => None,
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    db: Connections,
    /// For the lease alone: a burst that fills `db` must not cost the lead.
    leases: Connections,
    place: Place,
    /// The leadership that writes, if any does.
    epoch: Option<Epoch>,
    /// Rung after our own writes of desired state, so that they are seen at once.
    desired_written: Arc<Notify>,
    /// Rung when there is something to deliver to the lobby.
    outbox_written: Arc<Notify>,
    /// Whether there is anybody to read the outbox.
    tells_lobby: bool,
}

impl Store {
    fn new(db: Connections, place: Place) -> Self {
        let (desired_written, outbox_written) = Default::default();
        let leases = db.clone();
        Self { db, leases, place, epoch: None, desired_written, outbox_written, tells_lobby: false }
    }
}
