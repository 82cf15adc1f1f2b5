//! What runs beside the rounds: effects that take long, bulk looks, and the rounds themselves.
//!
//! Each is a task that ends by handing in a [`Finished`]; none of them touches the controller's
//! state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::clock::Moment;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use crate::engine::{EngineClient, Target};
use crate::game::backup::Keep;
use crate::game::container::ImageSelector;
use crate::game::controller::{ControllerSpec, Freeze};
use crate::game::engine::Answer;
use crate::game::patch::Build;
use crate::game::record::{Life, Record};
use crate::game::spec::Desired;
use crate::game::{
    Backup, BackupId, ContainerId, EngineVersion, GameId, ImageRef, NewBackup, RaceName, RestoreId,
};
use crate::reconcile::apply;
use crate::reconcile::{Failure, FailureClass, Remains, Step};
use crate::runtime::{CopyProgress, Listed, MayGo, PullProgress, Runtime, RuntimeError};
use crate::store::{RowVersion, Store, StoreError};

use super::copies::{Begun, LongWork, Pausing, Progress, Pruning, SharedNamed, TURN, prune};
use super::entry::Believed;
use super::facts::News;
use super::ground::{GroundLook, KnownHighWater};
use super::leading::Leading;
use super::round::Output;

/// The end of something that ran beside the loop.
#[derive(Debug)]
pub(super) enum Finished {
    /// A round.
    Round(GameId, Box<Output>),
    /// Work in the background of one game.
    Work(GameId, u64, News),
    /// A pull of this number, for every game that waits on it.
    Pull(ImageRef, u64, Option<Result<(), RuntimeError>>),
    /// A look at everything: what the games stand on, and every container.
    Listed(Box<Everything>),
    /// A bulk look at desired state.
    Desired(Result<DesiredLook, StoreError>),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

/// What a look at everything found.
#[derive(Debug)]
pub(super) struct Everything {
    /// Who answers as Docker, if it said so.
    pub(super) docker: Option<String>,
    /// What had cast doubt on that when the look began.
    pub(super) doubts: u64,
    pub(super) ground: Result<GroundLook, StoreError>,
    /// The time at which the database had said its part of that. Docker may take much longer.
    pub(super) ground_at: Moment,
    pub(super) containers: Result<Vec<Listed>, RuntimeError>,
    /// The games that have a state directory; none if that cannot be told.
    pub(super) directories: Option<Directories>,
}

/// The games that had a state directory at a moment.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) at: Moment,
    pub(super) of: HashSet<GameId>,
}

/// What a bulk look at desired state found.
#[derive(Debug)]
pub(super) struct DesiredLook {
    /// The time at which it began: it knows nothing of what came later.
    pub(super) began: Moment,
    /// Games whose rows changed, with their row versions.
    pub(super) changed: Vec<(Desired, RowVersion)>,
    /// The record of each game that was not remembered; most have none.
    pub(super) records: HashMap<GameId, Option<Record>>,
    /// Games whose rows are gone.
    pub(super) gone: Vec<GameId>,
    /// The engine versions' row versions.
    pub(super) versions: HashMap<String, i64>,
    /// What operators want of the whole controller.
    pub(super) spec: ControllerSpec,
    /// The records of games that have come to their end, of those about whom that was not known.
    pub(super) ended: HashMap<GameId, Record>,
    /// The number of times that another database had answered when this look began.
    pub(super) replacements: u64,
}

/// The knowledge of desired state when a look at it begins.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) games: HashMap<GameId, Option<(RowVersion, Option<String>)>>,
    pub(super) versions: HashMap<String, i64>,
    /// Games that may have come to their end without anybody's having said so. Their rows may be others by now,
    /// which count from the beginning again.
    pub(super) unsure: HashSet<GameId>,
    /// The number of times that another database had answered when desired state was last read.
    pub(super) replacements: u64,
}

