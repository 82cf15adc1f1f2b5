//! The container runs: is its engine healthy, has it its game, is it the right one.

use std::time::Duration;

use jiff::Timestamp;

use crate::game::container::Container;
use crate::game::engine::{Answer, EngineState};
use crate::game::operation::{Ending, OperationKind};
use crate::game::patch::PatchStage;
use crate::game::record::{AppliedSpec, Contents, Life};
use crate::game::{ConditionType as C, ContainerId, Phase};
use crate::reconcile::backoff::{after, next_attempt};
use crate::reconcile::observed::{EngineView, Looked, Seen, Work};
use crate::reconcile::step::{Step, Wait};

use super::blocked::{PARTIAL_INIT, RECORD_REFUSED, STATE_MISSING, TURN_WENT_BACK};
use super::inputs::{Unmet, first_races};
use super::turns::Serving;
use super::{RolledBack, Round};

/// The first looks at a starting engine follow each other quickly, then ever slower: a tenth of
/// the time it has taken so far, within these bounds.
const STARTING_PROBE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Another process answers at the engine's address.
const WRONG_ENGINE: &str = "WrongEngine";

/// The engine answers, and nothing that it says can be believed.
const NOT_UNDERSTOOD: &str = "EngineNotUnderstood";

/// The reason of the end of a process whose engine was not well within the start's deadline.
const NEVER_HEALTHY: &str = "NeverHealthy";

/// The cause of the end of a process whose engine was given up.
const NOT_HEALTHY: &str = "its engine is not healthy";

/// What is wrong with an engine whose process lives, and the words for it.
struct Illness<'a> {
    /// The reason of the condition.
    condition: &'static str,
    /// The reason of the status.
    reason: &'static str,
    /// The reason of the end of its process, once it gets no more chances.
    given_up: &'static str,
    /// The same, if it was never well.
    never_well: &'static str,
    /// What it does.
    what: &'static str,
    /// In detail.
    why: &'a str,
}

impl<'a> Illness<'a> {
    /// It does not answer as an engine that is well.
    fn silent(why: &'a str) -> Self {
        Self {
            condition: "Unhealthy",
            reason: "EngineUnreachable",
            given_up: "Unreachable",
            never_well: NEVER_HEALTHY,
            what: "it does not answer",
            why,
        }
    }

    /// It is not the one that answers.
    fn another(why: &'a str) -> Self {
        Self {
            condition: WRONG_ENGINE,
            reason: WRONG_ENGINE,
            given_up: WRONG_ENGINE,
            never_well: WRONG_ENGINE,
            what: "another process answers at its address",
            why,
        }
    }

    /// It answers, and what it says cannot be so.
    fn not_understood(why: &'a str) -> Self {
        Self {
            condition: "NotUnderstood",
            reason: NOT_UNDERSTOOD,
            given_up: "NotUnderstood",
            never_well: NEVER_HEALTHY,
            what: "it is not understood",
            why,
        }
    }
}

