//! Work on the state root's disk, away from the threads that serve everybody.
//!
//! A disk may be slow, or hang for as long as it likes; a thread that hangs in it cannot be ended. So each
//! kind of work has so many threads and no more ([`Lane`]), and each game so many of them: copies and
//! removals that hang keep neither a look at the ground from its thread nor another game from its own. All
//! lanes together are fewer than the threads that Tokio has for such work, so others find some, too.
//!
//! # Guarantees
//!
//! A caller that gives up leaves its thread behind, which may go on much later. It hits no later life of
//! the game all the same:
//!
//! - a call that still waits for its thread never begins;
//! - looks change nothing, and nobody learns what a late one found;
//! - what makes, copies, removes or puts back has the game to itself until its thread ends
//!   (`StateRoot::working_on`): while it hangs, nothing else of the game is made or removed by this process;
//! - it looks whether anybody still waits ([`Watch`]) before it changes anything under the game's name;
//! - a removal names what it removes by what that was when the removal was queued (`StateRoot::hold`), and
//!   leaves alone what has come into its place since, whichever process made that;
//! - names of copies, of what is put back and of what is half made are each of one thing only, for ever, and
//!   half copies are reached by handles of the directories that they are in;
//! - the high-water counter is written by one thread at a time, and never goes back.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::copies::{Belongings, CopyError, Watch, attend};
use super::state::StateRoot;
use super::{DockerRuntime, RuntimeError};
use crate::game::GameId;
use crate::runtime::{CopyProgress, MOST_COPIES_BEGUN, MOST_REMOVALS_BEGUN};

/// Kinds of work that have threads of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// The ground of all games: sentinel, lock, high-water counter.
    Ground,
    /// Looks at one game's directory, and its making.
    Look,
    /// Looks at all that is in a state or a copy, for room or for damage.
    Survey,
    /// The same, for room that was promised before the controller started.
    Promise,
    /// Copies that are taken or fetched, those that stand still included.
    Copy,
    /// Copies that are put back. Their games are down, so they wait for no copy that stands still.
    PutBack,
    /// Removals of games' states and of all their copies, those that stand still included.
    Removal,
    /// Removals of what is too much of a game's copies. Nobody who goes on with a game waits for them, and they
    /// wait for no removal that stands still.
    Prune,
}

impl Lane {
    const ALL: [Self; 8] = [
        Self::Ground,
        Self::Look,
        Self::Survey,
        Self::Promise,
        Self::Copy,
        Self::PutBack,
        Self::Removal,
        Self::Prune,
    ];

    /// The number of its threads. Together at most [`MOST_DISK_THREADS`].
    const fn threads(self) -> usize {
        match self {
            Self::Ground => 8,
            Self::Look => 64,
            Self::Survey => 32,
            Self::Promise => 8,
            Self::Copy => MOST_COPIES_BEGUN,
            Self::PutBack => 32,
            Self::Removal => MOST_REMOVALS_BEGUN,
            Self::Prune => 16,
        }
    }
}

/// Threads that may be at work on the state root's disk, or hang in it. Whoever makes the Tokio runtime gives
/// it more than these for blocking work: others need some, too.
pub const MOST_DISK_THREADS: usize = 320;

const _: () = {
    let (mut lane, mut threads) = (0, 0);
    while lane < Lane::ALL.len() {
        threads += Lane::ALL[lane].threads();
        lane += 1;
    }
    assert!(threads <= MOST_DISK_THREADS, "others need threads, too");
};

/// Threads of one lane that one game may occupy.
const MOST_OF_ONE_GAME: usize = 2;

/// The threads that work on the disk.
#[derive(Debug)]
pub(super) struct Disk {
    lanes: HashMap<Lane, Arc<Semaphore>>,
    /// Those lanes of games that are in use.
    games: Mutex<HashMap<(Lane, GameId), Weak<Semaphore>>>,
}

/// A thread's place, until that thread ends, whoever gave up on it.
type Place = [Option<OwnedSemaphorePermit>; 2];

impl Default for Disk {
    fn default() -> Self {
        let lanes = Lane::ALL.map(|lane| (lane, Arc::new(Semaphore::new(lane.threads()))));
        Self { lanes: lanes.into(), games: Mutex::default() }
    }
}

impl Disk {
    /// Does this on a thread of the lane, once there is one. Dropped while it waits for that, it never does.
    ///
    /// # Errors
    /// The work panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        game: Option<GameId>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let place = self.place(lane, game).await;
        let work = move || {
            let done = work();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
    }

    /// The game's own bound first: whoever waits there takes no place from others.
    async fn place(&self, lane: Lane, game: Option<GameId>) -> Place {
        let of_game = match game {
            Some(game) => self.of_game(lane, game).acquire_owned().await.ok(),
            None => None,
        };
        let of_lane = match self.lanes.get(&lane) {
            Some(places) => places.clone().acquire_owned().await.ok(),
            None => None,
        };
        [of_game, of_lane]
    }

    fn of_game(&self, lane: Lane, game: GameId) -> Arc<Semaphore> {
        let mut games = self.games.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = games.get(&(lane, game)).and_then(Weak::upgrade) {
            return places;
        }
        games.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(MOST_OF_ONE_GAME));
        games.insert((lane, game), Arc::downgrade(&places));
        places
    }
}

impl DockerRuntime {
    /// Looks at the disk, or changes what belongs to no game: within a deadline, the wait for a thread
    /// included.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        game: Option<GameId>,
        verb: &'static str,
        work: impl FnOnce(&StateRoot) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let state = Arc::clone(&self.state);
        let after = self.settings.deadlines.state_directory;
        let lane = if game.is_some() { Lane::Look } else { Lane::Ground };
        match tokio::time::timeout(after, self.disk.run(lane, game, move || work(&state))).await {
            Ok(done) => done.flatten().map_err(|error| self.state.error(game, verb, error)),
            Err(_) => Err(RuntimeError::DiskTimedOut { verb, after }),
        }
    }

    /// Works on what a game has on the disk, and tells how far it is. It may take as long as it likes, and
    /// no longer than anybody waits for it; what it may not is to do nothing for `after`.
    pub(super) async fn at_work<T: Send + 'static>(
        &self,
        (lane, game): (Lane, GameId),
        (verb, after): (&'static str, Duration),
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
        work: impl FnOnce(&StateRoot, &Watch) -> Result<T, CopyError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let state = Arc::clone(&self.state);
        let (watch, waiting) = Watch::new();
        let watch = watch.pausing_with(self.paused.clone(), game);
        let task = self.disk.run(lane, Some(game), move || work(&state, &watch));
        let failed = |error| self.state.error(Some(game), verb, error);
        match attend(task, waiting, self.paused.of(game), after, progress).await {
            Some(Ok(done)) => done.map_err(|error| error.told(failed)),
            Some(Err(panicked)) => Err(failed(panicked)),
            None => Err(RuntimeError::DiskTimedOut { verb, after }),
        }
    }

    /// The same for what copies, or looks at copies.
    pub(super) async fn on_copies<T: Send + 'static>(
        &self,
        of: (Lane, GameId),
        verb: &'static str,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
        work: impl FnOnce(&StateRoot, &Watch) -> Result<T, CopyError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        self.at_work(of, (verb, self.settings.deadlines.copy_silence), progress, work).await
    }

    /// All that a game has on the disk now, to be removed.
    pub(super) async fn belongings(&self, game: GameId) -> Result<Belongings, RuntimeError> {
        self.on_copies((Lane::Look, game), "examined", &|_| {}, move |state, _| state.hold(game)).await
    }
}

#[cfg(test)]
mod tests;
