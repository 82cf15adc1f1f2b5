//! The database: rows in, domain out. Only this module names sea-orm's types.
//!
//! Desired state is written by lobby and operators (through [`desired`] when they come by the API),
//! observed state by the controller alone (through [`recorder`]). No Docker or engine call happens
//! inside a transaction.

pub mod controller;
mod convert;
mod db_uuid;
pub mod desired;
mod entity;
mod events;
mod examine;
mod feed;
mod forecast;
pub mod history;
mod ledger;
mod lookup;
mod moment;
mod open;
mod operations;
mod orphans;
pub mod outbox;
mod players;
mod readable;
pub mod recorder;
mod records;
mod registry;
mod reports;
mod seats;
mod tombstones;
mod turns;
pub mod version_records;
mod versions;

pub use controller::{ControllerChange, Lead};
pub use desired::{Author, Conflict, Preconditions, RowVersion, StoredGame, WriteError, Written};
pub use examine::Examined;
pub use ledger::{SlotFilter, StoredSlot, StoredTurn, TurnFilter};
pub use lookup::GameFilter;
pub use moment::{SpecThen, StoredChange, StoredMoment, StoredSnapshot};
pub use open::OpenError;
pub use operations::{
    EventFilter, GameOperation, ObjectEvent, OperationFilter, StoredEvent, StoredOperation,
};
pub use outbox::NewLobbyEvent;
pub use recorder::{Recorder, Recording};
pub use seats::{Player, PlayerStats, Seat, SeatRefusal};
pub use versions::StoredVersion;

use std::sync::Arc;

use sea_orm::{DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions};
use tokio::sync::Notify;

/// A question to the database failed.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be asked")]
pub struct StoreError(#[from] DbErr);

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    db: DatabaseConnection,
    /// Rung after our own writes of desired state, so that they are seen at once.
    desired_written: Arc<Notify>,
    /// Rung when there is something to deliver to the lobby.
    outbox_written: Arc<Notify>,
    /// Whether there is anybody to read the outbox.
    tells_lobby: bool,
}

impl Store {
    fn new(db: DatabaseConnection) -> Self {
        Self { db, desired_written: Arc::default(), outbox_written: Arc::default(), tells_lobby: false }
    }

    /// How every transaction that will write begins: on SQLite a transaction that turns from
    /// reading to writing fails at once if somebody else writes, whatever the busy timeout.
    fn writing() -> TransactionOptions {
        TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        }
    }
}
