//! The one game this process serves, and the phases it goes through.
//!
//! The lock is held to compare and to commit, never while a turn is being generated: status and health answer
//! meanwhile. The journal's *accepted* is written under the same lock as the comparison, so two requests for one turn
//! are never both accepted.

mod mishap;

use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::config::Config;
use crate::game::Game;
use crate::journal::{Event, Journal};
use crate::knobs::Knobs;
use crate::knobs::sources::KnobSources;
use crate::log::say;
use crate::store::Store;

/// For the thread that handles signals, which begins before there is an engine.
static STOP_NOTE: OnceLock<Arc<Engine>> = OnceLock::new();

#[derive(Debug)]
enum Phase {
    /// No game: init is awaited.
    Empty,
    /// Init was accepted.
    Initialising,
    /// Waiting for the next turn.
    Ready(Game),
    /// The turn after this state was accepted.
    Generating(Game),
}

/// The engine of one game.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) knobs: Arc<KnobSources>,
    phase: Mutex<Phase>,
    store: Store,
    journal: Journal,
    /// Held while this process serves the state; the kernel lets go of it however the process ends.
    lock: Mutex<Option<File>>,
}

/// Why the state could not be taken up.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Another engine serves it.
    Held,
    /// It is of another game.
    OtherGame(String),
    Io(io::Error),
}

/// Why a call changed nothing. The last one alone may have changed something.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotInitialised,
    AlreadyInitialised,
    Generating,
    Finished,
    NotAt(u64),
    Failed(io::Error),
}

impl Engine {
    /// Takes up what is under the state path.
    pub(crate) fn open(config: Config, knobs: Arc<KnobSources>) -> Result<Engine, OpenError> {
        let told = knobs.current();
        let boot = format!("{:016x}", std::collections::hash_map::RandomState::new().build_hasher().finish());
        let engine = Engine {
            store: Store::new(&config.state_path),
            journal: Journal::new(&config.state_path, &boot, &config.version),
            phase: Mutex::new(Phase::Empty),
            lock: Mutex::new(None),
            config,
            knobs,
        };
        if told.early_files {
            engine.store.make_directory()?;
        }
        if !engine.config.state_path.exists() {
            say!("no state yet, waiting for init");
            return Ok(engine);
        }
        engine.take_lock()?;
        let Some(game) = engine.store.load()? else {
            engine.journal.write(Event::Start, 0)?;
            say!("a directory but no state in it, waiting for init");
            return Ok(engine);
        };
        if game.game_id != engine.config.game_id {
            return Err(OpenError::OtherGame(game.game_id));
        }
        engine.journal.recover(game.turn)?;
        engine.journal.write(Event::Start, game.turn)?;
        say!("state taken up at turn {}", game.turn);
        *engine.phase() = Phase::Ready(game);
        Ok(engine)
    }

    /// From now on the journal is told when a signal ends the process.
    pub(crate) fn note_stops(self: &Arc<Self>) {
        let _ = STOP_NOTE.set(Arc::clone(self));
    }

    /// The game, and whether its next turn is being generated.
    pub(crate) fn status(&self) -> Result<(Game, bool), Refusal> {
        match &*self.phase() {
            Phase::Empty | Phase::Initialising => Err(Refusal::NotInitialised),
            Phase::Ready(game) => Ok((game.clone(), false)),
            Phase::Generating(game) => Ok((game.clone(), true)),
        }
    }

    /// Begins a game with these races, once.
    pub(crate) fn init(&self, races: &[String], knobs: &Knobs) -> Result<Game, Refusal> {
        {
            let mut phase = self.phase();
            if !matches!(*phase, Phase::Empty) {
                return Err(Refusal::AlreadyInitialised);
            }
            self.store.make_directory()?;
            self.take_lock()?;
            self.journal.write(Event::InitAccepted, 0)?;
            *phase = Phase::Initialising;
        }
        let game = Game::new(&self.config.game_id, races);
        let done = self.init_accepted(&game, knobs);
        *self.phase() = if done.is_ok() { Phase::Ready(game.clone()) } else { Phase::Empty };
        done?;
        say!("initialised with {} races", races.len());
        Ok(game)
    }