/// Starts work and hands in its end.
#[derive(Clone)]
pub(super) struct Workshop {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) engines: EngineClient,
    pub(super) store: Store,
    pub(super) finished: mpsc::Sender<Finished>,
    pub(super) tasks: TaskTracker,
    pub(super) pulls: Arc<Semaphore>,
    pub(super) stops: Arc<Semaphore>,
    pub(super) engine_calls: Arc<Semaphore>,
    pub(super) turns: Arc<Semaphore>,
    pub(super) copies: Arc<LongWork>,
    pub(super) removals: Arc<LongWork>,
    /// What is kept of a game's copies.
    pub(super) keep: Keep,
    /// Why nothing may be touched, if so.
    pub(super) brake: watch::Receiver<Option<Freeze>>,
    /// Whether this process still leads.
    pub(super) leading: Leading,
    /// The furthest that the database had come, as far as this leadership knows.
    pub(super) high_water: KnownHighWater,
}

impl Workshop {
    /// Frozen or deposed: asked before whatever changes anything, wherever it may have waited.
    fn may_not_act(&self) -> bool {
        self.brake.borrow().is_some() || !self.leading.holds()
    }

    /// A place among those that do the like. None for a process that is frozen or deposed by then, however
    /// long it waited: whatever changes anything in the background comes through here, or through the next.
    /// (Who puts a copy back queues behind nobody, for its game is down; it asks the same.)
    async fn place<'p>(&self, places: &'p Semaphore) -> Option<SemaphorePermit<'p>> {
        let place = places.acquire().await.ok();
        place.filter(|_| !self.may_not_act())
    }

    /// The same for what takes long.
    async fn begun<'p>(&self, work: &'p LongWork) -> Option<Begun<'p>> {
        work.begin().await.filter(|_| !self.may_not_act())
    }

    pub(super) fn spawn(&self, work: impl Future<Output = Finished> + Send + 'static) -> AbortHandle {
        let this = self.clone();
        let task = async move { this.hand_in(work.await).await };
        self.tasks.spawn(tracing::Instrument::in_current_span(task)).abort_handle()
    }

    async fn hand_in(&self, end: Finished) {
        // The loop may have ended: then nobody needs to know.
        let _ = self.finished.send(end).await;
    }

    pub(super) fn stop(
        &self,
        game: GameId,
        number: u64,
        step: Step,
        container: ContainerId,
        grace: std::time::Duration,
    ) {
        let this = self.clone();
        self.spawn(async move {
            let Some(_place) = this.place(&this.stops).await else {
                return Finished::Work(game, number, News::ContainerStale);
            };
            let news = match this.runtime.stop(game, &container, grace).await {
                Ok(()) => News::ContainerStale,
                Err(error) => counted(&step, &error),
            };
            Finished::Work(game, number, news)
        });
    }

    pub(super) fn probe(&self, (target, believed): (Target, Believed), number: u64, life: Life) {
        let this = self.clone();
        self.spawn(async move {
            let _place = this.engine_calls.acquire().await;
            if !believed.holds() {
                // Whoever has that address by now must not be shown the token.
                return Finished::Work(target.game, number, News::EngineStale(None));
            }
            let mut answer = this.engines.probe(&target).await;
            if let Answer::WrongEngine(why) = &mut answer
                && let Some(other) = this.runtime.other_at_address(&target.endpoint, &life.container).await
            {
                why.push_str(&format!("; {other} has that address, too"));
            }
            Finished::Work(target.game, number, said(&believed, life, answer))
        });
    }

    pub(super) fn initialise(
        &self,
        (target, believed): (Target, Believed),
        number: u64,
        step: Step,
        races: Vec<RaceName>,
    ) {
        let this = self.clone();
        self.spawn(async move {
            let place = this.place(&this.engine_calls).await;
            if place.is_none() || !believed.holds() {
                // Its address may be another's by now.
                return Finished::Work(target.game, number, News::NotSent(step));
            }
            let failure = this.engines.initialise(&target, &races).await.err();
            let failure = failure.map(|error| {
                tracing::warn!(error = %error, "initialisation was not answered as it should be");
                apply::engine_failure(&step, &error)
            });
            Finished::Work(target.game, number, News::EngineStale(failure))
        });
    }

    pub(super) fn turn(
        &self,
        (target, believed): (Target, Believed),
        number: u64,
        step: Step,
        life: Life,
        from: i64,
    ) {
        let this = self.clone();
        self.spawn(async move {
            let place = this.place(&this.turns).await;
            if place.is_none() || !believed.holds() {
                // Its address may be another's by now.
                return Finished::Work(target.game, number, News::NotSent(step));
            }
            let news = match this.engines.turn(&target, from).await {
                Ok(answer) => said(&believed, life, answer),
                // What it did is found out by asking.
                Err(error) => {
                    tracing::warn!(error = %error, from, "a turn was not answered as it should be");
                    News::EngineStale(Some(apply::engine_failure(&step, &error)))
                }
            };
            Finished::Work(target.game, number, news)
        });
    }

    pub(super) fn back_up(
        &self,
        number: u64,
        step: Step,
        new: NewBackup,
        progress: Progress,
        named: SharedNamed,
    ) -> AbortHandle {
        let (this, game) = (self.clone(), new.game);
        let task = async move {
            let news = match this.copied(&new, &progress).await {
                Some(Ok(backup)) => News::BackedUp(Box::new(backup)),
                Some(Err(error)) => counted(&step, &error),
                None => News::ContainerStale,
            };
            let is_there = matches!(news, News::BackedUp(_));
            this.hand_in(Finished::Work(game, number, news)).await;
            // The game goes on, and does not wait for that.
            if is_there {
                this.prune(game, named).await;
            }
        };
        self.tasks.spawn(tracing::Instrument::in_current_span(task)).abort_handle()
    }

    /// The copy that was taken, or why not; none: this process may not act any more.
    async fn copied(&self, new: &NewBackup, progress: &Progress) -> Option<Result<Backup, RuntimeError>> {
        let begun = self.begun(&self.copies).await?;
        let tell = |now| keep(progress, now);
        let pausing = Pausing { runtime: self.runtime.clone(), game: new.game };
        let pause = |paused| pausing.pause(paused);
        tokio::select! {
            done = begun.in_turns(TURN, pause, self.runtime.back_up(new, &tell)) => Some(done),
            () = self.leading.ended() => None,
        }
    }

    /// Removes what is too much of a game's copies, for as long as this process may.
    async fn prune(&self, game: GameId, named: SharedNamed) {
        let (leading, brake) = (self.leading.clone(), self.brake.clone());
        let may_go: Arc<dyn MayGo> = Arc::new(Pruning { named, leading, brake });
        tokio::select! {
            () = prune(&*self.runtime, game, self.keep, &may_go) => {}
            () = self.leading.ended() => {}
            () = self.is_frozen() => {}
            // The controller has ended.
            () = self.finished.closed() => {}
        }
    }

    pub(super) fn fetch_backup(
        &self,
        game: GameId,
        number: u64,
        step: Step,
        (backup, restore, build): (BackupId, RestoreId, Build),
        progress: Progress,
    ) -> AbortHandle {
        let this = self.clone();
        self.spawn(async move {
            // The image first: whoever waits for a registry keeps nobody from copying.
            let brought = tokio::select! {
                brought = this.bring_image(&build) => brought,
                () = this.leading.ended() => return Finished::Work(game, number, News::ContainerStale),
            };
            if let Err(error) = brought {
                return Finished::Work(game, number, counted(&step, &error));
            }
            let Some(begun) = this.begun(&this.copies).await else {
                return Finished::Work(game, number, News::ContainerStale);
            };
            let tell = |now| keep(&progress, now);
            let pausing = Pausing { runtime: this.runtime.clone(), game };
            let fetched = async {
                loop {
                    match this.runtime.fetch_backup(game, &backup, &restore, &tell).await {
                        // Other work on this game's copies, which was waited for already.
                        Err(RuntimeError::Conflict(_)) => {}
                        fetched => break fetched,
                    }
                }
            };
            let done = tokio::select! {
                done = begun.in_turns(TURN, |paused| pausing.pause(paused), fetched) => done,
                () = this.leading.ended() => return Finished::Work(game, number, News::ContainerStale),
            };
            let news = match done {
                Ok(_) => News::FetchedBack(restore),
                Err(error) => counted(&step, &error),
            };
            Finished::Work(game, number, news)
        })
    }

    pub(super) fn put_back(
        &self,
        game: GameId,
        number: u64,
        step: Step,
        (backup, restore): (BackupId, RestoreId),
        progress: Progress,
    ) {
        let this = self.clone();
        self.spawn(async move {
            if this.may_not_act() {
                return Finished::Work(game, number, News::ContainerStale);
            }
            let tell = |now| keep(&progress, now);
            // What is dropped stands still: the state is where it was, or aside.
            let done = tokio::select! {
                done = this.runtime.put_back(game, &backup, &restore, &tell) => done,
                () = this.leading.ended() => return Finished::Work(game, number, News::ContainerStale),
            };
            let news = match done {
                Ok(_) => News::PutBack(restore),
                Err(error) => counted(&step, &error),
            };
            Finished::Work(game, number, news)
        });
    }

    /// Removes what a game has on the disk. A large state gives its place away as a long copy does.
    pub(super) fn remove(
        &self,
        game: GameId,
        number: u64,
        step: Step,
        part: Remains,
        progress: Progress,
    ) -> AbortHandle {
        let this = self.clone();
        self.spawn(async move {
            let Some(begun) = this.begun(&this.removals).await else {
                return Finished::Work(game, number, News::EverythingStale);
            };
            let tell = |now| keep(&progress, now);
            let pausing = Pausing { runtime: this.runtime.clone(), game };
            let removal = async {
                match part {
                    Remains::Copies => this.runtime.remove_copies(game, &tell).await,
                    Remains::State => this.runtime.remove_state_directory(game, &tell).await,
                }
            };
            // A removal that is dropped stands still: nothing is half there. What is left of it lies elsewhere,
            // so what was seen before says nothing.
            let done = tokio::select! {
                done = begun.in_turns(TURN, |paused| pausing.pause(paused), removal) => done,
                () = this.leading.ended() => return Finished::Work(game, number, News::EverythingStale),
                () = this.is_frozen() => return Finished::Work(game, number, News::EverythingStale),
            };
            let news = match done {
                Ok(()) => News::Removed(part),
                Err(error) => counted(&step, &error),
            };
            Finished::Work(game, number, news)
        })
    }

    /// Ends once nothing may be touched.
    async fn is_frozen(&self) {
        if self.brake.clone().wait_for(Option::is_some).await.is_err() {
            // The controller has ended.
            std::future::pending().await
        }
    }

    /// Has the image of a build on the host, in the order of those that fetch one.
    async fn bring_image(&self, build: &Build) -> Result<(), RuntimeError> {
        if self.runtime.image(&ImageSelector::Pinned(build.image.clone())).await?.is_some() {
            return Ok(());
        }
        let _place = self.pulls.acquire().await;
        self.runtime.bring_image(build).await
    }

    pub(super) fn pull(
        &self,
        image: ImageRef,
        number: u64,
        progress: Arc<std::sync::Mutex<PullProgress>>,
    ) -> AbortHandle {
        let this = self.clone();
        self.spawn(async move {
            let Some(_place) = this.place(&this.pulls).await else {
                return Finished::Pull(image, number, None);
            };
            let tell = move |now: PullProgress| {
                if let Ok(mut shown) = progress.lock() {
                    *shown = now;
                }
            };
            let result = this.runtime.pull(&image, &tell).await.map(drop);
            Finished::Pull(image, number, Some(result))
        })
    }

    /// Looks at everything, after a pause: what the games stand on, and every container. Docker is
    /// asked who it is, before anything it says is believed, unless that is beyond doubt.
    pub(super) fn list(&self, wait: std::time::Duration, known: Option<String>, doubts: u64) {
        let this = self.clone();
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            let docker = match known {
                Some(id) => Ok(id),
                None => this.runtime.identity().await.map(|identity| identity.id),
            };
            let ground = this.look_at_ground(docker.as_deref().ok()).await;
            let ground_at = Moment::now();
            let at = Moment::now();
            let directories = this.runtime.state_directories().await.ok().map(|of| Directories { at, of });
            let (docker, containers) = match docker {
                Ok(id) => (Some(id), this.runtime.list().await),
                // Who does not say who it is, is not asked anything else.
                Err(error) => (None, Err(error)),
            };
            Finished::Listed(Box::new(Everything {
                docker,
                doubts,
                ground,
                ground_at,
                containers,
                directories,
            }))
        });
    }

    /// Reads what changed since these row versions, in a fixed number of queries.
    pub(super) fn look_at_desired(&self, known: Known, wait: std::time::Duration) {
        let this = self.clone();
        self.spawn(async move {
            tokio::time::sleep(wait).await;
            Finished::Desired(look(&this.store, known).await)
        });
    }
}

