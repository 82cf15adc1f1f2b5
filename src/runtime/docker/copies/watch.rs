//! Who waits for a copy: is told how far it is, and may go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::error::CopyError;
use crate::runtime::CopyProgress;

/// The copier's side.
#[derive(Debug, Clone)]
pub struct Watch {
    cancelled: Arc<AtomicBool>,
    progress: watch::Sender<CopyProgress>,
}

/// The side of who waits; dropped, it cancels.
#[derive(Debug)]
pub(in super::super) struct Waiting {
    cancelled: Arc<AtomicBool>,
    pub(in super::super) progress: watch::Receiver<CopyProgress>,
}

impl Watch {
    /// Nobody looks, and it goes on to its end.
    pub fn nobody() -> Self {
        Self { cancelled: Arc::default(), progress: watch::channel(CopyProgress::default()).0 }
    }

    pub(in super::super) fn new() -> (Self, Waiting) {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (told, progress) = watch::channel(CopyProgress::default());
        (Self { cancelled: cancelled.clone(), progress: told }, Waiting { cancelled, progress })
    }

    /// So far it is; an error once nobody waits for it.
    pub(super) fn at(&self, change: impl FnOnce(&mut CopyProgress)) -> Result<(), CopyError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(CopyError::Cancelled);
        }
        self.progress.send_modify(change);
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
