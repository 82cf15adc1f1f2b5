//! Docker cannot be asked: nothing is decided that would need it. A short silence is ridden out.
//!
//! Turns need the engine alone. One that goes on answering, since the silence began, as the process
//! that is on record and with its own game's identity, goes on getting them. If its address belongs
//! to somebody else by now, the answer names another game, or the token is refused.

use jiff::Timestamp;

use crate::game::engine::Answer;
use crate::game::spec::{Contract, DesiredStatus};
use crate::game::{ConditionStatus, ConditionType as C, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{EngineView, Reached};
use crate::reconcile::step::Wait;

use super::Round;
use super::turns::Serving;

impl Round<'_> {
    /// Docker cannot be asked, since then. `engine`: where the game's engine was last seen alive.
    pub(super) fn unknown(
        &mut self,
        since: Timestamp,
        (reason, why): (&str, &str),
        engine: Option<&Reached>,
    ) {
        let shown_from = after(since, self.policy.silence);
        self.undecided = true;
        self.wait(Wait::Docker);
        self.record.observed_generation = self.was.observed_generation;
        if self.now < shown_from {
            // The status stays as it was.
            let was_ready = |known: &crate::game::Condition| {
                known.kind == C::Ready && known.status == ConditionStatus::True
            };
            self.ready = self.was.conditions.iter().any(was_ready);
            self.look_again(shown_from);
        } else {
            self.headline(Phase::Unknown, reason, why);
            for kind in [C::Ready, C::ContainerRunning] {
                self.truths.unknown(kind, reason, why);
            }
        }
        if let Some(engine) = engine.filter(|engine| self.may_have_turns(engine)) {
            self.turns_without_docker(since, engine);
        }
        self.hold_turns(None);
    }

    /// It was serving when Docker fell silent, nothing but turns was wanted of it, and it can be told
    /// from every other engine.
    fn may_have_turns(&self, engine: &Reached) -> bool {
        let record = &self.record;
        let contract = record.applied.as_ref().map(|applied| applied.contract);
        self.desired.status == DesiredStatus::Running
            && self.desired.deletion.is_none()
            && self.desired.requests.restart <= record.observed_requests.restart
            && record.restart_from.is_none()
            && record.blocked_by.is_none()
            && record.initialized_at.is_some()
            && record.healthy_since.is_some()
            && record.life().as_ref() == Some(&engine.life)
            && contract == Some(Contract::GamekeeperV1)
    }

    fn turns_without_docker(&mut self, since: Timestamp, engine: &Reached) {
        let Reached { life, endpoint, said } = engine;
        let (due, state) = match said {
            EngineView::Said { life: answered, at, answer, .. } if answered == life && *at >= since => {
                match answer {
                    Answer::Has(state) if state.game_id == Some(self.desired.id) => {
                        (after(*at, self.policy.probe_interval), Some((state, *at)))
                    }
                    Answer::Has(_)
                    | Answer::NotInitialised
                    | Answer::Unhealthy(_)
                    | Answer::NotUnderstood(_)
                    | Answer::WrongEngine(_) => (after(*at, self.policy.failing_probe_interval), None),
                }
            }
            // What it said before says nothing about who answers there now. Slots wait for its answer.
            EngineView::Said { .. } | EngineView::NotAsked => {
                self.slots_seen = true;
                (self.now, None)
            }
        };
        let known = self.record.current_turn;
        let state = state.filter(|(state, _)| known.is_none_or(|known| state.turn >= known));
        if let Some((state, at)) = state {
            self.record.current_turn = Some(state.turn);
            self.believe_end(state);
            self.turns(Serving { life, endpoint, state, at, replaceable: false });
        }
        if self.plan.steps.is_empty() {
            self.ask_after(life, Some(endpoint), due, "Docker is silent, but the engine may answer");
        }
    }
}
