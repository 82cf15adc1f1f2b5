//! From no process to one: making the container, fetching its image, starting what is there.

use std::time::Duration;

use crate::game::container::{Container, ImageSelector, StateDirectory};
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::{AppliedSpec, Exit, Life};
use crate::game::{ConditionType as C, NetworkId, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{Image, Looked, Pulling, Seen};
use crate::reconcile::policy::PullPolicy;
use crate::reconcile::step::{Step, Wait};

use super::Round;
use super::blocked::PINNED_IMAGE_GONE;

/// So often is shown how far a pull is.
const SHOWN_EVERY: Duration = Duration::from_secs(3);

/// The end of a container that somebody removed.
pub(super) const REMOVED: &str = "Removed";

/// The image is on its way.
pub(super) const PULLING: &str = "Pulling";

impl Round<'_> {
    /// No container: make one, once everything that it needs is there.
    pub(super) fn nothing_there(&mut self, seen: &Seen, target: &AppliedSpec) {
        self.truths.fails(C::ContainerRunning, "NoContainer", "No container of this game is there.");
        let Some(vacancy) = seen.vacancy() else {
            self.no_longer_serving();
            self.directory_is_held(seen);
            return;
        };
        if self.has_ended() {
            // Who removed it removed what nobody needs.
            self.record.container = None;
            self.record.container_started_at = None;
            return self.stays_ended();
        }
        if let Some(lost) = self.record.container.take() {
            let life = self
                .record
                .container_started_at
                .take()
                .map(|started_at| Life { container: lost, started_at });
            self.count_exit(
                life,
                None,
                false,
                REMOVED,
                "The container vanished without Gamekeeper removing it.",
            );
            if self.is_placing() {
                return self.goes_back_now();
            }
        }
        self.record.restart_from = None;
        self.no_longer_serving();
        if self.leaves_lost_image(seen) || self.waits_for_attempt() {
            return;
        }
        let selector = match (&self.record.image_id, self.has_state()) {
            (Some(id), true) => ImageSelector::Pinned(id.clone()),
            _ => ImageSelector::Reference(target.image.clone()),
        };
        let (found, fetched) = match &seen.image {
            Image::At { selector: looked_for, found, fetched, .. } if *looked_for == selector => {
                (found.clone(), fetched.as_ref() == Some(&target.image))
            }
            _ => {
                self.step(Step::LookAtImage(selector.clone()), "a container needs it");
                (None, false)
            }
        };
        if seen.network == Looked::NotYet {
            self.step(Step::LookAtNetwork, "a container needs it");
        }
        if seen.state_directory == Looked::NotYet {
            self.step(Step::LookAtStateDirectory, "a container mounts it");
        }
        if !self.plan.steps.is_empty() {
            return self.keeps_pulling();
        }
        if self.lacks_its_state(seen) || self.directory_is_held(seen) {
            return;
        }
        if self.copies_on_demand() {
            return;
        }
        if self.record.applied.is_none() && seen.state_directory == Looked::At(StateDirectory::WithGame) {
            // A game is there that no record speaks of: as if its initialisation had been sent.
            self.record.init_intent_at = Some(self.record.init_intent_at.unwrap_or(self.now));
        }
        let cause = if self.is_healing() { "its engine is not there" } else { "it should run" };
        self.begin_start(cause);
        let fetch_first = self.policy.pull == PullPolicy::Always
            && !fetched
            && matches!(selector, ImageSelector::Reference(_));
        let Some(image) = found.filter(|_| !fetch_first) else {
            return self.fetch(target, &selector, fetched);
        };
        self.truths.holds(C::ImageReady, "Present", "The image is on the host.");
        self.record.blocked_by.take_if(|reason| reason == PINNED_IMAGE_GONE);
        if !self.holds_start_slot() {
            return;
        }
        if !self.has_state() {
            // Also where somebody made it: the engine's user must own it.
            self.step(Step::CreateStateDirectory(target.run_as), "the game has no state yet");
        }
        if seen.network == Looked::At(None) {
            self.step(Step::CreateNetwork, "it is not there");
        }
        self.record.applied = Some(target.clone());
        self.record.image_id = Some(image.clone());
        self.mint_players();
        self.headline(Phase::Starting, "CreatingContainer", "The engine's container is being made.");
        let create =
            Step::CreateContainer { vacancy, inputs: target.clone(), image: ImageSelector::Pinned(image) };
        self.step(create, cause);
    }

    /// The image is not there: fetch it.
    fn fetch(&mut self, target: &AppliedSpec, selector: &ImageSelector, fetched: bool) {
        if self.lost_its_new_image() {
            return;
        }
        if fetched && matches!(selector, ImageSelector::Pinned(_)) {
            let message = format!(
                "The image this game runs is gone, and {} is a different one now. Bring the old image back, or take the new one with `unblock`.",
                target.image
            );
            self.truths.fails(C::ImageReady, PINNED_IMAGE_GONE, message.clone());
            return self.blocked(PINNED_IMAGE_GONE, &message);
        }
        let message = match &self.observation.beside.pulling {
            Some(Pulling { image, progress }) if *image == target.image => {
                format!("Image {} is being fetched: {progress}", target.image)
            }
            _ => {
                self.step(Step::PullImage(target.image.clone()), "it is not on the host");
                format!("Image {} is being fetched.", target.image)
            }
        };
        self.truths.fails(C::ImageReady, PULLING, message.clone());
        self.headline(Phase::Starting, "PullingImage", &message);
        self.wait(Wait::Pull(target.image.clone()));
        // Only to show how far it is; its end brings a round of its own.
        self.look_again(after(self.now, SHOWN_EVERY));
    }

    /// A look on the way is no reason to let go of an image that is being fetched.
    pub(super) fn keeps_pulling(&mut self) {
        if let Some(Pulling { image, .. }) = &self.observation.beside.pulling {
            self.wait(Wait::Pull(image.clone()));
        }
    }

    /// Made, not started: start it if it is what is wanted.
    pub(super) fn created(&mut self, seen: &Seen, container: &Container, target: &AppliedSpec) {
        self.truths.fails(C::ContainerRunning, "Created", "The container has not been started yet.");
        if self.waits_for_attempt() {
            return;
        }
        let Some(network) = self.may_start(seen) else { return };
        self.begin_start("its container is not started");
        // Docker fills in the network's id at the first start only.
        let elsewhere = container.network_id.is_some() && container.network_id != network;
        // Two versions may have one image: what it was made from tells them apart.
        let fits = self.record.applied.as_ref() == Some(target)
            && container.applied.as_ref().is_none_or(|made_from| made_from == target)
            && self.record.image_id.as_ref() == Some(&container.image_id)
            && network.is_some()
            && !elsewhere;
        if !fits {
            self.replace(seen, "it does not match what is wanted");
            // Counted: what never fits must not be made and removed without a pause.
            return self.count_failure();
        }
        if self.copies_state_first() {
            return;
        }
        self.start_again(container, "it is made and not started");
    }

    /// Its process ended: once counted, start it again as it is, or anew if it lost its network.
    pub(super) fn exited(
        &mut self,
        seen: &Seen,
        container: &Container,
        life: Life,
        code: i64,
        out_of_memory: bool,
    ) {
        let is_known = self.record.last_exit.as_ref().and_then(|exit| exit.life.as_ref()) == Some(&life);
        if !is_known && self.ends_well(code, out_of_memory) {
            self.record.container = Some(container.id.clone());
            self.record.container_started_at = Some(life.started_at.clone());
            self.note_end(seen, life);
            return self.stays_ended();
        }
        if is_known && self.has_ended() {
            return self.stays_ended();
        }
        if !is_known {
            // 137 without Docker's flag: killed by a signal that memory pressure sends too.
            let probably = if out_of_memory {
                ", out of memory"
            } else if code == 137 {
                ", killed"
            } else {
                ""
            };
            let message = format!("The engine's process ended with exit code {code}{probably}.");
            self.count_exit(Some(life), Some(code), out_of_memory, "Exited", &message);
        } else if let Some(exit) = self.record.last_exit.as_mut() {
            exit.code = exit.code.or(Some(code));
        }
        if self.record.last_log_lines.is_none() {
            self.record.last_log_lines.clone_from(&seen.log_tail);
        }
        self.record.container = Some(container.id.clone());
        self.no_longer_serving();
        self.truths.fails(C::ContainerRunning, "Exited", "The engine's process is not running.");
        if self.is_placing() {
            return self.goes_back_now();
        }
        // A state that no process writes to. An engine that keeps dying gives no better moment.
        if self.copies_on_demand() || self.waits_for_attempt() {
            return;
        }
        let Some(network) = self.may_start(seen) else { return };
        self.begin_start("its engine's process ended");
        if network.is_none() || container.network_id != network {
            return self.replace(seen, "it has lost its place on the network");
        }
        self.start_again(container, "its process ended");
    }

    /// What a start of a container that is there depends on: the network as it is now, the state
    /// directory, and nobody else on it. None while something of that is not so, or not known.
    fn may_start(&mut self, seen: &Seen) -> Option<Option<NetworkId>> {
        if seen.state_directory == Looked::NotYet {
            self.step(Step::LookAtStateDirectory, "the container mounts it");
        }
        let Looked::At(network) = &seen.network else {
            self.step(Step::LookAtNetwork, "the container must be on it");
            return None;
        };
        let looks = !self.plan.steps.is_empty();
        if looks || self.lacks_its_state(seen) || self.directory_is_held(seen) {
            return None;
        }
        Some(network.clone())
    }

    fn start_again(&mut self, container: &Container, cause: &str) {
        if !self.holds_start_slot() {
            return;
        }
        self.record.container = Some(container.id.clone());
        self.record.start_began_at = Some(self.now);
        self.headline(Phase::Starting, "StartingContainer", "The engine's container is being started.");
        self.step(Step::StartContainer(container.id.clone()), cause);
    }

    /// Counts the end of a life, once.
    pub(super) fn count_exit(
        &mut self,
        life: Option<Life>,
        code: Option<i64>,
        out_of_memory: bool,
        reason: &str,
        message: &str,
    ) {
        self.record.last_exit =
            Some(Exit { life, code, out_of_memory, reason: reason.to_owned(), at: self.now });
        self.record.last_log_lines = None;
        self.record.restart_count = self.record.restart_count.saturating_add(1);
        self.record.start_began_at = None;
        self.record.healthy_since = None;
        self.count_failure();
        self.headline(Phase::CrashLoop, reason, message);
        self.truths.fails(C::EngineHealthy, reason, message);
        self.end_operation(Ending::Failed { code: reason.to_owned(), message: message.to_owned() });
        self.patch_suffers(reason, message);
    }

    /// What was down by wish is started; what was up, or failed to come up, is healed.
    fn is_healing(&self) -> bool {
        let was_down =
            matches!(self.was.phase, Phase::Pending | Phase::Stopped | Phase::Stopping | Phase::Invalid);
        self.record.initialized_at.is_some() && !was_down
    }

    pub(super) fn begin_start(&mut self, cause: &str) {
        let kind = if self.is_healing() { OperationKind::Heal } else { OperationKind::Start };
        self.begin_operation(kind, cause);
        if !matches!(self.record.phase, Phase::Starting) {
            self.headline(Phase::Starting, "Starting", "The engine is being started.");
        }
    }

    fn holds_start_slot(&mut self) -> bool {
        self.plan.uses_start_slot = true;
        if !self.observation.start_slot {
            self.wait(Wait::StartSlot);
        }
        self.observation.start_slot
    }
}
