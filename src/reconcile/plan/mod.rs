//! The planner: a pure function of desired state, record and observation.
//!
//! A [`Plan`] says which steps to take now, what is waited on, when to look again, and what to write
//! down *before* the steps are taken. So the operation, the intent to initialise, the count of
//! attempts are on record before the effect they speak of; what a step brought about is seen by the
//! next round, which looks again. Applying a plan's steps to a faithful world and planning again
//! ends, in a few rounds, with a plan without steps.
//!
//! The precedence, first that applies: frozen, Docker unknown, blocked over lost state, deletion,
//! desired stopped, blocked otherwise, invalid, restart, heal. It is [`plan`], [`Round::known`] and
//! [`Round::run`], read from top to bottom.

mod blocked;
mod copy;
mod ended;
mod engine;
mod inputs;
mod patch;
mod patch_begins;
mod players;
mod put_back;
mod requests;
mod rivals;
mod running;
mod silent;
mod starting;
mod stopped;
mod turns;
mod waits;

#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;

use crate::game::container::{Container, ImageSelector, Owner};
use crate::game::controller::FreezeReason;
use crate::game::operation::{Ending, NewOperation, OperationKind};
use crate::game::player::Report;
use crate::game::record::{AppliedSpec, Record};
use crate::game::spec::{Desired, DesiredStatus, Source};
use crate::game::turn::{DecidedSlot, LedgerEntry, OpenTurn, TurnState};
use crate::game::version::VersionWish;
use crate::game::{ConditionType as C, EngineVersion, Phase};

use super::backoff::{after, paced_attempt};
use super::conditions::{Truths, shortened};
use super::observed::{DOCKER_TOO_SLOW, Failure, FailureClass, Observation, Pace, RuntimeView, Seen, Work};
use super::operations::OperationChange;
use super::policy::Policy;
use super::step::{Planned, Step, Wait};
pub use blocked::{
    BACKUP_DAMAGED, BACKUP_GONE, DIRECTORY_IN_USE, FOREIGN_CONTAINER, PARTIAL_INIT, PINNED_IMAGE_GONE,
    RECORD_REFUSED, STATE_IN_USE, STATE_MISSING, STRANGE_CONTAINER, TURN_WENT_BACK, UNREADABLE_RECORD,
};
pub use copy::BACKUP_NAME_TAKEN;
pub use ended::ENGINE_ENDED;
use inputs::Unmet;
pub use patch_begins::{PATCH_PENDING, ROOM_KEPT};
pub use turns::INVALID_SCHEDULE;

/// What to do now, and what to write down before.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One effect each, in this order; a failed one ends the round.
    pub steps: Vec<Planned>,
    /// What is waited on.
    pub waiting_on: Vec<Wait>,
    /// When to look again, if nothing happens before.
    pub look_again: Option<Timestamp>,
    /// A place among the concurrent starts is wanted, or still needed.
    pub uses_start_slot: bool,
    /// A place among the games that are disrupted at a time is wanted, or still needed.
    pub uses_disruption_place: bool,
    /// A change to this version failed.
    pub failed_version: Option<EngineVersion>,
    /// The turns that are not part of the game's history any more.
    pub rolled_back: Option<RolledBack>,
    /// The status to write down before the steps.
    pub record: Record,
    /// What begins and ends with it.
    pub operation: OperationChange,
    /// What the engine reported, if that is to be kept.
    pub report: Option<Report>,
    /// What becomes of turns.
    pub ledger: Vec<LedgerEntry>,
    /// What was decided about slots.
    pub slots: Vec<DecidedSlot>,
    /// What there is to tell, if the headline changed.
    pub event: Option<Told>,
}

/// Turns that are not part of the game's history any more: those of this timeline after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledBack {
    /// Of which timeline.
    pub timeline: i64,
    /// The last that is still true, 0 if none is; none: nobody knows which.
    pub after: Option<i64>,
}

