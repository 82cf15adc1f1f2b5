//! The loop: what wakes it, whose turn it is, and who does the work.
//!
//! One task owns all state and never waits for anything but the next trigger; rounds and work run
//! beside it and hand in what came of them. Never two rounds of one game at once, any number of
//! different games side by side up to the configured limits.
//!
//! A look beside the loop may be old when it comes in. So it says when it was read, or is read
//! by one look at a time and from nowhere else, and an older fact never takes the place of a newer one: at
//! most it says that something has to be looked at again.

mod ask;
mod calls;
mod copies;
mod deletions;
mod desired;
mod dispatch;
mod entry;
mod facts;
mod ground;
mod halts;
mod leading;
mod metrics;
mod pulls;
mod queue;
mod recording;
mod refused;
mod relist;
mod round;
mod slots;
mod standing;
mod telling;
mod triggers;
mod work;

pub use ask::{Asker, NoAnswer, Question, Questions, questions};
pub use leading::{Leading, Moment};
pub use metrics::Metrics;
pub use standing::{Standing, standing};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{ClockSteps, Moment as Steady};
use crate::engine::EngineClient;
use crate::game::backup::Keep;
use crate::game::controller::{ControllerStatus, Freeze};
use crate::game::record::moved;
use crate::game::{Epoch, GameId};
use crate::reconcile::Policy;
use crate::runtime::{MOST_COPIES_BEGUN, MOST_REMOVALS_BEGUN, Runtime, RuntimeEvent};
use crate::store::{Recorder, Store, StoreError};

use calls::{Calls, LATE_PART};
use copies::{CopyUnderWay, LongWork};
use entry::Entry;
use facts::News;
use ground::{Guards, KnownHighWater};
use halts::Failures;
use pulls::Pulls;
use queue::Queue;
use round::Context;
use slots::{Places, Slots};
use triggers::Trigger;
use work::{Finished, Workshop};

/// How much may go on at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Containers being created and started.
    pub starts: usize,
    /// Images being fetched.
    pub pulls: usize,
    /// Containers being stopped, and as many being removed.
    pub stops: usize,
    /// Short calls to engines: how are you, here is your game.
    pub engine_calls: usize,
    /// Turns being generated. They may take long: the short calls have places of their own.
    pub turns: usize,
    /// Copies of states being taken.
    pub copies: usize,
    /// States, and copies of them, being removed.
    pub removals: usize,
    /// Rounds that ask Docker, by each kind of question.
    pub rounds: usize,
    /// Games that are patched.
    pub disruptions: usize,
    /// Games on which a change to one version may fail until nobody else is moved to it.
    pub patch_failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            starts: 8,
            pulls: 3,
            stops: 16,
            engine_calls: 256,
            turns: 512,
            copies: 8,
            removals: 8,
            rounds: 64,
            disruptions: 3,
            patch_failures: 3,
        }
    }
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
    /// The database went back to an earlier state under this controller, which knows more than it.
    #[error("the database is older than what was committed to it; what was known of it is given up")]
    DatabaseOlder,
}

/// What a controller is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Writes of observed state, in this epoch.
    pub recorder: Recorder,
    /// The leadership that acts.
    pub epoch: Epoch,
    /// Whether it still does.
    pub leading: Leading,
    /// The container runtime.
    pub runtime: Arc<dyn Runtime>,
    /// The engines' client.
    pub engines: EngineClient,
    /// Times and thresholds.
    pub policy: Policy,
    /// How much at a time.
    pub limits: Limits,
    /// What is kept of each game's copies.
    pub keep: Keep,
    /// How often everything is compared.
    pub relist_every: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// So many questions are answered at a time; they take no place from the games' rounds.
const QUESTIONS: usize = 4;

/// So many logs of containers that ended are read at a time.
const LOGS: usize = 16;

/// So many games are in a round at a time, whatever it is that they wait for: enough to fill the
/// recorder's transactions while one is being written. A round of each of ten thousand games at once
/// would take a gigabyte.
const MOST_ROUNDS: usize = 512;

/// No timer is shorter: what is due at once is said so, and a plan that is always due must not spin.
const SOONEST: Duration = Duration::from_millis(5);

/// How long a silent Docker is left alone before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How soon a round that could not be recorded, or about which Docker was silent, is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A step of the wall clock that is told, and put on record with every time that it moved. A smaller one is
/// the work of a time service, and moves them all the same.
const TOLD: Duration = Duration::from_secs(1);

/// How long running rounds may take to end when the controller stops.
const LAST_ROUNDS: Duration = Duration::from_secs(10);

