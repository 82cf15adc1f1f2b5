//! One round of one game: observe → plan → record → apply.
//!
//! What the plan says is on disk before its first step: the operation, the counted attempt, the
//! intent to initialise. Nothing waits here; what takes long is handed back as background work.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};

use crate::clock::WallClock;
use crate::game::container::{Container, ContainerState, Owner};
use crate::game::controller::Freeze;
use crate::game::operation::Ending;
use crate::game::record::Record;
use crate::game::spec::Desired;
use crate::game::{EngineVersion, Epoch};
use crate::reconcile::apply::{self, Background, Effect, Subject};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::EngineView;
use crate::reconcile::plan::{Plan, RECORD_REFUSED};
use crate::reconcile::{
    Beside, FailureClass, Looked, NextImage, Observation, Policy, Step, Wait, Work, plan,
};
use crate::runtime::{Runtime, RuntimeError};
use crate::store::Recorder;
use crate::store::recorder::RecordError;

use super::calls::{Calls, PLACE_WAITS};
use super::deletions::Door;
use super::facts::{Facts, Silence};
use super::leading::Leading;
use super::metrics::Metrics;
use super::recording::write_down;
use super::refused;

/// How many of the last log lines are kept of a life that ended.
const LOG_LINES: usize = 20;

/// So long the log of a container that ended may be in coming. It helps people, and nothing waits for it.
const LOG_IS_READ_WITHIN: Duration = Duration::from_secs(2);

/// The text in place of a log that did not come in time.
const LOG_IS_LATE: &str = "(the log could not be read in time; `gamekeeper logs` asks again)";

/// What every round needs.
pub(super) struct Context {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) recorder: Recorder,
    pub(super) policy: Policy,
    pub(super) epoch: Epoch,
    pub(super) metrics: Metrics,
    /// Rounds that may ask Docker at the same time.
    pub(super) rounds: Semaphore,
    /// Those among them that may be about a container of which Docker said nothing in time when it was last
    /// asked: a part, so that however many hang they leave places to the others.
    pub(super) late: Semaphore,
    /// Questions that may ask Docker at the same time.
    pub(super) questions: Semaphore,
    /// The way to the deletion of rows.
    pub(super) deletions: Door,
    /// Steps in which a round waits for Docker.
    pub(super) calls: Calls,
    /// Logs that may be read at the same time.
    pub(super) logs: Semaphore,
    /// Why nothing may be touched, if so.
    pub(super) brake: watch::Receiver<Option<Freeze>>,
    /// Whether this process still leads.
    pub(super) leading: Leading,
}

/// What one round begins with.
pub(super) struct Input {
    pub(super) desired: Arc<Desired>,
    pub(super) record: Record,
    pub(super) facts: Facts,
    pub(super) work: Option<Work>,
    pub(super) beside: Beside,
    pub(super) start_slot: bool,
    pub(super) disruption_place: bool,
    /// Why nobody is moved to the version that is wanted, if so.
    pub(super) version_halted: Option<String>,
    /// Docker is known not to answer anybody, since then.
    pub(super) docker_down: Option<Silence>,
    /// The outcome of the last call about this game's container alone.
    pub(super) late: Late,
    /// Docker was asked about the container, or it had its turn to be.
    pub(super) asked: bool,
    /// Who answers as Docker, if that is beyond doubt.
    pub(super) docker_engine_id: Option<String>,
    /// Why nothing may be touched, if so.
    pub(super) freeze: Option<Freeze>,
    /// Why its deletion waits, if it does.
    pub(super) deletion_held: Option<String>,
    /// How often in a row the database refused what there was to record.
    pub(super) refused: u32,
    /// What the times in all this are of.
    pub(super) clock: WallClock,
    /// The record holds what is not on disk yet: decisions since it was written last, which a restart must
    /// not forget, or times that were moved with the clock.
    pub(super) unwritten: bool,
}

impl Input {
    /// What the planner is shown.
    pub(super) fn observation(&self) -> Observation {
        Observation {
            now: self.clock.now(),
            fresh: uuid::Uuid::new_v4(),
            runtime: self.facts.view(),
            work: self.work.clone(),
            beside: self.beside.clone(),
            backed_up: self.facts.backed_up.clone(),
            start_slot: self.start_slot,
            disruption_place: self.disruption_place,
            version_halted: self.version_halted.clone(),
            failure: self.facts.failure.clone(),
            not_sent: self.facts.not_sent.clone(),
            freeze: self.freeze.clone(),
            deletion_held: self.deletion_held.clone(),
        }
    }
}