impl Round<'_> {
    /// A live container: everything depends on what the engine in it says.
    pub(super) fn engine(&mut self, seen: &Seen, container: &Container, life: Life, target: &AppliedSpec) {
        self.truths.holds(C::ContainerRunning, "Running", "The container runs.");
        let exit = self.record.last_exit.as_ref().filter(|exit| exit.life.as_ref() == Some(&life));
        match exit.map(|exit| exit.code) {
            // Decided and counted before: its process has to end.
            Some(None) => return self.remove_process(&container.id, NOT_HEALTHY),
            Some(Some(_)) => return self.ends_unknown_process(&life),
            None => {}
        }
        if self.was.life().as_ref() != Some(&life) {
            self.no_longer_serving();
            self.record.container = Some(life.container.clone());
            self.record.container_started_at = Some(life.started_at.clone());
            self.record.start_began_at = Some(self.record.start_began_at.unwrap_or(self.now));
        }
        let said = match &seen.engine {
            EngineView::Said { life: answered, at, answer, failures } if *answered == life => {
                Some((*at, answer, *failures))
            }
            EngineView::Said { .. } | EngineView::NotAsked => None,
        };
        // What it said before it lost its address is worth nothing: nobody can reach it.
        let said = said.filter(|_| container.reachable_at.is_some());
        match said {
            None => self.ask(&life, container, "nobody has asked it yet"),
            Some((at, Answer::Has(state), _)) => self.serving(&life, container, at, state),
            Some((at, Answer::NotInitialised, _)) => self.initialise(seen, &life, container, at, target),
            Some((at, Answer::Unhealthy(why), failures)) => {
                self.unhealthy(&life, container, at, &Illness::silent(why), failures)
            }
            Some((at, Answer::WrongEngine(why), failures)) => {
                self.unhealthy(&life, container, at, &Illness::another(why), failures)
            }
            Some((at, Answer::NotUnderstood(why), failures)) => {
                self.unhealthy(&life, container, at, &Illness::not_understood(why), failures)
            }
        }
    }

    fn ask(&mut self, life: &Life, container: &Container, cause: &str) {
        self.wait(Wait::Engine);
        // Whether slots wait or fire is decided with what it says.
        self.slots_seen = true;
        // What was refused is not over because it is asked again.
        let refused = self.was.reason == RECORD_REFUSED;
        if self.record.healthy_since.is_none() && self.record.phase != Phase::EngineUnreachable && !refused {
            self.begin_start("its engine is not healthy yet");
            self.headline(
                Phase::Starting,
                "WaitingForHealth",
                "The engine's container runs; its health is awaited.",
            );
        }
        match (self.working(), &container.reachable_at) {
            (Some(_), _) => self.wait(Wait::Work),
            (None, Some(endpoint)) => {
                self.step(Step::ProbeEngine { life: life.clone(), endpoint: endpoint.clone() }, cause);
            }
            // It has no address: nobody will ever reach it.
            (None, None) => {
                let illness = Illness::silent("the container has no address");
                self.unhealthy(life, container, self.now, &illness, 0);
            }
        }
    }

    /// Not healthy: before its first health the start's deadline counts, after it the failed looks.
    fn unhealthy(
        &mut self,
        life: &Life,
        container: &Container,
        at: Timestamp,
        illness: &Illness<'_>,
        failures: u32,
    ) {
        let Illness { condition, reason, given_up, never_well, what, why } = *illness;
        self.truths.fails(C::EngineHealthy, condition, why);
        if let Some(began) = self.record.start_began_at {
            // What Docker took to start it is no fault of the engine's. (A time ahead is of another clock.)
            let started = life.started_at.parse::<Timestamp>().ok().filter(|at| *at <= self.now);
            let deadline = after(began.max(started.unwrap_or(began)), self.policy.start_deadline);
            if self.now >= deadline {
                let message = format!(
                    "The engine was not healthy within {} s: {why}",
                    self.policy.start_deadline.as_secs()
                );
                return self.give_up(life, never_well, &message);
            }
            let waited = Duration::try_from(self.now.duration_since(began)).unwrap_or_default();
            let pause = (waited / 10).clamp(STARTING_PROBE.0, STARTING_PROBE.1);
            if [NOT_UNDERSTOOD, WRONG_ENGINE].contains(&reason) {
                let message = format!("The engine's container runs, but {what}: {why}");
                self.headline(Phase::Starting, reason, &message);
            }
            self.look_again(deadline);
            return self.ask_after(
                life,
                container.reachable_at.as_deref(),
                after(at, pause),
                "it is not healthy yet",
            );
        }
        if self.is_busy_with_a_turn(life) && container.reachable_at.is_some() {
            // Its silence does not count while it generates a turn.
            self.ready = self.was.phase == Phase::Running;
            return self.ask_after(
                life,
                container.reachable_at.as_deref(),
                after(at, self.policy.failing_probe_interval),
                "it generates a turn",
            );
        }
        self.record.engine_health = Some("unhealthy".into());
        self.keep_illness(at, life, why);
        if failures >= self.policy.restart_after || container.reachable_at.is_none() {
            let message = format!("The engine's process lives, but {failures} looks in a row failed: {why}");
            return self.give_up(life, given_up, &message);
        }
        if failures >= self.policy.unreachable_after {
            let message = format!("The engine's process lives, but {what}: {why}");
            self.headline(Phase::EngineUnreachable, reason, &message);
            self.record.endpoint = None;
            self.record.endpoints = None;
            self.record.healthy_since = None;
        } else {
            // Too early to say: the status stays as it was.
            self.ready = self.was.phase == Phase::Running || self.was.phase == Phase::Finished;
        }
        self.ask_after(
            life,
            container.reachable_at.as_deref(),
            after(at, self.policy.failing_probe_interval),
            "its last look failed",
        );
    }

    pub(super) fn ask_after(&mut self, life: &Life, endpoint: Option<&str>, due: Timestamp, cause: &str) {
        let asking = self.working().is_some();
        // A clock that jumped back must not put the next look off for ever.
        let due = due.min(after(self.now, self.policy.probe_interval.max(self.policy.start_deadline)));
        self.wait(if asking { Wait::Work } else { Wait::Engine });
        match endpoint {
            Some(endpoint) if self.now >= due && !asking => {
                self.step(Step::ProbeEngine { life: life.clone(), endpoint: endpoint.to_owned() }, cause);
            }
            _ if asking => {}
            _ => self.look_again(due),
        }
    }

    /// This process gets no more chances. On record before it is stopped, so that it counts once.
    pub(super) fn give_up(&mut self, life: &Life, reason: &str, message: &str) {
        self.no_longer_serving();
        self.count_exit(Some(life.clone()), None, false, reason, message);
        if self.is_placing() {
            return self.goes_back_now();
        }
        self.remove_process(&life.container, NOT_HEALTHY);
    }

    /// Docker lost a process that it was starting and hears of it later: it says "running", since the time of
    /// the process before, which has ended. What was known of that one is not true of this one.
    fn ends_unknown_process(&mut self, life: &Life) {
        self.no_longer_serving();
        self.headline(
            Phase::Starting,
            "UnknownProcess",
            &format!(
                "Docker says that the engine's container runs since {}, but the process of that time has ended. What runs now was started while Docker was away; it is stopped, and the engine started again.",
                life.started_at
            ),
        );
        self.remove_process(&life.container, "nobody knows when its process began");
    }

    fn remove_process(&mut self, container: &ContainerId, cause: &str) {
        if let Some(Work::Stopping(_)) = self.working() {
            return self.wait(Wait::Work);
        }
        self.wait(Wait::Work);
        self.begin_operation(OperationKind::Heal, cause);
        // Giving it up waits for nothing; a stop that failed is not repeated without a pause.
        if self.was.reason == "StopFailed" && self.waits_for_attempt() {
            return;
        }
        if self.observation.failure.is_some() {
            return self.look_again(after(self.now, self.policy.backoff_first));
        }
        let stop = Step::StopContainer { container: container.clone(), grace: self.policy.stop_grace };
        self.step(stop, cause);
    }

    /// Healthy, without a game: initialise it, once. Every sending is counted before it is sent, and
    /// the next one waits its turn and asks again first: the engine may still be at work on the last.
    fn initialise(
        &mut self,
        seen: &Seen,
        life: &Life,
        container: &Container,
        at: Timestamp,
        target: &AppliedSpec,
    ) {
        self.truths.holds(C::EngineHealthy, "Healthy", "The engine answers its health check.");
        self.record.engine_health = Some("healthy".into());
        if self.patch_stage() == Some(PatchStage::Trying) {
            if self.record.initialized_at.is_some() {
                self.fail_patch("StateUnreadable", "The new engine says that it has no game.");
                return self.goes_back_now();
            }
            // None had its game before: there is nothing to go back to.
            self.begins_anew();
        }
        if self.record.initialized_at.is_some() {
            self.no_longer_serving();
            self.blocked(
                STATE_MISSING,
                "The game has been initialised, but its engine says that it has none. Nothing is sent: look at the state directory.",
            );
            let due = after(at, self.policy.probe_interval);
            return self.ask_after(
                life,
                container.reachable_at.as_deref(),
                due,
                "a person may have mended it",
            );
        }
        if let Some(Work::Initialising(_)) = self.working() {
            self.begin_start("its engine has no game yet");
            self.headline(Phase::Starting, "Initialising", "The engine is being given its game.");
            return self.wait(Wait::Work);
        }
        if self.working().is_some() {
            return self.wait(Wait::Work);
        }
        let races = match first_races(self.desired) {
            Ok(races) => races,
            Err(unmet) => return self.holds_init_back(life, container, at, unmet),
        };
        if self.waits_for_attempt() {
            let told = self.record.conditions.iter().find(|known| known.kind == C::Initialized);
            let why = told.map(|known| known.message.clone()).unwrap_or_default();
            return self.headline(Phase::Starting, "InitNotDone", &format!("It is tried again later: {why}"));
        }
        if self.record.next_attempt_at.is_some_and(|due| at < due) {
            return self.ask(life, container, "it was told to initialise before, and may have done so");
        }
        let Some(endpoint) = container.reachable_at.clone() else { return };
        let Looked::At(contents) = &seen.contents else {
            self.wait(Wait::Engine);
            return self.step(Step::LookAtContents, "the engine is about to be given its game");
        };
        if self.left_traces(contents) {
            self.blocked(
                PARTIAL_INIT,
                "The engine was told to initialise, and says that it has no game, but something new lies in its state directory. Nothing is sent: empty the directory, or declare what lies there harmless with `unblock`.",
            );
            let due = after(at, self.policy.probe_interval);
            return self.ask_after(
                life,
                container.reachable_at.as_deref(),
                due,
                "a person may have mended it",
            );
        }
        self.record.init_baseline = Some(contents.clone());
        self.begin_start("its engine has no game yet");
        self.headline(Phase::Starting, "Initialising", "The engine is being given its game.");
        self.truths.fails(C::Initialized, "NotYet", "The engine does not say yet that it has its game.");
        let is_first = self.record.init_intent_at.is_none();
        self.record.init_intent_at = Some(self.record.init_intent_at.unwrap_or(self.now));
        self.record.failures = self.record.failures.saturating_add(1);
        // One more than counted: there is no second sending at once.
        self.record.next_attempt_at =
            Some(next_attempt(self.record.failures.saturating_add(1), self.now, self.policy));
        // The deadline was for its health, which it has.
        self.record.start_began_at = None;
        self.record.applied = Some(target.clone());
        let step = Step::InitialiseEngine { life: life.clone(), endpoint, races, is_first };
        self.step(step, "it was asked, and has no game");
        self.wait(Wait::Work);
    }

    /// The spec became invalid, or the last member left, before the engine had its game: nothing is
    /// sent until that is mended. The engine stays, as it may have its game after all.
    fn holds_init_back(&mut self, life: &Life, container: &Container, at: Timestamp, unmet: Unmet) {
        self.no_longer_serving();
        self.record.start_began_at = None;
        self.headline(Phase::Invalid, unmet.reason, &unmet.message);
        self.truths.fails(C::SpecValid, unmet.reason, unmet.message.clone());
        self.truths.fails(C::Initialized, unmet.reason, unmet.message.clone());
        self.wait(Wait::Spec);
        self.end_operation(Ending::Failed { code: unmet.reason.to_owned(), message: unmet.message });
        let due = after(at, self.policy.probe_interval);
        self.ask_after(life, container.reachable_at.as_deref(), due, "it may have its game after all");
    }

    /// Whether an initialisation that was sent before changed what is in the state directory. What
    /// an engine makes before it is told (a lock, a log) was there already.
    pub(super) fn left_traces(&self, contents: &Contents) -> bool {
        if self.record.init_intent_at.is_none() || *contents == Contents::nothing() {
            return false;
        }
        self.record.init_baseline.as_ref() != Some(contents)
    }

    /// Healthy, with its game.
    fn serving(&mut self, life: &Life, container: &Container, at: Timestamp, state: &EngineState) {
        self.truths.holds(C::EngineHealthy, "Healthy", "The engine answers its health check.");
        if !self.accepts_new_engine(state) {
            return self.goes_back_now();
        }
        if let Some(known) = self.record.current_turn.filter(|known| state.turn < *known) {
            let due = after(at, self.policy.probe_interval);
            self.ask_after(life, container.reachable_at.as_deref(), due, "a person may have mended it");
            self.no_longer_serving();
            return self.blocked(
                TURN_WENT_BACK,
                &format!(
                    "The engine is at turn {}, but turn {known} was reached before. Nothing is sent: bring the newer state back, or go on from turn {} with `unblock`.",
                    state.turn, state.turn
                ),
            );
        }
        self.truths.holds(C::Initialized, "Initialized", "The engine has its game.");
        if self.record.current_turn.is_none() && self.was.initialized_at.is_some() && self.record.timeline > 1
        {
            // A state whose turn nobody knew has another one's place; now it is known which turns it has.
            let timeline = self.record.timeline - 1;
            self.plan.rolled_back = Some(RolledBack { timeline, after: Some(state.turn) });
        }
        let first_health = self.record.healthy_since.is_none();
        if self.record.initialized_at.is_none() {
            // What was counted were the sendings of an initialisation that came true.
            self.forget_failures();
        }
        let healthy_since = self.record.healthy_since.unwrap_or(self.now);
        self.record.healthy_since = Some(healthy_since);
        self.record.start_began_at = None;
        self.record.engine_health = Some("healthy".into());
        self.record.init_intent_at = Some(self.record.init_intent_at.unwrap_or(self.now));
        self.record.initialized_at = Some(self.record.initialized_at.unwrap_or(self.now));
        self.record.next_attempt_at = None;
        self.record.current_turn = Some(state.turn);
        self.record.endpoint.clone_from(&container.reachable_at);
        self.record.endpoints = Some(container.endpoints.clone());
        if first_health {
            self.record.started_at = Some(self.now);
        }
        let was_over = self.record.finished_at.is_some();
        self.believe_end(state);
        let (phase, reason, message) = match (state.finished, was_over) {
            (true, _) => (Phase::Finished, "Finished", "The game is over; its engine stays up for reports."),
            (false, true) => {
                (Phase::Running, "Running", "The engine says that the game, which was over, goes on.")
            }
            (false, false) => (Phase::Running, "Running", "The engine is healthy and has its game."),
        };
        self.headline(phase, reason, message);
        self.take_in_players(state);
        self.keep_report(at, life, state);
        self.ready = true;
        if !self.has_backup_operation() && (self.record.turn.is_none() || !self.has_turn_operation()) {
            self.end_operation(Ending::Succeeded);
        }
        self.forget_old_failures(healthy_since);
        let Some(endpoint) = container.reachable_at.as_deref() else { return };
        self.turns(Serving { life, endpoint, state, at, replaceable: true });
        self.ends_probation(state);
        if self.plan.steps.is_empty() {
            // One call at a time: what is asked beside a turn may be answered after it, with the old number.
            let due = after(at, self.policy.probe_interval);
            self.ask_after(life, Some(endpoint), due, "it is time to look again");
        }
    }

    /// Whether the game is over is what its engine says now: it may have got an older state since.
    pub(super) fn believe_end(&mut self, state: &EngineState) {
        if state.finished {
            self.record.finished_at = Some(self.record.finished_at.unwrap_or(self.now));
        } else {
            self.is_not_over();
        }
    }

    /// The game is not over after all: its slots count from now. Those since its end are nobody's, and no turn is
    /// made up for them.
    pub(super) fn is_not_over(&mut self) {
        if self.record.finished_at.take().is_some() {
            self.record.slot_cursor = self.record.slot_cursor.map(|cursor| cursor.max(self.now));
        }
    }

    fn forget_old_failures(&mut self, healthy_since: Timestamp) {
        if self.record.failures == 0 {
            return;
        }
        let forgotten_at = after(healthy_since, self.policy.forget_failures_after);
        if self.now >= forgotten_at {
            self.forget_failures();
        } else {
            self.look_again(forgotten_at);
        }
    }
}
