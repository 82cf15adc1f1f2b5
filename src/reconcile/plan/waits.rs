//! What a plan says that it waits for beside what its stages have said, and what is left to do.

use crate::game::settled::what_is_left;
use crate::game::spec::DesiredStatus;
use crate::game::{ConditionStatus, ConditionType as C};
use crate::reconcile::step::Wait;

use super::inputs::Unmet;
use super::turns::is_sent;
use super::{PATCH_PENDING, Round};

impl Round<'_> {
    /// What of the spec does not come true, and who ends that.
    pub(super) fn waits_for_unmet(&mut self, unmet: &Unmet) {
        match unmet.reason {
            // What it waits for has been said where it begins.
            PATCH_PENDING => {}
            "PatchFailed" | "PatchHalted" => self.wait(Wait::Version),
            _ => self.wait(Wait::Spec),
        }
    }

    /// Requests and turns that wait for something which the stages pass over.
    pub(super) fn waits_for_turns(&mut self) {
        let runs = self.desired.status == DesiredStatus::Running && self.desired.deletion.is_none();
        if self.is_forced() && self.desired.paused && runs {
            self.wait(Wait::Resume);
        }
        if runs && self.truths.stated(C::SpecValid) == Some(ConditionStatus::False) {
            self.wait(Wait::Spec);
        }
        let pauses = self.desired.paused && self.record.paused_at.is_none();
        let restarts = self.desired.requests.restart > self.record.observed_requests.restart;
        let otherwise =
            pauses || restarts || self.waits_for_turn_end || self.is_fetching() || self.is_forced() || !runs;
        if otherwise && self.record.turn.as_ref().is_some_and(is_sent) {
            self.wait(Wait::TurnEnd);
        }
    }

    /// Writes down what is left, from the record as it is now.
    pub(super) fn note_what_is_left(&mut self) {
        self.record.left_to_do = what_is_left(self.desired, &self.record);
    }
}
