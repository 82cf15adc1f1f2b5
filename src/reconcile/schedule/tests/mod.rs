use jiff::Timestamp;

use crate::game::spec::{ForceMode, MissedTurns, TurnSpec};
use crate::reconcile::schedule::Slots;

mod examples;
mod properties;
pub(in crate::reconcile) mod reference;

/// A spec with this schedule; an empty one means by hand.
pub(in crate::reconcile) fn turns(schedule: &str, zone: &str) -> TurnSpec {
    TurnSpec {
        schedule: (!schedule.is_empty()).then(|| schedule.to_owned()),
        time_zone: zone.to_owned(),
        missed: MissedTurns::Once,
        not_before: None,
        force_mode: ForceMode::Advance,
    }
}

pub(in crate::reconcile) fn slots(schedule: &str, zone: &str) -> Slots {
    Slots::of(&turns(schedule, zone)).unwrap().unwrap()
}

pub(in crate::reconcile) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
