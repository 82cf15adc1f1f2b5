//! The belief that an address is still a container's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// That a container has its address, as long as nothing was heard of it.
#[derive(Debug, Clone)]
pub(in super::super) struct Believed {
    moves: Arc<AtomicU64>,
    seen: u64,
}

impl Believed {
    /// As far as is known now, it has.
    pub(super) fn now(moves: &Arc<AtomicU64>) -> Self {
        Self { moves: moves.clone(), seen: moves.load(Ordering::Relaxed) }
    }

    /// True if it still has; asked before anything is sent there.
    pub(in super::super) fn holds(&self) -> bool {
        self.moves.load(Ordering::Relaxed) == self.seen
    }
}
