//! Desired running: which inputs, which container, and what is replaced. (How one is made and
//! started is `starting`, what a live one says `engine`.)

use crate::game::container::{Container, ContainerState};
use crate::game::engine::Answer;
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::{AppliedSpec, Life};
use crate::game::{ConditionType as C, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{EngineView, Looked, Seen, Work};
use crate::reconcile::step::{Step, Wait};

use super::blocked::FOREIGN_CONTAINER;
use super::inputs::{Unmet, declared, may_begin};
use super::{Round, ours};

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
        if self.looks_for_a_beginning(seen) {
            return;
        }
        self.refuse_removed();
        let target = match self.target() {
            Ok(target) => target,
            Err(unmet) => return self.invalid(seen, &unmet),
        };
        self.take_up_restart(seen, &target);
        let Some(container) = ours(seen) else { return self.nothing_there(seen, &target) };
        self.take_up_patch(seen, Some(container));
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
        if self.was_started_by_hand(seen, container) {
            return;
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
            ContainerState::Dead => self.replace(seen, "Docker has not finished its removal"),
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
        if matches!(container.state, ContainerState::Removing | ContainerState::Dead) {
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
            // Its game is as old as its row at least: it is not a young one because its record was lost.
            let made = self.desired.created_at.map_or(self.now, |made| made.min(self.now));
            self.record.init_intent_at = Some(self.record.init_intent_at.unwrap_or(made));
        }
        self.begin_operation(OperationKind::Adopt, "its container is there, and no record of it");
        true
    }

    /// Another version is wanted of a game that never had a beginning: its engine was told to
    /// initialise, and nothing of that is to be seen. Then there is no state to keep and nothing to go
    /// back to, and the game is as new. True while that is looked at.
    fn looks_for_a_beginning(&mut self, seen: &Seen) -> bool {
        let begun = self.record.initialized_at.is_some() || !self.has_state();
        if begun || self.is_between_versions() || self.is_placing() {
            return false;
        }
        let Some(applied) = &self.record.applied else { return false };
        let is_another = |wanted: &AppliedSpec| wanted.engine_version != applied.engine_version;
        if !declared(self.desired).is_ok_and(|wanted| is_another(&wanted)) || self.working().is_some() {
            return false;
        }
        // What lives and says that it has its game, or says nothing, is not passed over.
        let life = ours(seen).and_then(Container::life);
        let says_it_has_none = matches!(
            &seen.engine,
            EngineView::Said { life: of, answer: Answer::NotInitialised, .. } if life.as_ref() == Some(of)
        );
        if life.is_some() && !says_it_has_none {
            return false;
        }
        let Looked::At(contents) = &seen.contents else {
            self.step(Step::LookAtContents, "another version is wanted, and the engine never had its game");
            self.shows_the_same = true;
            return true;
        };
        if !self.left_traces(contents) {
            self.record.init_intent_at = None;
            self.record.init_baseline = None;
            self.record.patch_delay = None;
            self.record.failed_patch = None;
            self.record.observed_requests.patch = self.desired.requests.patch;
            self.forget_failures();
        }
        false
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
            // What is wanted meanwhile waits until the change of version is committed or rolled back.
            (Some(applied), _) if self.is_between_versions() => Ok(applied),
            (Some(applied), Ok(declared)) if applied.engine_version == declared.engine_version => {
                self.same_version();
                self.spec_is_valid();
                Ok(declared)
            }
            (Some(applied), Ok(declared)) if self.fulfils_its_requirement(&applied) => {
                self.same_version();
                self.spec_is_valid();
                Ok(AppliedSpec { resources: declared.resources, ..applied })
            }
            (Some(applied), Ok(declared)) => {
                self.another_version(&applied, declared);
                Ok(applied)
            }
            (Some(applied), Err(unmet)) => {
                self.goes_on_by_old_spec(unmet);
                Ok(applied)
            }
            // Its record was lost: what was begun once is not begun again.
            (None, declared) if self.has_state() => {
                self.end_patch_request();
                self.spec_is_valid();
                declared
            }
            (None, declared) => {
                self.end_patch_request();
                let declared = declared.and_then(|inputs| may_begin(self.desired).map(|()| inputs))?;
                self.spec_is_valid();
                Ok(declared)
            }
        }
    }

    /// The spec can be met. Columns that only people read are no spec: one that cannot be read is told
    /// beside that, and keeps nothing from happening.
    fn spec_is_valid(&mut self) {
        let unread: Vec<String> = self.desired.cosmetic.iter().map(ToString::to_string).collect();
        if unread.is_empty() {
            return self.truths.holds(C::SpecValid, "Valid", "The spec can be met.");
        }
        let message = format!(
            "The spec can be met. What only people read of this row could not be: {}",
            unread.join("; ")
        );
        self.truths.holds(C::SpecValid, "ValidButUnreadable", message);
    }

    pub(super) fn goes_on_by_old_spec(&mut self, unmet: Unmet) {
        self.end_patch_request();
        self.truths.fails(C::SpecValid, unmet.reason, unmet.message.clone());
        self.unmet = Some(unmet);
    }

    /// Says in the conditions whether the spec could be met, where nothing depends on it now.
    pub(super) fn state_spec_validity(&mut self) {
        match declared(self.desired) {
            Ok(_) => self.spec_is_valid(),
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
        let asked = self.desired.requests.restart > self.record.observed_requests.restart;
        let drift = self.record.applied.as_ref().and_then(|applied| applied.drift_to(target));
        if self.is_between_versions() {
            return;
        }
        if (asked || drift.is_some())
            && (self.is_in_flight(seen) || self.is_copying_on_demand() || self.is_fetching())
        {
            // It waits for the turn in flight, or the copy; no other one begins in the round that sees its end.
            return;
        }
        if (asked || drift.is_some())
            && self.record.restart_from.is_none()
            && self.keeps_its_engine(seen, asked)
        {
            return;
        }
        if self.desired.requests.restart > self.record.observed_requests.restart {
            self.record.observed_requests.restart = self.desired.requests.restart;
            self.forget_failures();
            self.wakes();
            if self.was.applied.is_some() {
                self.supersede_with(OperationKind::Restart, "a restart was asked for");
            }
            self.record.restart_from = container;
        } else if let Some(input) = drift.filter(|_| self.record.restart_from.is_none()) {
            self.forget_failures();
            self.wakes();
            self.supersede_with(OperationKind::Restart, &format!("its declared inputs changed: {input}"));
            self.record.restart_from = container;
        }
        if self.record.restart_from.is_none() || ours(seen).is_none() {
            // Nothing of the old inputs is left.
            if let Some(applied) = &mut self.record.applied {
                if applied.image != target.image {
                    self.record.image_id = None;
                }
                applied.clone_from(target);
            }
        }
    }

    /// A new wish of the same kind is a new operation.
    pub(super) fn supersede_with(&mut self, kind: OperationKind, cause: &str) {
        self.end_operation(Ending::Superseded);
        self.begin_operation(kind, cause);
    }

    /// Takes away a container that a new one is to follow.
    pub(super) fn replace(&mut self, seen: &Seen, cause: &str) {
        if self.waits_for_attempt() || self.outlives_docker(seen) {
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
}
