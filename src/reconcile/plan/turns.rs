//! Turns: settling the one that is open, going on with it, pausing. (Which slot opens one is
//! `slots`.)
//!
//! The desired turn is data. A turn is on record as sent before it is sent; what came of it is found
//! out by asking which turn the engine is at, never by sending it again blindly: again only if the
//! engine was asked after the last sending ended, says that it is at the turn before and not at
//! work, and compares the number itself — or if its process was replaced meanwhile.

mod slots;

use jiff::Timestamp;

use crate::game::container::ContainerState;
use crate::game::engine::{Answer, EngineState};
use crate::game::operation::{Ending, OperationKind};
use crate::game::record::Life;
use crate::game::spec::{Contract, DesiredStatus};
use crate::game::turn::{CalledOff, LedgerEntry, OpenTurn, TurnCause, TurnEnd, TurnState};
use crate::game::{ConditionType as C, Phase};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{EngineView, Seen, Work};
use crate::reconcile::step::{Step, Wait};
use crate::reconcile::turns::Situation;

use super::{Round, ours};
pub use slots::INVALID_SCHEDULE;

/// How soon an engine is asked again that generates a turn nobody waits for here.
const GENERATING_PROBE: std::time::Duration = std::time::Duration::from_millis(500);

/// So often a turn is sent that is not done at its deadline, though the engine says each time that
/// it is idle: a controller that was away for long is no reason to replace a process.
const ATTEMPTS: u32 = 3;

const AGAIN: &str = "it was sent before, and the engine says that it was not generated";

/// An engine that has its game, as its turns need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serving<'a> {
    /// Which process.
    pub(super) life: &'a Life,
    /// Where it is reached.
    pub(super) endpoint: &'a str,
    /// What it said.
    pub(super) state: &'a EngineState,
    /// When.
    pub(super) at: Timestamp,
    /// Its process can be replaced: Docker answers.
    pub(super) replaceable: bool,
}

