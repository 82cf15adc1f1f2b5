//! The loop: what wakes it, whose turn it is, and who does the work.
//!
//! One task owns all state and never waits for anything but the next trigger; rounds and work run
//! beside it and hand in what came of them. Never two rounds of one game at once, any number of
//! different games side by side up to the configured limits.

mod entry;
mod facts;
mod metrics;
mod pulls;
mod queue;
mod round;
mod slots;
mod triggers;
mod work;

pub use metrics::Metrics;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::engine::EngineClient;
use crate::game::{Epoch, GameId};
use crate::reconcile::apply::Background;
use crate::reconcile::{Policy, Step, Work};
use crate::runtime::{Listed, Runtime, RuntimeError, RuntimeEvent};
use crate::store::{Recorder, Store, StoreError};

use entry::Entry;
use facts::News;
use pulls::Pulls;
use queue::Queue;
use round::{Context, Output};
use slots::Slots;
use triggers::Trigger;
use work::{DesiredLook, Finished, Workshop};

/// How much may go on at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Containers being created and started.
    pub starts: usize,
    /// Images being fetched.
    pub pulls: usize,
    /// Containers being stopped.
    pub stops: usize,
    /// Calls to engines.
    pub engine_calls: usize,
    /// Rounds that ask Docker.
    pub rounds: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { starts: 8, pulls: 3, stops: 16, engine_calls: 256, rounds: 64 }
    }
}

/// How the world looks from the controller, for `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Desired state and containers have been read once.
    pub started: bool,
    /// Why Docker does not answer, if it does not.
    pub docker_down: Option<String>,
    /// Why the database does not answer, if it does not.
    pub database_down: Option<String>,
}

/// Why a controller ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database could not be read at the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another controller leads this database.
    #[error("another controller has taken over this database; this one has ended")]
    Deposed,
}

/// What a controller is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Writes of observed state, in this epoch.
    pub recorder: Recorder,
    /// The leadership that acts.
    pub epoch: Epoch,
    /// The container runtime.
    pub runtime: Arc<dyn Runtime>,
    /// The engines' client.
    pub engines: EngineClient,
    /// Times and thresholds.
    pub policy: Policy,
    /// How much at a time.
    pub limits: Limits,
    /// How often everything is compared.
    pub relist_every: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// No timer is shorter: what is due at once is said so, and a plan that is always due must not spin.
const SOONEST: Duration = Duration::from_millis(5);

/// How long a silent Docker is left alone before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How soon a round that could not be recorded, or about which Docker was silent, is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long running rounds may take to end when the controller stops.
const LAST_ROUNDS: Duration = Duration::from_secs(10);

/// The controller's state.
struct Controller {
    context: Arc<Context>,
    workshop: Workshop,
    games: HashMap<GameId, Entry>,
    versions: HashMap<String, i64>,
    queue: Queue,
    slots: Slots,
    pulls: Pulls,
    health: watch::Sender<Health>,
    docker_down: Option<(Timestamp, String)>,
    /// It is known to be the Docker Engine that the games run on.
    docker_verified: bool,
    /// Another controller has taken over.
    deposed: bool,
    /// Desired state has been read.
    looked: bool,
    listing: Running,
    looking: Running,
}

/// Something that runs at most once at a time, and once more if it was asked for meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    No,
    Yes,
    Again,
}

impl Running {
    /// Asks for it. True if it has to be started now.
    fn ask(&mut self) -> bool {
        let start = *self == Self::No;
        *self = if start { Self::Yes } else { Self::Again };
        start
    }

    /// It came to its end. True if it was asked for again.
    fn end(&mut self) -> bool {
        std::mem::replace(self, Self::No) == Self::Again
    }
}

