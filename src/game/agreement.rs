//! The table of what a game's headline, conditions and facts say of one another.
//!
//! The planner writes all of them, in one record. Tests hold every record that it writes to this table, and
//! what the API and the database show of real games, too.
//!
//! | if | then |
//! |---|---|
//! | a condition is there | it is of the generation that the status is of |
//! | `Ready` is there | it has the reason of the status; it is Unknown exactly in phase Unknown |
//! | `Ready` is True | the phase is where the spec wants it: Running, Finished or Stopped |
//! | it is settled | `Ready` is True |
//! | the phase is none of these three | `Ready` is not True |
//! | the phase is Running, and its row is there | the engine has its game (`Initialized`), and its container runs |
//! | the phase is Finished | `finished_at` is there; the container runs, unless the engine ended by itself |
//! | the phase is Stopped, and should be | no container, no endpoint, no next turn, nothing runs |
//! | `ContainerRunning` is True | the container that runs is on record, unless the game is left alone |
//! | `EngineHealthy` is True | `ContainerRunning` is not False |
//! | `Initialized` is True | `initialized_at` is there |
//! | an endpoint is there | the container is on record, and `ContainerRunning` is not False |
//! | `TurnsOnTime` is False while it runs | it is not settled |
//! | a turn is due since more than a minute, of a game that runs | `TurnsOnTime` is False, or a turn is under way |

use jiff::{SignedDuration, Timestamp};

use super::record::Record;
use super::{Condition, ConditionStatus, ConditionType as C, DesiredStatus, Phase};

/// So late a slot may be before it is told of: it is decided by the next look.
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// A game as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Whether its engine should run.
    pub desired: DesiredStatus,
    /// The headline.
    pub phase: Phase,
    /// One CamelCase word for it.
    pub reason: String,
    /// The generation that the status is of.
    pub observed_generation: i64,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// A container is on record.
    pub has_container: bool,
    /// An endpoint is told.
    pub has_endpoint: bool,
    /// The engine was seen to have the game.
    pub is_initialized: bool,
    /// The engine said that the game is over.
    pub is_finished: bool,
    /// A turn is under way.
    pub has_open_turn: bool,
    /// Nothing is left to do.
    pub is_settled: bool,
    /// The next slot.
    pub next_turn_at: Option<Timestamp>,
}

impl Shown {
    /// As a record has it.
    pub fn of(desired: DesiredStatus, record: &Record) -> Self {
        Self {
            desired,
            phase: record.phase,
            reason: record.reason.clone(),
            observed_generation: record.observed_generation,
            conditions: record.conditions.clone(),
            has_container: record.container.is_some(),
            has_endpoint: record.endpoint.is_some(),
            is_initialized: record.initialized_at.is_some(),
            is_finished: record.finished_at.is_some(),
            has_open_turn: record.turn.is_some(),
            is_settled: record.left_to_do.is_empty(),
            next_turn_at: record.next_turn_at,
        }
    }

    /// A condition's status.
    pub fn status(&self, kind: C) -> Option<ConditionStatus> {
        self.conditions.iter().find(|known| known.kind == kind).map(|known| known.status)
    }

    /// The rules that are broken, in words.
    pub fn contradictions(&self, now: Timestamp) -> Vec<&'static str> {
        let is = |kind, status| self.status(kind) == Some(status);
        let holds = |kind| is(kind, ConditionStatus::True);
        let fails = |kind| is(kind, ConditionStatus::False);
        let ready = self.conditions.iter().find(|known| known.kind == C::Ready);
        let phase = self.phase;
        let at_rest = matches!(phase, Phase::Running | Phase::Finished | Phase::Stopped);
        let as_wished = match self.desired {
            DesiredStatus::Running => matches!(phase, Phase::Running | Phase::Finished),
            DesiredStatus::Stopped => phase == Phase::Stopped,
        };
        // What is there is said, and nothing is put on record.
        let left_alone = phase == Phase::Blocked || self.reason == "RowGone";
        let ended = self.reason == "EngineEnded";
        let runs = phase == Phase::Running && !left_alone;
        let is_over = phase == Phase::Finished && !left_alone;
        let stopped = phase == Phase::Stopped && self.desired == DesiredStatus::Stopped;
        let overdue = runs
            && self.next_turn_at.is_some_and(|due| now.duration_since(due) > LATE)
            && !self.has_open_turn
            && !fails(C::TurnsOnTime);
        let generations = self.conditions.iter().map(|known| known.observed_generation);
        [
            (
                generations.into_iter().any(|of| of != self.observed_generation),
                "a condition is of another generation",
            ),
            (
                ready.is_some_and(|ready| ready.reason != self.reason),
                "Ready has another reason than the status",
            ),
            (
                ready.is_some() && (is(C::Ready, ConditionStatus::Unknown) != (phase == Phase::Unknown)),
                "Ready is Unknown in another phase, or not Unknown in that",
            ),
            (holds(C::Ready) && !as_wished, "Ready in a phase that the spec does not want"),
            (holds(C::Ready) && !at_rest, "Ready in a phase that passes"),
            (self.is_settled && !holds(C::Ready), "settled, and not Ready"),
            (self.is_settled && !as_wished, "settled in a phase that the spec does not want"),
            (runs && !(self.is_initialized && holds(C::Initialized)), "Running without a game"),
            (runs && !holds(C::ContainerRunning), "Running without a container that runs"),
            (is_over && !self.is_finished, "Finished, and the engine did not say so"),
            (
                is_over && !ended && !holds(C::ContainerRunning),
                "Finished without a container that runs, and its engine did not end",
            ),
            (ended && holds(C::ContainerRunning), "its engine ended, and its container runs"),
            (stopped && self.has_container, "Stopped with a container"),
            (stopped && self.has_endpoint, "Stopped with an endpoint"),
            (stopped && self.next_turn_at.is_some(), "Stopped with a next turn"),
            (stopped && !fails(C::ContainerRunning), "Stopped, and its container is not said to be down"),
            (stopped && holds(C::EngineHealthy), "Stopped with a healthy engine"),
            (
                holds(C::ContainerRunning) && !self.has_container && !left_alone,
                "a container runs that is not on record",
            ),
            (holds(C::EngineHealthy) && fails(C::ContainerRunning), "a healthy engine in no container"),
            (holds(C::Initialized) && !self.is_initialized, "Initialized, and not on record as that"),
            (self.has_endpoint && !self.has_container, "an endpoint of no container"),
            (self.has_endpoint && fails(C::ContainerRunning), "an endpoint of a container that does not run"),
            (runs && self.is_settled && fails(C::TurnsOnTime), "settled while turns are late"),
            (overdue, "a turn is overdue, and TurnsOnTime does not say so"),
        ]
        .into_iter()
        .filter_map(|(is_broken, rule)| is_broken.then_some(rule))
        .collect()
    }
}
