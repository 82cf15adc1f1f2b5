//! Before a change of engine version: may it be, is everything ready for it, is there room for the way
//! there and back. Until all of that is so the old engine goes on, untouched.

use std::time::Duration;

use jiff::Timestamp;

use crate::game::backup::CopyProblem;
use crate::game::container::{Container, ImageSelector, StateDirectory};
use crate::game::operation::{Ending, NewOperation, OperationKind};
use crate::game::patch::{Build, Patch, PatchDelay, PatchStage};
use crate::game::record::AppliedSpec;
use crate::game::spec::RunAs;
use crate::game::version::VersionWish;
use crate::game::{Condition, ConditionStatus, ConditionType as C, EngineVersion, ImageId, ImageRef, Phase};
use crate::reconcile::backoff::{after, paced_attempt};
use crate::reconcile::observed::{Image, Looked, NextImage, Pace, Pulling, Seen, Work};
use crate::reconcile::policy::PullPolicy;
use crate::reconcile::step::{Step, Wait};

use super::Round;
use super::blocked::DIRECTORY_IN_USE;
use super::inputs::Unmet;
use super::starting::PULLING;
use super::turns::is_sent;

/// The age up to which a look is believed that decides whether the old engine goes: that the new image is there,
/// and that there is room. Others remove images and use up room meanwhile.
const LOOK_IS_FRESH: Duration = Duration::from_secs(5);

