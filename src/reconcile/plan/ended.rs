//! A finished game whose engine ended by itself.
//!
//! A game that is over needs no engine; it stays up for reports as long as it likes. If it ends with
//! exit code 0, nothing is lost and nothing is healed: the container stays as it is, and nothing is
//! started before somebody asks for it (a restart, a stop and a start, another version, other limits).
//! Any other end, and a container that somebody removed while its engine ran, is healed as ever.

use crate::game::operation::{Ending, OperationKind};
use crate::game::record::{Exit, Life};
use crate::game::{ConditionType as C, Phase};
use crate::reconcile::observed::Seen;

use super::Round;

/// The engine of a finished game ended by itself.
pub const ENGINE_ENDED: &str = "EngineEnded";

/// What the status says while it is so.
const MESSAGE: &str = "The game is over, and its engine ended by itself, with exit code 0. It stays down; a restart brings it up again for reports.";

impl Round<'_> {
    /// Whether an end that was not seen before needs no healing.
    pub(super) fn ends_well(&self, code: i64, out_of_memory: bool) -> bool {
        let goes_down = self
            .was
            .operation
            .as_ref()
            .is_some_and(|op| matches!(op.kind, OperationKind::Stop | OperationKind::Delete));
        self.record.finished_at.is_some()
            && (code, out_of_memory) == (0, false)
            && self.record.put_back.is_none()
            && !self.is_between_versions()
            // What was to be stopped, and is wanted again, was stopped by us.
            && !goes_down
    }

    /// Its engine ended by itself, and nobody asked for it since.
    pub(super) fn has_ended(&self) -> bool {
        let exit = self.record.last_exit.as_ref().filter(|exit| exit.reason == ENGINE_ENDED);
        let own_life = |exit: &Exit| self.record.life().is_none_or(|life| exit.life.as_ref() == Some(&life));
        self.record.finished_at.is_some() && self.wish.is_none() && exit.is_some_and(own_life)
    }

    /// Its engine ended by itself: on record, once, and counted as no failure.
    pub(super) fn note_end(&mut self, seen: &Seen, life: Life) {
        self.record.last_exit = Some(Exit {
            life: Some(life),
            code: Some(0),
            out_of_memory: false,
            reason: ENGINE_ENDED.to_owned(),
            at: self.now,
        });
        self.record.last_log_lines.clone_from(&seen.log_tail);
        self.forget_failures();
        self.end_operation(Ending::Failed { code: ENGINE_ENDED.to_owned(), message: MESSAGE.to_owned() });
    }

    /// It is down, and as it should be.
    pub(super) fn stays_ended(&mut self) {
        self.no_longer_serving();
        self.record.start_began_at = None;
        self.headline(Phase::Finished, ENGINE_ENDED, MESSAGE);
        self.truths.fails(C::ContainerRunning, ENGINE_ENDED, "The engine's process ended by itself.");
        self.truths.fails(C::EngineHealthy, ENGINE_ENDED, "The engine's process ended by itself.");
        self.ready = true;
        self.copies_on_demand();
    }

    /// Somebody asked for what needs an engine.
    pub(super) fn wakes(&mut self) {
        if let Some(exit) = self.record.last_exit.as_mut().filter(|exit| exit.reason == ENGINE_ENDED) {
            "Exited".clone_into(&mut exit.reason);
        }
    }
}