/// What one round leaves behind.
pub(super) struct Output {
    pub(super) record: Record,
    pub(super) facts: Facts,
    /// To be run in the background.
    pub(super) begin: Vec<(Step, Background)>,
    pub(super) waiting_on: Vec<Wait>,
    pub(super) look_again: Option<Timestamp>,
    pub(super) uses_start_slot: bool,
    pub(super) uses_disruption_place: bool,
    /// A change to this version failed.
    pub(super) failed_version: Option<EngineVersion>,
    /// A step was taken: what it brought about has to be looked at, at once.
    pub(super) progressed: bool,
    /// Docker did not answer.
    pub(super) silent: bool,
    /// A step was not taken because too many of its kind are under way.
    pub(super) crowded: bool,
    /// It was asked about the container, or had its turn to be.
    pub(super) asked: bool,
    /// The row is deleted: the game is no more.
    pub(super) deleted: bool,
    /// Why nothing could be recorded, and so nothing was done.
    pub(super) not_recorded: Option<RecordError>,
    /// How often in a row the database refused what there was to record.
    pub(super) refused: u32,
    /// What the times in all this are of.
    pub(super) clock: WallClock,
    /// What the record held at the beginning beside what is on disk is still not written.
    pub(super) unwritten: bool,
}

impl Output {
    pub(super) fn new(input: Input) -> Self {
        Self {
            refused: input.refused,
            clock: input.clock,
            unwritten: input.unwritten,
            record: input.record,
            facts: input.facts,
            begin: Vec::new(),
            waiting_on: Vec::new(),
            look_again: None,
            uses_start_slot: input.start_slot,
            uses_disruption_place: input.disruption_place,
            failed_version: None,
            progressed: false,
            silent: false,
            crowded: false,
            asked: input.asked,
            deleted: false,
            not_recorded: None,
        }
    }
}

pub(super) async fn round(context: &Context, mut input: Input) -> Output {
    let desired = input.desired.clone();
    if !observe(context, &context.rounds, &mut input).await {
        return Output::new(input);
    }
    if input.freeze.is_none() {
        // It may have waited a while for its place.
        input.freeze = context.brake.borrow().clone();
    }
    let observation = input.observation();
    let planned = plan(&desired, &input.record, &observation, &context.policy);
    let mut output = Output::new(input);
    output.silent = output.facts.silent.is_some();
    context.metrics.rounds.inc();
    let _place = match context.deletions.place(&planned) {
        Ok(place) => place,
        Err(pause) => {
            // Nothing was decided: it comes back with what it has seen, or Docker would be asked each time.
            output.look_again = Some(after(output.clock.now(), pause));
            return output;
        }
    };
    output.facts.served_a_plan();

    let freeze = observation.freeze.as_ref().map(|freeze| freeze.reason);
    match write_down(context, &desired, &output, &planned, None, freeze).await {
        Ok(record) => (output.record, output.unwritten) = (record, false),
        Err(RecordError::SlotTaken(slot)) => {
            // The next round knows it, and passes it over.
            tracing::warn!(%slot, "a slot has a turn already; the clock must have jumped");
            output.record.taken.push(slot);
            output.progressed = true;
            return output;
        }
        Err(error) if error.is_refusal() => {
            refused::refused(context, &desired, &observation, &mut output, error).await;
            return output;
        }
        Err(error) => {
            output.not_recorded = Some(error);
            return output;
        }
    }
    let only_looks = !planned.steps.is_empty() && planned.steps.iter().all(|planned| !planned.step.mutates());
    if output.record.reason != RECORD_REFUSED && output.facts.engine != EngineView::NotAsked && !only_looks {
        // The engine's word is on record, and this is no look on the way to what was refused.
        output.refused = 0;
    }
    (output.facts.failure, output.facts.not_sent) = (None, None);
    output.waiting_on.clone_from(&planned.waiting_on);
    output.look_again = planned.look_again;
    output.uses_start_slot = planned.uses_start_slot;
    output.uses_disruption_place = planned.uses_disruption_place;
    output.failed_version.clone_from(&planned.failed_version);
    act(context, &desired, &planned, &mut output).await;
    output
}

/// The turn of a game to be asked about, of which Docker said nothing in time when it was last asked, though
/// it answered about others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It was not late.
    No,
    /// The pause before the next attempt is over.
    AsksAgain,
    /// The next attempt is not due.
    Rests,
}

