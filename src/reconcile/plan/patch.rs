//! Another engine version for a game that has state.
//!
//! The old engine goes on until the new image is there, a place is free and no turn is in flight.
//! Then, each on record before it is done: the old container goes; the new one is made, not started,
//! and holds the name; the state is copied; the new engine is started and has to show that it is
//! healthy and at the same turn; from then on it is on probation until its first turn succeeded.
//! Whatever it does wrong leads back: the copy, and the old engine on it (`put_back`). (What has to be so
//! before the old container goes is `patch_begins`.)

use crate::game::ConditionType as C;
use crate::game::backup::{BackupReason, NewBackup};
use crate::game::container::Container;
use crate::game::engine::EngineState;
use crate::game::operation::Ending;
use crate::game::patch::{Build, FailedPatch, PatchStage, PutBack, PutBackCause, PutBackStage};
use crate::game::record::Life;
use crate::game::turn::{OpenTurn, TurnState};
use crate::game::{ContainerId, ImageId, RestoreId};
use crate::reconcile::observed::{FailureClass, RuntimeView, Seen, Work};
use crate::reconcile::step::{Step, Wait};

use super::starting::REMOVED;
use super::turns::is_sent;
use super::{Round, ours};

/// A new engine that dies so often in a row before its first turn is not the one to stay.
const DEATHS_ON_PROBATION: u32 = 2;

/// So often in a row may Docker fail at making or starting the new container.
const FAILED_STARTS: u32 = 3;