    fn init_accepted(&self, game: &Game, knobs: &Knobs) -> io::Result<()> {
        self.mishap_before_init(game, knobs);
        self.store.save(game)?;
        self.journal.write(Event::InitDone, 0)?;
        self.mishap_after_init(knobs);
        Ok(())
    }

    /// Generates the turn after `expected`, or after whichever it is at.
    pub(crate) fn advance(&self, expected: Option<u64>, knobs: &Knobs) -> Result<Game, Refusal> {
        let began = Instant::now();
        let game = self.accept_turn(expected)?;
        say!("turn {} accepted", game.turn + 1);
        let next = game.next(knobs.finish_at_turn);
        self.mishap_before_turn(&next, knobs);
        let mut phase = self.phase();
        if let Err(problem) = self.store.save(&next) {
            // The rename may have happened: what is on disk decides.
            *phase = self.store.load().ok().flatten().map_or(Phase::Ready(game), Phase::Ready);
            return Err(problem.into());
        }
        *phase = Phase::Ready(next.clone());
        self.journal.write(Event::TurnDone, next.turn)?;
        drop(phase);
        self.mishap_after_turn(&next, knobs);
        say!("turn {} done in {} ms", next.turn, began.elapsed().as_millis());
        Ok(next)
    }

    /// The comparison and the acceptance, in one.
    fn accept_turn(&self, expected: Option<u64>) -> Result<Game, Refusal> {
        let mut phase = self.phase();
        let game = match &*phase {
            Phase::Empty | Phase::Initialising => return Err(Refusal::NotInitialised),
            Phase::Generating(_) => return Err(Refusal::Generating),
            Phase::Ready(game) if expected.is_some_and(|turn| turn != game.turn) => {
                return Err(Refusal::NotAt(game.turn));
            }
            Phase::Ready(game) if game.finished => return Err(Refusal::Finished),
            Phase::Ready(game) => game.clone(),
        };
        self.journal.write(Event::TurnAccepted, game.turn + 1)?;
        *phase = Phase::Generating(game.clone());
        Ok(game)
    }

    fn take_lock(&self) -> Result<(), OpenError> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let file = File::create(self.config.state_path.join("engine.lock"))?;
        match file.try_lock() {
            Ok(()) => *held = Some(file),
            Err(TryLockError::WouldBlock) => {
                self.journal.write(Event::Conflict, 0)?;
                return Err(OpenError::Held);
            }
            Err(TryLockError::Error(problem)) => return Err(problem.into()),
        }
        Ok(())
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the journal that a signal ends the process.
pub(crate) fn note_stop() {
    let Some(engine) = STOP_NOTE.get() else { return };
    // Not `status()`: its lock may be held by a commit on a disk that hangs.
    let turn = match engine.phase.try_lock().as_deref() {
        Ok(Phase::Ready(game) | Phase::Generating(game)) => game.turn,
        Ok(Phase::Empty | Phase::Initialising) | Err(_) => 0,
    };
    let _ = engine.journal.write(Event::Stop, turn);
}

impl From<io::Error> for OpenError {
    fn from(problem: io::Error) -> Self {
        OpenError::Io(problem)
    }
}

impl From<io::Error> for Refusal {
    fn from(problem: io::Error) -> Self {
        Refusal::Failed(problem)
    }
}

impl From<OpenError> for Refusal {
    fn from(problem: OpenError) -> Self {
        match problem {
            OpenError::Io(problem) => Refusal::Failed(problem),
            OpenError::Held | OpenError::OtherGame(_) => {
                Refusal::Failed(io::Error::other(problem.to_string()))
            }
        }
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Held => f.write_str("another engine serves this state"),
            OpenError::OtherGame(id) => write!(f, "the state is of game {id}"),
            OpenError::Io(problem) => write!(f, "state: {problem}"),
        }
    }
}