/// Asks Docker about what is stale. False if the controller is ending. A place is taken only to ask, and
/// only a part of the places by those about whom Docker was late: what is known of the others is enough for
/// them to go on.
pub(super) async fn observe(context: &Context, places: &Semaphore, input: &mut Input) -> bool {
    if let Some(down) = &input.docker_down {
        input.facts.container = None;
        input.facts.silent = Some(down.clone());
        return true;
    }
    let knew = input.record.container.is_some();
    let is_known = input.facts.container.is_some() && input.facts.silent.is_none();
    if is_known && !(knew && input.facts.container == Some(None)) {
        return true;
    }
    let late = match input.late {
        Late::No => None,
        // It is as silent as it was.
        Late::Rests => return true,
        // If Docker answers again, that is enough for all of them; if not, they must not fill the loop.
        Late::AsksAgain => match tokio::time::timeout(PLACE_WAITS, context.late.acquire()).await {
            Ok(Ok(place)) => Some(place),
            Ok(Err(_)) => return false,
            // Others hang as well: it has had its turn.
            Err(_) => {
                input.asked = true;
                return true;
            }
        },
    };
    // Docker is asked by few at a time, however many games there are.
    let Ok(turn) = places.acquire().await else { return false };
    input.asked = true;
    inspect(context, input).await;
    if knew
        && input.facts.container == Some(None)
        && let Err(why) = same_docker(context, input.docker_engine_id.as_deref(), input.clock.now()).await
    {
        input.facts.container = None;
        input.facts.silent.get_or_insert(why);
    }
    drop((turn, late));
    read_last_words(context, input).await;
    true
}

/// A container that vanished may still be there: at another Docker Engine than the one that answers now.
async fn same_docker(context: &Context, expected: Option<&str>, now: Timestamp) -> Result<(), Silence> {
    match context.runtime.identity().await {
        Ok(found) if expected.is_none_or(|expected| expected == found.id) => Ok(()),
        Ok(found) => Err(Silence::of_all(format!("another Docker Engine answers ({})", found.id), now)),
        Err(error) => Err(Silence::begins(&apply::failure(&Step::LookAtNetwork, &error), now)),
    }
}

async fn inspect(context: &Context, input: &mut Input) {
    let Input { desired, facts, clock, .. } = input;
    if facts.container.is_some() && facts.silent.is_none() {
        return;
    }
    match context.runtime.inspect(desired.id).await {
        Ok(container) => {
            facts.silent = None;
            facts.log_tail = None;
            facts.removal_is_late &= container.is_some();
            facts.alive = container.clone().filter(is_alive);
            facts.container = Some(container);
        }
        Err(error) => {
            let failure = apply::failure(&Step::LookAtNetwork, &error);
            tracing::debug!(error = failure.message, "Docker does not say what became of the container");
            facts.container = None;
            facts.silent.get_or_insert_with(|| Silence::begins(&failure, clock.now()));
        }
    }
}

fn is_alive(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running { .. }) && matches!(container.owner, Owner::Game(_))
}

/// Reads the last lines of a life that ended, once for each. A log that hangs holds no place of those who ask about
/// containers, and holds up its own game's healing for moments only.
async fn read_last_words(context: &Context, input: &mut Input) {
    let Input { record, facts, .. } = input;
    let container = facts.container.as_ref().and_then(Option::as_ref);
    let Some(ended) = container.filter(|c| matches!(c.state, ContainerState::Exited { .. })) else { return };
    let known = record.last_exit.as_ref().and_then(|exit| exit.life.as_ref());
    if known != ended.life().as_ref() || record.last_log_lines.is_none() {
        facts.log_tail = Some(log_tail(context, &ended.id).await);
    }
}

async fn log_tail(context: &Context, container: &crate::game::ContainerId) -> String {
    let Ok(Ok(_place)) = tokio::time::timeout(PLACE_WAITS, context.logs.acquire()).await else {
        return LOG_IS_LATE.to_owned();
    };
    let read = context.runtime.log_tail(container, LOG_LINES);
    match tokio::time::timeout(LOG_IS_READ_WITHIN, read).await {
        Ok(Ok(lines)) => lines,
        // The lines help people; that they are missing must not hold up the healing.
        Ok(Err(error)) => format!("(the log could not be read: {error})"),
        Err(_) => LOG_IS_LATE.to_owned(),
    }
}

/// Takes the steps, in order, until one fails. A call that was not reached is on record as sent, so it is
/// told that it was not.
async fn act(context: &Context, desired: &Desired, plan: &Plan, output: &mut Output) {
    let taken = take_steps(context, desired, plan, output).await;
    let left = plan.steps.iter().skip(taken).map(|planned| &planned.step);
    output.facts.not_sent = left.into_iter().find(|step| step.is_on_record_as_sent()).cloned();
}

