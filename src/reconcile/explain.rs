//! A plan in words: what should be, what is, what would be done now and why, and what follows.
//!
//! The headline, what is left and what is waited for are the planner's own, as the status has them. That
//! nothing is left to do is said of a game that is settled, while nothing keeps the controller from acting.

mod hindrance;
mod turns;
mod waits;
mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::game::Phase;
use crate::game::record::Record;
use crate::game::spec::{DeletionPolicy, Desired, DesiredStatus};

use super::forecast::forecast;
use super::observed::Observation;
use super::plan::plan;
use super::policy::Policy;
use super::step::{Planned, Step};
use super::wait::Wait;

pub use hindrance::Hindrance;
pub use turns::TurnOutlook;

/// A game's plan, explained for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The whole in one sentence.
    pub summary: String,
    /// The headline that the plan would show.
    pub phase: Phase,
    /// One CamelCase word for it.
    pub reason: String,
    /// A sentence for it.
    pub message: String,
    /// The generation that is explained.
    pub generation: i64,
    /// The generation that was looked at last.
    pub observed_generation: i64,
    /// The desired state, line by line.
    pub desired: Vec<Fact>,
    /// The observed state, line by line.
    pub observed: Vec<Fact>,
    /// The thing that keeps the controller from acting for it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// The reason for an engine of another version than is asked for, if so, and the way out. Turns go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Guard>,
    /// The steps that the planner would take now.
    pub steps: Vec<ShownStep>,
    /// The steps that would follow if every one succeeds, up to the end.
    pub afterwards: Vec<ShownStep>,
    /// The consequence for whoever plays now.
    pub disruption: Disruption,
    /// The things it waits on, each with what ends it and when.
    pub waiting_on: Vec<String>,
    /// Work in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_on: Option<String>,
    /// The next look, if nothing happens before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_look_at: Option<Timestamp>,
    /// No attempt before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Nothing is left to do for this generation; as `settled` in the view `game_status`.
    pub settled: bool,
    /// The things that are left to do for it, in words.
    #[serde(default)]
    pub left_to_do: Vec<String>,
    /// The next turn; absent if the game goes, or its spec cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<TurnOutlook>,
}

/// One thing that is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fact {
    /// Its name.
    pub what: String,
    /// Its state.
    pub is: String,
}

/// A thing that keeps the controller from acting for a game, or a turn from beginning, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The way out.
    pub way_out: String,
}

/// A step, printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownStep {
    /// The step, in words.
    pub step: String,
    /// Its cause, in words.
    pub cause: String,
    /// It changes something; looking and asking do not.
    pub changes: bool,
}

/// The consequence of a plan for whoever plays now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Disruption {
    /// Nothing that runs is touched.
    None,
    /// An engine is started where none runs.
    Start,
    /// The engine is away for a moment: stopped, or replaced, and started again.
    Restart,
    /// The engine is stopped.
    Stop,
    /// The game is removed, its state kept.
    Removal,
    /// The game is removed with its state.
    Destruction,
}

impl From<&Planned> for ShownStep {
    fn from(Planned { step, cause }: &Planned) -> Self {
        Self { step: step.to_string(), cause: cause.clone(), changes: step.mutates() }
    }
}

/// Explains a game: the plan that would be made of it now, in words, and what would follow.
pub fn explain(
    desired: &Desired,
    record: &Record,
    observation: &Observation,
    policy: &Policy,
) -> Explanation {
    explain_beside(desired, record, observation, policy, None)
}

/// The same, beside what keeps the whole controller from acting.
pub fn explain_beside(
    desired: &Desired,
    record: &Record,
    observation: &Observation,
    policy: &Policy,
    hindrance: Option<Hindrance>,
) -> Explanation {
    let planned = plan(desired, record, observation, policy);
    // What holds it back is said; beside it, what would be done if it did not.
    let free = Observation { freeze: None, deletion_held: None, ..observation.clone() };
    let all = forecast(desired, record, &free, policy);
    // The first of them are those of the present plan.
    let afterwards: Vec<&Planned> =
        all.iter().skip(planned.steps.len()).filter(|planned| planned.step.mutates()).collect();
    let disruption = disruption(desired, record, all.iter().map(|planned| &planned.step));
    let shown = &planned.record;
    let backs_off = planned.waiting_on.contains(&Wait::NextAttempt);
    let guard = hindrance.map(Guard::from).or_else(|| words::guard(shown, observation));
    let mut turns = turns::outlook(desired, shown, observation, words::guard(shown, observation));
    if let Some(turns) = &mut turns
        && planned.steps.iter().any(|planned| matches!(planned.step, Step::GenerateTurn { .. }))
    {
        // Nothing stands in the way of the turn that begins now; the next one waits for it.
        turns.obstacles.retain(|obstacle| obstacle.reason == turns::TURN_OPEN);
    }
    Explanation {
        summary: words::summary(desired, &planned, guard.as_ref()),
        phase: shown.phase,
        reason: shown.reason.clone(),
        message: shown.message.clone(),
        generation: desired.generation,
        observed_generation: record.observed_generation,
        desired: words::desired(desired),
        observed: words::observed(shown, observation),
        turns,
        guard,
        patch: words::patch(shown),
        steps: planned.steps.iter().map(ShownStep::from).collect(),
        afterwards: afterwards.into_iter().map(ShownStep::from).collect(),
        disruption,
        waiting_on: waits::shown(&planned),
        working_on: words::background(observation),
        next_look_at: planned.look_again,
        next_attempt_at: waits::next_attempt(shown).filter(|_| backs_off),
        failures: shown.failures,
        settled: shown.left_to_do.is_empty(),
        left_to_do: shown.left_to_do.clone(),
    }
}

impl Explanation {
    /// The same for a row of a newer generation, of which the controller has not heard yet.
    pub fn of_older_generation(self, newest: i64) -> Self {
        let guard = Guard::from(Hindrance::NotHeard { newest, known: self.generation });
        let mut left_to_do = self.left_to_do;
        left_to_do.push(format!("a look at generation {newest}"));
        let summary = guard.message.clone();
        Self {
            summary,
            generation: newest,
            settled: false,
            left_to_do,
            guard: self.guard.or(Some(guard)),
            ..self
        }
    }
}

fn disruption<'a>(desired: &Desired, record: &Record, steps: impl Iterator<Item = &'a Step>) -> Disruption {
    let (mut stops, mut starts, mut removes) = (false, false, false);
    for step in steps {
        stops |= matches!(step, Step::StopContainer { .. });
        starts |= matches!(step, Step::StartContainer(_));
        removes |= matches!(step, Step::FinishDeletion(_));
    }
    match (removes, stops, starts) {
        (true, ..) if desired.deletion_policy == DeletionPolicy::Delete => Disruption::Destruction,
        (true, ..) => Disruption::Removal,
        (_, true, true) => Disruption::Restart,
        (_, true, false) => Disruption::Stop,
        (_, false, true) if record.phase == Phase::Running => Disruption::Restart,
        (_, false, true) if desired.status == DesiredStatus::Running => Disruption::Start,
        (_, false, _) => Disruption::None,
    }
}
