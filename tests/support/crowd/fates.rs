//! The fates of containers and states that were made to run.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::{BoxStream, StreamExt};
use gamekeeper::game::GameId;
use gamekeeper::game::container::ContainerState;
use gamekeeper::runtime::RuntimeEvent;
use tokio::sync::{broadcast, watch};

/// Of each container that came to a fate, how often it was started since, and whether it is there and runs.
#[derive(Debug, Clone, Copy, Default)]
struct Life {
    started: usize,
    ended: bool,
    gone: bool,
}

pub struct Fates {
    lives: Mutex<HashMap<GameId, Life>>,
    events: broadcast::Sender<GameId>,
    /// The disk takes its time to remove a state.
    disk_hangs: watch::Sender<bool>,
    removing: AtomicUsize,
    /// States that were moved out of their place to be removed, and those of them that are there still.
    moved: Mutex<HashSet<GameId>>,
    left: Mutex<HashSet<GameId>>,
}

/// One removal that is under way, until it ends or is dropped.
struct Removal<'a>(&'a AtomicUsize);

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Default for Fates {
    fn default() -> Self {
        Self {
            lives: Mutex::default(),
            events: broadcast::Sender::new(16),
            disk_hangs: watch::Sender::new(false),
            removing: AtomicUsize::new(0),
            moved: Mutex::default(),
            left: Mutex::default(),
        }
    }
}

impl Fates {
    /// A container's process ends by itself, and Docker says so.
    pub fn dies(&self, game: GameId) {
        self.ends(game);
        self.events.send(game).expect("somebody listens");
    }

    /// The number of times that it was started since it ran first.
    pub fn started(&self, game: GameId) -> usize {
        self.life(game, |life| life.started)
    }

    /// Its process runs.
    pub fn is_alive(&self, game: GameId) -> bool {
        self.is_running(game) == Some(true)
    }

    /// No state that is being removed goes, until this says so.
    pub fn disk_hangs(&self, hangs: bool) {
        self.disk_hangs.send_replace(hangs);
    }

    /// The number of states that are being removed.
    pub fn removing(&self) -> usize {
        self.removing.load(Ordering::SeqCst)
    }

    /// A container is removed by somebody else.
    pub fn vanishes(&self, game: GameId) {
        self.goes(game);
    }

    /// The state was moved out of its place, and is not gone.
    pub fn is_half_removed(&self, game: GameId) -> bool {
        self.left.lock().expect("nobody panicked").contains(&game)
    }

    pub(super) fn is_out_of_its_place(&self, game: GameId) -> bool {
        self.moved.lock().expect("nobody panicked").contains(&game)
    }

    /// States that lie aside are removed; no game's own goes by that.
    pub(super) async fn removes(&self) {
        self.removing.fetch_add(1, Ordering::SeqCst);
        let _removal = Removal(&self.removing);
        self.disk_hangs.subscribe().wait_for(|hangs| !hangs).await.expect("a disk");
    }

    pub(super) async fn removes_a_state(&self, game: GameId) {
        if self.moved.lock().expect("nobody panicked").insert(game) {
            self.left.lock().expect("nobody panicked").insert(game);
        }
        self.removes().await;
        self.left.lock().expect("nobody panicked").remove(&game);
    }

    pub(super) fn starts(&self, game: GameId) {
        self.life(game, |life| (life.started, life.ended) = (life.started + 1, false));
    }

    pub(super) fn ends(&self, game: GameId) {
        self.life(game, |life| life.ended = true);
    }

    pub(super) fn goes(&self, game: GameId) {
        self.life(game, |life| life.gone = true);
    }

    /// None if there is no container any more.
    pub(super) fn is_running(&self, game: GameId) -> Option<bool> {
        self.life(game, |life| (!life.gone).then_some(!life.ended))
    }

    pub(super) fn state(&self, game: GameId) -> Option<ContainerState> {
        let started_at = format!("2026-01-01T00:00:{:02}Z", self.started(game));
        Some(match self.is_running(game)? {
            true => ContainerState::Running { started_at },
            false => ContainerState::Exited { started_at, code: 1, out_of_memory: false },
        })
    }

    pub(super) fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        let next = |mut events: broadcast::Receiver<GameId>| async move {
            let game = events.recv().await.ok()?;
            Some((RuntimeEvent { game: Some(game), container: None, action: "die".into() }, events))
        };
        futures::stream::unfold(self.events.subscribe(), next).chain(futures::stream::pending()).boxed()
    }

    fn life<T>(&self, game: GameId, of: impl FnOnce(&mut Life) -> T) -> T {
        of(self.lives.lock().expect("nobody panicked").entry(game).or_default())
    }
}
