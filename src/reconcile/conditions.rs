//! The truths that a plan states about its game, gathered and then written as conditions.

use jiff::Timestamp;

use crate::game::status::set_condition;
use crate::game::{Condition, ConditionStatus, ConditionType};

/// The longest message of a condition, in bytes: what engines say may be of any length.
const LONGEST_MESSAGE: usize = 1_024;

/// The beginning of a text, cut at a character's border.
pub fn shortened(text: &str, longest: usize) -> String {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

/// What a plan found out about the conditions; what it did not touch stays as it was.
#[derive(Debug, Default)]
pub struct Truths(Vec<(ConditionType, ConditionStatus, String, String)>);

impl Truths {
    /// States one; a later statement about the same condition wins.
    pub fn state(
        &mut self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.0.retain(|(known, ..)| *known != kind);
        self.0.push((kind, status, reason.to_owned(), shortened(&message.into(), LONGEST_MESSAGE)));
    }

    /// How it was stated, if it was.
    pub fn stated(&self, kind: ConditionType) -> Option<ConditionStatus> {
        self.0.iter().find(|(known, ..)| *known == kind).map(|(_, status, ..)| *status)
    }

    /// It holds.
    pub fn holds(&mut self, kind: ConditionType, reason: &str, message: impl Into<String>) {
        self.state(kind, ConditionStatus::True, reason, message);
    }

    /// It does not.
    pub fn fails(&mut self, kind: ConditionType, reason: &str, message: impl Into<String>) {
        self.state(kind, ConditionStatus::False, reason, message);
    }

    /// Nobody can tell.
    pub fn unknown(&mut self, kind: ConditionType, reason: &str, message: impl Into<String>) {
        self.state(kind, ConditionStatus::Unknown, reason, message);
    }

    /// Writes them down, all as of this generation.
    pub fn write(self, conditions: &mut Vec<Condition>, generation: i64, now: Timestamp) {
        for condition in conditions.iter_mut() {
            condition.observed_generation = generation;
        }
        for (kind, status, reason, message) in self.0 {
            set_condition(
                conditions,
                Condition {
                    kind,
                    status,
                    reason,
                    message,
                    last_transition_time: now,
                    observed_generation: generation,
                },
            );
        }
    }
}