/// An event to be told, worded for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Something is wrong.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Plans one game.
pub fn plan(desired: &Desired, record: &Record, observation: &Observation, policy: &Policy) -> Plan {
    let mut round = Round::new(desired, record, observation, policy);
    round.take_back_what_was_not_sent();
    round.absorb_failure();
    match (&observation.freeze, &observation.runtime) {
        (Some(freeze), runtime) => round.frozen(freeze, runtime),
        (None, runtime) if !record.unreadable.is_empty() => round.unreadable(runtime),
        (None, RuntimeView::Unknown { since, reason, why, engine }) => {
            round.unknown(*since, (reason, why), engine.as_deref());
        }
        (None, RuntimeView::Known(seen)) => round.known(seen),
    }
    round.finish()
}

/// What is recorded of a game in place of a plan that the database refuses to record, for this reason.
pub fn not_recorded(
    desired: &Desired,
    record: &Record,
    observation: &Observation,
    policy: &Policy,
    why: &str,
) -> Plan {
    let mut round = Round::new(desired, record, observation, policy);
    round.not_recorded(&observation.runtime, why);
    round.finish()
}

/// A plan in the making.
struct Round<'a> {
    desired: &'a Desired,
    was: &'a Record,
    observation: &'a Observation,
    policy: &'a Policy,
    now: Timestamp,
    record: Record,
    truths: Truths,
    ready: bool,
    /// This round looks, or prepares something; what is shown of the game stays as it was.
    shows_the_same: bool,
    /// The phase, the reason and the message are of this round.
    has_headline: bool,
    /// Why the new spec does not come true, while the engine goes on by the old one.
    unmet: Option<Unmet>,
    /// What the engine is to be built from, once it may be another version.
    wish: Option<AppliedSpec>,
    /// The slots of the schedule have been looked at.
    slots_seen: bool,
    /// Why the next turn is late, if it is: reason and message.
    late: Option<(String, String)>,
    /// Something else than a turn begins as soon as the open one has ended.
    waits_for_turn_end: bool,
    /// A restore that was asked for is about to be taken up: it is not refused.
    restore_waits: bool,
    /// Nobody could look, or nothing may be touched: the game stays where it was on its way.
    undecided: bool,
    plan: Parts,
}

#[derive(Default)]
struct Parts {
    steps: Vec<Planned>,
    waiting_on: Vec<Wait>,
    look_again: Option<Timestamp>,
    uses_start_slot: bool,
    uses_disruption_place: bool,
    failed_version: Option<EngineVersion>,
    rolled_back: Option<RolledBack>,
    operation: OperationChange,
    report: Option<Report>,
    ledger: Vec<LedgerEntry>,
    slots: Vec<DecidedSlot>,
}

impl<'a> Round<'a> {
    fn new(desired: &'a Desired, was: &'a Record, observation: &'a Observation, policy: &'a Policy) -> Self {
        let mut record = was.clone();
        record.observed_generation = desired.generation;
        record.observed_membership_revision = desired.membership_revision;
        let now = observation.now;
        // A time further ahead than any wait is long is of a wrong clock: the wait begins anew, and does not
        // end at once.
        let no_later = |at: &mut Option<Timestamp>, wait| *at = at.map(|at| at.min(after(now, wait)));
        no_later(&mut record.next_attempt_at, policy.backoff_longest);
        if desired.status == DesiredStatus::Running && desired.deletion.is_none() {
            // The wait of a stop that is not wanted any more: the next stop has its own.
            record.turn_wait_until = None;
        }
        if let Some(copying) = &mut record.copying {
            no_later(&mut copying.next_attempt_at, policy.backoff_longest);
        }
        if let Some(delay) = &mut record.patch_delay {
            delay.next_attempt_at = delay.next_attempt_at.min(after(now, policy.backoff_longest));
        }
        record.start_began_at = record.start_began_at.map(|began| began.min(now));
        record.healthy_since = record.healthy_since.map(|since| since.min(now));
        if let Some(OpenTurn { state: TurnState::Dispatched { at, deadline, .. }, .. }) = &mut record.turn
            && *at > now
        {
            (*at, *deadline) = (now, after(now, policy.turn_deadline));
        }
        // What is to be deleted counts from when that was first seen. A time from the future begins anew: a
        // grace must not be over because a clock stepped back.
        let seen = was.deletion_seen_at.filter(|seen| *seen <= now);
        record.deletion_seen_at = desired.deletion.map(|_| seen.unwrap_or(now));
        if desired.deletion.is_none() {
            (record.deletion_guard, record.deletion_confirmed_before) = (None, None);
        }
        Self {
            desired,
            was,
            observation,
            policy,
            now,
            record,
            truths: Truths::default(),
            ready: false,
            shows_the_same: false,
            has_headline: false,
            unmet: None,
            wish: None,
            slots_seen: false,
            late: None,
            waits_for_turn_end: false,
            restore_waits: false,
            undecided: false,
            plan: Parts::default(),
        }
    }

