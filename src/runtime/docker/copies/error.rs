//! Why a copy failed, and what is there instead of it: nothing.

use std::io;

use rustix::io::Errno;

use super::super::sentinel;
use crate::runtime::{RuntimeError, Shortage};

/// Why a copy was not taken, put back or removed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The disk failed at it.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// There is no room.
    #[error("there is no room: {0}")]
    NoRoom(Shortage),
    /// There is room, and others need it first.
    #[error(
        "there is room for it alone, and {games} other games whose version is being changed, or whose state is being copied or put back, need theirs first: with them {shortage}"
    )]
    RoomKept {
        /// What there is too little of for all of them.
        shortage: Shortage,
        /// How many they are.
        games: usize,
    },
    /// Somebody wrote while it was copied.
    #[error("the state changed while it was copied")]
    Changed,
    /// Something in the state cannot be copied.
    #[error("{0}")]
    Unfit(String),
    /// What is kept is not what was copied.
    #[error("{0}")]
    Damaged(String),
    /// The name is that of a copy of another state.
    #[error("copy {0} is there already, and is not of the state as it is now; it is left as it is")]
    NameTaken(String),
    /// No such copy.
    #[error("{0} is not there")]
    Absent(String),
    /// Other work on this game's copies goes on.
    #[error("other work on this game's copies is not done yet")]
    Busy,
    /// It is not there any more, and something else is in its place.
    #[error("what is at {0} now is not what was to be removed; it is left alone")]
    Replaced(String),
    /// Nobody waits for it any more.
    #[error("nobody waits for it any more")]
    Cancelled,
}

impl From<Errno> for CopyError {
    fn from(error: Errno) -> Self {
        Self::Disk(error.into())
    }
}

impl CopyError {
    /// In the runtime's words; `on_disk` tells of what the disk failed at.
    pub(in super::super) fn told(self, on_disk: impl FnOnce(io::Error) -> RuntimeError) -> RuntimeError {
        match self {
            Self::Disk(error) if error.get_ref().is_some_and(|error| error.is::<sentinel::NotOurs>()) => {
                RuntimeError::StateRootNotOurs
            }
            Self::Disk(error) => on_disk(error),
            Self::NoRoom(shortage) => RuntimeError::NoRoom(shortage),
            Self::RoomKept { .. } => RuntimeError::RoomKept(self.to_string()),
            Self::Changed => RuntimeError::StateChanged,
            Self::Unfit(why) => RuntimeError::StateUnfit(why),
            Self::NameTaken(_) => RuntimeError::BackupNameTaken(self.to_string()),
            Self::Damaged(why) => RuntimeError::BackupDamaged(why),
            Self::Absent(what) => RuntimeError::NotFound(what),
            Self::Busy | Self::Replaced(_) | Self::Cancelled => RuntimeError::Conflict(self.to_string()),
        }
    }
}
