//! Copies of the state while the game goes on: the one that somebody asked for, and the one before a
//! turn. (The one before a change of version is a part of that: `patch`.)
//!
//! A copy is on record, with its name, before it is taken, and has that name however often it is
//! tried: a copy that has the name already is taken for it. It is taken when nothing writes to the
//! state: when no process runs, or when the engine is healthy and idle, and is asked for nothing until
//! the copy is there. What an engine writes all the same is noticed, and the copy is tried again.

use crate::game::BackupId;
use crate::game::backup::{BackupReason, CopyProblem, Copying, NewBackup};
use crate::game::operation::{Ending, OpenOperation, OperationKind};
use crate::game::patch::Build;
use crate::game::turn::OpenTurn;
use crate::reconcile::backoff::{after, paced_attempt};
use crate::reconcile::observed::{Failure, FailureClass, Pace, Work};
use crate::reconcile::step::{Step, Wait};

use super::Round;
use super::turns::is_sent;

/// So often a copy on demand is tried; then whoever asked is told that there is none.
const ATTEMPTS: u32 = 5;

/// A copy of another state has the name that a copy was to get.
pub const BACKUP_NAME_TAKEN: &str = "BackupNameTaken";

const ON_DEMAND: &str = "it was asked for";

/// What becomes of a copy in this round.
enum Progress {
    /// It is there.
    Taken,
    /// It is being taken: nothing else may begin.
    UnderWay,
    /// The last attempt failed, and the next is not due.
    Later,
}

