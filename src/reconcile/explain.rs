//! A plan in words: what should be, what is, what would be done now and why, and what follows.

mod turns;
mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::game::Phase;
use crate::game::record::Record;
use crate::game::settled::what_is_left;
use crate::game::spec::{DeletionPolicy, Desired, DesiredStatus};

use super::forecast::forecast;
use super::observed::Observation;
use super::plan::plan;
use super::policy::Policy;
use super::step::{Planned, Step, Wait};

pub use turns::TurnOutlook;

/// What a game's plan comes to, for people.
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
    /// What should be, line by line.
    pub desired: Vec<Fact>,
    /// What is, line by line.
    pub observed: Vec<Fact>,
    /// What forbids to touch it, if anything does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Why the engine is not of the version that is asked for, if it is not, and what to do. Turns go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Guard>,
    /// What the planner would do now.
    pub steps: Vec<ShownStep>,
    /// What would follow if every step succeeds, up to the end.
    pub afterwards: Vec<ShownStep>,
    /// What this means for whoever plays now.
    pub disruption: Disruption,
    /// What it waits on.
    pub waiting_on: Vec<String>,
    /// What goes on in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_on: Option<String>,
    /// When it is looked at again, if nothing happens before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_look_at: Option<Timestamp>,
    /// No attempt before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Nothing is left to do for this generation.
    pub settled: bool,
    /// Which turn comes next; absent if the game goes, or its spec cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<TurnOutlook>,
}

/// One thing that is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fact {
    /// What.
    pub what: String,
    /// How it is.
    pub is: String,
}

/// What forbids to touch a game or to have a turn, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// What to do about it.
    pub way_out: String,
}

/// A step, printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownStep {
    /// What.
    pub step: String,
    /// Why.
    pub cause: String,
    /// It changes something; looking and asking do not.
    pub changes: bool,
}

/// What a plan means for whoever plays now.
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
    let planned = plan(desired, record, observation, policy);
    // What holds it back is said; beside it, what would be done if it did not.
    let free = Observation { freeze: None, deletion_held: None, ..observation.clone() };
    let all = forecast(desired, record, &free, policy);
    // The first of them are those of the present plan.
    let afterwards: Vec<&Planned> =
        all.iter().skip(planned.steps.len()).filter(|planned| planned.step.mutates()).collect();
    let disruption = disruption(desired, record, all.iter().map(|planned| &planned.step));
    let shown = &planned.record;
    let left = what_is_left(desired, shown);
    let settled =
        all.iter().all(|planned| !planned.step.mutates()) && observation.freeze.is_none() && left.is_empty();
    // What goes on in the background is said beside it; a settled game waits for nothing.
    let waits =
        planned.waiting_on.iter().filter(|wait| **wait != Wait::Work && !(settled && **wait == Wait::Engine));
    let backs_off = planned.waiting_on.contains(&Wait::NextAttempt);
    let guard = words::guard(shown, observation);
    Explanation {
        summary: words::summary(desired, shown, &planned, settled, &left),
        phase: shown.phase,
        reason: shown.reason.clone(),
        message: shown.message.clone(),
        generation: desired.generation,
        observed_generation: record.observed_generation,
        desired: words::desired(desired),
        observed: words::observed(shown, observation),
        turns: turns::outlook(desired, shown, observation, guard.clone()),
        guard,
        patch: words::patch(shown),
        steps: planned.steps.iter().map(ShownStep::from).collect(),
        afterwards: afterwards.into_iter().map(ShownStep::from).collect(),
        disruption,
        waiting_on: waits.map(ToString::to_string).collect(),
        working_on: words::background(observation),
        next_look_at: planned.look_again,
        next_attempt_at: shown.next_attempt_at.filter(|_| backs_off),
        failures: shown.failures,
        settled,
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
