//! Turns: settling the one that is open, opening the next, pausing.
//!
//! The desired turn is data. A turn is on record as sent before it is sent; what came of it is found
//! out by asking which turn the engine is at, never by sending it again blindly: again only if the
//! engine was asked after the last sending ended, says that it is at the turn before and not at
//! work, and compares the number itself — or if its process was replaced meanwhile.

use jiff::Timestamp;

use crate::game::ConditionType as C;
use crate::game::container::Container;
use crate::game::engine::EngineState;
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::Life;
use crate::game::spec::{Contract, DesiredStatus};
use crate::game::turn::{DecidedSlot, LedgerEntry, OpenTurn, TurnCause, TurnEnd, TurnState};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{EngineView, Seen, Work};
use crate::reconcile::step::{Step, Wait};
use crate::reconcile::turns::{Beginning, Cause, Decision, Fate, Look, Off, Request, Situation, decide};

use super::Round;

/// How soon an engine is asked again that says it generates a turn nobody waits for here.
const GENERATING_PROBE: std::time::Duration = std::time::Duration::from_millis(500);

const AGAIN: &str = "it was sent before, and the engine says that it was not generated";

impl Round<'_> {
    /// The engine has its game and says at which turn it is. `started`: it was down by wish before.
    pub(super) fn turns(&mut self, life: &Life, container: &Container, state: &EngineState, started: bool) {
        let ended = self.settle(state);
        let resumes = self.record.paused_at.is_some() && !self.desired.paused;
        self.pause_or_resume(state);
        if let Some(turn) = self.record.turn.clone() {
            self.go_on_with(turn, life, container, state);
        }
        let in_flight = ended || state.generating || self.record.turn.is_some();
        self.look_at_slots(life, container, state, self.situation(in_flight, resumes, started));
        self.state_turns();
    }

    /// What the schedule is asked with.
    fn situation(&self, in_flight: bool, resumes: bool, started: bool) -> Situation<'static> {
        if self.record.slot_cursor.is_none() {
            Situation::Begins(Beginning::Initialised)
        } else if self.record.scheduled_by != self.scheduled_by() {
            Situation::Begins(Beginning::ScheduleChanged)
        } else if self.record.finished_at.is_some() {
            Situation::Off(Off::Finished)
        } else if resumes {
            Situation::Begins(Beginning::Resumed)
        } else if self.desired.paused || self.record.paused_at.is_some() {
            Situation::Paused
        } else if started {
            Situation::Begins(Beginning::Started)
        } else if in_flight {
            Situation::TurnOpen
        } else {
            Situation::Ready
        }
    }

    fn scheduled_by(&self) -> Option<String> {
        let turns = &self.desired.spec.as_ref().ok()?.turns;
        Some(format!("{} {}", turns.schedule.as_deref().unwrap_or_default(), turns.time_zone))
    }

    /// What becomes of the slots that passed, and whether a turn begins.
    fn look_at_slots(
        &mut self,
        life: &Life,
        container: &Container,
        state: &EngineState,
        situation: Situation<'_>,
    ) {
        let Ok(spec) = &self.desired.spec else { return };
        let forced = self.desired.requests.force_turn > self.record.observed_requests.force_turn;
        // Ahead of the cursor only after a forced turn took a slot of a schedule that then changed, or
        // after a clock had jumped.
        let cursor = self.record.slot_cursor;
        let ahead = self.record.last_slot.filter(|slot| cursor.is_none_or(|cursor| *slot > cursor));
        let look = Look { now: self.now, cursor, situation, forced, taken: ahead.as_slice() };
        let Ok(Decision { open, decided, deferred: _, request, cursor, reset_from: _, next_turn, look_at }) =
            decide(&spec.turns, &look)
        else {
            return;
        };
        self.record.scheduled_by = self.scheduled_by();
        self.record.slot_cursor = Some(cursor.unwrap_or(self.now));
        self.record.next_turn_at = next_turn;
        let number = state.turn + 1;
        self.plan.slots.extend(decided.into_iter().map(|fate| DecidedSlot {
            turn: matches!(fate.fate, Fate::Fired | Fate::Coalesced | Fate::Consumed).then_some(number),
            slot: fate.slot,
            decision: fate.fate.as_str(),
            reason: fate.reason,
            message: fate.message,
        }));
        if let Some(at) = look_at {
            self.look_again(at);
        }
        match request {
            Request::None | Request::Kept => {}
            Request::Granted => self.record.observed_requests.force_turn = self.desired.requests.force_turn,
            Request::Refused { message, .. } => self.refuse_forced(message),
        }
        if let Some(opening) = open {
            let cause = match opening.cause {
                Cause::Schedule { .. } => TurnCause::Schedule,
                Cause::Forced { .. } => TurnCause::Forced,
            };
            let turn = OpenTurn {
                number,
                cause,
                slot: opening.cause.slot(),
                attempts: 0,
                opened_at: self.now,
                state: TurnState::Pending,
            };
            self.send(turn, life, container, state, &opening.why);
        }
    }

    /// The engine is at the turn that was open, or past it.
    pub(super) fn settle(&mut self, state: &EngineState) -> bool {
        let Some(turn) = self.record.turn.take_if(|turn| state.turn >= turn.number) else { return false };
        self.plan.ledger.push(LedgerEntry { turn, end: Some(TurnEnd::Done) });
        if self.has_turn_operation() {
            self.end_operation(Ending::Succeeded);
        }
        true
    }

    /// The pause is acknowledged once no turn is in flight, and from then on none is sent.
    fn pause_or_resume(&mut self, state: &EngineState) {
        let in_flight = self.record.turn.as_ref().is_some_and(is_sent) || state.generating;
        match (self.desired.paused, self.record.paused_at) {
            (true, None) if !in_flight => {
                self.abandon("the game is paused");
                self.record.paused_at = Some(self.now);
                self.begin_and_end(OperationKind::Pause, "it should be paused");
            }
            (false, Some(_)) => {
                self.record.paused_at = None;
                self.begin_and_end(OperationKind::Resume, "it should go on");
            }
            (true, _) | (false, None) => {}
        }
    }

    /// An operation that is done as it is decided.
    fn begin_and_end(&mut self, kind: OperationKind, cause: &str) {
        let new = self.new_operation(kind, cause);
        self.plan.operation.at_once.push((new, Ending::Succeeded));
    }

    /// A turn that was not sent is not wanted any more.
    pub(super) fn abandon(&mut self, why: &str) {
        let Some(turn) = self.record.turn.take_if(|turn| !is_sent(turn)) else { return };
        self.plan.ledger.push(LedgerEntry { turn, end: Some(TurnEnd::Abandoned) });
        if self.has_turn_operation() {
            self.end_operation(Ending::Failed {
                code: "Abandoned".into(),
                message: format!("Not sent: {why}."),
            });
        }
    }

    /// A turn is open, and the engine is not there yet.
    fn go_on_with(&mut self, turn: OpenTurn, life: &Life, container: &Container, state: &EngineState) {
        match &turn.state {
            TurnState::Pending => self.send(turn, life, container, state, "it was open"),
            TurnState::Dispatched { life: sent_to, .. } if sent_to != life => {
                // The process that it was sent to is gone, and this one says that it is at the turn before.
                self.send(turn, life, container, state, AGAIN);
            }
            TurnState::Failed { life: sent_to, .. } if sent_to != life => {
                self.send(turn, life, container, state, AGAIN);
            }
            TurnState::Failed { code, message, .. } => {
                let (code, message) = (code.clone(), message.clone());
                self.give_up(life, container, &code, &message);
            }
            TurnState::Dispatched { at, .. } => {
                let sent = *at;
                let deadline = after(sent, self.policy.turn_deadline);
                if self.now >= deadline {
                    return self.overdue(turn, life, container);
                }
                self.look_again(deadline);
                self.wait_or_ask_or_send(turn, sent, life, container, state);
            }
        }
    }

    fn wait_or_ask_or_send(
        &mut self,
        turn: OpenTurn,
        sent: Timestamp,
        life: &Life,
        container: &Container,
        state: &EngineState,
    ) {
        if let Some(Work::Generating(_)) = self.working() {
            return self.wait(Wait::Work);
        }
        if state.generating {
            self.wait(Wait::Engine);
            return self.ask_after(life, container, after(self.now, GENERATING_PROBE), "it generates a turn");
        }
        // Nobody waits for an answer any more: it was lost, or it was a refusal.
        let contract = self.record.applied.as_ref().map(|applied| applied.contract);
        match contract {
            Some(Contract::GamekeeperV1) => {
                // It compares the number itself: sent twice, it is generated once. With a pause, for an
                // engine that refuses at once.
                let due = after(sent, self.policy.failing_probe_interval);
                if self.now < due {
                    return self.look_again(due);
                }
                self.send(turn, life, container, state, AGAIN);
            }
            Some(Contract::PlainV0) | None => {
                let message = "The answer to a turn was lost, and this engine cannot compare its number: its process is replaced before it is asked again.";
                self.fail(turn, life, "TurnUnsettled", message);
                self.give_up(life, container, "TurnUnsettled", message);
            }
        }
    }

    fn overdue(&mut self, turn: OpenTurn, life: &Life, container: &Container) {
        let message = format!(
            "Turn {} was not done within {} s; the engine's process is replaced and then asked.",
            turn.number,
            self.policy.turn_deadline.as_secs()
        );
        self.fail(turn, life, "TurnOverdue", &message);
        self.give_up(life, container, "TurnOverdue", &message);
    }

    fn fail(&mut self, mut turn: OpenTurn, life: &Life, code: &str, message: &str) {
        turn.state =
            TurnState::Failed { life: life.clone(), code: code.to_owned(), message: message.to_owned() };
        self.truths.fails(C::TurnsOnTime, code, message);
        self.record.turn = Some(turn.clone());
        self.plan.ledger.push(LedgerEntry { turn, end: None });
    }

    /// On record as sent, then sent.
    fn send(
        &mut self,
        mut turn: OpenTurn,
        life: &Life,
        container: &Container,
        state: &EngineState,
        why: &str,
    ) {
        if self.working().is_some() {
            return self.wait(Wait::Work);
        }
        let Some(endpoint) = container.reachable_at.clone() else { return };
        let kind = match turn.cause {
            TurnCause::Schedule => OperationKind::Turn,
            TurnCause::Forced => OperationKind::ForceNextTurn,
        };
        self.begin_operation(kind, why);
        turn.attempts = turn.attempts.saturating_add(1);
        self.record.last_slot = self.record.last_slot.max(turn.slot);
        turn.state = TurnState::Dispatched { life: life.clone(), at: self.now };
        self.record.turn = Some(turn.clone());
        self.plan.ledger.push(LedgerEntry { turn, end: None });
        self.wait(Wait::Work);
        self.look_again(after(self.now, self.policy.turn_deadline));
        self.step(Step::GenerateTurn { life: life.clone(), endpoint, from: state.turn }, why);
    }

    /// A turn asked for that cannot be: consumed, and said.
    pub(super) fn refuse_forced(&mut self, why: &str) {
        self.record.observed_requests.force_turn = self.desired.requests.force_turn;
        let new = self.new_operation(OperationKind::ForceNextTurn, "it was asked for");
        let ending = Ending::Failed { code: "Refused".into(), message: why.to_owned() };
        self.plan.operation.at_once.push((new, ending));
    }

    /// A turn asked for while the game is stopped is not kept for later.
    pub(super) fn refuse_forced_if_down(&mut self) {
        if self.desired.requests.force_turn > self.record.observed_requests.force_turn {
            self.refuse_forced("No turn can be forced: the game is stopped.");
        }
    }

    fn state_turns(&mut self) {
        let failed =
            self.record.turn.as_ref().is_some_and(|turn| matches!(turn.state, TurnState::Failed { .. }));
        if !failed {
            self.truths.holds(C::TurnsOnTime, "OnTime", "No turn is overdue.");
        }
    }

    /// On the way down: a turn in flight gets a while to end. True while it is waited for.
    pub(super) fn waits_for_turn(&mut self, seen: &Seen) -> bool {
        if let Some(state) = said(seen) {
            let state = state.clone();
            if self.record.current_turn.is_none_or(|known| state.turn >= known) {
                self.record.current_turn = Some(state.turn);
                self.settle(&state);
            }
        }
        self.abandon("the game is being stopped");
        let in_flight = matches!(self.working(), Some(Work::Generating(_)));
        let down = self.desired.status == DesiredStatus::Stopped && self.desired.stop_now;
        if !in_flight || down {
            self.record.turn_wait_until = None;
            return false;
        }
        let wait = self.policy.stop_turn_wait;
        let until = self.record.turn_wait_until.unwrap_or_else(|| after(self.now, wait));
        self.record.turn_wait_until = Some(until);
        // A clock that jumped back must not put it off for ever.
        if self.now >= until || until > after(self.now, wait) {
            return false;
        }
        self.wait(Wait::Work);
        self.look_again(until);
        true
    }

    /// A turn of this engine is in flight: its silence does not count before the turn's deadline.
    pub(super) fn is_busy_with_a_turn(&self, life: &Life) -> bool {
        self.record.turn.as_ref().is_some_and(|turn| match &turn.state {
            TurnState::Dispatched { life: sent_to, at } => {
                sent_to == life && self.now < after(*at, self.policy.turn_deadline)
            }
            TurnState::Pending | TurnState::Failed { .. } => false,
        })
    }

    pub(super) fn has_turn_operation(&self) -> bool {
        let open = self.plan.operation.open.as_ref().map(|open| open.kind);
        let was = self.was.operation.as_ref().map(|operation| operation.kind);
        open.or(was).is_some_and(|kind| matches!(kind, OperationKind::Turn | OperationKind::ForceNextTurn))
    }
}

fn is_sent(turn: &OpenTurn) -> bool {
    match turn.state {
        TurnState::Dispatched { .. } | TurnState::Failed { .. } => true,
        TurnState::Pending => false,
    }
}

/// What the present life of the container said last.
fn said(seen: &Seen) -> Option<&EngineState> {
    use crate::game::engine::Answer;
    let life = seen.container.as_ref()?.life()?;
    match &seen.engine {
        EngineView::Said { life: answered, answer: Answer::Has(state), .. } if *answered == life => {
            Some(state)
        }
        EngineView::Said { .. } | EngineView::NotAsked => None,
    }
}
