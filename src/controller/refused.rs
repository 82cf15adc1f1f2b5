//! What the database refuses to record: it is said, and tried again with growing pauses, so that
//! neither other games nor what is true later wait for it.
//!
//! What there is to record of a game comes from engines, Docker and registries; it is bounded where it
//! is read. Should something pass that a database does not take all the same, the same record would be
//! refused for ever, and the status would stay what it was. So what is refused twice in a row becomes a
//! record that says so, nothing is done, and the engine is asked anew before the next attempt.

use std::time::Duration;

use crate::game::spec::Desired;
use crate::reconcile::Observation;
use crate::reconcile::apply::chain;
use crate::reconcile::backoff::after;
use crate::reconcile::conditions::shortened;
use crate::reconcile::observed::EngineView;
use crate::reconcile::plan::not_recorded;
use crate::store::recorder::RecordError;

use super::RETRY;
use super::recording::write_down;
use super::round::{Context, Output};

/// The longest pause between two attempts: what is true later is on record soon after.
const LONGEST: Duration = Duration::from_secs(30);

/// Of what the database says, so much is shown, in bytes.
const SHOWN: usize = 500;

/// The pause after so many refusals in a row, calls about one game that were late, or rounds that found no place for a
/// call.
pub(super) fn pause(refused: u32) -> Duration {
    RETRY.saturating_mul(1 << refused.saturating_sub(1).min(16)).min(LONGEST)
}

/// The database refused what there was to record. The second time in a row, that is what is recorded.
pub(super) async fn refused(
    context: &Context,
    desired: &Desired,
    observation: &Observation,
    output: &mut Output,
    error: RecordError,
) {
    output.refused = output.refused.saturating_add(1);
    if output.refused < 2 {
        output.not_recorded = Some(error);
        return;
    }
    // What it comes from is asked anew.
    output.facts.engine = EngineView::NotAsked;
    output.facts.failure = None;
    // Nobody knows how long it lasts: others need not wait for its places.
    (output.uses_start_slot, output.uses_disruption_place) = (false, false);
    let why = shortened(&chain(&error), SHOWN);
    tracing::warn!(error = &error as &dyn std::error::Error, refused = output.refused, "a record is refused");
    output.look_again = Some(after(output.clock.now(), pause(output.refused)));
    let instead = not_recorded(desired, &output.record, observation, &context.policy, &why);
    let freeze = observation.freeze.as_ref().map(|freeze| freeze.reason);
    match write_down(context, desired, output, &instead, None, freeze).await {
        Ok(record) => (output.record, output.unwritten) = (record, false),
        Err(error) => output.not_recorded = Some(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_and_end_at_half_a_minute() {
        let pauses: Vec<u64> = (0..9).map(|refused| pause(refused).as_secs()).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }
}