    /// What Docker knows decides; see the module's documentation for the order.
    fn known(&mut self, seen: &Seen) {
        self.state_container(seen);
        self.ends_doubt(seen);
        self.take_up_unblock();
        self.refuse_copy();
        if self.is_strange(seen) {
            self.leaves_stranger_alone(seen);
        } else if self.erases_former_life(seen) {
            // Nothing is decided about the next life before.
            return self.refuse_requests();
        } else if !self.has_lost_its_state(seen) {
            self.begins_deletion();
            if !self.puts_back(seen) {
                self.goes_its_way(seen);
            }
        }
        // Nobody is left without an answer, whatever it came to.
        self.state_no_engine(seen);
        self.refuse_requests();
        self.hold_turns(Some(seen));
    }

    fn goes_its_way(&mut self, seen: &Seen) {
        self.turn_around();
        match (self.desired.deletion, self.desired.status) {
            (Some(deletion), _) => self.delete(seen, deletion),
            (None, DesiredStatus::Stopped) => self.stop(seen),
            (None, DesiredStatus::Running) => self.run(seen),
        }
    }

    /// Failures on the way up say nothing about the way down, and the other way round; those of a
    /// game without state say nothing about its new spec.
    fn turn_around(&mut self) {
        if self.desired.deletion.is_some() && !self.is_being_deleted() {
            return;
        }
        let down = |phase| matches!(phase, Phase::Stopping | Phase::Stopped);
        let goes_down = self.desired.status == DesiredStatus::Stopped || self.desired.deletion.is_some();
        // A request for deletion moves no generation.
        let deleting = |op: &crate::game::operation::OpenOperation| op.kind == OperationKind::Delete;
        let deletion_begins = self.desired.deletion.is_some()
            && !self.was.operation.as_ref().is_some_and(deleting)
            && !matches!(self.was.reason.as_str(), "Deleting" | ROW_LOCKED | ROW_NOT_DELETED);
        if deletion_begins && self.observation.failure.is_none() {
            self.forget_failures();
        }
        let changed_spec = self.was.observed_generation != self.desired.generation;
        if changed_spec && (down(self.was.phase) != goes_down || !self.has_state()) {
            self.forget_failures();
        }
    }

    fn forget_failures(&mut self) {
        self.record.failures = 0;
        if let Some(patch) = &mut self.record.patch {
            patch.deaths = 0;
        }
        self.record.next_attempt_at = None;
    }