/// The controller's state.
struct Controller {
    context: Arc<Context>,
    workshop: Workshop,
    games: HashMap<GameId, Entry>,
    versions: HashMap<String, i64>,
    /// The number of times that another database had answered when desired state was last read.
    replacements: u64,
    queue: Queue,
    /// How many games are in a round.
    in_rounds: usize,
    places: Places,
    /// How far the copying of states is.
    copies: HashMap<GameId, CopyUnderWay>,
    /// How often changes of version failed.
    failures: Failures,
    pulls: Pulls,
    health: watch::Sender<ControllerStatus>,
    docker_down: Option<facts::Silence>,
    /// What concerns all games.
    guards: Guards,
    docker: Trust,
    /// Counts what cast doubt on it: a look that began before says nothing about what came after.
    doubts: u64,
    /// Why nothing may be touched, for those who wait beside the loop.
    brake: watch::Sender<Option<Freeze>>,
    /// The reason that this leadership is over, if it is.
    over: Option<Over>,
    /// Notices when the wall clock is set.
    clock: ClockSteps,
    /// Desired state, and what operators want of the controller, have been read.
    looked: bool,
    /// The time at which the database was last heard, or found to be silent.
    database_at: Steady,
    listing: Running,
    looking: Running,
}

/// The reason that a leadership is over before it is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Another controller has taken over.
    Deposed,
    /// The database is older than what is known of it.
    DatabaseOlder,
}

