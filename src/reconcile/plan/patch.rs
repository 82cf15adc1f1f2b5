//! Another engine version for a game that has state.
//!
//! The old engine goes on until the new image is there, a place is free and no turn is in flight.
//! Then, each on record before it is done: the old container goes; the new one is made, not started,
//! and holds the name; the state is copied; the new engine is started and has to show that it is
//! healthy and at the same turn; from then on it is on probation until its first turn succeeded.
//! Whatever it does wrong leads back: the copy, and the old engine on it (`put_back`).

use std::time::Duration;

use jiff::Timestamp;

use crate::game::ConditionType as C;
use crate::game::backup::{BackupReason, NewBackup};
use crate::game::container::{Container, ImageSelector};
use crate::game::engine::EngineState;
use crate::game::operation::{Ending, NewOperation, OperationKind};
use crate::game::patch::{
    Build, FailedPatch, Patch, PatchDelay, PatchStage, PutBack, PutBackCause, PutBackStage,
};
use crate::game::record::{AppliedSpec, Life};
use crate::game::spec::RunAs;
use crate::game::turn::{OpenTurn, TurnState};
use crate::game::version::VersionWish;
use crate::game::{EngineVersion, ImageId, ImageRef, RestoreId};
use crate::reconcile::backoff::{after, paced_attempt};
use crate::reconcile::observed::{FailureClass, Image, Looked, Pace, Seen, Work};
use crate::reconcile::policy::PullPolicy;
use crate::reconcile::step::{Step, Wait};

use super::Round;
use super::inputs::Unmet;
use super::starting::REMOVED;
use super::turns::is_sent;

/// A new engine that dies so often in a row before its first turn is not the one to stay.
const DEATHS_ON_PROBATION: u32 = 2;

/// So often in a row may Docker fail at making or starting the new container.
const FAILED_STARTS: u32 = 3;

/// For so long it is believed that there was room, or none.
const ROOM_IS_KNOWN: Duration = Duration::from_secs(5);

/// Another version is wanted, and takes its place when everything is ready for it. Of all reasons why a
/// game that runs is not ready, the one that passes by itself.
pub const PATCH_PENDING: &str = "PatchPending";

