//! What forbids to touch a game: the controller is frozen, its state is gone, its directory is
//! another's; and how a person lifts it.

use crate::game::container::{Container, ContainerState, Rival, StateDirectory};
use crate::game::controller::Freeze;
use crate::game::operation::Ending;
use crate::game::patch::PatchStage;
use crate::game::spec::DesiredStatus;
use crate::game::{Condition, ConditionStatus, ConditionType as C, ImageId, Phase};
use crate::reconcile::observed::{Looked, RuntimeView, Seen, Work};
use crate::reconcile::operations::OperationChange;
use crate::reconcile::step::{Step, Wait};

use super::{Round, ours};

/// The state directory is not there, or its engine has no game, though it was initialised.
pub const STATE_MISSING: &str = "StateMissing";
/// Initialisation began and left traces, but the engine says that it has no game.
pub const PARTIAL_INIT: &str = "PartialInit";
/// The engine is at an earlier turn than was reached.
pub const TURN_WENT_BACK: &str = "TurnWentBack";
/// The image that the game runs is gone, and its name means another one now.
pub const PINNED_IMAGE_GONE: &str = "PinnedImageGone";
/// What is on record about the game cannot be read.
pub const UNREADABLE_RECORD: &str = "UnreadableRecord";
/// The database refuses what there is to record about the game.
pub const RECORD_REFUSED: &str = "RecordRefused";
/// The copy that is to be put back is not what was copied.
pub const BACKUP_DAMAGED: &str = "BackupDamaged";
/// The copy that is to be put back is not there.
pub const BACKUP_GONE: &str = "BackupGone";
/// A container that is not the game's holds its name.
pub const FOREIGN_CONTAINER: &str = "ForeignContainer";
/// A container with the game's name and labels that Gamekeeper did not make.
pub const STRANGE_CONTAINER: &str = "StrangeContainer";
/// A container that is not the game's holds its state directory.
pub const DIRECTORY_IN_USE: &str = "DirectoryInUse";
/// A process that Docker's word does not cover has the game's state directory.
pub const STATE_IN_USE: &str = "StateInUse";

