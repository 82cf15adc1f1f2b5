//! Requests: whatever a game is asked for by counter is done or refused in bounded time, whatever
//! state it is in. What can be done is taken up where it is done; here is what becomes of the rest.
//!
//! Kept without end are two: a turn forced while the game is paused, until it is resumed, and one
//! forced while an engine that keeps dying is healed, until one serves. A controller that is frozen
//! takes up and refuses nothing, for what it would write may be an older database's, or another's
//! games'; and while Docker is silent nobody knows what could be done. Both are told, and what was asked
//! for is taken up when they are over.

use crate::game::operation::{Ending, OperationKind};
use crate::game::patch::PatchDelay;
use crate::game::spec::Requests;
use crate::game::version::VersionWish;
use crate::game::{EngineVersion, Phase};
use crate::reconcile::step::{Step, Wait};

use super::Round;
use super::put_back::GIVEN_UP;

impl Round<'_> {
    /// The game is stopped: there is nothing to restart, no turn to force, and its version is changed
    /// when it is started. (A copy of its state is taken and put back as ever.)
    pub(super) fn take_requests_of_the_stopped(&mut self) {
        self.record.observed_requests.restart = self.desired.requests.restart;
        if self.is_forced() {
            self.refuse_forced("No turn can be forced: the game is stopped.");
        }
        self.put_off_patch("Stopped", "The game is stopped: its version is changed when it is started.");
    }

    /// The request for a change of version is used up, and nothing of it is left to do now. A requirement
    /// is resolved anew only when somebody asks, so that they did is remembered.
    pub(super) fn put_off_patch(&mut self, reason: &str, message: &str) {
        let observed = &mut self.record.observed_requests.patch;
        if self.desired.requests.patch <= *observed {
            return;
        }
        *observed = self.desired.requests.patch;
        self.record.failed_patch = None;
        self.record.patch_delay = self.resolved_anew().map(|version| PatchDelay {
            version,
            failures: 0,
            next_attempt_at: self.now,
            reason: reason.to_owned(),
            message: message.to_owned(),
            wish: self.version_wish(),
        });
    }

    /// The version that fits the game's requirement best, where it is another one than the game has.
    fn resolved_anew(&self) -> Option<EngineVersion> {
        let wish = self.desired.spec.as_ref().ok()?.engine_version.as_ref()?;
        let best = &self.desired.version.as_ref()?.version;
        let has = &self.record.applied.as_ref().filter(|_| self.has_state())?.engine_version;
        (matches!(wish, VersionWish::Newest(_)) && has != best).then(|| best.clone())
    }

    /// The request for a change of version is used up.
    pub(super) fn end_patch_request(&mut self) {
        let observed = &mut self.record.observed_requests.patch;
        *observed = self.desired.requests.patch.max(*observed);
    }

    /// A game that is to be deleted, that waits for a person, or for another spec, does nothing that it is
    /// asked for. That is told, and the request is used up.
    pub(super) fn refuse_requests(&mut self) {
        let Some((code, why)) = self.why_nothing_is_done() else { return };
        let Requests { restart, force_turn, patch, restore, backup, unblock: _ } = self.desired.requests;
        let observed = self.record.observed_requests;
        let message = format!("Not done: {why}");
        let refused = [
            (restart > observed.restart, OperationKind::Restart),
            (force_turn > observed.force_turn, OperationKind::ForceNextTurn),
            (patch > observed.patch, OperationKind::Patch),
            (restore > observed.restore && !self.restore_waits, OperationKind::Restore),
        ];
        for (_, kind) in refused.into_iter().filter(|(is_asked, _)| *is_asked) {
            // Whoever waits for a forced turn knows a refusal by its word.
            let code = if kind == OperationKind::ForceNextTurn { "Refused" } else { code };
            let ending = Ending::Failed { code: code.to_owned(), message: message.clone() };
            let new = self.new_operation(kind, "it was asked for");
            self.plan.operation.at_once.push((new, ending));
        }
        if backup > observed.backup {
            self.end_demand(None, Ending::Failed { code: code.to_owned(), message });
        }
        // (A word of a person's was taken up before anything was decided.) A row that is gone asks for
        // nothing, and what it had asked for is not asked for again if it comes back.
        self.record.observed_requests = observed.at_least(self.desired.requests);
        if self.restore_waits {
            // Where nothing else can be done, an older state may be the cure.
            self.record.observed_requests.restore = observed.restore;
        }
    }

    /// Why nothing is done that the game is asked for, if so. Not in a round that has still to look
    /// whether it is so.
    fn why_nothing_is_done(&self) -> Option<(&'static str, String)> {
        if self.desired.deletion.is_some() {
            return Some(("Deleting", "the game is to be deleted.".into()));
        }
        if self.record.erasing_since.is_some() {
            return Some(("Deleting", "what is left of the former game of this id is removed first.".into()));
        }
        let acts = |step: &Step| !matches!(step, Step::ProbeEngine { .. });
        if self.plan.steps.iter().any(|planned| acts(&planned.step)) {
            return None;
        }
        let (reason, message) = (&self.record.reason, &self.record.message);
        let rests = [Wait::Person, Wait::NextAttempt].iter().any(|wait| self.plan.waiting_on.contains(wait));
        match self.record.phase {
            Phase::Blocked if rests => {
                Some(("Blocked", format!("the game waits for a person ({reason}). {message}")))
            }
            Phase::Invalid => Some(("Invalid", format!("the spec cannot be met ({reason}). {message}"))),
            _ if rests && self.is_stuck() => Some((
                "WayBackFails",
                format!("a copy of the state is to be put back, and that fails ({reason}). {message}"),
            )),
            _ => None,
        }
    }

    /// Goes no further by itself, or nobody knows when: it waits for a person, for another spec, for a row
    /// that may come back; or its way back has failed again and again. Whatever is so holds no place that
    /// others wait for, and answers what it is asked for.
    pub(super) fn is_stuck(&self) -> bool {
        let waits = self.plan.waiting_on.iter().any(Wait::is_for_others);
        let fails = self.is_placing() && self.record.failures >= GIVEN_UP;
        self.record.phase == Phase::Blocked || waits || fails
    }

    /// Places among the starts and among the games that are disrupted at a time are for those who go on:
    /// one that is stuck on its way holds none. (It goes on without, if it does: it is down already.) Where
    /// nothing could be decided, the game is where it was, and what it held is still its own: whoever got its
    /// place would be disrupted beside it.
    pub(super) fn keep_places(&mut self) {
        if self.undecided {
            self.plan.uses_start_slot = self.observation.start_slot && !self.is_long_silent();
            self.plan.uses_disruption_place = self.observation.disruption_place;
            return;
        }
        let is_stuck = self.is_stuck();
        self.plan.uses_start_slot &= !is_stuck;
        // A game that fetches a copy goes on, whatever else keeps it from that.
        self.plan.uses_disruption_place |= self.is_fetching() || (self.record.is_disrupted() && !is_stuck);
    }

    /// A container about which Docker says nothing for long must not keep others from being started. (One that
    /// is disrupted keeps its place: it may well be down.)
    fn is_long_silent(&self) -> bool {
        self.record.phase == Phase::Unknown
    }
}