impl Round<'_> {
    /// A copy was asked for that can never be taken: the request is used up, and that is told.
    pub(super) fn refuse_copy(&mut self) {
        let is_asked = self.desired.requests.backup > self.record.observed_requests.backup;
        if !is_asked && !self.has_demand() {
            return;
        }
        let (code, message) = if self.desired.deletion.is_some() {
            ("Deleting", "No copy is taken: the game is being deleted.")
        } else if !self.has_state() || self.record.initialized_at.is_none() {
            ("NoState", "No copy is taken: the game has no state yet.")
        } else if !is_asked {
            // Its row was made anew, and asks for nothing.
            return self.end_demand(None, Ending::Superseded);
        } else {
            return;
        };
        self.end_demand(None, Ending::Failed { code: code.to_owned(), message: message.to_owned() });
    }

    /// Takes the copy that was asked for, if one was, now that nothing writes to the state. True
    /// while it is being taken: nothing else may begin.
    pub(super) fn copies_on_demand(&mut self) -> bool {
        let is_asked = self.desired.requests.backup > self.record.observed_requests.backup;
        let between = self.is_between_versions() || self.record.put_back.is_some();
        if !is_asked || between || self.desired.deletion.is_some() || self.record.initialized_at.is_none() {
            return false;
        }
        if !self.has_demand() {
            let request = self.desired.requests.backup;
            let name = self.fresh_name(&demand(request));
            self.record.copying = Some(Copying::on_demand(name, request));
        }
        let request = self.record.copying.as_ref().and_then(|copying| copying.request);
        match self.go_on_copying(OperationKind::Backup, ON_DEMAND) {
            Progress::Taken => {
                self.end_demand(request, Ending::Succeeded);
                false
            }
            Progress::UnderWay => true,
            Progress::Later => false,
        }
    }

    /// The copy before this turn, which was not sent yet. True once it is there.
    pub(super) fn is_copied_before(&mut self, turn: &OpenTurn, kind: OperationKind) -> bool {
        if self.record.copying.as_ref().is_none_or(|copying| copying.before != Some(turn.number)) {
            let name = self.fresh_name(&before_turn(turn.number));
            self.record.copying = Some(Copying::before_turn(name, turn.number));
        }
        match self.go_on_copying(kind, "a turn is due, and the state is copied before it") {
            Progress::Taken => {
                self.record.copying = None;
                true
            }
            Progress::UnderWay | Progress::Later => false,
        }
    }

    /// The turn that the copy was for is not wanted any more.
    pub(super) fn call_off_turn_copy(&mut self) {
        self.record.copying.take_if(|copying| copying.reason == BackupReason::Turn);
    }

    /// A copy is being taken that was asked for.
    pub(super) fn is_copying_on_demand(&self) -> bool {
        self.has_demand() && matches!(self.working(), Some(Work::BackingUp { .. }))
    }

    /// What is under way is on record as that copy, and not ended by whatever else came true.
    pub(super) fn has_backup_operation(&self) -> bool {
        let is_backup = |operation: &OpenOperation| operation.kind == OperationKind::Backup;
        self.has_demand() && self.was.operation.as_ref().is_some_and(is_backup)
    }

    /// A copy that was asked for is on record, and not there yet.
    pub(super) fn has_demand(&self) -> bool {
        self.record.copying.as_ref().is_some_and(|copying| copying.reason == BackupReason::Demand)
    }

    /// Why the turn that is open waits for its copy, if the last attempt failed: reason and message.
    pub(super) fn why_turn_waits_for_copy(&self, turn: &OpenTurn) -> Option<(String, String)> {
        let copying = self.record.copying.as_ref().filter(|copying| copying.reason == BackupReason::Turn)?;
        let CopyProblem { reason, message } = copying.problem.as_ref()?;
        let again = copying.next_attempt_at.map(|at| format!(" It is tried again at {at}."));
        let message = format!(
            "Turn {} waits for a copy of the state, which could not be taken: {message}.{}",
            turn.number,
            again.unwrap_or_default()
        );
        Some((reason.clone(), message))
    }

    /// An attempt failed. True if it was at the copy that is on record.
    pub(super) fn copy_fails(&mut self, backup: &BackupId, failure: &Failure) -> bool {
        let Failure { class, pace, reason, message, .. } = failure;
        let Some(copying) = self.record.copying.as_mut().filter(|copying| copying.backup == *backup) else {
            return false;
        };
        copying.failures = copying.failures.saturating_add(1);
        copying.problem = Some(CopyProblem { reason: reason.clone(), message: message.clone() });
        if reason == BACKUP_NAME_TAKEN {
            // A copy of another state has it: what is on record is older than what is on the disk.
            let purpose = match (copying.request, copying.before) {
                (_, Some(turn)) => before_turn(turn),
                (request, None) => demand(request.unwrap_or_default()),
            };
            copying.backup = BackupId::fresh(self.now, self.observation.fresh, &purpose);
        }
        // The second attempt is not at once: who wrote to the state may still be at it.
        let pace = if *class == FailureClass::Retry { *pace } else { Pace::Slow };
        let next = paced_attempt(copying.failures.saturating_add(1), pace, self.now, self.policy);
        copying.next_attempt_at = Some(next);
        // Who waits for it is told at once where it takes a person.
        let is_over = copying.failures >= ATTEMPTS || pace != Pace::Usual;
        if let Some(request) = copying.request.filter(|_| is_over) {
            let ending = Ending::Failed { code: reason.clone(), message: message.clone() };
            self.end_demand(Some(request), ending);
        }
        true
    }

    /// The copy on record: is it there, is it being taken, may it be tried?
    fn go_on_copying(&mut self, kind: OperationKind, cause: &str) -> Progress {
        let Some(Copying { backup, reason, next_attempt_at, .. }) = self.record.copying.clone() else {
            return Progress::Later;
        };
        if self.observation.backed_up.as_ref().is_some_and(|copy| copy.id == backup) {
            return Progress::Taken;
        }
        if self.working().is_some() {
            // What it is does not matter: its end brings the look.
            self.begin_operation(kind, cause);
            self.wait(Wait::Work);
            return Progress::UnderWay;
        }
        // Further ahead than any wait is long, it is from before a clock jumped back.
        let longest = after(self.now, self.policy.backoff_longest);
        if let Some(at) = next_attempt_at.filter(|at| *at > self.now && *at <= longest) {
            self.wait(Wait::NextAttempt);
            self.look_again(at);
            return Progress::Later;
        }
        self.begin_operation(kind, cause);
        let build = self.record.applied.clone().zip(self.record.image_id.clone());
        let new = NewBackup {
            id: backup,
            game: self.desired.id,
            taken_at: self.now,
            reason,
            turn: self.turn_of_state(),
            timeline: Some(self.record.timeline),
            build: build.map(|(inputs, image)| Build { inputs, image }),
        };
        self.step(Step::BackUp(new), cause);
        self.wait(Wait::Work);
        Progress::UnderWay
    }

    /// The request is done with, one way or the other: it, or every one that was made until now.
    pub(super) fn end_demand(&mut self, request: Option<i64>, ending: Ending) {
        self.record.copying.take_if(|copying| copying.reason == BackupReason::Demand);
        let asked = self.desired.requests.backup;
        let observed = &mut self.record.observed_requests.backup;
        // A row that was made anew counts from the beginning again.
        *observed = request.unwrap_or(asked).min(asked).max(*observed);
        let is = |kind| kind == OperationKind::Backup;
        let begun = self.plan.operation.open.as_ref().is_some_and(|open| is(open.kind));
        let open = self.plan.operation.close.is_none()
            && self.was.operation.as_ref().is_some_and(|operation| is(operation.kind));
        if begun || open {
            self.end_operation(ending);
        } else if ending != Ending::Superseded {
            let new = self.new_operation(OperationKind::Backup, ON_DEMAND);
            self.plan.operation.at_once.push((new, ending));
        }
    }

    /// The turn that the state is at, if that is known: a turn that was sent to an engine that died
    /// may be in what it left, or not.
    fn turn_of_state(&self) -> Option<i64> {
        let unsettled = self.record.turn.as_ref().is_some_and(is_sent);
        self.record.current_turn.filter(|_| !unsettled)
    }

    /// A name that no copy ever had.
    pub(super) fn fresh_name(&self, purpose: &str) -> BackupId {
        BackupId::fresh(self.now, self.observation.fresh, purpose)
    }
}

fn demand(request: i64) -> String {
    format!("demand-{request}")
}

fn before_turn(turn: i64) -> String {
    format!("before-turn-{turn}")
}
