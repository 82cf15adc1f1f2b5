//! What the database refuses to record: it is said, and tried again with growing pauses, so that
//! neither other games nor what is true later wait for it.
//!
//! What there is to record of a game comes from engines, Docker and registries; it is bounded where it
//! is read. Should something pass that a database does not take all the same, the same record would be
//! refused for ever, and the status would stay what it was. So what is refused twice in a row becomes a
//! record that says so, nothing is done, and the engine is asked anew before the next attempt.

use std::time::Duration;

use jiff::Timestamp;

use crate::game::controller::FreezeReason;
use crate::game::record::Record;
use crate::game::spec::Desired;
use crate::game::status::set_condition;
use crate::game::{Condition, ConditionStatus, ConditionType, Phase};
use crate::reconcile::apply::chain;
use crate::reconcile::backoff::after;
use crate::reconcile::conditions::shortened;
use crate::reconcile::observed::EngineView;
use crate::reconcile::plan::RECORD_REFUSED;
use crate::store::Recording;
use crate::store::recorder::{RecordError, RecordedEvent};

use super::RETRY;
use super::recording::tell;
use super::round::{Context, Output};

/// The longest pause between two attempts: what is true later is on record soon after.
const LONGEST: Duration = Duration::from_secs(30);

/// Of what the database says, so much is shown, in bytes.
const SHOWN: usize = 500;

/// How long to wait after so many refusals in a row.
pub(super) fn pause(refused: u32) -> Duration {
    RETRY.saturating_mul(1 << refused.saturating_sub(1).min(16)).min(LONGEST)
}

/// The database refused what there was to record. The second time in a row, that is what is recorded.
pub(super) async fn refused(
    context: &Context,
    desired: &Desired,
    output: &mut Output,
    error: RecordError,
    freeze: Option<FreezeReason>,
) {
    output.refused = output.refused.saturating_add(1);
    if output.refused < 2 {
        output.not_recorded = Some(error);
        return;
    }
    // What it comes from is asked anew.
    output.facts.engine = EngineView::NotAsked;
    output.facts.failure = None;
    let now = output.clock.now();
    let said = saying_so(&output.record, &chain(&error), now);
    tracing::warn!(error = &error as &dyn std::error::Error, refused = output.refused, "a record is refused");
    output.look_again = Some(after(now, pause(output.refused)));
    if said == output.record {
        return;
    }
    let mut recording = Recording {
        event: Some(RecordedEvent {
            warning: true,
            reason: said.reason.clone(),
            message: said.message.clone(),
        }),
        counts: freeze.is_none(),
        ..Recording::of(desired.id, desired.namespace.clone(), desired.name.clone(), said.clone())
    };
    tell(desired, &output.record, &mut recording, freeze, now);
    match context.recorder.record(recording).await {
        Ok(()) => output.record = said,
        Err(error) => output.not_recorded = Some(error),
    }
}

/// The record as it was, but that it says why it goes no further.
fn saying_so(was: &Record, why: &str, now: Timestamp) -> Record {
    let why = shortened(why, SHOWN);
    let message = format!(
        "The database refuses what there is to record of the game, so nothing of it is done; it is tried again with growing pauses: {why}"
    );
    let mut record = Record { phase: Phase::Blocked, reason: RECORD_REFUSED.into(), message, ..was.clone() };
    let (reason, message) = (record.reason.clone(), record.message.clone());
    let not_ready = Condition {
        kind: ConditionType::Ready,
        status: ConditionStatus::False,
        reason,
        message,
        last_transition_time: now,
        observed_generation: record.observed_generation,
    };
    set_condition(&mut record.conditions, not_ready);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::spec::Requests;

    #[test]
    fn the_pauses_grow_and_end_at_half_a_minute() {
        let pauses: Vec<u64> = (0..9).map(|refused| pause(refused).as_secs()).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn a_record_that_says_so_is_written_once() {
        let was = Record { phase: Phase::Running, ..Record::first_seen(Requests::default()) };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let said = saying_so(&was, &"x".repeat(10_000), now);
        assert_eq!((said.phase, said.reason.as_str()), (Phase::Blocked, RECORD_REFUSED));
        assert!(said.message.len() < 1_000);
        let later = after(now, Duration::from_secs(60));
        assert_eq!(saying_so(&said, &"x".repeat(10_000), later), said);
    }
}
