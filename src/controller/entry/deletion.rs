//! The deletion of one game: since when it is to go, what the guard decided about that, and whether it is done.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Moment;
use crate::game::DeletionPolicy;
use crate::game::controller::{ControllerSpec, HeldDeletion};
use crate::game::record::{DeletionGuard, Record};
use crate::reconcile::backoff::after;
use crate::reconcile::deletions::{Fate, Limits};

use super::Entry;

impl Entry {
    /// The weight of its deletion in the guard's count.
    pub(in super::super) fn fate(&self, spec: &ControllerSpec, limits: &Limits, now: Timestamp) -> Fate {
        let Some(record) = &self.record else { return Fate::Stays { protected: false } };
        let old =
            |then: Timestamp| record.init_intent_at.is_some_and(|began| after(began, limits.window) <= then);
        match (self.is_desired(), self.is_going(), record.deletion_seen_at) {
            (true, true, Some(seen)) => Fate::Going {
                protected: old(seen),
                guard: record.deletion_guard,
                confirmed: spec.confirms(seen, record.deletion_confirmed_before),
                beginning: self.deletion_may_begin(),
            },
            (true, ..) => Fate::Stays { protected: old(now) },
            (false, _, Some(seen)) if record.deleted_at.is_some() => {
                Fate::Gone { guard: record.deletion_guard, age: now.duration_since(seen).unsigned_abs() }
            }
            // Neither row nor tombstone: it is not known any more.
            (false, ..) => Fate::Gone { guard: None, age: Duration::MAX },
        }
    }

    /// True if nothing of it has to be remembered: it is deleted, that is on record, and its deletion counts
    /// for no other any more. If it comes back, its record is read.
    pub(in super::super) fn is_over(&self, limits: &Limits, now: Timestamp) -> bool {
        let is_old = |record: &Record| {
            let age = |seen: Timestamp| now.duration_since(seen).unsigned_abs();
            record.deleted_at.is_some()
                && record.deletion_seen_at.is_none_or(|seen| age(seen) >= limits.window)
        };
        !self.in_round && !self.is_desired() && self.record.as_ref().is_none_or(is_old)
    }

    /// Its deletion, as an operator is shown it who has to say that it is meant.
    pub(in super::super) fn held_deletion(&self) -> Option<HeldDeletion> {
        let desired = self.desired.as_ref().filter(|desired| desired.deletion.is_some())?;
        let record =
            self.record.as_ref().filter(|record| record.deletion_guard == Some(DeletionGuard::Held))?;
        Some(HeldDeletion {
            game_id: desired.id,
            namespace: desired.namespace.to_string(),
            name: desired.name.to_string(),
            removes_state: desired.deletion_policy == DeletionPolicy::Delete,
            seen_at: record.deletion_seen_at?,
        })
    }

    /// Keeps what was decided about its deletion, when this was the latest confirmation of others. True
    /// if that is news, which its next round puts on record.
    pub(in super::super) fn decide_deletion(
        &mut self,
        guard: Option<DeletionGuard>,
        confirmed_before: Option<Timestamp>,
    ) -> bool {
        let Some(record) = &mut self.record else { return false };
        let before = std::mem::replace(&mut record.deletion_guard, guard);
        if before.is_none() {
            record.deletion_confirmed_before = confirmed_before.filter(|_| guard.is_some());
        }
        self.unwritten |= before != guard;
        before != guard
    }

    /// True if its tear-down may begin in the round that is under way.
    pub(in super::super) fn deletion_may_begin(&self) -> bool {
        let guard = self.record.as_ref().and_then(|record| record.deletion_guard);
        self.in_round && guard == Some(DeletionGuard::Counted)
    }

    /// Its deletion may be done and on record, though its last round was not told so.
    pub(in super::super) fn may_have_ended(&self) -> bool {
        self.end_unknown.is_some()
    }

    /// A look that began then has found how it came to its end, or that it has not. True if it has: the record
    /// is the one that is written. (What a round that is under way brings is newer.)
    pub(in super::super) fn learns_its_end(&mut self, began: Moment, ended: Option<Record>) -> bool {
        if self.in_round || self.end_unknown.is_none_or(|since| since > began) {
            return false;
        }
        self.end_unknown = None;
        let has_ended = ended.is_some();
        self.record = ended.or(self.record.take());
        has_ended
    }

    /// Its row went after this moment: whatever was read of it may be of the row that is no more.
    pub(in super::super) fn has_ended_since(&self, began: Moment) -> bool {
        self.ended_at.is_some_and(|ended| ended >= began)
    }
}
