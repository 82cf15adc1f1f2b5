//! What the lobby is told, and how it gets there.
//!
//! Whoever records something makes a [`LobbyEvent`] of it and hands it in with the recording; the
//! store writes it in the same transaction, with the game's next number. From there on it is pushed
//! ([`deliver()`]), or pulled by the lobby itself. [`event`], [`envelope`] and [`verdict`] are pure.
//!
//! Deliberately absent: any way back. What the lobby wants it writes as desired state.

mod deliver;
pub mod envelope;
pub mod event;
mod keep;
mod metrics;
mod push;
mod secret;
mod verdict;

pub use deliver::{Pace, deliver};
pub use event::LobbyEvent;
pub use keep::keep_bounded;
pub use metrics::LobbyMetrics;
pub use push::{Push, PushError};
pub use secret::{SecretError, SecretFile};
pub use verdict::Patience;

use jiff::Timestamp;

use crate::store::NewLobbyEvent;

impl LobbyEvent {
    /// The event as it is handed in with a recording.
    pub fn at(&self, occurred_at: Timestamp) -> NewLobbyEvent {
        NewLobbyEvent { kind: self.kind(), occurred_at, payload: self.payload() }
    }
}