impl Round<'_> {
    /// Another version is wanted than the one that has the state: may it be? The old one goes on
    /// until it is.
    pub(super) fn another_version(&mut self, applied: &AppliedSpec, declared: AppliedSpec) {
        if self.desired.requests.patch > self.record.observed_requests.patch {
            // Whoever asks again wants it tried again. The request is used up when it begins, is refused, or
            // is delayed, which is on record then.
            self.record.failed_patch = None;
            self.record.patch_delay = None;
        }
        if let Some(unmet) = self.refusal(applied, &declared) {
            self.end_patch_request();
            return self.goes_on_by_old_spec(unmet);
        }
        self.truths.holds(C::SpecValid, "Valid", "The spec can be met.");
        if let Some(unmet) = self.obstacle(&declared) {
            self.put_off_patch(unmet.reason, &unmet.message);
            self.unmet = Some(unmet);
            return;
        }
        let message = format!(
            "Engine version {} takes the place of {} when its image is there and no turn is in flight.",
            declared.engine_version, applied.engine_version
        );
        self.unmet = Some(Unmet { reason: PATCH_PENDING, message });
        self.wish = Some(declared);
    }

    /// The version that has the state is the one that is wanted.
    pub(super) fn same_version(&mut self) {
        self.record.failed_patch = None;
        self.record.patch_delay = None;
        self.end_patch_request();
    }

    /// A requirement is resolved when the game starts, and again only when somebody asks.
    pub(super) fn fulfils_its_requirement(&self, applied: &AppliedSpec) -> bool {
        let wish = self.desired.spec.as_ref().ok().and_then(|spec| spec.engine_version.as_ref());
        matches!(wish, Some(wish @ VersionWish::Newest(_)) if wish.accepts(&applied.engine_version))
            && self.desired.requests.patch <= self.record.observed_requests.patch
            && self.record.patch_delay.is_none()
            && self.record.failed_patch.is_none()
    }

    /// Why it can never be, as the spec is.
    fn refusal(&self, applied: &AppliedSpec, declared: &AppliedSpec) -> Option<Unmet> {
        let (from, to) = (&applied.engine_version, &declared.engine_version);
        let allowed = self.may_be_incompatible(to);
        if self.desired.version.as_ref().is_some_and(|entry| !entry.enabled) {
            let message = format!(
                "Engine version {to} is disabled: enable it or ask for another one. The game goes on with {from}."
            );
            return Some(Unmet { reason: "EngineVersionDisabled", message });
        }
        if !from.is_compatible_with(to) && !allowed {
            let message = format!(
                "The game has state of engine version {from}, and {to} has another major or minor number. It goes on with {from}. If {to} can read that state, set allowIncompatibleVersion to \"{to}\"."
            );
            return Some(Unmet { reason: "PatchSemverIncompatible", message });
        }
        if applied.run_as != declared.run_as && !allowed {
            let message = format!(
                "Engine version {to} runs as another user ({}) than {from} ({}), and could not use its state. The game goes on with {from}. If it can, set allowIncompatibleVersion to \"{to}\".",
                declared.run_as, applied.run_as
            );
            return Some(Unmet { reason: "PatchUserDiffers", message });
        }
        None
    }

    /// Why it is not tried now, though it could be.
    fn obstacle(&mut self, declared: &AppliedSpec) -> Option<Unmet> {
        let to = &declared.engine_version;
        let failed = self.record.failed_patch.as_ref().filter(|failed| failed.version == *to);
        if let Some(failed) = failed {
            let message = format!(
                "{} It is not tried again by itself: ask for another version, or for this one again with `gamekeeper patch --retry`.",
                failed.message
            );
            return Some(Unmet { reason: "PatchFailed", message });
        }
        let halted = self.observation.version_halted.as_ref()?;
        Some(Unmet { reason: "PatchHalted", message: halted.clone() })
    }

    /// Begins the change of version that is wanted, if everything is ready for it.
    pub(super) fn take_up_patch(&mut self, seen: &Seen, container: &Container) {
        let Some(to) = self.wish.take() else { return };
        if self.is_fetching() {
            self.pending("it waits for the copy that is to be put back first");
            return self.wait(Wait::Work);
        }
        if self.record.restart_from.is_some() || matches!(self.working(), Some(Work::Stopping(_))) {
            return;
        }
        if self.waits_to_patch(&to) {
            return;
        }
        let Some(image) = self.next_image(seen, &to.image) else { return };
        if !self.keeps_its_user(seen, &to, &image) {
            return;
        }
        self.plan.uses_disruption_place = true;
        if !self.observation.disruption_place {
            self.pending("it waits until fewer games are patched at a time");
            return self.wait(Wait::DisruptionPlace);
        }
        // A turn that is open where an engine serves is settled first; a dead engine settles none.
        let serves = self.record.healthy_since.is_some();
        if self.is_copying_on_demand() {
            self.pending("it waits for the copy of the state that was asked for");
            return self.wait(Wait::Work);
        }
        if self.is_in_flight(seen) || (serves && self.record.turn.is_some()) {
            self.waits_for_turn_end = true;
            return self.pending("it waits for the turn that is being generated");
        }
        if self.has_room(seen, &to) {
            self.leave(container, to, image);
        }
    }

    /// Whether there is room for the copy that is taken before it and for that copy's way back: asked
    /// before the old engine is touched. False while that is looked at, too.
    fn has_room(&mut self, seen: &Seen, to: &AppliedSpec) -> bool {
        let fresh = |at: Timestamp| at <= self.now && self.now <= after(at, ROOM_IS_KNOWN);
        let problem = match &seen.room {
            Looked::At((at, found)) if fresh(*at) => match found {
                Ok(()) => return true,
                Err(problem) => problem.clone(),
            },
            Looked::At(_) | Looked::NotYet => {
                self.step(Step::LookAtRoom, "a change of version copies the state, there and back");
                // No turn begins while that is looked at.
                self.waits_for_turn_end = true;
                return false;
            }
        };
        let is_told =
            self.record.patch_delay.as_ref().is_some_and(|delay| delay.version == to.engine_version);
        let message = format!("The old engine was left alone: {}.", problem.message);
        self.delay_until_later(&to.engine_version, Pace::Slow, &problem.reason, &message);
        if !is_told {
            let new = self.new_operation(OperationKind::Patch, "another engine version is wanted");
            let new = NewOperation { to_version: Some(to.engine_version.clone()), ..new };
            let ending = Ending::Failed { code: problem.reason.clone(), message };
            self.plan.operation.at_once.push((new, ending));
        }
        self.plan.uses_disruption_place = false;
        self.waits_to_patch(to);
        false
    }

    /// Whether the new image's processes run as the user that owns the state, where the image decides
    /// that. False while that is looked at, too.
    fn keeps_its_user(&mut self, seen: &Seen, to: &AppliedSpec, next: &ImageId) -> bool {
        let Some(present) = self.record.image_id.clone().filter(|_| to.run_as == RunAs::Image) else {
            return true;
        };
        let version = &to.engine_version;
        if self.may_be_incompatible(version) {
            return true;
        }
        let users = match &seen.image_users {
            Looked::At(users) if users.present == present && users.next == *next => users,
            Looked::At(_) | Looked::NotYet => {
                let look = Step::LookAtImageUsers { present, next: next.clone() };
                self.step(look, "the image decides who owns the state");
                return false;
            }
        };
        let Some((old, new)) = users.differ() else { return true };
        let named = |user: &str| if user.is_empty() { "root".to_owned() } else { user.to_owned() };
        let message = format!(
            "The image of engine version {version} runs as another user ({}) than the present one ({}), and could not use its state. The game goes on with the present one. If it can, set allowIncompatibleVersion to \"{version}\".",
            named(new),
            named(old)
        );
        self.end_patch_request();
        self.unmet = Some(Unmet { reason: "PatchUserDiffers", message });
        false
    }

    /// This version is allowed by name, whatever it is.
    fn may_be_incompatible(&self, version: &EngineVersion) -> bool {
        self.desired.spec.as_ref().is_ok_and(|spec| spec.allow_incompatible_version.as_ref() == Some(version))
    }

    fn leave(&mut self, container: &Container, to: AppliedSpec, image: ImageId) {
        let Some((inputs, old_image)) = self.record.applied.take().zip(self.record.image_id.take()) else {
            return;
        };
        let cause = format!("engine version {} is wanted", to.engine_version);
        let backup = self.fresh_name(&format!("before-{}", to.engine_version));
        self.record.patch = Some(Patch {
            from: Build { inputs, image: old_image },
            backup,
            turn: self.record.current_turn,
            committed_at: None,
            stage: PatchStage::Leaving,
            deaths: 0,
        });
        self.end_patch_request();
        self.record.applied = Some(to);
        self.record.image_id = Some(image);
        self.record.patch_delay = None;
        self.record.failed_patch = None;
        self.record.restart_from = Some(container.id.clone());
        self.unmet = None;
        self.forget_failures();
        self.wakes();
        self.supersede_with(OperationKind::Patch, &cause);
    }

    fn pending(&mut self, why: &str) {
        if let Some(unmet) = &mut self.unmet {
            unmet.message = format!("{} Now {why}.", unmet.message);
        }
    }

    /// The last attempt to get the image failed, and the next is not due.
    fn waits_to_patch(&mut self, to: &AppliedSpec) -> bool {
        let longest = after(self.now, self.policy.backoff_longest);
        let delay = self.record.patch_delay.as_ref().filter(|delay| delay.version == to.engine_version);
        let Some(delay) = delay.filter(|delay| delay.next_attempt_at <= longest) else {
            self.record.patch_delay = None;
            return false;
        };
        let (due, why) = (
            delay.next_attempt_at,
            format!("it is tried again at {}: {}", delay.next_attempt_at, delay.message),
        );
        if self.now >= due {
            return false;
        }
        self.pending(&why);
        self.look_again(due);
        true
    }

    /// The image of the version to come; none while it is looked for or fetched.
    fn next_image(&mut self, seen: &Seen, image: &ImageRef) -> Option<ImageId> {
        let (found, fetched) = match &seen.next_image {
            Image::At { selector: ImageSelector::Reference(looked_for), found, fetched }
                if looked_for == image =>
            {
                (found.clone(), *fetched)
            }
            Image::At { .. } | Image::NotYet => {
                if let Some(Work::Pulling { image, .. }) = self.working() {
                    // Looking is no reason to let go of it.
                    self.wait(Wait::Pull(image.clone()));
                }
                self.step(Step::LookAtNextImage(image.clone()), "a change of version needs it");
                return None;
            }
        };
        let fetch_first = self.policy.pull == PullPolicy::Always && !fetched;
        if let Some(found) = found.filter(|_| !fetch_first) {
            return Some(found);
        }
        match self.working() {
            Some(Work::Pulling { image: pulling, progress }) if pulling == image => {
                let progress = format!("image {image} is being fetched: {progress}");
                self.pending(&progress);
            }
            _ => {
                self.pending(&format!("image {image} is being fetched"));
                self.step(Step::PullImage(image.clone()), "a change of version needs it");
            }
        }
        self.wait(Wait::Pull(image.clone()));
        None
    }

    /// The image of the version to come could not be fetched: the old engine goes on, and it is tried
    /// again later. True if it was that one.
    pub(super) fn delay_patch(&mut self, image: &ImageRef, pace: Pace, reason: &str, message: &str) -> bool {
        let old = self.record.applied.as_ref().is_some_and(|applied| applied.image != *image);
        let Some(entry) = self.desired.version.as_ref().filter(|entry| entry.image == *image) else {
            return false;
        };
        if !old || !self.has_state() {
            return false;
        }
        self.delay_until_later(&entry.version, pace, reason, message);
        true
    }

    fn delay_until_later(&mut self, version: &EngineVersion, pace: Pace, reason: &str, message: &str) {
        let before = self.record.patch_delay.as_ref().filter(|delay| delay.version == *version);
        let failures = before.map_or(0, |delay| delay.failures).saturating_add(1);
        self.record.patch_delay = Some(PatchDelay {
            version: version.clone(),
            failures,
            // The first attempt after a failure is not at once: nothing is down meanwhile.
            next_attempt_at: paced_attempt(failures.saturating_add(1), pace, self.now, self.policy),
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
        // It is tried again by itself from here on.
        self.end_patch_request();
    }

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
            FailureClass::Person | FailureClass::Stale | FailureClass::Unknown => false,
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
        let open = self.record.turn.as_ref().map(|turn| turn.number);
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
        });
        self.plan.failed_version = Some(applied.engine_version);
        self.go_back_to_copy(reason, &message);
    }

    fn go_back_to_copy(&mut self, reason: &str, message: &str) {
        let Some(patch) = self.record.patch.take() else { return };
        self.record.restart_from = None;
        if self.is_fetching() {
            // A copy was asked for, and takes the place of this state too.
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
            new_timeline: unsettled,
            cause: PutBackCause::Patch,
            reason: reason.to_owned(),
            message: message.to_owned(),
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
