//! A kept copy of the state on its way back: the container goes, the copy takes the directory's
//! place, and what made the copy runs on it.
//!
//! A restore that is asked for has two stages. First the copy is fetched beside the state and verified,
//! and the image of its engine is brought, while the engine goes on; a copy that is gone or damaged, an
//! image that cannot be had, and room that is missing, end it there. Only then the engine goes, and what is
//! left to do is to move directories. A restore that is asked for while a way back does not come to its end
//! is fetched beside that one, and takes its place in the end.

use crate::game::container::ImageSelector;
use crate::game::operation::{Ending, OperationKind};
use crate::game::patch::{Build, PutBack, PutBackCause, PutBackStage};
use crate::game::spec::DesiredStatus;
use crate::game::turn::{LedgerEntry, OpenTurn, TurnState};
use crate::game::{ConditionType as C, ImageId, Phase, RestoreId};
use crate::reconcile::observed::{FetchedBack, Image, Looked, RuntimeView, Seen, Work};
use crate::reconcile::step::{Step, Wait};

use super::blocked::FOREIGN_CONTAINER;
use super::{RolledBack, Round, ours};

/// So many attempts at putting a copy back delay a deletion. From then on nobody knows when one succeeds.
pub(super) const GIVEN_UP: u32 = 3;

/// Before the first turn of every timeline.
const NO_TURN: i64 = 0;

const ASKED_FOR: &str = "it was asked for";

/// The longest log of a new engine that is kept, in bytes.
const LONGEST_LOG: usize = 4_096;