/// Whether it is beyond doubt who answers as Docker.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trust {
    /// It has to be asked who it is, before anything it says is believed.
    Doubtful,
    /// It is this Docker Engine.
    Verified(String),
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
    questions: Questions,
    health: watch::Sender<ControllerStatus>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let (finished, ends) = mpsc::channel(1_024);
    let tasks = TaskTracker::new();
    let Parts {
        store,
        recorder,
        epoch,
        leading,
        runtime,
        engines,
        policy,
        limits,
        keep,
        relist_every,
        metrics,
    } = parts;
    // An earlier leadership of this process may have counted.
    metrics.forget_games();
    let mut triggers = triggers::triggers(&store, &*runtime, relist_every, ends, questions.0);
    let brake = watch::Sender::new(None);
    let workshop = Workshop {
        runtime: runtime.clone(),
        engines,
        store: store.clone(),
        finished,
        tasks: tasks.clone(),
        pulls: Arc::new(Semaphore::new(limits.pulls.max(1))),
        stops: Arc::new(Semaphore::new(limits.stops.max(1))),
        engine_calls: Arc::new(Semaphore::new(limits.engine_calls.max(1))),
        turns: Arc::new(Semaphore::new(limits.turns.max(1))),
        copies: Arc::new(LongWork::new(MOST_COPIES_BEGUN, limits.copies)),
        removals: Arc::new(LongWork::new(MOST_REMOVALS_BEGUN, limits.removals)),
        keep,
        brake: brake.subscribe(),
        leading: leading.clone(),
        high_water: KnownHighWater::new(store.instance().await?.high_water, recorder.high_water()),
    };
    let rounds = Semaphore::new(limits.rounds.max(1));
    let guards = Guards::new(&policy.deletions);
    let mut controller = Controller {
        context: Arc::new(Context {
            runtime,
            recorder,
            policy,
            epoch,
            leading,
            metrics,
            rounds,
            late: Semaphore::new((limits.rounds / LATE_PART).max(1)),
            questions: Semaphore::new(QUESTIONS),
            deletions: deletions::Door::new(),
            calls: Calls::new(limits.rounds, limits.stops),
            logs: Semaphore::new(LOGS),
            brake: brake.subscribe(),
        }),
        workshop,
        games: HashMap::new(),
        versions: HashMap::new(),
        replacements: store.replacements(),
        queue: Queue::default(),
        in_rounds: 0,
        places: Places { starts: Slots::new(limits.starts), disruptions: Slots::new(limits.disruptions) },
        copies: HashMap::new(),
        failures: Failures::new(store.patch_failures().await?, limits.patch_failures),
        pulls: Pulls::default(),
        health,
        docker_down: None,
        guards,
        docker: Trust::Doubtful,
        doubts: 0,
        brake,
        over: None,
        clock: ClockSteps::default(),
        looked: false,
        database_at: Steady::now(),
        listing: Running::No,
        looking: Running::No,
    };
    let now = controller.clock.clock().now();
    for (game, record) in store.records_to_lead(now, controller.deletions_count_since(now)).await? {
        controller.games.insert(game, Entry::known(record));
        controller.keep_room(game);
    }
    loop {
        // With every place taken, the end of a round is what is waited for.
        let may_begin = controller.may_begin() && controller.has_place_for_a_round();
        let due = may_begin.then(|| controller.queue.next_due()).flatten();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            trigger = triggers.next() => match trigger {
                Some(trigger) => {
                    controller.follow_clock();
                    controller.handle(trigger);
                }
                None => break,
            },
            () = sleep_until(due) => controller.follow_clock(),
        }
        if controller.over.is_some() {
            shutdown.cancel();
            break;
        }
        controller.start_due_rounds();
    }
    // Rounds that still wait for their turn end without having done anything.
    controller.context.rounds.close();
    controller.context.late.close();
    controller.context.questions.close();
    controller.context.calls.close();
    // What has begun comes to its end; its results are on record or will be looked at again.
    drop(triggers);
    controller.pulls.abort_all();
    for copy in controller.copies.values() {
        copy.call_off();
    }
    tasks.close();
    if tokio::time::timeout(LAST_ROUNDS, tasks.wait()).await.is_err() {
        tracing::warn!("some work did not end in time; it is looked at again at the next start");
    }
    match controller.over {
        None => Ok(()),
        Some(Over::Deposed) => Err(RunError::Deposed),
        Some(Over::DatabaseOlder) => Err(RunError::DatabaseOlder),
    }
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
            Trigger::Asked(question) => self.explain(question),
            Trigger::Runtime(RuntimeEvent { game: Some(game), container: _, action }) => {
                tracing::debug!(game_id = %game, action, "runtime event");
                self.tell(game, News::ContainerStale);
            }
            Trigger::Runtime(RuntimeEvent { game: None, container: Some(container), action }) => {
                // (Whose it is nobody knows yet is being made, and is looked at when that is done.)
                let found = self.games.iter().find(|(_, entry)| entry.has_container(&container));
                if let Some(game) = found.map(|(game, _)| *game) {
                    tracing::debug!(game_id = %game, action, "its container's address has moved");
                    self.tell(game, News::ContainerStale);
                }
            }
            Trigger::Runtime(RuntimeEvent { game: None, container: None, action }) => {
                tracing::debug!(action, "runtime events may have been lost");
                // Whoever answers next may be another one: nothing begins before that is known.
                self.doubt_docker();
                self.relist();
            }
            Trigger::Finished(finished) => match *finished {
                Finished::Round(game, output) => self.round_ended(game, *output),
                Finished::Work(game, number, news) => {
                    if self.copies.get(&game).is_some_and(|copy| copy.number == number) {
                        self.copies.remove(&game);
                    }
                    let entry = self.games.get_mut(&game);
                    if let Some(news) = entry.and_then(|entry| entry.end_work(number, news)) {
                        self.tell(game, news);
                    }
                }
                Finished::Pull(image, number, result) => {
                    for (game, news) in self.pulls.ended(&image, number, result) {
                        self.tell(game, news);
                    }
                }
                Finished::Listed(everything) => self.listed(*everything),
                Finished::Desired(result) => self.desired(result),
            },
        }
        Metrics::show(&self.context.metrics.queue, self.queue.len());
    }

    /// Moves what is counted from a time with the wall clock, if that was set; and looks at all games,
    /// whose slots may have come nearer.
    fn follow_clock(&mut self) {
        let Some(step) = self.clock.step() else { return };
        let is_told = step.unsigned_abs() >= TOLD;
        if is_told {
            tracing::warn!(%step, "the wall clock was set");
            let message = format!(
                "The wall clock was set by {step:#}. Graces, pauses and deadlines go on as they were; schedules follow the new time."
            );
            self.tell_all(true, "ClockSet", &message);
        }
        if let Some(facts::Silence { since, .. }) = &mut self.docker_down {
            *since = moved(*since, step);
        }
        let now = Instant::now();
        for (game, entry) in &mut self.games {
            entry.shift_clock(step, is_told);
            if is_told {
                self.queue.at(*game, now);
            }
        }
    }

    /// Nothing more is done in this leadership.
    pub(super) fn end_leadership(&mut self, over: Over) {
        if over == Over::DatabaseOlder && self.over.is_none() {
            tracing::error!("the database is older than what was committed to it; everything is read anew");
            // Nobody else leads, so whoever is about to act has to be stopped here.
            self.context.leading.end();
        }
        self.over.get_or_insert(over);
    }

    /// Whether rounds may begin: the ground has been looked at, and nothing casts doubt on it.
    fn may_begin(&self) -> bool {
        self.guards.looked
            && self.context.leading.holds()
            && (matches!(self.docker, Trust::Verified(_)) || self.docker_down.is_some())
    }

    /// Whoever answers next may be another one.
    fn doubt_docker(&mut self) {
        self.doubts += 1;
        self.docker = Trust::Doubtful;
    }

    fn nudge(&mut self, game: GameId) {
        self.queue.at(game, Instant::now());
    }

    fn tell(&mut self, game: GameId, news: News) {
        if let Some(entry) = self.games.get_mut(&game) {
            entry.tell(news, self.clock.clock());
            self.nudge(game);
        }
    }

    /// The database answered at this moment, or did not, and why. What is older than the last word says nothing.
    fn database_says(&mut self, at: Steady, down: Option<String>) {
        if at >= self.database_at {
            self.database_at = at;
            self.say(|status| status.database_down = down);
        }
    }

    fn say(&self, change: impl FnOnce(&mut ControllerStatus)) {
        self.health.send_if_modified(|health| {
            let before = health.clone();
            change(health);
            *health != before
        });
    }
}