async fn look(store: &Store, known: Known) -> Result<DesiredLook, StoreError> {
    let Known { games, versions, unsure, replacements } = known;
    let began = Moment::now();
    let replacements_now = store.replacements();
    // A row of another database may have the same version and say something else.
    let is_another = replacements_now != replacements;
    let versions_now = store.version_index().await?;
    let index = store.desired_index().await?;
    // After the index and before the rows: a row that is read then is not the one that went with its game.
    let mut ended = store.records(&unsure.iter().copied().collect::<Vec<_>>()).await?;
    ended.retain(|_, record| record.deleted_at.is_some());
    let version_moved = |wish: &Option<String>| {
        wish.as_ref().is_some_and(|wish| match wish.parse::<EngineVersion>() {
            Ok(_) => versions.get(wish) != versions_now.get(wish),
            // Whichever fits best.
            Err(_) => versions != versions_now,
        })
    };
    let changed: Vec<GameId> = index
        .iter()
        .filter(|(id, row_version)| match games.get(id) {
            Some(Some((known, version))) => {
                is_another || known != *row_version || version_moved(version) || unsure.contains(*id)
            }
            Some(None) | None => true,
        })
        .map(|(id, _)| *id)
        .collect();
    let has_gone = |id: &GameId, seen_at: &Option<_>| seen_at.is_some() && !index.contains_key(id);
    let gone = games.iter().filter(|(id, seen_at)| has_gone(id, seen_at)).map(|(id, _)| *id).collect();
    let new: Vec<GameId> = index.keys().filter(|id| !games.contains_key(id)).copied().collect();
    // Its former life may be on record: then this one goes on from there.
    let mut on_record = store.records_until(&new, jiff::Timestamp::now()).await?;
    let records = new.into_iter().map(|id| (id, on_record.remove(&id))).collect();
    let changed = store.desired(&changed).await?;
    let spec = store.controller_spec().await?;
    let versions = versions_now;
    let replacements = replacements_now;
    Ok(DesiredLook { began, changed, records, gone, versions, spec, ended, replacements })
}

/// What an engine said, if it had its address until then: else it may have been another one, and the right
/// one is asked again.
fn said(believed: &Believed, life: Life, answer: Answer) -> News {
    if believed.holds() { News::Said(life, Moment::now(), answer) } else { News::EngineStale(None) }
}

fn keep(progress: &Progress, now: CopyProgress) {
    if let Ok(mut shown) = progress.lock() {
        *shown = now;
    }
}

/// A failure outside a round is counted whatever it was, or it would be tried again without a pause.
pub(super) fn counted(step: &Step, error: &RuntimeError) -> News {
    let failure = apply::failure(step, error);
    tracing::warn!(step = %step, reason = failure.reason, error = failure.message, "work in the background failed");
    let class = match failure.class {
        FailureClass::Unknown | FailureClass::Stale => FailureClass::Retry,
        FailureClass::Retry
        | FailureClass::Host
        | FailureClass::Spec
        | FailureClass::Person
        | FailureClass::MayBeAlive => failure.class,
    };
    News::Failed(Failure { class, ..failure })
}