    /// Writes down what a failed step means for the attempt that it belonged to.
    fn absorb_failure(&mut self) {
        let Some(failure) = &self.observation.failure else { return };
        let Failure { step, class, pace, reason, message } = failure;
        let is_over = !matches!(class, FailureClass::Stale | FailureClass::Unknown);
        let puts_off = match step {
            Step::PullImage(image) => self.delay_patch(image, *pace, reason, message),
            Step::LookAtNextImage(image) if is_over => self.delay_patch(image, *pace, reason, message),
            _ => false,
        };
        if puts_off {
            return;
        }
        if let Step::BackUp(new) = step
            && is_over
        {
            // One that was called off meanwhile says nothing about the next change.
            if self.record.patch.as_ref().is_some_and(|patch| patch.backup == new.id) {
                self.call_off_patch(reason, message);
            } else {
                self.copy_fails(&new.id, failure);
            }
            return;
        }
        if let Step::FetchBackup { restore, .. } = step {
            // One that was called off meanwhile says nothing.
            self.fetching_fails(restore, reason, message);
            return;
        }
        if let Step::LookAtImage(ImageSelector::Pinned(image)) = step
            && is_over
            && let Some(restore) = self.waits_with_image(image)
        {
            self.fetching_fails(&restore, reason, message);
            return;
        }
        if matches!(step, Step::CreateContainer { .. } | Step::StartContainer(_))
            && self.new_container_fails(*class, reason, message)
        {
            return;
        }
        let phase = match (class, step) {
            // The world was not as thought, or cannot be asked: looking again is all there is to do.
            (FailureClass::Stale | FailureClass::Unknown, _) => return,
            (FailureClass::Person | FailureClass::MayBeAlive, _) => Phase::Blocked,
            (FailureClass::Spec, _) => Phase::Invalid,
            (
                FailureClass::Retry | FailureClass::Host,
                Step::StartContainer(_) | Step::CreateContainer { .. },
            ) => Phase::CrashLoop,
            (FailureClass::Retry | FailureClass::Host, _) => self.was.phase,
        };
        match (class, step) {
            // What would not start is made anew: its network or its port may be gone for good. (What is
            // late may start yet, and what may be alive is not taken away.)
            (FailureClass::Retry, Step::StartContainer(container))
                if reason != DOCKER_TOO_SLOW && self.record.may_be_alive.as_ref() != Some(container) =>
            {
                self.record.restart_from = Some(container.clone());
            }
            (FailureClass::MayBeAlive, Step::StartContainer(container)) => {
                self.record.may_be_alive = Some(container.clone());
            }
            _ => {}
        }
        match step {
            Step::PullImage(_) => self.truths.fails(C::ImageReady, reason, message.clone()),
            Step::InitialiseEngine { .. } => self.truths.fails(C::Initialized, reason, message.clone()),
            _ => {}
        }
        if let Step::GenerateTurn { .. } = step {
            // It was on record as sent; what came of it is asked.
            return;
        }
        if !matches!(step, Step::InitialiseEngine { .. }) {
            // A sending was counted before it was sent.
            self.count_failure_at(*pace);
        }
        self.record.start_began_at = None;
        if let Step::PutBack { .. } = step {
            // A person may give it up where it blocks, and what blocked it before does so no longer.
            self.record.blocked_by = (phase == Phase::Blocked).then(|| reason.clone());
        }
        self.headline(phase, reason, message);
        self.end_operation(Ending::Failed { code: reason.clone(), message: message.clone() });
    }

    fn count_failure(&mut self) {
        self.count_failure_at(Pace::Usual);
    }

    fn count_failure_at(&mut self, pace: Pace) {
        self.record.failures = self.record.failures.saturating_add(1);
        self.record.next_attempt_at = Some(paced_attempt(self.record.failures, pace, self.now, self.policy));
    }

    /// Whether the next attempt is not due yet; then there is nothing to do but wait for it.
    fn waits_for_attempt(&mut self) -> bool {
        match self.record.next_attempt_at {
            // Further ahead than any wait is long, it is from before a clock jumped back.
            Some(at) if at > self.now && at <= after(self.now, self.policy.backoff_longest) => {
                self.wait(Wait::NextAttempt);
                self.look_again(at);
                if self.record.phase == Phase::Unknown {
                    self.headline(
                        Phase::CrashLoop,
                        "BackOff",
                        "The last attempt failed; the next one is due later.",
                    );
                }
                true
            }
            _ => false,
        }
    }