/// Runs the controller until it is told to stop. Engines are left running.
///
/// # Errors
/// The database could not be read at the start.
pub async fn run(
    parts: Parts,
    nudges: mpsc::Receiver<GameId>,
    health: watch::Sender<Health>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let (finished, ends) = mpsc::channel(1_024);
    let tasks = TaskTracker::new();
    let Parts { store, recorder, epoch, runtime, engines, policy, limits, relist_every, metrics } = parts;
    let mut triggers = triggers::triggers(&store, &*runtime, relist_every, ends, nudges);
    let workshop = Workshop {
        runtime: runtime.clone(),
        engines,
        store: store.clone(),
        finished,
        tasks: tasks.clone(),
        pulls: Arc::new(Semaphore::new(limits.pulls.max(1))),
        stops: Arc::new(Semaphore::new(limits.stops.max(1))),
        engine_calls: Arc::new(Semaphore::new(limits.engine_calls.max(1))),
    };
    let rounds = Semaphore::new(limits.rounds.max(1));
    let mut controller = Controller {
        context: Arc::new(Context { runtime, recorder, policy, epoch, metrics, rounds }),
        workshop,
        games: HashMap::new(),
        versions: HashMap::new(),
        queue: Queue::default(),
        slots: Slots::new(limits.starts),
        pulls: Pulls::default(),
        health,
        docker_down: None,
        docker_verified: false,
        deposed: false,
        looked: false,
        listing: Running::No,
        looking: Running::No,
    };
    for (game, record) in store.records().await? {
        controller.games.insert(game, Entry::known(record));
    }
    loop {
        let due = controller.queue.next_due();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            trigger = triggers.next() => match trigger {
                Some(trigger) => controller.handle(trigger),
                None => break,
            },
            () = sleep_until(due) => {}
        }
        if controller.deposed {
            shutdown.cancel();
            break;
        }
        controller.start_due_rounds();
    }
    // Rounds that still wait for their turn end without having done anything.
    controller.context.rounds.close();
    // What has begun comes to its end; its results are on record or will be looked at again.
    drop(triggers);
    controller.pulls.abort_all();
    tasks.close();
    if tokio::time::timeout(LAST_ROUNDS, tasks.wait()).await.is_err() {
        tracing::warn!("some work did not end in time; it is looked at again at the next start");
    }
    if controller.deposed { Err(RunError::Deposed) } else { Ok(()) }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

impl Controller {
    fn handle(&mut self, trigger: Trigger) {
        match trigger {
            Trigger::Desired => self.look_at_desired(),
            Trigger::Relist => self.relist(),
            Trigger::Nudge(game) => self.nudge(game),
            Trigger::Runtime(RuntimeEvent { game: Some(game), action }) => {
                tracing::debug!(game_id = %game, action, "runtime event");
                self.tell(game, News::ContainerStale);
            }
            Trigger::Runtime(RuntimeEvent { game: None, action }) => {
                tracing::debug!(action, "runtime events may have been lost");
                self.relist();
            }
            Trigger::Finished(finished) => match *finished {
                Finished::Round(game, output) => self.round_ended(game, *output),
                Finished::Work(game, number, news) => {
                    let entry = self.games.get_mut(&game);
                    if let Some(news) = entry.and_then(|entry| entry.end_work(number, news)) {
                        self.tell(game, news);
                    }
                }
                Finished::Pull(image, result) => {
                    for (game, news) in self.pulls.ended(&image, result) {
                        self.tell(game, news);
                    }
                }
                Finished::Listed(result) => self.listed(result),
                Finished::Desired(result) => self.desired(result),
            },
        }
        self.context.metrics.queue.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
    }

    fn nudge(&mut self, game: GameId) {
        self.queue.at(game, Instant::now());
    }

    fn tell(&mut self, game: GameId, news: News) {
        if let Some(entry) = self.games.get_mut(&game) {
            entry.tell(news);
            self.nudge(game);
        }
    }

    fn look_at_desired(&mut self) {
        if self.looking.ask() {
            self.start_looking(Duration::ZERO);
        }
    }

    fn start_looking(&self, wait: Duration) {
        let known = self.games.iter().filter_map(|(id, entry)| Some((*id, entry.seen_at()?))).collect();
        self.workshop.look_at_desired(known, self.versions.clone(), wait);
    }

