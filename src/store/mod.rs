//! The database: rows in, domain out. Only this module names sea-orm's types.
//!
//! Desired state is written by lobby and operators (through [`desired`] when they come by the API),
//! observed state by the controller alone (through [`recorder`]). No Docker or engine call happens
//! inside a transaction.

pub(crate) mod access;
mod again;
mod bites;
mod blockers;
mod connection;
pub mod controller;
mod convert;
mod copy;
mod db_uuid;
pub mod desired;
mod entity;
mod events;
mod examine;
mod fault;
mod feed;
mod file;
mod followed;
mod forecast;
pub mod history;
mod lease;
mod ledger;
mod lineage;
mod lock;
mod lookup;
mod managers;
mod mark;
mod members;
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
mod refusal;
mod registry;
mod reports;
mod seats;
mod served;
mod session;
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
pub use lease::{HeldLease, LEASE, Lead, Taken};
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
pub use refusal::{RefusedValue, Why};
pub use seats::{Player, PlayerStats, Seat, SeatRefusal};
pub use served::Feeds;
pub use versions::StoredVersion;

use std::sync::Arc;

use sea_orm::DbErr;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use connection::Connections;
use lineage::Lineage;

/// A question to the database failed.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be asked")]
pub struct StoreError(#[from] DbErr);

impl StoreError {
    /// What is to be told of a write of which nobody knows whether it was made: the connection was
    /// lost while it was committed. And of one that is lost: the embedded database's file was replaced.
    pub fn unanswered(&self) -> Option<String> {
        match &self.0 {
            DbErr::Custom(said) if connection::is_unanswered(&self.0) || file::is_replaced(&self.0) => {
                Some(said.clone())
            }
            error if again::is_unavailable(error) => Some(format!("the database cannot do it now: {error}")),
            _ => None,
        }
    }

    /// Whether somebody else's transaction is why a write did not come about. Nothing was written, and it
    /// may be tried again.
    pub fn is_contended(&self) -> bool {
        again::is_contended(&self.0)
    }

    /// The value that the database's own rules refuse, if that is why.
    pub fn refused_value(&self) -> Option<RefusedValue> {
        match refusal::refusal(&self.0) {
            Some(refusal::Refusal::Value(value)) => Some(value),
            _ => None,
        }
    }

    /// What is to be told of a write that was given up because others have locked its rows: who.
    pub fn locked(&self) -> Option<String> {
        match &self.0 {
            DbErr::Custom(said) if connection::is_locked(&self.0) => Some(said.clone()),
            _ => None,
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    db: Connections,
    /// For the controller's loop: whoever waits in `db` must not make it wait.
    controlling: Connections,
    /// For the recorder alone.
    recording: Connections,
    /// For the lease alone: a burst that fills `db` must not cost the lead.
    leases: Connections,
    /// Cancelled once the process ends: answers are not waited for long then.
    ending: CancellationToken,
    place: Place,
    /// The database that answers, and how far it has come.
    lineage: Arc<Lineage>,
    /// The lease of the leadership that writes, if any does.
    lease: Option<HeldLease>,
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
        Self {
            controlling: db.clone(),
            recording: db.clone(),
            leases: db.clone(),
            ending: CancellationToken::new(),
            db,
            place,
            lineage: Arc::default(),
            lease: None,
            desired_written,
            outbox_written,
            tells_lobby: false,
        }
    }

    /// This store for the controller's loop, which on a server has connections of its own.
    #[must_use]
    pub fn for_the_controller(mut self) -> Self {
        self.db = self.controlling.clone();
        self
    }

    /// The process ends: from here on a server has two seconds for every answer.
    pub fn ends_soon(&self) {
        self.ending.cancel();
    }

    /// The highest that the high-water counter is known to have been in this process, whichever database
    /// answers now; 0 before it was seen.
    pub fn furthest_high_water(&self) -> i64 {
        self.lineage.furthest()
    }

    /// Counts how often another database answered than before: after a failover, or in the place of the
    /// one that was there. Nothing that was read before holds then, whatever its numbers say.
    pub fn replacements(&self) -> u64 {
        self.lineage.changes()
    }

    /// What became of the embedded database's file, if it is no longer the one that is open: what is
    /// written now would be lost.
    pub fn replaced(&self) -> Option<String> {
        self.db.file()?.replaced()
    }
}
