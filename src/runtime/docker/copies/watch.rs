//! Who waits for a copy: is told how far it is, and may go away.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::error::CopyError;
use crate::game::GameId;
use crate::runtime::CopyProgress;

/// So often is looked whether a copy that stands still may go on.
const PAUSE: Duration = Duration::from_millis(20);

/// The games whose copying stands still for now.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct PausedGames(Arc<Mutex<HashSet<GameId>>>);

impl PausedGames {
    /// Has the copying of a game's state stand still, or go on.
    pub(in super::super) fn pause(&self, game: GameId, paused: bool) {
        let mut games = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paused {
            games.insert(game);
        } else {
            games.remove(&game);
        }
    }

    pub(in super::super) fn has(&self, game: GameId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&game)
    }
}

/// The copier's side.
#[derive(Debug, Clone)]
pub struct Watch {
    cancelled: Arc<AtomicBool>,
    paused: Option<(PausedGames, GameId)>,
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
        let progress = watch::channel(CopyProgress::default()).0;
        Self { cancelled: Arc::default(), paused: None, progress }
    }

    pub(in super::super) fn new() -> (Self, Waiting) {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (told, progress) = watch::channel(CopyProgress::default());
        let copier = Self { cancelled: cancelled.clone(), paused: None, progress: told };
        (copier, Waiting { cancelled, progress })
    }

    /// Stands still for as long as the game is among these.
    pub(in super::super) fn pausing_with(self, paused: PausedGames, game: GameId) -> Self {
        Self { paused: Some((paused, game)), ..self }
    }

    /// So far it is; an error once nobody waits for it. Stands still while others come first.
    pub(super) fn at(&self, change: impl FnOnce(&mut CopyProgress)) -> Result<(), CopyError> {
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(CopyError::Cancelled);
            }
            let has_to_pause = |(games, game): &(PausedGames, GameId)| games.has(*game);
            if !self.paused.as_ref().is_some_and(has_to_pause) {
                break;
            }
            std::thread::sleep(PAUSE);
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