    fn desired(&mut self, result: Result<DesiredLook, StoreError>) {
        let again = self.looking.end();
        match result {
            Ok(DesiredLook { changed, gone, versions }) => {
                self.looked = true;
                self.versions = versions;
                for (desired, row_version) in changed {
                    let game = desired.id;
                    let entry = self.games.entry(game).or_insert_with(Entry::unknown);
                    let before = entry.record.as_ref().map(|record| record.phase);
                    entry.declare(desired, row_version);
                    self.context.metrics.moved(before.filter(|_| entry.counted), entry.count());
                    self.nudge(game);
                }
                for game in gone {
                    self.row_gone(game);
                }
                self.say(|health| {
                    health.database_down = None;
                });
            }
            Err(error) => {
                let why =
                    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(error = why, "desired state could not be read; nothing is decided on it");
                self.say(|health| health.database_down = Some(why.clone()));
                // The feed tells only of what changes after it: ask again.
                self.looking = Running::Yes;
                self.start_looking(RETRY);
                return;
            }
        }
        if again {
            self.look_at_desired();
        }
    }

    /// A row vanished without a request for deletion: nothing is torn down for that.
    fn row_gone(&mut self, game: GameId) {
        let Some(entry) = self.games.get_mut(&game) else { return };
        if entry.in_round {
            // It may be the end of a deletion that this very round brings.
            entry.gone = true;
            return;
        }
        let phase = entry.record.as_ref().map(|record| record.phase);
        let deleted = entry.record.as_ref().is_none_or(|record| record.deleted_at.is_some());
        if !deleted {
            tracing::warn!(game_id = %game, "the game's row is gone; its engine is left alone");
        }
        self.context.metrics.moved(phase.filter(|_| entry.counted), None);
        self.forget(game);
    }

    /// Its row is gone. What is known of it stays, for the case that the row comes back.
    fn forget(&mut self, game: GameId) {
        if let Some(entry) = self.games.get_mut(&game) {
            entry.row_is_gone();
        }
        self.queue.forget(game);
        self.pulls.let_go(game, None);
        if let Some(next) = self.slots.release(game) {
            self.nudge(next);
        }
        // It may have come back already, while its end was being recorded.
        self.look_at_desired();
    }

    fn relist(&mut self) {
        if self.listing.ask() {
            self.context.metrics.relists.inc();
            self.workshop.list(Duration::ZERO, !self.docker_verified);
        }
    }

    fn listed(&mut self, result: Result<Vec<Listed>, RuntimeError>) {
        let again = self.listing.end();
        match result {
            Ok(containers) => {
                self.docker_verified = true;
                let was_down = self.docker_down.take().is_some();
                if was_down {
                    tracing::info!("Docker answers again");
                }
                self.context.metrics.docker_up.set(1);
                self.say(|health| {
                    health.started = true;
                    health.docker_down = None;
                });
                self.compare(&containers, was_down);
            }
            Err(error) => self.docker_is_silent(&error),
        }
        if again {
            self.relist();
        }
    }

    /// Compares the bulk list with what is remembered; only what differs is looked at.
    fn compare(&mut self, containers: &[Listed], was_down: bool) {
        let listed: HashMap<GameId, &Listed> =
            containers.iter().map(|listed| (listed.game, listed)).collect();
        let mut stale = Vec::new();
        for (game, entry) in self.games.iter().filter(|(_, entry)| entry.is_desired()) {
            let agrees = entry.facts.agree_with(*game, listed.get(game).copied());
            if was_down || entry.waits_for_person() {
                stale.push((*game, News::EverythingStale));
            } else if entry.silent_since().is_none() && !agrees {
                // (About a silent one Docker is asked again by its own retry.)
                stale.push((*game, News::ContainerStale));
            }
        }
        for (game, news) in stale {
            self.tell(game, news);
        }
        let has_row = |listed: &&Listed| self.games.get(&listed.game).is_some_and(Entry::is_desired);
        for listed in containers.iter().filter(|listed| self.looked && !has_row(listed)) {
            tracing::warn!(game_id = %listed.game, container = listed.id.short(), "a container of ours has no row; it is left alone");
        }
    }

