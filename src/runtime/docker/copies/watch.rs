//! Who waits for a copy: is told how far it is, and may go away.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Working;
use super::error::CopyError;
use crate::game::GameId;
use crate::runtime::{CopyProgress, MayGo};

/// So often is looked whether a copy that stands still may go on.
const PAUSE: Duration = Duration::from_millis(20);

/// The games whose copying stands still for now.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct PausedGames(Arc<watch::Sender<HashSet<GameId>>>);

impl PausedGames {
    /// Has the copying of a game's state stand still, or go on.
    pub(in super::super) fn pause(&self, game: GameId, paused: bool) {
        self.0.send_if_modified(|games| if paused { games.insert(game) } else { games.remove(&game) });
    }

    /// The pauses of one game, for whoever waits for its copy.
    pub(in super::super) fn of(&self, game: GameId) -> Pauses {
        Pauses { games: self.0.subscribe(), game }
    }

    fn has(&self, game: GameId) -> bool {
        self.0.borrow().contains(&game)
    }
}

/// The pauses of one game's copying: its present one, and all that were.
pub(in super::super) struct Pauses {
    games: watch::Receiver<HashSet<GameId>>,
    game: GameId,
}

impl Pauses {
    fn is_paused(&self) -> bool {
        self.games.borrow().contains(&self.game)
    }

    /// Ends once it is so no more.
    async fn while_so(&mut self, is_paused: bool) {
        let game = self.game;
        if self.games.wait_for(|games| games.contains(&game) != is_paused).await.is_err() {
            // Nobody is left who could change it.
            std::future::pending().await
        }
    }
}

/// Waits for work, and passes on how far it is. None once it has done nothing for `after`; the time in which
/// it has to stand still does not count, before it or in the middle of it.
pub(in super::super) async fn attend<T>(
    work: impl Future<Output = T>,
    mut waiting: Waiting,
    mut pauses: Pauses,
    after: Duration,
    progress: &(dyn Fn(CopyProgress) + Send + Sync),
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut patience = after;
    loop {
        let (since, is_paused) = (Instant::now(), pauses.is_paused());
        tokio::select! {
            done = &mut work => return Some(done),
            Ok(()) = waiting.progress.changed() => {
                progress(*waiting.progress.borrow_and_update());
                patience = after;
            }
            () = pauses.while_so(is_paused) => {
                if !is_paused {
                    patience = patience.saturating_sub(since.elapsed());
                }
            }
            () = tokio::time::sleep(patience), if !is_paused => return None,
        }
    }
}

/// The copier's side.
#[derive(Debug, Clone)]
pub struct Watch {
    cancelled: Arc<AtomicBool>,
    paused: Option<(PausedGames, GameId)>,
    /// Work that can wait for another day: it ends as soon as it may not go on, or others wait for its game.
    gives_way: Option<(Arc<dyn MayGo>, Arc<AtomicBool>)>,
    progress: watch::Sender<CopyProgress>,
}

/// The side of who waits; dropped, it cancels.
#[derive(Debug)]
pub(in super::super) struct Waiting {
    cancelled: Arc<AtomicBool>,
    pub(super) progress: watch::Receiver<CopyProgress>,
}

impl Watch {
    /// Nobody looks, and it goes on to its end.
    pub fn nobody() -> Self {
        let progress = watch::channel(CopyProgress::default()).0;
        Self { cancelled: Arc::default(), paused: None, gives_way: None, progress }
    }

    pub(in super::super) fn new() -> (Self, Waiting) {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (told, progress) = watch::channel(CopyProgress::default());
        let copier = Self { cancelled: cancelled.clone(), paused: None, gives_way: None, progress: told };
        (copier, Waiting { cancelled, progress })
    }

    /// Stands still for as long as the game is among these.
    pub(in super::super) fn pausing_with(self, paused: PausedGames, game: GameId) -> Self {
        Self { paused: Some((paused, game)), ..self }
    }

    /// Ends as soon as nothing may go any more, or others want to work on the game.
    pub(super) fn giving_way(&self, may_go: &Arc<dyn MayGo>, working: &Working<'_>) -> Self {
        Self { gives_way: Some((Arc::clone(may_go), working.is_wanted())), ..self.clone() }
    }

    /// One name more is gone.
    pub(super) fn one_gone(&self) -> Result<(), CopyError> {
        self.at(|progress| progress.files += 1)
    }

    /// The same, for what has to come to its end whoever still waits for it.
    pub(super) fn to_its_end(&self) -> Self {
        Self { cancelled: Arc::default(), ..self.clone() }
    }

    /// That somebody still waits: asked before whatever changes something under a game's name, for who
    /// hung in a disk may go on when that name is another life's. Stands still while others come first.
    pub(in super::super) fn check(&self) -> Result<(), CopyError> {
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(CopyError::Cancelled);
            }
            if let Some((may_go, is_wanted)) = &self.gives_way {
                if !may_go.anything() {
                    return Err(CopyError::Cancelled);
                }
                if is_wanted.load(Ordering::Relaxed) {
                    return Err(CopyError::Busy);
                }
            }
            let has_to_pause = |(games, game): &(PausedGames, GameId)| games.has(*game);
            if !self.paused.as_ref().is_some_and(has_to_pause) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// So far it is; an error once nobody waits for it. Stands still while others come first.
    pub(super) fn at(&self, change: impl FnOnce(&mut CopyProgress)) -> Result<(), CopyError> {
        self.check()?;
        self.progress.send_modify(change);
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
