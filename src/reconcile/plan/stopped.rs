//! The way down: stop, and delete.

use std::time::Duration;

use crate::game::container::{ContainerState, StateDirectory};
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::DeletionGuard;
use crate::game::spec::{Deletion, DeletionPolicy};
use crate::game::{ConditionType as C, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{Looked, Remains, Seen, Vacancy, Work};
use crate::reconcile::step::{Step, Wait};

use super::blocked::FOREIGN_CONTAINER;
use super::{DELETIONS_HELD, ROW_LOCKED, ROW_NOT_DELETED, Round, ours};

/// How soon a container that Docker is removing is looked at again.
const SETTLING: Duration = Duration::from_millis(500);

impl Round<'_> {
    /// Desired stopped: no engine, the state stays.
    pub(super) fn stop(&mut self, seen: &Seen) {
        self.take_requests_of_the_stopped();
        self.state_spec_validity();
        self.leaves_patch();
        if self.is_held_by_the_way_back(seen) {
            return;
        }
        if self.waits_for_turn(seen) {
            return self.headline(
                Phase::Stopping,
                "WaitingForTurn",
                "A turn in flight gets time to end before the engine is stopped.",
            );
        }
        if !self.take_down(seen, OperationKind::Stop, "it should be stopped") {
            return;
        }
        self.gone();
        let was_asked = self.was.observed_generation != self.desired.generation;
        let restores = self.keeps_restore_open();
        if restores && self.was.phase == Phase::Stopping {
            self.begin_and_end(OperationKind::Stop, "it should be stopped");
        }
        let copies = self.has_backup_operation() || restores;
        if !copies && ((was_asked && self.was.observed_generation > 0) || self.was.container.is_some()) {
            self.begin_operation(OperationKind::Stop, "it should be stopped");
        }
        match self.record.put_back.clone().filter(|_| self.is_placing()) {
            None => self.headline(Phase::Stopped, "Stopped", "No engine runs; the state is kept."),
            Some(back) => {
                let again = self.record.next_attempt_at;
                let again = again.map_or_else(String::new, |at| format!(" It is tried again at {at}."));
                let message = format!(
                    "No engine runs. The copy {} could not be put back yet: nothing of the state is lost.{again}",
                    back.backup
                );
                self.headline(Phase::Stopped, "Stopped", &message);
            }
        }
        let was_down = match self.was.phase {
            Phase::Stopped => true,
            // Frozen, or out of sight, while it was stopped or while it ran: the later time tells.
            Phase::Blocked | Phase::Unknown => self.was.started_at <= self.was.stopped_at,
            Phase::Pending
            | Phase::Starting
            | Phase::Running
            | Phase::Stopping
            | Phase::Finished
            | Phase::EngineUnreachable
            | Phase::CrashLoop
            | Phase::Patching
            | Phase::Invalid => false,
        };
        let was_stopped = was_down && (copies || self.was.operation.is_none());
        let stopped_at = self.was.stopped_at.filter(|_| was_stopped).unwrap_or(self.now);
        self.record.stopped_at = Some(stopped_at);
        self.slots_end_at(stopped_at);
        self.ready = true;
        if !copies {
            self.end_operation(Ending::Succeeded);
        }
        self.copies_on_demand();
    }

    /// Its deletion is gone on with: it is neither held nor in its grace. Until then it may be withdrawn, and
    /// nothing of the game may be lost by it.
    pub(super) fn is_being_deleted(&self) -> bool {
        let is_held = self.observation.deletion_held.is_some();
        match self.desired.deletion {
            None => false,
            Some(Deletion::Requested) => !is_held,
            Some(Deletion::RowGone) => !is_held && !self.is_in_grace(),
        }
    }

    /// The deletion has begun, if it is gone on with: that is on record before the first thing is lost to it.
    /// From then on it is not held.
    pub(super) fn begins_deletion(&mut self) {
        if self.is_being_deleted() && self.record.deletion_guard == Some(DeletionGuard::Counted) {
            self.record.deletion_guard = Some(DeletionGuard::Begun);
        }
    }

    /// It waits for an operator's word. What was going on before goes on if the deletion is withdrawn, so that
    /// is neither ended nor counted as a failure.
    fn holds_deletion(&mut self, why: &str) {
        self.wait(Wait::Person);
        self.headline(Phase::Blocked, DELETIONS_HELD, why);
    }

    /// To be deleted: as stopped, then the state directory by policy, then the row.
    pub(super) fn delete(&mut self, seen: &Seen, deletion: Deletion) {
        if let Some(why) = &self.observation.deletion_held {
            return self.holds_deletion(why);
        }
        if deletion == Deletion::RowGone && self.row_may_come_back() {
            return;
        }
        if self.is_worth_putting_back() {
            self.leaves_patch();
            if self.goes_back(seen) {
                return;
            }
        }
        if self.waits_for_turn(seen) {
            return self.headline(
                Phase::Stopping,
                "WaitingForTurn",
                "A turn in flight gets time to end before the game is deleted.",
            );
        }
        if !self.take_down(seen, OperationKind::Delete, "its deletion was asked for") {
            return;
        }
        if seen.container.is_some() {
            self.no_longer_serving();
            return self.blocked(
                FOREIGN_CONTAINER,
                "A container that is not this game's holds its name; remove it, and the deletion goes on.",
            );
        }
        self.gone();
        if self.directory_is_held(seen) {
            return;
        }
        let Some(vacancy) = seen.vacancy() else { return };
        self.shows_deletion("The game is being deleted.");
        self.begin_operation(OperationKind::Delete, "its deletion was asked for");
        if self.is_being_removed() || self.waits_for_attempt() {
            return;
        }
        if self.has_state() && seen.rival == Looked::NotYet {
            // Nobody would know of it any more.
            return self.looks_for_rival(seen, "no process may outlive its game");
        }
        if self.removes_state() && self.erases(seen, &vacancy) {
            return;
        }
        self.step(Step::FinishDeletion(vacancy), "nothing of it is left to remove");
    }

    /// The state goes with the game: its policy says so, or said so when its removal began.
    pub(super) fn removes_state(&self) -> bool {
        self.desired.deletion_policy == DeletionPolicy::Delete || self.record.erasing_since.is_some()
    }

    /// Removes the state and what is kept beside it. That it began is on record before the first of it
    /// goes. True while anything is left.
    fn erases(&mut self, seen: &Seen, vacancy: &Vacancy) -> bool {
        const CAUSE: &str = "its deletion policy is Delete";
        // The copies first: as long as anything is left, the next look finds it.
        let remains = if seen.copies == Looked::At(true) { Remains::Copies } else { Remains::State };
        let step = match (seen.copies, seen.state_directory) {
            (Looked::NotYet, _) => Step::LookAtCopies,
            (Looked::At(true), _) => Step::RemoveCopies(vacancy.clone()),
            (Looked::At(false), Looked::NotYet) => Step::LookAtStateDirectory,
            (
                Looked::At(false),
                Looked::At(StateDirectory::WithGame | StateDirectory::Present | StateDirectory::Empty),
            ) => Step::RemoveStateDirectory(vacancy.clone()),
            (Looked::At(false), Looked::At(StateDirectory::Absent)) => return false,
        };
        if step.mutates() {
            self.record.erasing_since = Some(self.record.erasing_since.unwrap_or(self.now));
            let message = format!("{} Being removed now: {remains}.", self.record.message);
            self.headline(Phase::Stopping, "Deleting", &message);
            self.wait(Wait::Work);
        }
        self.step(step, CAUSE);
        true
    }

    /// Its row came back while its state was being removed: what is left of it goes, and then the game is
    /// as new. True while that goes on.
    pub(super) fn erases_former_life(&mut self, seen: &Seen) -> bool {
        if self.record.erasing_since.is_none() || self.desired.deletion.is_some() {
            return false;
        }
        if !self.take_down(seen, OperationKind::Delete, "its state is being removed") {
            return true;
        }
        if seen.container.is_some() {
            self.no_longer_serving();
            self.blocked(
                FOREIGN_CONTAINER,
                "A container that is not this game's holds its name; remove it, and the removal of the former game's state goes on.",
            );
            return true;
        }
        self.gone();
        if self.directory_is_held(seen) {
            return true;
        }
        let Some(vacancy) = seen.vacancy() else { return true };
        self.shows_deletion("The game's row came back while its state was being removed: what is left of that goes first, and then the game begins anew.");
        self.begin_operation(OperationKind::Delete, "its deletion was asked for");
        if !self.is_being_removed() && !self.waits_for_attempt() && !self.erases(seen, &vacancy) {
            self.ends_former_life();
        }
        true
    }

    /// True while what it has on the disk is being removed: the end of that brings the next round.
    fn is_being_removed(&mut self) -> bool {
        let Some(Work::Removing { part, progress }) = self.working() else { return false };
        let message = format!("{} Being removed now: {part} ({progress}).", self.record.message);
        self.headline(Phase::Stopping, "Deleting", &message);
        self.wait(Wait::Work);
        true
    }

    /// Nothing is left of the former life: it is on record as deleted, and what the row asks for is the
    /// next one's.
    fn ends_former_life(&mut self) {
        self.end_operation(Ending::Succeeded);
        let (requests, generation) = (self.record.observed_requests, self.was.observed_generation);
        self.record = self.record.clone().ended(requests, generation, true);
        self.record.deleted_at = Some(self.now);
        self.headline(Phase::Stopped, "Deleted", "The game was deleted.");
        self.look_again(self.now);
    }

    /// While the next attempt is waited for, what failed stays to be seen.
    fn shows_deletion(&mut self, message: &str) {
        let failed =
            self.observation.failure.is_some() || self.record.next_attempt_at.is_some_and(|at| at > self.now);
        let message = if failed { self.record.message.clone() } else { message.to_owned() };
        let stays =
            [ROW_LOCKED, ROW_NOT_DELETED].into_iter().find(|reason| failed && self.record.reason == *reason);
        self.headline(Phase::Stopping, stays.unwrap_or("Deleting"), &message);
    }

    fn grace_ends(&self) -> jiff::Timestamp {
        after(self.record.deletion_seen_at.unwrap_or(self.now), self.policy.deletion_grace)
    }

    /// Its row vanished a short while ago.
    pub(super) fn is_in_grace(&self) -> bool {
        self.now < self.grace_ends()
    }

    /// The row vanished a short while ago: nothing is torn down yet.
    fn row_may_come_back(&mut self) -> bool {
        let waits = self.is_in_grace();
        let begins = self.grace_ends();
        if waits {
            let phase = self.record.phase;
            let message = format!(
                "The game's row is gone. Its engine is left alone until {begins}; then it is deleted, unless the row comes back."
            );
            self.headline(phase, "RowGone", &message);
            self.wait(Wait::Grace);
            self.look_again(begins);
        }
        waits
    }

    /// Takes the container away, step by step. True once there is none of ours.
    pub(super) fn take_down(&mut self, seen: &Seen, kind: OperationKind, cause: &str) -> bool {
        let Some(container) = ours(seen) else { return true };
        if self.outlives_docker(seen) {
            return false;
        }
        self.begin_operation(kind, cause);
        self.no_longer_serving();
        let message = format!("The engine is being stopped: {cause}.");
        if self.observation.failure.is_none() && self.record.next_attempt_at.is_none_or(|at| at <= self.now) {
            // While the next attempt is waited for, what failed stays to be seen.
            self.headline(Phase::Stopping, "Stopping", &message);
        }
        self.record.container = Some(container.id.clone());
        self.truths.fails(C::EngineHealthy, "Stopping", message);
        self.remove_by_steps(seen, cause);
        false
    }

    /// The next step towards no container: stop what lives, remove what does not.
    pub(super) fn remove_by_steps(&mut self, seen: &Seen, cause: &str) {
        let Some(container) = ours(seen) else { return };
        if let Some(Work::Stopping(_)) = self.working() {
            return self.wait(Wait::Work);
        }
        match &container.state {
            ContainerState::Running { .. } | ContainerState::Unsettled { .. } => {
                if !self.waits_for_attempt() {
                    let stop = Step::StopContainer {
                        container: container.id.clone(),
                        grace: self.policy.stop_grace,
                    };
                    self.step(stop, cause);
                    self.wait(Wait::Work);
                }
            }
            ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => {
                let dead = seen.dead(self.record.may_be_alive.as_ref());
                if let (false, Some(dead)) = (self.waits_for_attempt(), dead) {
                    // On record before it is done, so that its absence is not taken for a loss.
                    self.record.container = None;
                    self.record.container_started_at = None;
                    // If it is still there afterwards, it is no stranger's.
                    self.record.restart_from = Some(container.id.clone());
                    self.step(Step::RemoveContainer(dead), cause);
                }
            }
            ContainerState::Removing => {
                self.no_longer_serving();
                self.wait(Wait::Docker);
                self.look_again(after(self.now, SETTLING));
            }
        }
    }

    /// There is no engine any more: what was true of it is not.
    fn gone(&mut self) {
        self.no_longer_serving();
        self.wakes();
        self.record.container = None;
        self.record.container_started_at = None;
        self.record.restart_from = None;
        self.record.start_began_at = None;
        self.record.players.clear();
        // No turn is due without an engine; the next start looks at the schedule.
        self.record.next_turn_at = None;
        self.truths.fails(C::ContainerRunning, "NoContainer", "No container of this game runs.");
        self.truths.fails(C::EngineHealthy, "NoContainer", "No engine runs.");
    }

    /// Nobody may be sent to this engine.
    pub(super) fn no_longer_serving(&mut self) {
        self.record.endpoint = None;
        self.record.endpoints = None;
        self.record.healthy_since = None;
        self.record.engine_health = None;
    }
}
