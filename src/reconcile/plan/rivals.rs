//! Before a living engine goes so that another one comes: nobody else may be able to write to its state,
//! or the other one could not be started. The engine that is there goes on meanwhile.

use std::time::Duration;

use crate::game::ContainerId;
use crate::game::container::{Container, ContainerState, Rival};
use crate::game::operation::{Ending, OperationKind};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{Looked, Seen};
use crate::reconcile::step::Step;

use super::blocked::{DIRECTORY_IN_USE, STATE_IN_USE};
use super::inputs::Unmet;
use super::{Round, ours};

/// How soon it is looked at again whether others still hold the state.
const LOOKED_AT_AGAIN: Duration = Duration::from_secs(30);

impl Round<'_> {
    /// The game's container that is there, if it may be alive whatever Docker says of it.
    pub(super) fn doubted(&self, seen: &Seen) -> Option<ContainerId> {
        let container = ours(seen)?;
        self.record.may_be_alive.clone().filter(|doubted| *doubted == container.id)
    }

    /// Ends the doubt about a container that may be alive: somebody removed it, which is a person's
    /// word, or Docker has started it, so that nothing of an earlier start is in its way any more. (Another
    /// one that holds the name says nothing of it.)
    pub(super) fn ends_doubt(&mut self, seen: &Seen) {
        let is_over = match &seen.container {
            None => true,
            Some(_) => ours(seen).is_some_and(|container| {
                self.record.may_be_alive.as_ref() != Some(&container.id)
                    || matches!(container.state, ContainerState::Running { .. })
            }),
        };
        if is_over {
            self.record.may_be_alive = None;
        }
    }

    pub(super) fn looks_for_rival(&mut self, seen: &Seen, cause: &str) {
        let own = ours(seen).map(|container| container.id.clone());
        let doubted = self.doubted(seen);
        self.step(Step::LookForRival { own, doubted }, cause);
    }

    /// Who else can write to the state, if the game's engine lives; none while that is looked at.
    pub(super) fn may_go(&mut self, seen: &Seen) -> Option<Result<(), Unmet>> {
        let alive = |container: &&Container| {
            matches!(container.state, ContainerState::Running { .. } | ContainerState::Unsettled { .. })
                && self.record.initialized_at.is_some()
        };
        // What does not live, or never had its game, is taken away whatever follows it; a start looks for
        // itself. What may live whatever Docker says is not.
        let doubted = self.doubted(seen).is_some();
        let lives = ours(seen).filter(alive).is_some();
        if !lives && !doubted {
            return Some(Ok(()));
        }
        match &seen.rival {
            Looked::At(None) => Some(Ok(())),
            Looked::At(Some(Rival::Container(_))) if !lives => Some(Ok(())),
            Looked::At(Some(rival)) => Some(Err(held_by(rival))),
            // A look that failed is not taken again without a pause.
            Looked::NotYet if self.waits_for_attempt() => None,
            Looked::NotYet => {
                self.looks_for_rival(seen, "the next engine must have its state alone");
                // No turn begins while that is looked at; a look that fails holds up none.
                self.waits_for_turn_end = self.observation.failure.is_none();
                None
            }
        }
    }

    /// Whether a restart has to be left for now: others hold the state, or that is looked at. One that was
    /// asked for is refused; changed inputs wait.
    pub(super) fn keeps_its_engine(&mut self, seen: &Seen, asked: bool) -> bool {
        match self.may_go(seen) {
            None => {
                // Whoever waits for a restart is not told that the engine as it is was what they wanted.
                self.record.observed_generation = self.was.observed_generation;
                true
            }
            Some(Ok(())) => false,
            Some(Err(unmet)) => {
                if asked {
                    self.record.observed_requests.restart = self.desired.requests.restart;
                    let new = self.new_operation(OperationKind::Restart, "a restart was asked for");
                    let ending =
                        Ending::Failed { code: unmet.reason.to_owned(), message: unmet.message.clone() };
                    self.plan.operation.at_once.push((new, ending));
                }
                self.unmet = Some(unmet);
                self.look_again(after(self.now, LOOKED_AT_AGAIN));
                true
            }
        }
    }
}

/// What it means that somebody else holds the state, and the way out.
pub(super) fn held_by(rival: &Rival) -> Unmet {
    match rival {
        Rival::Container(name) => Unmet {
            reason: DIRECTORY_IN_USE,
            message: format!(
                "The engine was left alone: container {name}. Two writers on one state would destroy it, so no other engine could be started. Stop that container, or mount it read-only."
            ),
        },
        Rival::Process(_) | Rival::Unseen { .. } => {
            Unmet { reason: STATE_IN_USE, message: format!("The engine was left alone. {}", rival.in_use()) }
        }
    }
}