impl Round<'_> {
    /// The whole controller touches nothing: what is seen is shown, and no more.
    pub(super) fn frozen(&mut self, freeze: &Freeze, runtime: &RuntimeView) {
        self.wait(Wait::Person);
        self.undecided = true;
        // Its spec was not looked at.
        self.record.observed_generation = self.was.observed_generation;
        self.record.observed_membership_revision = self.was.observed_membership_revision;
        match runtime {
            RuntimeView::Unknown { reason, why, .. } => {
                self.truths.unknown(C::ContainerRunning, reason, why.as_str())
            }
            RuntimeView::Known(seen) => {
                self.state_container(seen);
                self.state_no_engine(seen);
            }
        }
        let reason = freeze.reason.to_string();
        self.headline(
            Phase::Blocked,
            &reason,
            &format!("Nothing is touched: {} {}", freeze.message, freeze.way_out),
        );
    }

    /// No engine is healthy or can be reached that does not run, whatever was true of it before.
    pub(super) fn state_no_engine(&mut self, seen: &Seen) {
        let runs =
            ours(seen).is_some_and(|container| matches!(container.state, ContainerState::Running { .. }));
        let known =
            |known: &Condition| known.kind == C::EngineHealthy && known.status == ConditionStatus::True;
        let before = self.was.conditions.iter().any(known);
        let says = self.truths.stated(C::EngineHealthy).map_or(before, |is| is == ConditionStatus::True);
        if !runs {
            (self.record.endpoint, self.record.endpoints) = (None, None);
        }
        if !runs && says {
            self.truths.fails(C::EngineHealthy, "NotRunning", "No engine of this game runs.");
        }
    }

    pub(super) fn state_container(&mut self, seen: &Seen) {
        let Some(container) = ours(seen) else {
            return self.truths.fails(
                C::ContainerRunning,
                "NoContainer",
                "No container of this game is there.",
            );
        };
        match &container.state {
            ContainerState::Running { .. } => {
                self.truths.holds(C::ContainerRunning, "Running", "The container runs.");
            }
            ContainerState::Created => {
                self.truths.fails(C::ContainerRunning, "Created", "The container has not been started yet.");
            }
            ContainerState::Exited { .. } => {
                self.truths.fails(C::ContainerRunning, "Exited", "The engine's process is not running.");
            }
            ContainerState::Unsettled { status } => {
                self.truths.fails(
                    C::ContainerRunning,
                    "ContainerUnsettled",
                    format!("Docker says it is {status}."),
                );
            }
            ContainerState::Removing => {
                self.truths.fails(C::ContainerRunning, "Removing", "Docker is removing the container.");
            }
            ContainerState::Dead => self.truths.fails(
                C::ContainerRunning,
                "Dead",
                format!(
                    "Docker began to remove the container and could not finish. It is tried again with growing pauses; if it stays so, `docker rm -f {}` on Docker's host.",
                    container.id.short()
                ),
            ),
        }
    }

    /// What is on record cannot be read, and might say that a copy is to be put back, or another
    /// version is being tried: nothing is decided from the rest.
    pub(super) fn unreadable(&mut self, runtime: &RuntimeView) {
        self.record.observed_generation = self.was.observed_generation;
        self.record.observed_membership_revision = self.was.observed_membership_revision;
        let columns = self.was.unreadable.iter();
        let columns: Vec<String> = columns.map(|of| format!("{} ({})", of.column, of.why)).collect();
        let message = format!(
            "What is on record about the game cannot be read, so nothing of it is touched; in runtime_records: {}. Mend the column, or set it to NULL if nothing of the kind was under way, and start gamekeeper again.",
            columns.join("; ")
        );
        self.blocked(UNREADABLE_RECORD, &message);
        self.answer_without_a_look(runtime);
    }

    /// What is asked for is answered though nothing is decided. (A person's word about what blocks it counts
    /// once it can be taken up.)
    fn answer_without_a_look(&mut self, runtime: &RuntimeView) {
        self.refuse_requests();
        self.record.observed_requests.unblock = self.was.observed_requests.unblock;
        if let RuntimeView::Known(seen) = runtime {
            self.pause_or_resume(self.is_at_work(seen));
        }
    }

    /// The database refuses what there is to record, so nothing is done: this is recorded instead, and what
    /// the game is asked for is answered by it.
    pub(super) fn not_recorded(&mut self, runtime: &RuntimeView, why: &str) {
        self.record.observed_generation = self.was.observed_generation;
        self.record.observed_membership_revision = self.was.observed_membership_revision;
        self.wait(Wait::Person);
        let message = format!(
            "The database refuses what there is to record of the game, so nothing of it is done; it is tried again with growing pauses: {why}"
        );
        self.headline(Phase::Blocked, RECORD_REFUSED, &message);
        self.answer_without_a_look(runtime);
    }

    /// It needs a person. Told once: looking again is no new attempt.
    pub(super) fn blocked(&mut self, reason: &str, message: &str) {
        self.wait(Wait::Person);
        let known =
            self.was.phase == Phase::Blocked && self.was.reason == reason && self.was.operation.is_none();
        self.headline(Phase::Blocked, reason, message);
        if self.is_between_versions() && self.was.blocked_by.as_deref() != Some(reason) {
            // Its place is another's now: what blocks it on the way to this version may block the next, too.
            self.plan.failed_version = self.record.applied.as_ref().map(|to| to.engine_version.clone());
        }
        self.record.blocked_by = Some(reason.to_owned());
        if known {
            let at_once = std::mem::take(&mut self.plan.operation.at_once);
            self.plan.operation = OperationChange { at_once, ..OperationChange::default() };
        } else {
            self.end_operation(Ending::Failed { code: reason.to_owned(), message: message.to_owned() });
        }
    }

    /// A container with the game's labels that was not made here, if that is what is there: its image is
    /// none of those on record, which every container of ours is made from; or neither is its id on record,
    /// and its name or its mounts are not what ours are made with. Programs that update images make such
    /// ones, and so does whoever starts an image that was committed from an engine: labels are copied with
    /// it. (One that was never started is harmless, and replaced as any that does not fit. One that is on
    /// record stays ours under any name.)
    pub(super) fn is_strange(&self, seen: &Seen) -> bool {
        let has_run = |container: &&Container| container.state != ContainerState::Created;
        let Some(container) = ours(seen).filter(has_run) else { return false };
        let nothing_on_record = self.record.applied.is_none() || self.record.image_id.is_none();
        if nothing_on_record || self.record.restart_from.as_ref() == Some(&container.id) {
            return false;
        }
        let is_on_record = self.record.container.as_ref() == Some(&container.id);
        !self.may_be_of(&container.image_id) || (container.unlike.is_some() && !is_on_record)
    }

    /// A container of the game's may be of this image: of the one that the game is to run; on the way from
    /// one version to another, of the one that it comes from; on the way back, of the one that it goes to.
    fn may_be_of(&self, image: &ImageId) -> bool {
        let left = self.record.patch.as_ref().filter(|_| self.is_between_versions());
        let back = self.record.put_back.as_ref().filter(|_| self.is_placing());
        self.record.image_id.as_ref() == Some(image)
            || left.is_some_and(|patch| patch.from.image == *image)
            || back.is_some_and(|back| back.build.image == *image)
    }

    /// It is told and left alone, whatever is desired.
    pub(super) fn leaves_stranger_alone(&mut self, seen: &Seen) {
        let Some(container) = ours(seen) else { return };
        // Whoever answers there is nobody to send a player to.
        self.no_longer_serving();
        let version = self.record.applied.as_ref().map(|applied| applied.engine_version.to_string());
        let how = match &container.unlike {
            Some(how) if self.may_be_of(&container.image_id) => how.clone(),
            _ => format!(
                "its image is {}, and the game runs {} from another one",
                container.image_id,
                version.unwrap_or_default(),
            ),
        };
        let message = format!(
            "Container {} has this game's labels, but was not made by Gamekeeper: {how}. It is left alone, and may have changed the game's state. Stop whatever made it, and remove it: the game's own engine is made again then. To change the version, ask for another one.",
            container.id.short(),
        );
        self.truths.fails(C::ContainerRunning, STRANGE_CONTAINER, message.clone());
        self.truths.fails(C::EngineHealthy, STRANGE_CONTAINER, message.clone());
        self.blocked(STRANGE_CONTAINER, &message);
    }

    /// The state directory vanished under a living engine. The engine may hold the last copy of the
    /// game, so it is left alone, unless it is ended on purpose all the same.
    pub(super) fn has_lost_its_state(&mut self, seen: &Seen) -> bool {
        let alive = ours(seen).is_some_and(|container| {
            matches!(container.state, ContainerState::Running { .. } | ContainerState::Unsettled { .. })
        });
        let on_purpose = match self.desired.deletion {
            Some(_) => self.is_being_deleted(),
            None => self.desired.status == DesiredStatus::Stopped && self.desired.stop_now,
        };
        if !alive || on_purpose || !self.has_state() {
            return false;
        }
        match seen.state_directory {
            Looked::At(StateDirectory::Absent) => {
                self.state_container(seen);
                self.no_longer_serving();
                self.blocked(
                    STATE_MISSING,
                    "The state directory is gone while the engine runs. The engine is left alone, for it may hold the last copy: bring the directory back, or end it with `stop --now` or `delete`.",
                );
                true
            }
            Looked::NotYet if self.was.reason == STATE_MISSING => {
                self.step(Step::LookAtStateDirectory, "it was gone");
                true
            }
            Looked::At(StateDirectory::WithGame | StateDirectory::Present | StateDirectory::Empty)
            | Looked::NotYet => false,
        }
    }

    /// The state directory is not there though the game has state: nothing is begun without it.
    pub(super) fn lacks_its_state(&mut self, seen: &Seen) -> bool {
        let gone = match seen.state_directory {
            Looked::At(StateDirectory::Absent) => self.has_state(),
            Looked::At(StateDirectory::Empty) => self.record.initialized_at.is_some(),
            Looked::At(StateDirectory::WithGame | StateDirectory::Present) | Looked::NotYet => false,
        };
        if gone {
            self.blocked(
                STATE_MISSING,
                "The game has been initialised, but its state directory is gone or empty. Nothing is made in its place: bring it back.",
            );
        }
        gone
    }

    /// Somebody else has the state directory, as far as was found when it was last tried.
    pub(super) fn directory_is_held(&mut self, seen: &Seen) -> bool {
        let was_held = [DIRECTORY_IN_USE, STATE_IN_USE].contains(&self.record.reason.as_str());
        match &seen.rival {
            Looked::NotYet if was_held => {
                self.wait(Wait::Person);
                self.looks_for_rival(seen, "one was there");
                true
            }
            Looked::At(Some(rival @ Rival::Container(_))) if was_held => {
                self.blocked(DIRECTORY_IN_USE, &rival.in_use());
                true
            }
            Looked::At(Some(rival @ Rival::Process(_))) => {
                self.blocked(STATE_IN_USE, &rival.in_use());
                true
            }
            // Docker itself says whether that one can be started.
            Looked::NotYet | Looked::At(_) => false,
        }
    }

    /// A process has the state directory, though Docker says that the game has none, or may have it, as far
    /// as anybody can tell: nothing is removed or put in its place.
    pub(super) fn outlives_docker(&mut self, seen: &Seen) -> bool {
        let may_live = ours(seen).is_some_and(|container| match container.state {
            ContainerState::Running { .. } | ContainerState::Unsettled { .. } | ContainerState::Removing => {
                true
            }
            ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => false,
        });
        let doubted = self.doubted(seen).is_some();
        let concerns = self.record.reason == STATE_IN_USE || seen.is_held_by_a_process() || doubted;
        if may_live || !concerns {
            return false;
        }
        match &seen.rival {
            Looked::NotYet if doubted => {
                self.wait(Wait::Person);
                self.looks_for_rival(seen, "it may be alive");
                true
            }
            Looked::At(Some(rival @ Rival::Unseen { .. })) => {
                self.blocked(STATE_IN_USE, &rival.in_use());
                true
            }
            Looked::NotYet | Looked::At(_) => self.directory_is_held(seen),
        }
    }

    /// From here on the game has another history.
    pub(super) fn begin_timeline(&mut self) {
        self.record.timeline += 1;
        self.record.turn = None;
        // Whether this one is over, its engine says.
        self.is_not_over();
        self.call_off_turn_copy();
        // A forced turn that is not part of it has taken no slot.
        let taken = std::mem::take(&mut self.record.taken);
        let is_free = |at: &jiff::Timestamp| *at > self.now && taken.contains(at);
        if self.record.slot_cursor.as_ref().is_some_and(is_free) {
            self.record.slot_cursor = Some(self.now);
        }
        self.record.deferred.clear();
    }

    /// A person has looked at what blocks it: what that means depends on what it was.
    pub(super) fn take_up_unblock(&mut self) {
        if self.desired.requests.unblock <= self.record.observed_requests.unblock {
            return;
        }
        if let Some(Work::PuttingBack { .. }) = self.working() {
            // What blocked it may be mended by this very attempt, and no engine may come to a state that is being
            // moved.
            return self.wait(Wait::Work);
        }
        self.record.observed_requests.unblock = self.desired.requests.unblock;
        self.forget_failures();
        // Whatever the headline says by now: a freeze, a silence, a crash may stand over it.
        let Some(reason) = self.record.blocked_by.take() else { return };
        match reason.as_str() {
            TURN_WENT_BACK => {
                // What the engine has is another history of the game.
                self.record.current_turn = None;
                self.begin_timeline();
                // A way back would lead into the history that was given up.
                self.record.patch.take_if(|patch| patch.stage == PatchStage::Probation);
            }
            PARTIAL_INIT => {
                // What lies there is harmless: as if nothing had been sent yet.
                self.record.init_intent_at = None;
                self.record.init_baseline = None;
            }
            PINNED_IMAGE_GONE => self.record.image_id = None,
            BACKUP_DAMAGED | BACKUP_GONE => self.gives_up_going_back(),
            // The rest is looked at again; what is still so blocks again.
            _ => {}
        }
    }
}
