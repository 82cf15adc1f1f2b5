//! The things that a plan waits for, each with what ends it and, where that is known, when.

use jiff::Timestamp;

use crate::game::Phase;
use crate::game::record::Record;
use crate::game::turn::TurnState;
use crate::reconcile::plan::Plan;
use crate::reconcile::wait::Wait;

/// When what failed is tried again: a start, a change of version, or a copy.
pub(super) fn next_attempt(shown: &Record) -> Option<Timestamp> {
    let delay = shown.patch_delay.as_ref().map(|delay| delay.next_attempt_at);
    let copy = shown.copying.as_ref().and_then(|copying| copying.next_attempt_at);
    shown.next_attempt_at.or(delay).or(copy)
}

/// The waits in words. Work in the background is told apart. An engine that serves is asked again and
/// again: that is no wait of a settled game, nor of one that waits for something else.
pub(super) fn shown(plan: &Plan) -> Vec<String> {
    let is_settled = plan.record.left_to_do.is_empty();
    let serves = matches!(plan.record.phase, Phase::Running | Phase::Finished);
    let otherwise = plan.waiting_on.iter().any(Wait::lasts);
    let waits = plan.waiting_on.iter().filter(|wait| match wait {
        Wait::Work => false,
        Wait::Engine => !(is_settled || serves && otherwise),
        Wait::TurnEnd => !is_settled,
        Wait::Pull(_)
        | Wait::StartSlot
        | Wait::DisruptionPlace
        | Wait::NextAttempt
        | Wait::Resume
        | Wait::Docker
        | Wait::Grace
        | Wait::Spec
        | Wait::Version
        | Wait::Person => true,
    });
    waits.map(|wait| in_words(wait, plan)).collect()
}

fn in_words(wait: &Wait, plan: &Plan) -> String {
    let latest = |at: Timestamp| format!(", at {at:.0} at the latest");
    let when = match wait {
        Wait::NextAttempt => next_attempt(&plan.record).map(latest),
        Wait::Grace => plan.look_again.map(latest),
        Wait::TurnEnd => plan.record.turn_wait_until.or(deadline(&plan.record)).map(latest),
        Wait::Engine | Wait::Docker => plan.look_again.map(|at| format!(", next at {at:.0}")),
        Wait::Pull(_)
        | Wait::StartSlot
        | Wait::DisruptionPlace
        | Wait::Work
        | Wait::Resume
        | Wait::Spec
        | Wait::Version
        | Wait::Person => None,
    };
    format!("{wait}: it ends {}{}", wait.end(), when.unwrap_or_default())
}

/// When the turn that was sent is given up.
fn deadline(shown: &Record) -> Option<Timestamp> {
    match shown.turn.as_ref()?.state {
        TurnState::Dispatched { deadline, .. } => Some(deadline),
        TurnState::Pending | TurnState::Failed { .. } => None,
    }
}
