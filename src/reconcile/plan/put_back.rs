//! A kept copy of the state on its way back: the container goes, the copy takes the directory's
//! place, and what made the copy runs on it.

use crate::game::operation::{Ending, OperationKind};
use crate::game::patch::{Build, PutBack, PutBackCause};
use crate::game::spec::{DeletionPolicy, DesiredStatus};
use crate::game::turn::{LedgerEntry, OpenTurn, TurnState};
use crate::game::{ConditionType as C, Phase};
use crate::reconcile::observed::{Looked, RuntimeView, Seen, Work};
use crate::reconcile::step::{Step, Wait};

use super::blocked::FOREIGN_CONTAINER;
use super::{RolledBack, Round, ours};

/// So many attempts at putting a copy back delay a deletion.
const GIVEN_UP: u32 = 3;

/// The longest log of a new engine that is kept, in bytes.
const LONGEST_LOG: usize = 4_096;

impl Round<'_> {
    /// A copy is put back, or is to be. True while that goes on.
    pub(super) fn puts_back(&mut self, seen: &Seen) -> bool {
        // What is removed while a copy comes into its place would be there again.
        let comes_back = matches!(self.working(), Some(Work::PuttingBack { .. }));
        if self.desired.deletion.is_some() && !self.is_worth_putting_back() && !comes_back {
            return false;
        }
        self.take_up_restore(seen) || self.goes_back(seen)
    }

    /// What is going to be deleted is put back only if its state is kept, and if that can be done.
    pub(super) fn is_worth_putting_back(&self) -> bool {
        self.desired.deletion_policy == DeletionPolicy::Retain && self.record.failures < GIVEN_UP
    }

    /// A restore that was asked for begins at a turn boundary, once what it names has been found.
    fn take_up_restore(&mut self, seen: &Seen) -> bool {
        let asked = self.desired.requests.restore > self.record.observed_requests.restore;
        let busy = self.record.put_back.is_some() || self.is_between_versions();
        let goes_on = self.is_in_flight(seen) || self.is_copying_on_demand();
        if !asked || busy || self.desired.deletion.is_some() || goes_on {
            return false;
        }
        let Some(wanted) = &self.desired.restore_backup else {
            self.refuse_restore("NoBackupNamed", "No copy was named: set restoreBackupId.".into());
            return false;
        };
        let found = match &seen.backup {
            Looked::At((looked_for, found)) if looked_for == wanted => found.clone(),
            Looked::At(_) | Looked::NotYet => {
                self.step(Step::LookAtBackup(wanted.clone()), "a restore was asked for");
                return true;
            }
        };
        let present = self.record.applied.clone().zip(self.record.image_id.clone());
        let present = present.map(|(inputs, image)| Build { inputs, image });
        let Some((copy, build)) =
            found.and_then(|copy| Some((copy.clone(), copy.build.clone().or(present)?)))
        else {
            self.refuse_restore(
                "NoSuchBackup",
                format!("There is no copy {wanted} of this game; `gamekeeper backups` lists them."),
            );
            return false;
        };
        // One of those that are taken from their players at a time.
        self.plan.uses_disruption_place = true;
        if !self.observation.disruption_place {
            self.wait(Wait::DisruptionPlace);
            return false;
        }
        let generation = self.desired.requests.restore;
        let Ok(restore) = format!("restore-{generation}-{}", self.record.timeline).parse() else {
            return false;
        };
        self.record.observed_requests.restore = generation;
        self.record.patch = None;
        let at = copy.turn.map_or_else(String::new, |turn| format!(", turn {turn}"));
        self.record.put_back = Some(PutBack {
            backup: copy.id,
            restore,
            build,
            turn: copy.turn,
            new_timeline: true,
            cause: PutBackCause::Restore,
            reason: "Restored".into(),
            message: format!("The copy {wanted} of {}{at} was put back.", copy.taken_at),
        });
        self.forget_failures();
        self.end_operation(Ending::Superseded);
        self.goes_back(seen)
    }

    fn refuse_restore(&mut self, code: &str, message: String) {
        self.record.observed_requests.restore = self.desired.requests.restore;
        let new = self.new_operation(OperationKind::Restore, "it was asked for");
        self.plan.operation.at_once.push((new, Ending::Failed { code: code.to_owned(), message }));
    }

    /// The way back begins in this very round.
    pub(super) fn goes_back_now(&mut self) {
        let observation = self.observation;
        if let RuntimeView::Known(seen) = &observation.runtime {
            self.goes_back(seen);
        }
        self.keep_disruption_place();
    }

    /// A restore, or a change of version that failed, disrupts its game until it is back.
    pub(super) fn keep_disruption_place(&mut self) {
        self.plan.uses_disruption_place |= self.record.put_back.is_some();
    }

    /// The way back. True while it is not at its end.
    pub(super) fn goes_back(&mut self, seen: &Seen) -> bool {
        let Some(back) = self.record.put_back.clone() else { return false };
        self.ready = false;
        self.no_longer_serving();
        self.keep_log_of_failed_patch(seen);
        let (kind, cause, reason) = match back.cause {
            PutBackCause::Patch => (OperationKind::Rollback, "the change of version failed", "RollingBack"),
            PutBackCause::Restore => (OperationKind::Restore, "it was asked for", "Restoring"),
        };
        if seen.container.is_some() && ours(seen).is_none() {
            self.blocked(
                FOREIGN_CONTAINER,
                "A container that is not this game's holds its name; remove it, and the copy of the state is put back.",
            );
            return true;
        }
        if seen.put_back.as_ref() == Some(&back.restore) && ours(seen).is_none() {
            self.is_back(back);
            return false;
        }
        if self.waits_for_attempt() {
            return true;
        }
        self.begin_operation(kind, cause);
        self.truths.fails(C::EngineHealthy, reason, back.message.clone());
        match self.working() {
            Some(Work::PuttingBack { progress }) => {
                let message = format!("The state is being put back: {progress}. {}", back.message);
                self.headline(Phase::Patching, reason, &message);
                self.wait(Wait::Work);
            }
            _ => {
                self.headline(Phase::Patching, reason, &back.message);
                match seen.vacancy() {
                    Some(vacancy) => {
                        self.record.container = None;
                        self.record.container_started_at = None;
                        self.step(
                            Step::PutBack { vacancy, backup: back.backup, restore: back.restore },
                            cause,
                        );
                        self.wait(Wait::Work);
                    }
                    None => self.remove_by_steps(seen, cause),
                }
            }
        }
        true
    }

    /// The copy is the game's state now: what made it runs on it.
    fn is_back(&mut self, back: PutBack) {
        let PutBack { build: Build { inputs, image }, turn, new_timeline, cause, reason, message, .. } = back;
        self.record.put_back = None;
        self.record.container = None;
        self.record.container_started_at = None;
        self.record.applied = Some(inputs);
        self.record.image_id = Some(image);
        self.record.finished_at = None;
        if new_timeline {
            self.plan.rolled_back = Some(RolledBack { timeline: self.record.timeline, after: turn });
            self.record.current_turn = turn;
            let unsettled = self.record.turn.take();
            self.begin_timeline();
            if cause == PutBackCause::Patch {
                self.makes_again(unsettled, turn);
            }
        }
        match cause {
            PutBackCause::Patch => self.truths.fails(C::PatchSucceeded, &reason, message.clone()),
            PutBackCause::Restore => {}
        }
        self.forget_failures();
        self.headline(Phase::Starting, "PutBack", &message);
        if self.desired.status == DesiredStatus::Stopped {
            self.end_operation(Ending::Succeeded);
        }
    }

    /// A turn that a new engine may have made went with it: it is still wanted, of the old one.
    fn makes_again(&mut self, unsettled: Option<OpenTurn>, at: Option<i64>) {
        let Some(lost) = unsettled.filter(|lost| at.is_some_and(|at| lost.number == at + 1)) else { return };
        let turn = OpenTurn { attempts: 0, opened_at: self.now, state: TurnState::Pending, ..lost };
        self.plan.ledger.push(LedgerEntry { turn: turn.clone(), end: None });
        self.record.turn = Some(turn);
    }

    /// The last words of the new engine, for whoever asks why it failed.
    fn keep_log_of_failed_patch(&mut self, seen: &Seen) {
        if let (Some(failed), Some(lines)) = (&mut self.record.failed_patch, &seen.log_tail)
            && failed.log.is_none()
        {
            failed.log = Some(crate::reconcile::conditions::shortened(lines, LONGEST_LOG));
        }
    }
}