/// Returns how many were taken.
async fn take_steps(context: &Context, desired: &Desired, plan: &Plan, output: &mut Output) -> usize {
    let subject = Subject { game: desired.id, name: desired.name.clone(), epoch: context.epoch };
    for (taken, planned) in plan.steps.iter().enumerate() {
        let step = &planned.step;
        let Ok(_place) = context.calls.place(step, output.facts.is_late(step)).await else {
            tracing::debug!(step = %step, "too many of its kind are under way");
            output.crowded = true;
            return taken;
        };
        if step.mutates() && (context.brake.borrow().is_some() || !context.leading.holds()) {
            // Frozen or deposed since it was planned: the next round says so, here or elsewhere.
            output.progressed = true;
            return taken;
        }
        if step.mutates() {
            tracing::info!(step = %step, cause = planned.cause, "step");
        } else {
            tracing::debug!(step = %step, cause = planned.cause, "step");
        }
        let began = std::time::Instant::now();
        let result = apply::apply(step, &subject, &*context.runtime).await;
        context.metrics.step(step, result.is_ok(), began.elapsed());
        match result {
            Ok(effect) => {
                output.facts.done(step);
                if !take_in(context, desired, plan, step, effect, output).await {
                    return taken;
                }
            }
            Err(error) => {
                failed(step, &error, output);
                return taken;
            }
        }
    }
    plan.steps.len()
}

/// Remembers what a step found or did. False if the round must end.
async fn take_in(
    context: &Context,
    desired: &Desired,
    plan: &Plan,
    step: &Step,
    effect: Effect,
    output: &mut Output,
) -> bool {
    output.progressed |= !matches!(effect, Effect::Begin(_));
    let facts = &mut output.facts;
    match effect {
        Effect::Image(selector, found) => facts.image = Some((selector, found, output.clock.now())),
        Effect::NextImage(image, found) => {
            let at = output.clock.now();
            facts.next_image = Looked::At(NextImage { image, found, fetched: false, at });
        }
        Effect::ImageUsers(users) => facts.image_users = Looked::At(users),
        Effect::Backup(id, found) => facts.backup = Looked::At((id, found)),
        Effect::Room(found) => facts.room = Looked::At((output.clock.now(), found)),
        Effect::Network(network) => facts.network = Looked::At(network),
        Effect::StateDirectory(there) => facts.sees_state_directory(there),
        Effect::Contents(contents) => facts.contents = Looked::At(contents),
        Effect::Copies(there) => facts.copies = Looked::At(there),
        Effect::Rival(rival) => facts.rival = Looked::At(rival),
        Effect::ContainerChanged => {
            facts.container = None;
            if let Step::StartContainer(_) | Step::RemoveContainer(_) = step {
                // The next start is another one, and looks for itself.
                facts.forget_looks();
                facts.fetched = None;
            }
        }
        Effect::Begin(background) if matches!(background, Background::Initialise(..)) => {
            // What it left in the directory is looked at before it is sent again.
            facts.contents = Looked::NotYet;
            output.begin.push((step.clone(), background));
        }
        Effect::Begin(background) => output.begin.push((step.clone(), background)),
        Effect::DeleteRow => {
            let mut last = plan.clone();
            last.operation = crate::reconcile::operations::OperationChange {
                close: output.record.operation.is_some().then_some(Ending::Succeeded),
                ..Default::default()
            };
            // Also where the policy was changed in the middle of the removal.
            let state_is_gone = desired.deletion_policy == crate::game::DeletionPolicy::Delete
                || output.record.erasing_since.is_some();
            last.record = output.record.clone().ended(desired.requests, desired.generation, state_is_gone);
            last.record.deleted_at = Some(output.clock.now());
            last.record.phase = crate::game::Phase::Stopped;
            last.record.reason = "Deleted".into();
            last.record.message = "The game was deleted.".into();
            last.event = Some(crate::reconcile::plan::Told {
                warning: false,
                reason: "Deleted".into(),
                message: "The game was deleted.".into(),
            });
            match write_down(context, desired, output, &last, desired.deletion, None).await {
                Ok(record) => {
                    output.record = record;
                    output.deleted = true;
                }
                Err(RecordError::Locked(who)) => {
                    output.facts.failure = Some(apply::row_locked(step, &who));
                    output.progressed = true;
                }
                Err(error) if error.is_of_one_game() => {
                    output.facts.failure = Some(apply::row_not_deleted(step, &error));
                    output.progressed = true;
                }
                Err(error) => output.not_recorded = Some(error),
            }
            return false;
        }
    }
    true
}

fn failed(step: &Step, error: &RuntimeError, output: &mut Output) {
    let failure = output.facts.failed(apply::failure(step, error));
    tracing::warn!(step = %step, reason = failure.reason, error = failure.message, "a step failed");
    output.facts.container = None;
    output.facts.forget_looks();
    if failure.class == FailureClass::Unknown {
        output.silent = true;
        let now = output.clock.now();
        output.facts.silent.get_or_insert_with(|| Silence::begins(&failure, now));
    } else {
        output.facts.failure = Some(failure);
    }
    output.progressed = true;
}