impl Round<'_> {
    /// The engine has its game and says at which turn it is.
    pub(super) fn turns(&mut self, engine: Serving<'_>) {
        let ended = self.settle(engine.state);
        if self.desired.paused
            && let Some(turn) = self.record.turn.clone()
            && self.fails_its_first_turn(&turn, engine.life)
        {
            return self.goes_back_now();
        }
        let rests = self.desired.paused && self.rests(engine);
        let sent = self.record.turn.as_ref().is_some_and(is_sent);
        let resumes = self.pause_or_resume(engine.state.generating || (sent && !rests));
        // A copy that was asked for is taken between two turns.
        let is_idle = self.record.turn.is_none() && !engine.state.generating;
        let takes = is_idle && engine.replaceable && self.copies_on_demand();
        // One after the other: the one before a turn waits for the one that was asked for.
        let fetching = self.is_fetching();
        let copying = takes || fetching || (self.has_demand() && self.desired.backup_before_turn);
        if let Some(turn) = self.record.turn.clone() {
            self.go_on_with(turn, engine);
        }
        let in_flight = engine.state.generating || self.record.turn.is_some();
        let busy = copying || self.working().is_some();
        let otherwise = match (in_flight, ended) {
            (true, _) => Situation::TurnOpen,
            // What waits for a turn's end, a change of version, goes before a turn that does.
            (false, true) if busy || self.waits_for_turn_end => Situation::TurnOpen,
            (false, true) => Situation::TurnEnded,
            (false, false) if self.waits_for_turn_end => slots::why_held(Phase::Patching),
            // Either may take long: what falls due meanwhile waits, and that is told.
            (false, false) if fetching => slots::RESTORING,
            (false, false) if matches!(self.working(), Some(Work::BackingUp { .. })) => slots::COPYING,
            (false, false) => Situation::Ready,
        };
        let situation = self.situation(resumes, otherwise);
        if situation == Situation::Ready && busy {
            // An engine gets one call at a time, and none while its state is copied. The end of this
            // one brings the look.
            self.slots_seen = true;
            return self.wait(Wait::Work);
        }
        self.look_at_slots(situation, Some(engine));
        self.state_turns();
        let waits = self.waits_for_turn_end || self.is_forced() || !self.record.deferred.is_empty();
        if ended && waits && self.record.turn.is_none() && !busy && !self.desired.paused {
            self.look_again(self.now);
        }
    }

    /// A turn is asked for that has not begun.
    pub(super) fn is_forced(&self) -> bool {
        self.desired.requests.force_turn > self.record.observed_requests.force_turn
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

    /// While the game is paused: whether the turn that was sent is at rest, which the engine says. It is
    /// not sent again then, and the pause need not wait for it. Where no request for it can be on its
    /// way any more it is called off: its process is gone, or its deadline is over. Until then it may
    /// still turn out to be done.
    fn rests(&mut self, engine: Serving<'_>) -> bool {
        let Some(turn) = self.record.turn.as_ref().filter(|_| !engine.state.generating) else { return false };
        let (life, over, rests) = match &turn.state {
            TurnState::Pending => return false,
            TurnState::Failed { life, .. } => (life, false, false),
            TurnState::Dispatched { life, at, deadline } => {
                let due = after(*at, self.policy.failing_probe_interval);
                let rests = engine.at >= *at && self.now >= due && self.working().is_none();
                (life, engine.at >= *deadline, rests)
            }
        };
        if life != engine.life {
            self.call_off(
                CalledOff::PAUSED,
                "It was sent, the engine's process ended, and the next one says that it was not generated. It is not sent again: the game is paused.",
            );
            return true;
        }
        if rests && over {
            self.call_off(
                CalledOff::PAUSED,
                "It was sent and not generated within its deadline, and the engine is idle. It is not sent again: the game is paused.",
            );
        }
        rests
    }

    /// The pause is acknowledged once no turn may be at work, and from then on none is sent. True if
    /// the game goes on from here.
    pub(super) fn pause_or_resume(&mut self, at_work: bool) -> bool {
        let resumes = self.record.paused_at.is_some() && !self.desired.paused;
        match (self.desired.paused, self.record.paused_at) {
            (true, None) if !at_work => {
                self.abandon(CalledOff::PAUSED, "the game was paused");
                self.record.paused_at = Some(self.now);
                self.begin_and_end(OperationKind::Pause, "it should be paused");
            }
            (false, Some(_)) => {
                self.record.paused_at = None;
                self.begin_and_end(OperationKind::Resume, "it should go on");
            }
            (true, _) | (false, None) => {}
        }
        resumes
    }

    /// An operation that is done as it is decided.
    pub(super) fn begin_and_end(&mut self, kind: OperationKind, cause: &str) {
        let new = self.new_operation(kind, cause);
        self.plan.operation.at_once.push((new, Ending::Succeeded));
    }

    /// A turn that was not sent is not wanted any more.
    pub(super) fn abandon(&mut self, code: &'static str, why: &str) {
        if self.record.turn.as_ref().is_some_and(|turn| !is_sent(turn)) {
            self.call_off(code, &format!("It was not sent: {why}."));
        }
    }

    /// The open turn is not wanted any more, and is known not to have been generated. A slot ahead that
    /// it had taken is free again.
    fn call_off(&mut self, code: &'static str, message: &str) {
        let Some(turn) = self.record.turn.take() else { return };
        if let Some(slot) = turn.slot.filter(|slot| *slot > self.now) {
            self.record.taken.retain(|taken| *taken != slot);
            self.record.slot_cursor =
                self.record.slot_cursor.map(|at| if at == slot { self.now } else { at });
        }
        let called_off = CalledOff { code, message: message.to_owned() };
        self.plan.ledger.push(LedgerEntry { turn, end: Some(TurnEnd::Abandoned(called_off)) });
        self.call_off_turn_copy();
        if self.has_turn_operation() {
            self.end_operation(Ending::Failed { code: "Abandoned".into(), message: message.to_owned() });
        }
    }

    /// A turn is open, and the engine is not there yet.
    fn go_on_with(&mut self, turn: OpenTurn, engine: Serving<'_>) {
        if self.fails_its_first_turn(&turn, engine.life) {
            return self.goes_back_now();
        }
        match &turn.state {
            TurnState::Pending => self.begin(turn, engine, "it was open"),
            TurnState::Dispatched { life: sent_to, .. } | TurnState::Failed { life: sent_to, .. }
                if sent_to != engine.life =>
            {
                // The process that it was sent to is gone, and this one says that it is at the turn before.
                self.send(turn, engine, AGAIN);
            }
            TurnState::Failed { code, message, .. } => {
                let (code, message) = (code.clone(), message.clone());
                self.give_up_on(engine, &code, &message);
            }
            TurnState::Dispatched { at, deadline, .. } => {
                let (sent, deadline) = (*at, *deadline);
                if let Some(Work::Generating(_)) = self.working() {
                    // The call has the same deadline, by a clock that does not jump.
                    return self.wait(Wait::Work);
                }
                if self.now >= deadline && (engine.state.generating || turn.attempts >= ATTEMPTS) {
                    return self.overdue(turn, engine);
                }
                if self.now < deadline {
                    self.look_again(deadline);
                }
                self.ask_or_send(turn, sent, engine);
            }
        }
    }

    /// Nobody waits for an answer any more: it was lost, or it was a refusal.
    fn ask_or_send(&mut self, turn: OpenTurn, sent: Timestamp, engine: Serving<'_>) {
        if engine.state.generating {
            self.wait(Wait::Engine);
            let due = after(self.now, GENERATING_PROBE);
            return self.ask_after(engine.life, Some(engine.endpoint), due, "it generates a turn");
        }
        let contract = self.record.applied.as_ref().map(|applied| applied.contract);
        match contract {
            Some(Contract::GamekeeperV1) => {
                // It compares the number itself: sent twice, it is generated once. With a pause, for an
                // engine that refuses at once.
                let due = after(sent, self.policy.failing_probe_interval);
                if self.now < due {
                    return self.look_again(due);
                }
                if self.desired.paused {
                    // It is not sent again; at its deadline it is called off.
                    return;
                }
                self.send(turn, engine, AGAIN);
            }
            Some(Contract::PlainV0) | None => {
                let message = "The answer to a turn was lost, and this engine cannot compare its number: its process is replaced before it is asked again.";
                self.fail(turn, engine.life, "TurnUnsettled", message);
                self.give_up_on(engine, "TurnUnsettled", message);
            }
        }
    }

    fn overdue(&mut self, turn: OpenTurn, engine: Serving<'_>) {
        let goes_back = self.was_sent_on_probation(&turn) && engine.replaceable;
        let next = if goes_back {
            "the old engine makes it again, on the state as it was before, and a new timeline begins"
        } else {
            "the engine's process is replaced and then asked"
        };
        let within = self.policy.turn_deadline.as_secs();
        let message = format!("Turn {} was not done within {within} s; {next}.", turn.number);
        self.fail(turn, engine.life, "TurnOverdue", &message);
        if goes_back {
            self.fail_patch("TurnOverdue", &message);
            return self.goes_back_now();
        }
        self.give_up_on(engine, "TurnOverdue", &message);
    }

    /// Its process gets no more chances, once Docker can be asked to end it.
    fn give_up_on(&mut self, engine: Serving<'_>, code: &str, message: &str) {
        if engine.replaceable {
            self.give_up(engine.life, code, message);
        } else {
            self.wait(Wait::Docker);
        }
    }

    fn fail(&mut self, mut turn: OpenTurn, life: &Life, code: &str, message: &str) {
        turn.state =
            TurnState::Failed { life: life.clone(), code: code.to_owned(), message: message.to_owned() };
        self.record.turn = Some(turn.clone());
        self.plan.ledger.push(LedgerEntry { turn, end: None });
    }

    /// Sends a turn for the first time; where the spec wants it so, once the state is copied. Until
    /// then it is open, and called off by whatever calls off a turn that was not sent. (Sent again, it
    /// has its copy: what was tried may have left nothing to copy.)
    fn begin(&mut self, turn: OpenTurn, engine: Serving<'_>, why: &str) {
        let now = self.now;
        self.record.taken.retain(|slot| *slot > now);
        let is_new = |slot: &Timestamp| *slot > now && !self.record.taken.contains(slot);
        let taken = turn.slot.filter(is_new);
        self.record.taken.extend(taken);
        if self.is_fetching() {
            // It stays open: what it would be generated on is about to go, also while Docker is silent.
            self.record.turn = Some(turn);
            return self.wait(Wait::Work);
        }
        if !self.desired.backup_before_turn {
            self.call_off_turn_copy();
            return self.send(turn, engine, why);
        }
        if self.is_copied_before(&turn, kind_of(&turn)) {
            return self.send(turn, engine, why);
        }
        if self.was.turn.as_ref() != Some(&turn) {
            self.plan.ledger.push(LedgerEntry { turn: turn.clone(), end: None });
        }
        self.record.turn = Some(turn);
    }

    /// On record as sent, then sent. Nothing else sends a turn, so no turn is sent once a pause is wanted.
    fn send(&mut self, mut turn: OpenTurn, engine: Serving<'_>, why: &str) {
        if self.desired.paused {
            return self.wait(Wait::Engine);
        }
        if self.working().is_some() {
            // It stays open, and is sent once that has ended.
            return self.wait(Wait::Work);
        }
        self.begin_operation(kind_of(&turn), why);
        turn.attempts = turn.attempts.saturating_add(1);
        let attempt = turn.attempts;
        let now = self.now;
        let deadline = after(now, self.policy.turn_deadline);
        turn.state = TurnState::Dispatched { life: engine.life.clone(), at: now, deadline };
        self.record.turn = Some(turn.clone());
        self.plan.ledger.push(LedgerEntry { turn, end: None });
        self.wait(Wait::Work);
        self.look_again(deadline);
        let (life, endpoint) = (engine.life.clone(), engine.endpoint.to_owned());
        self.step(Step::GenerateTurn { life, endpoint, from: engine.state.turn, attempt }, why);
    }

    /// A call is on record as sent, and was not: as if nobody had tried. What it would have been answered
    /// is nobody's fault, least of all a new engine's.
    pub(super) fn take_back_what_was_not_sent(&mut self) {
        match &self.observation.not_sent {
            Some(Step::GenerateTurn { life, from, attempt, .. }) => {
                let is_it = |turn: &OpenTurn| {
                    let sent = matches!(&turn.state, TurnState::Dispatched { life: to, .. } if to == life);
                    sent && turn.number == from + 1 && turn.attempts == *attempt
                };
                if let Some(turn) = self.record.turn.as_mut().filter(|turn| is_it(turn)) {
                    turn.attempts = turn.attempts.saturating_sub(1);
                    turn.state = TurnState::Pending;
                    self.plan.ledger.push(LedgerEntry { turn: turn.clone(), end: None });
                }
            }
            Some(Step::InitialiseEngine { is_first, .. }) if self.record.initialized_at.is_none() => {
                self.record.failures = self.record.failures.saturating_sub(1);
                self.record.next_attempt_at = None;
                if *is_first {
                    self.record.init_intent_at = None;
                    self.record.init_baseline = None;
                }
            }
            Some(_) | None => {}
        }
    }

    /// The turn that waits counts from now.
    pub(super) fn opens_anew(&mut self) {
        let now = self.now;
        if let Some(turn) = self.record.turn.as_mut().filter(|turn| !is_sent(turn)) {
            turn.opened_at = now;
            self.plan.ledger.push(LedgerEntry { turn: turn.clone(), end: None });
        }
    }

    /// A turn asked for that cannot be: consumed, and said.
    pub(super) fn refuse_forced(&mut self, why: &str) {
        self.record.observed_requests.force_turn = self.desired.requests.force_turn;
        let new = self.new_operation(OperationKind::ForceNextTurn, "it was asked for");
        let ending = Ending::Failed { code: "Refused".into(), message: why.to_owned() };
        self.plan.operation.at_once.push((new, ending));
    }

    /// Whether the turns are on time: a turn that failed or takes too long is told first, then a
    /// slot that waits.
    fn state_turns(&mut self) {
        let late = match &self.record.turn {
            Some(OpenTurn { state: TurnState::Failed { code, message, .. }, .. }) => {
                Some((code.clone(), message.clone()))
            }
            Some(turn) if self.why_turn_waits_for_copy(turn).is_some() => self.why_turn_waits_for_copy(turn),
            Some(turn) if self.now >= after(turn.opened_at, self.policy.turn_deadline) => {
                let OpenTurn { number, opened_at, .. } = turn;
                let message = format!("Turn {number} was opened at {opened_at}, and is not done yet.");
                Some(("TurnOverdue".to_owned(), message))
            }
            Some(_) | None => self.late.clone(),
        };
        let waits = |turn: &OpenTurn| self.why_turn_waits_for_copy(turn);
        if let Some((_, message)) = self.record.turn.as_ref().and_then(waits)
            && self.record.phase == Phase::Running
        {
            self.headline(Phase::Running, "TurnWaitsForCopy", &message);
        }
        match late {
            Some((code, message)) => self.truths.fails(C::TurnsOnTime, &code, message),
            None => self.truths.holds(C::TurnsOnTime, "OnTime", "No turn is overdue."),
        }
    }

    /// On the way down: a turn in flight gets a while to end. True while it is waited for.
    pub(super) fn waits_for_turn(&mut self, seen: &Seen) -> bool {
        if let Some((_, state)) = said(seen) {
            let state = state.clone();
            if self.record.current_turn.is_none_or(|known| state.turn >= known) {
                self.record.current_turn = Some(state.turn);
                self.settle(&state);
            }
        }
        match self.desired.deletion {
            Some(_) => self.abandon(CalledOff::DELETED, "the game was deleted"),
            None => self.abandon(CalledOff::STOPPED, "the game was stopped"),
        }
        let down = self.desired.status == DesiredStatus::Stopped && self.desired.stop_now;
        if !self.is_in_flight(seen) || down {
            self.record.turn_wait_until = None;
            return false;
        }
        // A time further ahead than the wait is long is of a wrong clock.
        let latest = after(self.now, self.policy.stop_turn_wait);
        let until = self.record.turn_wait_until.map_or(latest, |until| until.min(latest));
        self.record.turn_wait_until = Some(until);
        if self.now >= until {
            return false;
        }
        self.look_again(until);
        self.ask_about_the_turn(seen);
        true
    }

    /// A turn may be at work in the process that runs: sent, and the engine has not said since that
    /// it is idle.
    pub(super) fn is_in_flight(&self, seen: &Seen) -> bool {
        if let Some(Work::Generating(_)) = self.working() {
            return true;
        }
        let life = ours(seen).filter(|container| container.reachable_at.is_some()).and_then(|c| c.life());
        match (&self.record.turn, life) {
            (Some(OpenTurn { state: TurnState::Dispatched { life: sent_to, at, .. }, .. }), Some(life)) => {
                let idle = |(asked, state): (Timestamp, &EngineState)| asked >= *at && !state.generating;
                *sent_to == life && !said(seen).is_some_and(idle)
            }
            (Some(_) | None, _) => false,
        }
    }

    /// A turn may be at work in a process that lives: it was sent to it, and the process has not said since
    /// that it is idle. A process that nobody asks, as its game is blocked, is at work until the turn's
    /// deadline at most.
    pub(super) fn is_at_work(&self, seen: &Seen) -> bool {
        if let Some(Work::Generating(_)) = self.working() {
            return true;
        }
        let Some(OpenTurn { state: TurnState::Dispatched { life, at, deadline }, .. }) = &self.record.turn
        else {
            return false;
        };
        let lives = seen.container.as_ref().is_some_and(|container| {
            let runs =
                matches!(container.state, ContainerState::Running { .. } | ContainerState::Unsettled { .. });
            runs && container.life().is_none_or(|now| now == *life)
        });
        let idle = |(asked, state): (Timestamp, &EngineState)| asked >= *at && !state.generating;
        lives && self.now < *deadline && !said(seen).is_some_and(idle)
    }

    /// While its end is waited for and nobody here holds the call, the engine is asked.
    fn ask_about_the_turn(&mut self, seen: &Seen) {
        let Some(container) = ours(seen) else { return };
        let Some(life) = container.life() else { return };
        let due = match &seen.engine {
            EngineView::Said { life: answered, at, .. } if *answered == life => after(*at, GENERATING_PROBE),
            EngineView::Said { .. } | EngineView::NotAsked => self.now,
        };
        self.ask_after(&life, container.reachable_at.as_deref(), due, "a turn may be in flight");
    }

    /// A turn of this engine is in flight: its silence does not count before the turn's deadline.
    pub(super) fn is_busy_with_a_turn(&self, life: &Life) -> bool {
        self.record.turn.as_ref().is_some_and(|turn| match &turn.state {
            TurnState::Dispatched { life: sent_to, deadline, .. } => sent_to == life && self.now < *deadline,
            TurnState::Pending | TurnState::Failed { .. } => false,
        })
    }

    pub(super) fn has_turn_operation(&self) -> bool {
        let open = self.plan.operation.open.as_ref().map(|open| open.kind);
        let was = self.was.operation.as_ref().map(|operation| operation.kind);
        open.or(was).is_some_and(|kind| matches!(kind, OperationKind::Turn | OperationKind::ForceNextTurn))
    }
}

fn kind_of(turn: &OpenTurn) -> OperationKind {
    match turn.cause {
        TurnCause::Schedule => OperationKind::Turn,
        TurnCause::Forced => OperationKind::ForceNextTurn,
    }
}

pub(super) fn is_sent(turn: &OpenTurn) -> bool {
    match turn.state {
        TurnState::Dispatched { .. } | TurnState::Failed { .. } => true,
        TurnState::Pending => false,
    }
}

/// What the present life of the container said last, and when.
fn said(seen: &Seen) -> Option<(Timestamp, &EngineState)> {
    let life = ours(seen)?.life()?;
    match &seen.engine {
        EngineView::Said { life: answered, at, answer: Answer::Has(state), .. } if *answered == life => {
            Some((*at, state))
        }
        EngineView::Said { .. } | EngineView::NotAsked => None,
    }
}