impl Round<'_> {
    /// A copy is put back, or is to be. True while that goes on and nothing else may.
    pub(super) fn puts_back(&mut self, seen: &Seen) -> bool {
        // What is removed while a copy comes into its place would be there again.
        let comes_back = matches!(self.working(), Some(Work::PuttingBack { .. }));
        if self.is_being_deleted() {
            self.call_off_fetching();
            if !self.is_worth_putting_back() && !comes_back {
                return false;
            }
        }
        let begins = self.take_up_restore(seen) || self.fetches_backup(seen);
        begins || self.is_held_by_the_way_back(seen)
    }

    /// The way back is gone on with. False if nothing is left to do, also where a game that should be
    /// stopped waits for the next attempt: it is stopped meanwhile.
    pub(super) fn is_held_by_the_way_back(&mut self, seen: &Seen) -> bool {
        let is_down_by_wish = match self.desired.deletion {
            None => self.desired.status == DesiredStatus::Stopped,
            // An operator has to say that it is meant, and is shown that.
            Some(_) => !self.is_being_deleted(),
        };
        let rests = is_down_by_wish && self.working().is_none() && seen.container.is_none();
        self.goes_back(seen) && !(rests && self.plan.waiting_on.contains(&Wait::NextAttempt))
    }

    /// What is going to be deleted is put back only if its state is kept, and if that can be done.
    pub(super) fn is_worth_putting_back(&self) -> bool {
        !self.removes_state() && self.record.failures < GIVEN_UP
    }

    /// The restore whose copy is on its way to lie beside the state. If an engine runs, it goes on.
    fn fetching(&self) -> Option<&PutBack> {
        let back = self.record.put_back.as_ref()?;
        match back.stage {
            PutBackStage::Fetching => Some(back),
            PutBackStage::Placing => back.instead.as_deref(),
        }
    }

    /// That restore, which is none any more.
    fn take_fetching(&mut self) -> Option<PutBack> {
        match &mut self.record.put_back {
            Some(PutBack { stage: PutBackStage::Placing, instead, .. }) => instead.take().map(|back| *back),
            fetching => fetching.take(),
        }
    }

    /// A copy that was asked for is on its way to lie beside the state.
    pub(super) fn is_fetching(&self) -> bool {
        self.fetching().is_some()
    }

    /// A copy takes the place of the state: no engine runs on what is there.
    pub(super) fn is_placing(&self) -> bool {
        self.record.put_back.as_ref().is_some_and(|back| back.stage == PutBackStage::Placing)
    }

    /// A restore that was asked for begins once what it names has been found. It takes the place of one
    /// that has moved nothing at once, and of a way back that does not come to its end once its own copy
    /// is verified: whatever of the other was done lies aside.
    fn take_up_restore(&mut self, seen: &Seen) -> bool {
        let asked = self.desired.requests.restore > self.record.observed_requests.restore;
        if !asked || self.is_between_versions() || self.desired.deletion.is_some() {
            return false;
        }
        // One thing at a time; an older fetching gives way.
        if self.working().is_some() {
            self.restore_waits = true;
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
                (self.shows_the_same, self.slots_seen) = (true, true);
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
        if !self.holds_disruption_place() {
            self.restore_waits = true;
            return false;
        }
        self.record.observed_requests.restore = self.desired.requests.restore;
        let at = copy.turn.map_or_else(String::new, |turn| format!(", turn {turn}"));
        let back = PutBack {
            backup: copy.id,
            restore: RestoreId::fresh(self.observation.fresh),
            stage: PutBackStage::Fetching,
            build,
            turn: copy.turn,
            timeline: copy.timeline,
            new_timeline: true,
            cause: PutBackCause::Restore,
            reason: "Restored".into(),
            message: format!("The copy {wanted} of {}{at} was put back.", copy.taken_at),
            instead: None,
        };
        match &mut self.record.put_back {
            // No engine runs, and none may before the way back is at an end. This one is as good as known.
            Some(placing) if placing.stage == PutBackStage::Placing => placing.instead = Some(Box::new(back)),
            put_back => *put_back = Some(back),
        }
        self.plan.operation.end(self.was.operation.as_ref(), Ending::Superseded);
        self.begin_operation(OperationKind::Restore, ASKED_FOR);
        self.fetches_backup(seen)
    }

    /// Before the engine is touched: the copy is copied beside the state and compared with what was
    /// copied once. What speaks against it ends the restore here. True in the round that begins it.
    fn fetches_backup(&mut self, seen: &Seen) -> bool {
        let Some(back) = self.fetching().cloned() else { return false };
        if let Some(fetched) = seen.fetched_back.as_ref().filter(|fetched| fetched.restore == back.restore) {
            // At a turn boundary.
            if self.is_in_flight(seen) || self.is_copying_on_demand() {
                return false;
            }
            match self.image_of_copy(seen, fetched, &back.build) {
                Looked::NotYet => return false,
                // It was removed meanwhile: it is brought again with the copy, while the engine goes on.
                Looked::At(false) => {}
                Looked::At(true) => {
                    match self.may_go(seen) {
                        None => {}
                        Some(Ok(())) => self.places_backup(),
                        Some(Err(unmet)) => {
                            self.fetching_fails(&back.restore, unmet.reason, &unmet.message);
                        }
                    }
                    return false;
                }
            }
        }
        // Also a fetching that is not wanted any more: its end brings the look.
        if self.working().is_some() || self.observation.beside.fetching.is_some() {
            self.wait(Wait::Work);
            return false;
        }
        self.begin_operation(OperationKind::Restore, ASKED_FOR);
        let PutBack { backup, restore, build, .. } = back;
        self.step(Step::FetchBackup { backup, restore, build }, ASKED_FOR);
        self.wait(Wait::Work);
        (self.shows_the_same, self.slots_seen) = (true, true);
        // Whatever else there is to do does not wait for its end.
        self.look_again(self.now);
        true
    }

    /// Whether the image of the copy's engine is there now, right before the present engine goes: whatever the
    /// restore waited for since the copy was fetched, others remove images meanwhile.
    fn image_of_copy(&mut self, seen: &Seen, fetched: &FetchedBack, build: &Build) -> Looked<bool> {
        if self.is_fresh(fetched.at) {
            return Looked::At(true);
        }
        let pinned = ImageSelector::Pinned(build.image.clone());
        match &seen.image {
            Image::At { selector, found, at, .. } if *selector == pinned && self.is_fresh(*at) => {
                Looked::At(found.is_some())
            }
            Image::At { .. } | Image::NotYet => {
                self.step(Step::LookAtImage(pinned), "it may have been removed since the copy was fetched");
                // No turn begins while that is looked at; a look that fails holds up none.
                self.waits_for_turn_end = self.observation.failure.is_none();
                Looked::NotYet
            }
        }
    }

    /// From here on the engine has to go.
    pub(super) fn places_backup(&mut self) {
        if let Some(back) = self.take_fetching() {
            self.record.put_back = Some(PutBack { stage: PutBackStage::Placing, ..back });
        }
        self.record.patch = None;
        // Another way back was blocked, if any.
        self.record.blocked_by = None;
        self.forget_failures();
    }

    /// The copy could not be fetched: nothing was touched, and the restore is over. True if it was that.
    pub(super) fn fetching_fails(&mut self, restore: &RestoreId, reason: &str, message: &str) -> bool {
        if self.fetching().is_none_or(|back| back.restore != *restore) {
            return false;
        }
        let message = message.trim_end_matches('.');
        self.take_fetching();
        let message = if self.is_placing() {
            format!(
                "Nothing was put back, and the way back that was begun before is gone on with: {message}."
            )
        } else {
            format!("Nothing was put back, and the game goes on as it is: {message}.")
        };
        self.end_restore(Ending::Failed { code: reason.to_owned(), message });
        true
    }

    /// The restore whose copy lies beside the state of an engine that goes on, and needs this image.
    pub(super) fn waits_with_image(&self, image: &ImageId) -> Option<RestoreId> {
        let RuntimeView::Known(seen) = &self.observation.runtime else { return None };
        // (Without a container it is looked for to make one.)
        let back = self.fetching().filter(|back| back.build.image == *image && ours(seen).is_some())?;
        self.is_fetched().then(|| back.restore.clone())
    }

    fn call_off_fetching(&mut self) {
        if self.is_fetching() {
            self.end_fetching(Ending::Superseded);
        }
    }

    /// The copy that was to be put back is not fetched any more.
    pub(super) fn end_fetching(&mut self, ending: Ending) {
        self.take_fetching();
        self.end_restore(ending);
    }

    /// The copy that was asked for lies beside the state, and is what was copied once.
    pub(super) fn is_fetched(&self) -> bool {
        let RuntimeView::Known(seen) = &self.observation.runtime else { return false };
        self.fetching().is_some_and(|back| {
            seen.fetched_back.as_ref().is_some_and(|fetched| fetched.restore == back.restore)
        })
    }

    fn end_restore(&mut self, ending: Ending) {
        if self.has_restore_operation() {
            self.plan.operation.end(self.was.operation.as_ref(), ending);
        } else if ending != Ending::Superseded {
            let new = self.new_operation(OperationKind::Restore, ASKED_FOR);
            self.plan.operation.at_once.push((new, ending));
        }
    }

    fn has_restore_operation(&self) -> bool {
        let open = self.was.operation.as_ref().filter(|_| self.plan.operation.close.is_none());
        let begun = self.plan.operation.open.as_ref();
        let kind = begun.map(|begun| begun.kind).or(open.map(|open| open.kind));
        kind == Some(OperationKind::Restore)
    }

    /// What is under way is a restore that is being prepared: whatever else comes true does not end it.
    pub(super) fn keeps_restore_open(&self) -> bool {
        self.is_fetching() && self.has_restore_operation()
    }

    fn refuse_restore(&mut self, code: &str, message: String) {
        self.record.observed_requests.restore = self.desired.requests.restore;
        let new = self.new_operation(OperationKind::Restore, ASKED_FOR);
        self.plan.operation.at_once.push((new, Ending::Failed { code: code.to_owned(), message }));
    }

    /// The way back begins in this very round.
    pub(super) fn goes_back_now(&mut self) {
        let observation = self.observation;
        if let RuntimeView::Known(seen) = &observation.runtime {
            self.goes_back(seen);
        }
    }

    /// The way back. True while it is not at its end.
    pub(super) fn goes_back(&mut self, seen: &Seen) -> bool {
        let Some(back) = self.record.put_back.clone().filter(|_| self.is_placing()) else { return false };
        self.ready = false;
        if self.desired.requests.restart > self.record.observed_requests.restart {
            // Whoever asks for a restart wants it tried again now.
            self.record.observed_requests.restart = self.desired.requests.restart;
            self.forget_failures();
        }
        self.no_longer_serving();
        if back.cause == PutBackCause::Patch {
            self.keep_log_of_failed_patch(seen);
        }
        let (kind, cause, reason) = match back.cause {
            PutBackCause::Patch => (OperationKind::Rollback, "the change of version failed", "RollingBack"),
            PutBackCause::Restore => (OperationKind::Restore, ASKED_FOR, "Restoring"),
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
        if back.instead.is_some() {
            // What may take its place is being fetched, and one copy at a time is on its way.
            self.wait(Wait::Work);
            return true;
        }
        if self.waits_for_attempt() || self.outlives_docker(seen) {
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
                        // Whether that still blocks it, this attempt shows.
                        self.record.blocked_by = None;
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
        let after = self.still_true(&back);
        let PutBack {
            build: Build { inputs, image },
            turn,
            new_timeline,
            cause,
            reason,
            message,
            instead,
            ..
        } = back;
        self.record.put_back = instead.map(|back| *back);
        self.record.container = None;
        self.record.container_started_at = None;
        self.record.applied = Some(inputs);
        self.record.image_id = Some(image);
        self.record.blocked_by = None;
        self.is_not_over();
        if new_timeline {
            self.plan.rolled_back = Some(RolledBack { timeline: self.record.timeline, after });
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

    /// The last turn of the present timeline that is in the copy, if anybody knows: none at all, where the
    /// copy is of another history. (A note that does not say of which is of the present one, as long as
    /// there has been no other.)
    fn still_true(&self, back: &PutBack) -> Option<i64> {
        let present = self.record.timeline;
        let is_of_present = back.timeline.map_or(present == 1, |timeline| timeline == present);
        if is_of_present { back.turn } else { Some(NO_TURN) }
    }

    /// Nobody can put the copy back, and a person says so: what ran last goes on with the state as it is.
    pub(super) fn gives_up_going_back(&mut self) {
        let Some(mut back) = self.record.put_back.take_if(|back| back.stage == PutBackStage::Placing) else {
            return;
        };
        self.record.put_back = back.instead.take().map(|back| *back);
        let message =
            format!("The copy {} was given up; the game goes on with its state as it is.", back.backup);
        self.truths.fails(C::PatchSucceeded, &back.reason, message);
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