/// There is room, and other games need it first.
pub const ROOM_KEPT: &str = "RoomKept";

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
        if self.observation.beside.pulling.as_ref().is_some_and(|pulling| pulling.image == declared.image) {
            // Whatever the old engine needs meanwhile is no reason to let go of it.
            self.keeps_pulling();
        }
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
            && !self.was_asked_to_resolve()
    }

    /// The requirement has been resolved to another version since, and that change is delayed or has failed.
    fn was_asked_to_resolve(&self) -> bool {
        let delayed = self.record.patch_delay.as_ref().map(|delay| &delay.wish);
        let failed = self.record.failed_patch.as_ref().map(|failed| &failed.wish);
        let wish = self.version_wish();
        // (A record of an earlier build does not say.)
        [delayed, failed].into_iter().flatten().any(|called| called.is_none() || *called == wish)
    }

    /// The wish for a version, as written.
    pub(super) fn version_wish(&self) -> Option<String> {
        Some(self.desired.spec.as_ref().ok()?.engine_version.as_ref()?.to_string())
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

    /// No container is there, and the image that one would be made from cannot be had: the version that is
    /// wanted takes the game over from where it is, as it would from a living engine. True while that is
    /// looked at, or begins.
    pub(super) fn leaves_lost_image(&mut self, seen: &Seen) -> bool {
        let is_lost = |known: &Condition| {
            known.kind == C::ImageReady
                && known.status == ConditionStatus::False
                // It is being fetched for the first time.
                && known.reason != PULLING
        };
        let waits = self.wish.is_some() && self.has_state() && self.was.conditions.iter().any(is_lost);
        let Some(pinned) = self.record.image_id.clone().filter(|_| waits).map(ImageSelector::Pinned) else {
            return false;
        };
        match (&seen.image, seen.state_directory) {
            (_, Looked::NotYet) => self.step(Step::LookAtStateDirectory, "its image could not be had"),
            (_, Looked::At(StateDirectory::Absent)) => return false,
            (Image::At { selector, found, .. }, Looked::At(_)) if *selector == pinned => {
                if found.is_some() {
                    return false;
                }
                self.take_up_patch(seen, None);
            }
            _ => self.step(Step::LookAtImage(pinned), "it could not be had, and another version is wanted"),
        }
        if self.record.patch.is_some() {
            self.look_again(self.now);
            return true;
        }
        // Where that version is not tried now, the image that is lost may be had by now.
        let is_tried = |wait: &Wait| !matches!(wait, Wait::NextAttempt | Wait::Version);
        let goes_on = !self.plan.steps.is_empty() || self.plan.waiting_on.iter().any(is_tried);
        if let (true, Some(unmet)) = (goes_on, &self.unmet) {
            let message = format!("The image of the present version cannot be had. {}", unmet.message);
            self.headline(Phase::Starting, PATCH_PENDING, &message);
        }
        goes_on
    }

    /// Begins the change of version that is wanted, if everything is ready for it. `container`: the one
    /// that goes for it, if there is one.
    pub(super) fn take_up_patch(&mut self, seen: &Seen, container: Option<&Container>) {
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
        // However long that takes, others need not wait for it.
        if self.is_copying_on_demand() {
            self.pending("it waits for the copy of the state that was asked for");
            return self.wait(Wait::Work);
        }
        if !self.holds_disruption_place() {
            return self.pending("it waits until fewer games are patched at a time");
        }
        // A turn that was sent is settled first where an engine serves; a dead engine settles none. One that
        // was not is made by the new engine: what it waits for may never be.
        let serves = self.record.healthy_since.is_some();
        let is_sent = self.record.turn.as_ref().is_some_and(is_sent);
        if self.is_in_flight(seen) || (serves && is_sent) {
            self.waits_for_turn_end = true;
            return self.pending("it waits for the turn that is being generated");
        }
        if self.still_has_image(seen, &to) && self.has_room(seen, &to) && self.has_its_state_alone(seen, &to)
        {
            self.leave(container, to, image);
        }
    }

    /// True of a look that is recent enough to act by.
    pub(super) fn is_fresh(&self, at: Timestamp) -> bool {
        at <= self.now && self.now <= after(at, LOOK_IS_FRESH)
    }

    /// True if the new image is there now: it may have been removed while the change was put off. False while
    /// that is looked at; a look that finds none has it fetched, and the old engine goes on.
    fn still_has_image(&mut self, seen: &Seen, to: &AppliedSpec) -> bool {
        if matches!(&seen.next_image, Looked::At(NextImage { at, .. }) if self.is_fresh(*at)) {
            return true;
        }
        self.step(Step::LookAtNextImage(to.image.clone()), "it may have been removed since it was seen");
        // No turn begins while that is looked at; a look that fails holds up none.
        self.waits_for_turn_end = self.observation.failure.is_none();
        false
    }

    /// Whether the game has one of the places of those who are taken from their players at a time. Every
    /// step that disrupts a game without its spec's wish for a restart or a stop asks here first.
    pub(super) fn holds_disruption_place(&mut self) -> bool {
        self.plan.uses_disruption_place = true;
        if !self.observation.disruption_place {
            self.wait(Wait::DisruptionPlace);
        }
        self.observation.disruption_place
    }

    /// Whether there is room for the copy that is taken before it and for that copy's way back: asked
    /// before the old engine is touched. False while that is looked at, too.
    fn has_room(&mut self, seen: &Seen, to: &AppliedSpec) -> bool {
        let problem = match &seen.room {
            Looked::At((at, found)) if self.is_fresh(*at) => match found {
                Ok(()) => return true,
                Err(problem) if problem.reason == ROOM_KEPT => {
                    // It comes by itself, when the others have done.
                    self.pending(&format!("it waits for room: {}", problem.message));
                    self.look_again(after(*at, 2 * LOOK_IS_FRESH));
                    self.plan.uses_disruption_place = false;
                    return false;
                }
                Err(problem) => problem.clone(),
            },
            Looked::At(_) | Looked::NotYet => {
                self.step(Step::LookAtRoom, "a change of version copies the state, there and back");
                // No turn begins while that is looked at; a look that fails holds up none.
                self.waits_for_turn_end = self.observation.failure.is_none();
                return false;
            }
        };
        self.is_put_off(to, &problem);
        false
    }

    /// Whether nobody else can write to the state: asked before the old engine is touched. False while
    /// that is looked at, too.
    fn has_its_state_alone(&mut self, seen: &Seen, to: &AppliedSpec) -> bool {
        match self.may_go(seen) {
            None => false,
            Some(Ok(())) => true,
            Some(Err(unmet)) => {
                let problem = CopyProblem { reason: unmet.reason.to_owned(), message: unmet.message };
                self.is_put_off(to, &problem);
                false
            }
        }
    }

    /// It does not begin yet, and is tried again by itself; that is told once.
    fn is_put_off(&mut self, to: &AppliedSpec, problem: &CopyProblem) {
        let is_told =
            self.record.patch_delay.as_ref().is_some_and(|delay| delay.version == to.engine_version);
        let message = if problem.reason == DIRECTORY_IN_USE {
            problem.message.clone()
        } else {
            format!("The old engine was left alone: {}.", problem.message)
        };
        self.delay_until_later(&to.engine_version, Pace::Slow, &problem.reason, &message);
        if !is_told {
            let new = self.new_operation(OperationKind::Patch, "another engine version is wanted");
            let new = NewOperation { to_version: Some(to.engine_version.clone()), ..new };
            let ending = Ending::Failed { code: problem.reason.clone(), message };
            self.plan.operation.at_once.push((new, ending));
        }
        self.plan.uses_disruption_place = false;
        self.waits_to_patch(to);
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

    fn leave(&mut self, container: Option<&Container>, to: AppliedSpec, image: ImageId) {
        let Some((inputs, old_image)) = self.record.applied.take().zip(self.record.image_id.take()) else {
            return;
        };
        let cause = format!("engine version {} is wanted", to.engine_version);
        let backup = self.fresh_name(&format!("before-{}", to.engine_version));
        self.record.patch = Some(Patch {
            from: Build { inputs, image: old_image },
            backup,
            turn: self.record.current_turn,
            timeline: Some(self.record.timeline),
            committed_at: None,
            stage: PatchStage::Leaving,
            deaths: 0,
        });
        self.end_patch_request();
        self.record.applied = Some(to);
        self.record.image_id = Some(image);
        self.record.patch_delay = None;
        self.record.failed_patch = None;
        self.record.blocked_by = None;
        self.record.restart_from = container.map(|container| container.id.clone());
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
        self.wait(Wait::NextAttempt);
        self.look_again(due);
        true
    }

    /// The image of the version to come; none while it is looked for or fetched.
    fn next_image(&mut self, seen: &Seen, image: &ImageRef) -> Option<ImageId> {
        let (found, fetched) = match &seen.next_image {
            Looked::At(next) if next.image == *image => (next.found.clone(), next.fetched),
            Looked::At(_) | Looked::NotYet => {
                self.keeps_pulling();
                self.step(Step::LookAtNextImage(image.clone()), "a change of version needs it");
                return None;
            }
        };
        let fetch_first = self.policy.pull == PullPolicy::Always && !fetched;
        if let Some(found) = found.filter(|_| !fetch_first) {
            return Some(found);
        }
        match &self.observation.beside.pulling {
            Some(Pulling { image: pulling, progress }) if pulling == image => {
                let progress = format!("image {image} is being fetched: {progress}");
                self.pending(&progress);
            }
            _ => {
                self.pending(&format!("image {image} is being fetched"));
                self.step(Step::PullImage(image.clone()), "a change of version needs it");
                // The engine does not wait for its end.
                self.look_again(self.now);
            }
        }
        self.wait(Wait::Pull(image.clone()));
        None
    }

    /// The image of the version to come could not be fetched or looked at: the old engine goes on, and it is tried
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
            wish: self.version_wish(),
        });
        // It is tried again by itself from here on.
        self.end_patch_request();
    }
}