    fn headline(&mut self, phase: Phase, reason: &str, message: &str) {
        self.has_headline = true;
        self.record.phase =
            if self.is_between_versions() && phase == Phase::Starting { Phase::Patching } else { phase };
        reason.clone_into(&mut self.record.reason);
        self.record.message = shortened(message, LONGEST_MESSAGE);
    }

    fn step(&mut self, step: Step, cause: impl Into<String>) {
        self.plan.steps.push(Planned { step, cause: cause.into() });
    }

    fn wait(&mut self, wait: Wait) {
        if !self.plan.waiting_on.contains(&wait) {
            self.plan.waiting_on.push(wait);
        }
    }

    fn look_again(&mut self, at: Timestamp) {
        self.plan.look_again = Some(self.plan.look_again.map_or(at, |known| known.min(at)));
    }

    fn begin_operation(&mut self, kind: OperationKind, cause: &str) {
        if kind != OperationKind::Restore && self.keeps_restore_open() {
            // What comes true beside it is a part of it.
            return;
        }
        let wanted = self.new_operation(kind, cause);
        self.plan.operation.ensure(self.was.operation.as_ref(), wanted);
    }

    fn new_operation(&self, kind: OperationKind, cause: &str) -> NewOperation {
        let source = match kind {
            OperationKind::Heal => Source::Controller,
            OperationKind::Turn => Source::Schedule,
            _ => self.desired.source,
        };
        // What the controller begins by itself nobody asked for.
        let (requested_by, request_id) = match source {
            Source::Controller | Source::Schedule => (String::new(), String::new()),
            Source::Lobby | Source::Operator | Source::Manifest => {
                (self.desired.requested_by.clone(), self.desired.request_id.clone())
            }
        };
        NewOperation {
            kind,
            cause: cause.to_owned(),
            source,
            requested_by,
            request_id,
            generation: self.desired.generation,
            from_version: self.was.applied.as_ref().map(|applied| applied.engine_version.clone()),
            to_version: self.target_version(),
        }
    }

    fn end_operation(&mut self, ending: Ending) {
        if self.keeps_restore_open() {
            return;
        }
        self.plan.operation.end(self.was.operation.as_ref(), ending);
    }

    fn target_version(&self) -> Option<EngineVersion> {
        if self.has_state() {
            return self.record.applied.as_ref().map(|applied| applied.engine_version.clone());
        }
        let named = self.desired.spec.as_ref().ok().and_then(|spec| spec.engine_version.as_ref());
        match named {
            Some(VersionWish::Exactly(version)) => Some(version.clone()),
            Some(VersionWish::Newest(_)) => self.desired.version.as_ref().map(|entry| entry.version.clone()),
            None => None,
        }
    }

    /// The game may have state: from the moment its initialisation was decided.
    fn has_state(&self) -> bool {
        self.record.init_intent_at.is_some()
    }