    fn docker_is_silent(&mut self, error: &RuntimeError) {
        let why = crate::reconcile::apply::failure(&crate::reconcile::Step::LookAtNetwork, error).message;
        self.context.metrics.docker_up.set(0);
        if self.docker_down.is_none() {
            tracing::warn!(error = why, "Docker does not answer; nothing is decided until it does");
            self.docker_down = Some((Timestamp::now(), why.clone()));
            let games: Vec<GameId> = self.games.keys().copied().collect();
            for game in games {
                self.nudge(game);
            }
        }
        self.say(|health| {
            health.started = true;
            health.docker_down = Some(why.clone());
        });
        // Whoever answers next may be another one.
        self.docker_verified = false;
        self.workshop.list(ASK_AGAIN, true);
        self.listing = Running::Yes;
    }

    fn say(&self, change: impl FnOnce(&mut Health)) {
        self.health.send_if_modified(|health| {
            let before = health.clone();
            change(health);
            *health != before
        });
    }

    fn start_due_rounds(&mut self) {
        let now = Instant::now();
        while let Some(game) = self.queue.pop(now) {
            let slot = self.slots.holds(game);
            let pulling = self.pulls.of(game);
            let docker_down = self.docker_down.clone();
            let Some(entry) = self.games.get_mut(&game) else { continue };
            let Some(input) = entry.begin_round(slot, pulling, docker_down) else { continue };
            let span = tracing::info_span!("round", game_id = %game, name = %input.desired.name);
            let context = self.context.clone();
            let work = async move {
                let output = round::round(&context, input).await;
                Finished::Round(game, Box::new(output))
            };
            self.workshop.spawn(work.instrument(span));
        }
    }

    fn begin(&mut self, game: GameId, step: Step, background: Background) {
        let Some(entry) = self.games.get_mut(&game) else { return };
        match background {
            Background::Pull(image) => {
                let workshop = self.workshop.clone();
                self.pulls.want(game, &image, |progress| workshop.pull(image.clone(), progress));
            }
            Background::Stop(container, grace) => {
                let number = entry.begin_work(Work::Stopping(container.clone()));
                self.workshop.stop(game, number, step, container, grace);
            }
            Background::Probe(life, endpoint) => {
                let Some(target) = entry.target(endpoint) else { return self.retry(game) };
                let number = entry.begin_work(Work::Probing(life.clone()));
                self.workshop.probe(target, number, life);
            }
            Background::Initialise(life, endpoint, races) => {
                let Some(target) = entry.target(endpoint) else { return self.retry(game) };
                let number = entry.begin_work(Work::Initialising(life));
                self.workshop.initialise(target, number, step, races);
            }
        }
    }

    fn retry(&mut self, game: GameId) {
        self.queue.at(game, Instant::now() + RETRY);
    }

    fn round_ended(&mut self, game: GameId, output: Output) {
        let now = Instant::now();
        let Some(entry) = self.games.get_mut(&game) else { return };
        let before = entry.record.as_ref().map(|record| record.phase).filter(|_| entry.counted);
        let ended = entry.end_round(output);
        self.context.metrics.moved(before, if ended.deleted { None } else { entry.count() });
        let gone = entry.gone;
        if ended.deleted || gone {
            if !ended.deleted {
                tracing::warn!(game_id = %game, "the game's row is gone; its engine is left alone");
            }
            return self.forget(game);
        }
        for (step, background) in ended.begin {
            self.begin(game, step, background);
        }
        if !ended.retry && !ended.at_once {
            // A hiccup, or a look on the way, is no reason to let go of a long download.
            self.pulls.let_go(game, ended.waits_for_pull.as_ref());
        }
        if ended.uses_start_slot {
            if self.slots.want(game) {
                self.queue.at(game, now);
            }
        } else if let Some(next) = self.slots.release(game) {
            self.queue.at(next, now);
        }
        if ended.at_once {
            self.queue.at(game, now);
        }
        if let Some(at) = ended.look_again {
            let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            // A timer's reach ends long before time does; the relist looks anyway.
            self.queue.at(game, now + wait.clamp(SOONEST, Duration::from_secs(86_400)));
        }
        if ended.retry {
            self.queue.at(game, now + RETRY);
        }
        if ended.newly_silent && self.docker_down.is_none() {
            self.relist();
        }
        self.deposed |= ended.deposed;
    }
}
