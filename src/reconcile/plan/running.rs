//! The way up: from nothing, from a container that does not run, from one that must be replaced.

use crate::game::container::{Container, ContainerState, ImageSelector, StateDirectory};
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::{AppliedSpec, Exit, Life};
use crate::game::{ConditionType as C, NetworkId, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{Image, Looked, Seen, Work};
use crate::reconcile::policy::PullPolicy;
use crate::reconcile::step::{Step, Wait};

use super::blocked::{FOREIGN_CONTAINER, PINNED_IMAGE_GONE};
use super::inputs::{Unmet, declared, may_begin};
use super::{Mappings, Round, ours};

/// How soon a container in somebody else's hands is looked at again.
const SETTLING: std::time::Duration = std::time::Duration::from_secs(1);

impl Round<'_> {
    /// Desired running.
    pub(super) fn run(&mut self, seen: &Seen) {
        if self
            .was
            .operation
            .as_ref()
            .is_some_and(|op| matches!(op.kind, OperationKind::Stop | OperationKind::Delete))
        {
            self.supersede_with(OperationKind::Start, "it should run again");
        }
        if seen.container.is_some() && ours(seen).is_none() {
            // Whoever answers at the old address is nobody to send a player to.
            self.no_longer_serving();
            return self.blocked(
                FOREIGN_CONTAINER,
                "A container that is not this game's holds its name; it is left alone. Rename or remove it.",
            );
        }
        if !self.adopt(seen) {
            return;
        }
        let target = match self.target() {
            Ok(target) => target,
            Err(unmet) => return self.invalid(seen, &unmet),
        };
        self.take_up_restart(seen, &target);
        let Some(container) = ours(seen) else { return self.nothing_there(seen, &target) };
        if self.record.restart_from.as_ref() == Some(&container.id) {
            return self.replace(seen, "it is being replaced");
        }
        // If another one was to be replaced, it is gone, and this is the new one.
        self.record.restart_from = None;
        if self.is_ending(container) {
            // A stop is under way that nobody wants any more: its end is ours, and no crash.
            self.record.restart_from = Some(container.id.clone());
            return self.replace(seen, "it was being stopped");
        }
        match &container.state {
            ContainerState::Created => self.created(seen, container, &target),
            ContainerState::Exited { started_at, code, out_of_memory } => {
                let life = Life { container: container.id.clone(), started_at: started_at.clone() };
                self.exited(seen, container, life, *code, *out_of_memory);
            }
            ContainerState::Running { started_at } => {
                let life = Life { container: container.id.clone(), started_at: started_at.clone() };
                self.engine(seen, container, life, &target);
            }
            ContainerState::Unsettled { status } => {
                let message =
                    format!("Docker says the container is {status}; somebody else's hand is on it.");
                self.no_longer_serving();
                self.headline(Phase::EngineUnreachable, "ContainerUnsettled", &message);
                self.truths.fails(C::ContainerRunning, "ContainerUnsettled", message);
                self.wait(Wait::Docker);
                self.look_again(after(self.now, SETTLING));
            }
            ContainerState::Removing => {
                self.no_longer_serving();
                self.headline(Phase::Starting, "Removing", "Docker is removing the old container.");
                self.wait(Wait::Docker);
                self.look_again(after(self.now, SETTLING));
            }
        }
    }

    /// A container of the game's that no record speaks of: the record was lost, and is made again
    /// from what the container says. It may have its game, so nothing takes it down for a mistake
    /// in the spec. False if it cannot be told what it is.
    fn adopt(&mut self, seen: &Seen) -> bool {
        let Some(container) = ours(seen).filter(|_| self.record.applied.is_none()) else { return true };
        if container.state == ContainerState::Removing {
            return true;
        }
        let Some(applied) = container.applied.clone().or_else(|| declared(self.desired).ok()) else {
            self.blocked(
                "CannotAdopt",
                "A container of the game is there, but neither its labels nor the spec say what it runs. Ask for the engine version that it has.",
            );
            return false;
        };
        self.record.applied = Some(applied);
        self.record.image_id = Some(container.image_id.clone());
        if container.life().is_some() {
            self.record.init_intent_at = Some(self.record.init_intent_at.unwrap_or(self.now));
        }
        self.begin_operation(OperationKind::Adopt, "its container is there, and no record of it");
        true
    }

    /// Its process is being stopped, and not because it was given up.
    fn is_ending(&self, container: &Container) -> bool {
        let given_up = self.record.last_exit.as_ref().is_some_and(|exit| exit.life == container.life());
        match self.working() {
            Some(Work::Stopping(id)) => *id == container.id && !given_up,
            _ => false,
        }
    }

    /// What the engine is to be built from. A game with state goes on with what it was built from,
    /// whatever its new spec says.
    fn target(&mut self) -> Result<AppliedSpec, Unmet> {
        let declared = declared(self.desired);
        let applied = self.record.applied.clone().filter(|_| self.has_state());
        match (applied, declared) {
            (Some(applied), Ok(declared)) if applied.engine_version == declared.engine_version => {
                self.truths.holds(C::SpecValid, "Valid", "The spec can be met.");
                Ok(declared)
            }
            (Some(applied), Ok(declared)) => {
                let (from, to) = (&applied.engine_version, &declared.engine_version);
                let message = format!(
                    "The game has state of engine version {from}; changing it to {to} is not supported yet. It goes on with {from}."
                );
                self.goes_on_by_old_spec(Unmet { reason: "VersionChangeUnsupported", message });
                Ok(applied)
            }
            (Some(applied), Err(unmet)) => {
                self.goes_on_by_old_spec(unmet);
                Ok(applied)
            }
            // Its record was lost: what was begun once is not begun again.
            (None, declared) if self.has_state() => {
                self.truths.holds(C::SpecValid, "Valid", "The spec can be met.");
                declared
            }
            (None, declared) => {
                let declared = declared.and_then(|inputs| may_begin(self.desired).map(|()| inputs))?;
                self.truths.holds(C::SpecValid, "Valid", "The spec can be met.");
                Ok(declared)
            }
        }
    }

    fn goes_on_by_old_spec(&mut self, unmet: Unmet) {
        self.truths.fails(C::SpecValid, unmet.reason, unmet.message.clone());
        self.unmet = Some(unmet);
    }

    /// Says in the conditions whether the spec could be met, where nothing depends on it now.
    pub(super) fn state_spec_validity(&mut self) {
        match declared(self.desired) {
            Ok(_) => self.truths.holds(C::SpecValid, "Valid", "The spec can be met."),
            Err(unmet) => self.truths.fails(C::SpecValid, unmet.reason, unmet.message),
        }
    }

    /// The spec cannot be met and the game has no state: nothing of it runs.
    fn invalid(&mut self, seen: &Seen, unmet: &Unmet) {
        self.truths.fails(C::SpecValid, unmet.reason, unmet.message.clone());
        if !self.take_down(seen, OperationKind::Start, "its spec cannot be met") {
            return;
        }
        let known = self.was.conditions.iter().find(|known| known.kind == C::SpecValid);
        let first_time = self.was.observed_generation != self.desired.generation
            || known.is_none_or(|known| known.reason != unmet.reason);
        self.record.container = None;
        self.record.container_started_at = None;
        self.no_longer_serving();
        self.forget_failures();
        self.headline(Phase::Invalid, unmet.reason, &unmet.message);
        self.wait(Wait::Spec);
        if first_time {
            let ending = Ending::Failed { code: unmet.reason.to_owned(), message: unmet.message.clone() };
            self.begin_operation(OperationKind::Start, "the spec asks for it");
            self.end_operation(ending);
        }
    }

    /// A restart that was asked for, or declared inputs that changed, begin here: on record, once.
    fn take_up_restart(&mut self, seen: &Seen, target: &AppliedSpec) {
        let container = ours(seen).map(|container| container.id.clone());
        if self.desired.requests.restart > self.record.observed_requests.restart {
            self.record.observed_requests.restart = self.desired.requests.restart;
            self.forget_failures();
            if self.was.applied.is_some() {
                self.supersede_with(OperationKind::Restart, "a restart was asked for");
            }
            self.record.restart_from = container;
        } else if self.record.applied.as_ref().is_some_and(|applied| applied != target)
            && self.record.restart_from.is_none()
        {
            self.forget_failures();
            self.supersede_with(OperationKind::Restart, "its declared inputs changed");
            self.record.restart_from = container;
        }
        if self.record.restart_from.is_none() || ours(seen).is_none() {
            // Nothing of the old inputs is left.
            if self.record.applied.is_some() {
                self.record.applied = Some(target.clone());
            }
        }
    }

    /// A new wish of the same kind is a new operation.
    fn supersede_with(&mut self, kind: OperationKind, cause: &str) {
        self.end_operation(Ending::Superseded);
        self.begin_operation(kind, cause);
    }

    /// Takes away a container that a new one is to follow.
    fn replace(&mut self, seen: &Seen, cause: &str) {
        if self.waits_for_attempt() {
            return;
        }
        self.begin_operation(OperationKind::Heal, cause);
        self.no_longer_serving();
        self.record.start_began_at = None;
        if !matches!(self.record.phase, Phase::CrashLoop | Phase::Invalid) {
            self.headline(Phase::Starting, "Replacing", "The old container is being taken away.");
        }
        self.remove_by_steps(seen, cause);
    }

    /// No container: make one, once everything that it needs is there.
    fn nothing_there(&mut self, seen: &Seen, target: &AppliedSpec) {
        let Some(vacancy) = seen.vacancy() else { return };
        self.truths.fails(C::ContainerRunning, "NoContainer", "No container of this game is there.");
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
                "Removed",
                "The container vanished without Gamekeeper removing it.",
            );
        }
        self.record.restart_from = None;
        self.no_longer_serving();
        if self.waits_for_attempt() {
            return;
        }
        let selector = match (&self.record.image_id, self.has_state()) {
            (Some(id), true) => ImageSelector::Pinned(id.clone()),
            _ => ImageSelector::Reference(target.image.clone()),
        };
        let (found, fetched) = match &seen.image {
            Image::At { selector: looked_for, found, fetched } if *looked_for == selector => {
                (found.clone(), *fetched)
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
            if let Some(Work::Pulling { image, .. }) = self.working() {
                // Looking again is no reason to let go of it.
                self.wait(Wait::Pull(image.clone()));
            }
            return;
        }
        if self.lacks_its_state(seen) || self.directory_is_held(seen) {
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
        self.plan.mappings = Some(Mappings::Mint);
        self.headline(Phase::Starting, "CreatingContainer", "The engine's container is being made.");
        let create =
            Step::CreateContainer { vacancy, inputs: target.clone(), image: ImageSelector::Pinned(image) };
        self.step(create, cause);
    }

    /// The image is not there: fetch it.
    fn fetch(&mut self, target: &AppliedSpec, selector: &ImageSelector, fetched: bool) {
        if fetched && matches!(selector, ImageSelector::Pinned(_)) {
            let message = format!(
                "The image this game runs is gone, and {} is a different one now. Bring the old image back, or take the new one with `unblock`.",
                target.image
            );
            self.truths.fails(C::ImageReady, PINNED_IMAGE_GONE, message.clone());
            return self.blocked(PINNED_IMAGE_GONE, &message);
        }
        let message = match self.working() {
            Some(Work::Pulling { image, progress }) if *image == target.image => {
                format!("Image {} is being fetched: {progress}", target.image)
            }
            _ => {
                self.step(Step::PullImage(target.image.clone()), "it is not on the host");
                format!("Image {} is being fetched.", target.image)
            }
        };
        self.truths.fails(C::ImageReady, "Pulling", message.clone());
        self.headline(Phase::Starting, "PullingImage", &message);
        self.wait(Wait::Pull(target.image.clone()));
    }

    /// Made, not started: start it if it is what is wanted.
    fn created(&mut self, seen: &Seen, container: &Container, target: &AppliedSpec) {
        self.truths.fails(C::ContainerRunning, "Created", "The container has not been started yet.");
        if self.waits_for_attempt() {
            return;
        }
        let Some(network) = self.may_start(seen) else { return };
        self.begin_start("its container is not started");
        // Docker fills in the network's id at the first start only.
        let elsewhere = container.network_id.is_some() && container.network_id != network;
        let fits = self.record.applied.as_ref() == Some(target)
            && self.record.image_id.as_ref() == Some(&container.image_id)
            && network.is_some()
            && !elsewhere;
        if !fits {
            self.replace(seen, "it does not match what is wanted");
            // Counted: what never fits must not be made and removed without a pause.
            return self.count_failure();
        }
        self.start_again(container, "it is made and not started");
    }

    /// Its process ended: once counted, start it again as it is, or anew if it lost its network.
    fn exited(&mut self, seen: &Seen, container: &Container, life: Life, code: i64, out_of_memory: bool) {
        let known = self.record.last_exit.as_ref().and_then(|exit| exit.life.as_ref());
        if known != Some(&life) {
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
        if self.waits_for_attempt() {
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