    fn finish(mut self) -> Plan {
        // First: what a new spec cannot have holds up no start of what there is.
        self.keep_places();
        if let Some(unmet) = &self.unmet.clone() {
            self.waits_for_unmet(unmet);
        }
        self.waits_for_turns();
        if self.record.phase != Phase::Unknown && !self.shows_the_same {
            if let Some(unmet) = self.unmet.take().filter(|_| self.ready) {
                // It runs, but not as the new spec wants: whoever wrote that must read why.
                self.headline(self.record.phase, unmet.reason, &unmet.message);
                self.truths.fails(C::Ready, unmet.reason, unmet.message);
            } else if self.ready {
                self.truths.holds(C::Ready, &self.record.reason, self.record.message.clone());
            } else {
                self.truths.fails(C::Ready, &self.record.reason, self.record.message.clone());
            }
        }
        let looks =
            !self.plan.steps.is_empty() && self.plan.steps.iter().all(|planned| !planned.step.mutates());
        let is_verdict = matches!(
            self.record.phase,
            Phase::Running | Phase::Finished | Phase::Stopped | Phase::Invalid | Phase::Blocked
        );
        if looks && is_verdict && !self.has_headline {
            // The verdict is of an earlier generation, and for this one it is only being looked: nobody may take
            // the one for the other.
            self.record.observed_generation = self.was.observed_generation;
        }
        if self.record.phase == Phase::Blocked && self.was.phase == Phase::Blocked && looks {
            // Looking whether it is mended changes nothing of what is waited for.
            self.wait(Wait::Person);
        }
        let lasting = self.plan.waiting_on.iter().filter(|wait| wait.lasts());
        self.record.waiting_on = lasting.map(ToString::to_string).collect();
        let ended =
            matches!(self.record.phase, Phase::Running | Phase::Finished | Phase::Stopped | Phase::Invalid);
        if ended && !self.is_placing() {
            self.record.blocked_by = None;
        }
        let generation = self.record.observed_generation;
        std::mem::take(&mut self.truths).write(&mut self.record.conditions, generation, self.now);
        self.note_what_is_left();
        if self.plan.operation.close.is_some() {
            self.record.operation = None;
        }
        let changed = (self.record.phase, &self.record.reason) != (self.was.phase, &self.was.reason);
        // When Docker falls silent or speaks again, when the controller freezes or thaws, when it
        // holds deletions, one event speaks for all games: the controller's.
        let for_all = |record: &Record| {
            record.phase == Phase::Unknown
                || record.reason == DELETIONS_HELD
                || FreezeReason::is_named(&record.reason)
        };
        let about_all = for_all(&self.record) || for_all(self.was);
        let event = (changed && !about_all).then(|| Told {
            warning: is_bad(self.record.phase) || self.observation.failure.is_some(),
            reason: self.record.reason.clone(),
            message: self.record.message.clone(),
        });
        Plan {
            steps: self.plan.steps,
            waiting_on: self.plan.waiting_on,
            look_again: self.plan.look_again,
            uses_start_slot: self.plan.uses_start_slot,
            uses_disruption_place: self.plan.uses_disruption_place,
            failed_version: self.plan.failed_version,
            rolled_back: self.plan.rolled_back,
            record: self.record,
            operation: self.plan.operation,
            report: self.plan.report,
            ledger: self.plan.ledger,
            slots: self.plan.slots,
            event,
        }
    }

    /// The work in the background, if it is this.
    fn working(&self) -> Option<&'a Work> {
        self.observation.work.as_ref()
    }
}

/// Why a deletion waits for an operator's word.
pub const DELETIONS_HELD: &str = "DeletionsHeld";

/// The reason of a deletion that waits because others have locked the game's row.
pub const ROW_LOCKED: &str = "RowLocked";

/// Everything of a deletion is done but the row's, which the database refuses.
pub const ROW_NOT_DELETED: &str = "RowNotDeleted";

/// The longest message that the record takes, in bytes: engines and registries may be talkative.
const LONGEST_MESSAGE: usize = 4_096;

fn is_bad(phase: Phase) -> bool {
    match phase {
        Phase::EngineUnreachable | Phase::CrashLoop | Phase::Invalid | Phase::Blocked | Phase::Unknown => {
            true
        }
        Phase::Pending
        | Phase::Starting
        | Phase::Running
        | Phase::Stopping
        | Phase::Stopped
        | Phase::Finished
        | Phase::Patching => false,
    }
}

/// The game's own container, if it is the game's own.
fn ours(seen: &Seen) -> Option<&Container> {
    seen.container.as_ref().filter(|container| matches!(container.owner, Owner::Game(_)))
}