impl Round<'_> {
    /// How far the change of version is, if one is under way.
    pub(super) fn patch_stage(&self) -> Option<PatchStage> {
        self.record.patch.as_ref().map(|patch| patch.stage)
    }

    /// The new container is made and not started: the state is copied before it is. True while that
    /// goes on.
    pub(super) fn copies_state_first(&mut self) -> bool {
        let Some(patch) = self.record.patch.as_mut().filter(|patch| patch.stage == PatchStage::Leaving)
        else {
            return false;
        };
        if self.observation.backed_up.as_ref().is_some_and(|copy| copy.id == patch.backup) {
            patch.stage = PatchStage::Trying;
            self.record.start_began_at = None;
            return false;
        }
        // What a dead engine was told to generate may be in its state, or not.
        let unsettled = self.record.turn.as_ref().is_some_and(is_sent);
        let new = NewBackup {
            id: patch.backup.clone(),
            game: self.desired.id,
            taken_at: self.now,
            reason: BackupReason::Patch,
            turn: patch.turn.filter(|_| !unsettled),
            timeline: Some(self.record.timeline),
            build: Some(patch.from.clone()),
        };
        match self.working() {
            Some(Work::BackingUp { progress }) => {
                let message = format!("The state is being copied: {progress}");
                self.headline(crate::game::Phase::Patching, "CopyingState", &message);
            }
            Some(_) => {}
            None => {
                self.headline(crate::game::Phase::Patching, "CopyingState", "The state is being copied.");
                self.step(Step::BackUp(new), "the state as the old version left it");
            }
        }
        self.wait(Wait::Work);
        true
    }

    /// Somebody started the new container before the state was copied, or while it was: what its
    /// engine did to the state nobody knows.
    pub(super) fn was_started_by_hand(&mut self, seen: &Seen, container: &Container) -> bool {
        let Some(patch) = self.record.patch.as_ref().filter(|patch| patch.stage == PatchStage::Leaving)
        else {
            return false;
        };
        if container.life().is_none() {
            return false;
        }
        let message = "The new container was started by somebody else before the state was copied.";
        if self.observation.backed_up.as_ref().is_some_and(|copy| copy.id == patch.backup) {
            self.fail_patch("StartedByHand", message);
            self.goes_back(seen);
        } else {
            self.record.container = Some(container.id.clone());
            self.call_off_patch("StartedByHand", message);
            self.replace(seen, "somebody else started it");
        }
        true
    }

    /// Neither committed nor rolled back yet.
    pub(super) fn is_between_versions(&self) -> bool {
        self.record.patch.as_ref().is_some_and(|patch| patch.committed_at.is_none())
    }

    /// The new image went away after the old engine had left for it. True if so.
    pub(super) fn lost_its_new_image(&mut self) -> bool {
        if self.patch_stage() != Some(PatchStage::Leaving) {
            return false;
        }
        self.call_off_patch(
            "ImageGone",
            "The image of the new version was removed while it was about to take over.",
        );
        self.look_again(self.now);
        true
    }

    /// The copy could not be taken: the new engine is not started, and the old one goes on.
    pub(super) fn call_off_patch(&mut self, reason: &str, message: &str) {
        let Some(patch) = self.record.patch.take() else { return };
        let (Some(applied), Build { inputs, image }) = (self.record.applied.take(), patch.from) else {
            return;
        };
        self.record.failed_patch = Some(FailedPatch {
            version: applied.engine_version,
            image: applied.image,
            reason: reason.to_owned(),
            message: message.to_owned(),
            log: None,
            wish: self.version_wish(),
        });
        self.record.applied = Some(inputs);
        self.record.image_id = Some(image);
        self.record.restart_from.clone_from(&self.record.container);
        self.truths.fails(C::PatchSucceeded, reason, message);
        self.forget_failures();
        self.end_operation(Ending::Failed { code: reason.to_owned(), message: message.to_owned() });
    }

    /// Docker refuses the new container, or fails at it again and again: there will be no new engine.
    /// True if that was the end of the change.
    pub(super) fn new_container_fails(&mut self, class: FailureClass, reason: &str, message: &str) -> bool {
        let is_over = match class {
            FailureClass::Spec => true,
            FailureClass::Retry => self.record.failures.saturating_add(1) >= FAILED_STARTS,
            // It says nothing of the new version.
            FailureClass::Host
            | FailureClass::Person
            | FailureClass::MayBeAlive
            | FailureClass::Stale
            | FailureClass::Unknown => false,
        };
        match self.patch_stage().filter(|_| is_over) {
            Some(PatchStage::Leaving) => self.call_off_patch(reason, message),
            Some(PatchStage::Trying) => self.fail_patch(reason, message),
            Some(PatchStage::Probation) | None => return false,
        }
        true
    }

    /// A stop, or a deletion, in the middle of it: before the new engine ran, as if it had never
    /// begun; after, the copy is put back first.
    pub(super) fn leaves_patch(&mut self) {
        match self.patch_stage() {
            Some(PatchStage::Leaving) => {
                if let Some(patch) = self.record.patch.take() {
                    // The new one, if it has been made already, is ours to take away.
                    let made = self.record.image_id.as_ref().and_then(|new| self.made_from(new));
                    self.record.restart_from = made.or(self.record.restart_from.take());
                    self.record.applied = Some(patch.from.inputs);
                    self.record.image_id = Some(patch.from.image);
                    self.end_operation(Ending::Superseded);
                }
            }
            Some(PatchStage::Trying) => {
                let message = "The change of version was called off before the new engine had shown that it is healthy.";
                self.go_back_to_copy("PatchCalledOff", message);
            }
            Some(PatchStage::Probation) | None => {}
        }
    }

    /// The new engine is healthy: is it at the same turn? True if it may stay.
    pub(super) fn accepts_new_engine(&mut self, state: &EngineState) -> bool {
        let Some(patch) = self.record.patch.as_mut().filter(|patch| patch.stage == PatchStage::Trying) else {
            return true;
        };
        let open = self.record.turn.as_ref().filter(|turn| is_sent(turn)).map(|turn| turn.number);
        let as_left = patch.turn.is_none_or(|left| left == state.turn) || open == Some(state.turn);
        if !as_left {
            let left = patch.turn.unwrap_or_default();
            let message = format!("The new engine says turn {}, and the old one was at {left}.", state.turn);
            self.fail_patch("WrongTurn", &message);
            return false;
        }
        patch.stage = PatchStage::Probation;
        patch.turn = Some(state.turn);
        patch.committed_at = Some(self.now);
        // A turn that waits is the new engine's first.
        self.opens_anew();
        // What was wanted meanwhile has waited for this.
        self.look_again(self.now);
        self.truths.holds(
            C::PatchSucceeded,
            "OnProbation",
            "The new engine is healthy; its first turn has still to succeed.",
        );
        true
    }

    /// The new engine has no game, and neither had the one before it: it is no change of version any
    /// more, but a first start by this version.
    pub(super) fn begins_anew(&mut self) {
        self.record.patch = None;
        self.forget_failures();
        self.truths.holds(
            C::PatchSucceeded,
            "NothingToGoBackTo",
            "The game was never initialised; it begins by this version.",
        );
    }

    /// The first turn of the new engine succeeded: there is no way back any more.
    pub(super) fn ends_probation(&mut self, state: &EngineState) {
        let over = self.record.patch.as_ref().is_some_and(|patch| {
            patch.stage == PatchStage::Probation && patch.turn.is_some_and(|turn| state.turn > turn)
        });
        if over || (state.finished && self.patch_stage() == Some(PatchStage::Probation)) {
            self.record.patch = None;
            self.truths.holds(C::PatchSucceeded, "Succeeded", "The last change of version worked.");
        }
    }

    /// The turn was sent to the new engine, and to none before it.
    pub(super) fn was_sent_on_probation(&self, turn: &OpenTurn) -> bool {
        let Some(since) = self.record.patch.as_ref().and_then(|patch| patch.committed_at) else {
            return false;
        };
        match &turn.state {
            TurnState::Dispatched { .. } | TurnState::Failed { .. } => turn.opened_at >= since,
            TurnState::Pending => false,
        }
    }

    /// The end of an engine was counted: was it the new one's, and the last that is borne? Attempts at a
    /// start that fail at Docker are none of its doing, nor is a container that somebody removed.
    pub(super) fn patch_suffers(&mut self, reason: &str, message: &str) {
        let Some(patch) = self.record.patch.as_mut() else { return };
        match patch.stage {
            PatchStage::Leaving => {}
            PatchStage::Trying => self.fail_patch(reason, message),
            PatchStage::Probation if reason == REMOVED => {}
            PatchStage::Probation => {
                patch.deaths = patch.deaths.saturating_add(1);
                if patch.deaths >= DEATHS_ON_PROBATION {
                    self.fail_patch(reason, message);
                }
            }
        }
    }

    /// The new version is not the one: it is remembered as failed, and the way back begins.
    pub(super) fn fail_patch(&mut self, reason: &str, message: &str) {
        let Some(applied) = self.record.applied.clone() else { return };
        let message = format!("Engine version {} failed: {message}", applied.engine_version);
        self.record.failed_patch = Some(FailedPatch {
            version: applied.engine_version.clone(),
            image: applied.image,
            reason: reason.to_owned(),
            message: message.clone(),
            log: None,
            wish: self.version_wish(),
        });
        self.plan.failed_version = Some(applied.engine_version);
        self.go_back_to_copy(reason, &message);
    }

    /// The game's container that is there, if it was made from this image.
    fn made_from(&self, image: &ImageId) -> Option<ContainerId> {
        let RuntimeView::Known(seen) = &self.observation.runtime else { return None };
        let container = ours(seen).filter(|container| container.image_id == *image)?;
        Some(container.id.clone())
    }

    fn go_back_to_copy(&mut self, reason: &str, message: &str) {
        let Some(patch) = self.record.patch.take() else { return };
        self.record.restart_from = None;
        self.record.blocked_by = None;
        if self.is_fetching() && !self.is_fetched() {
            // Nobody knows yet whether the copy that was asked for can be put back; this one is known.
            let message = format!("Nothing was put back: the change of version failed meanwhile. {message}");
            self.end_fetching(Ending::Failed { code: reason.to_owned(), message });
        }
        if self.is_fetching() {
            // A copy was asked for, is there and verified, and takes the place of this state too.
            self.places_backup();
            return self
                .end_operation(Ending::Failed { code: reason.to_owned(), message: message.to_owned() });
        }
        // A turn that may have been generated, and cannot be asked for any more.
        let unsettled = self.record.turn.as_ref().is_some_and(|turn| {
            patch
                .committed_at
                .is_some_and(|since| turn.opened_at >= since && !matches!(turn.state, TurnState::Pending))
        });
        self.record.put_back = Some(PutBack {
            backup: patch.backup,
            restore: RestoreId::fresh(self.observation.fresh),
            stage: PutBackStage::Placing,
            build: patch.from,
            turn: patch.turn,
            timeline: patch.timeline,
            new_timeline: unsettled,
            cause: PutBackCause::Patch,
            reason: reason.to_owned(),
            message: message.to_owned(),
            instead: None,
        });
        self.truths.fails(C::PatchSucceeded, reason, message);
        self.forget_failures();
        self.end_operation(Ending::Failed { code: reason.to_owned(), message: message.to_owned() });
    }

    /// It died on its first turn, and its next process says that the turn was not generated.
    pub(super) fn fails_its_first_turn(&mut self, turn: &OpenTurn, life: &Life) -> bool {
        let died = match &turn.state {
            TurnState::Dispatched { life: sent_to, .. } | TurnState::Failed { life: sent_to, .. } => {
                sent_to != life
            }
            TurnState::Pending => false,
        };
        if !died || self.patch_stage() != Some(PatchStage::Probation) || !self.was_sent_on_probation(turn) {
            return false;
        }
        self.fail_patch("DiedOnFirstTurn", &format!("It died while it generated turn {}.", turn.number));
        // It has been asked: there is no such turn.
        if let Some(put_back) = &mut self.record.put_back {
            put_back.new_timeline = false;
        }
        true
    }
}
