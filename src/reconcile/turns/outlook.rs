//! What comes next: the next slot, the next turn, the next look.

use jiff::{SignedDuration, Timestamp};

use crate::game::spec::MissedTurns;

use super::Situation;
use super::judge::Judge;

/// When a tolerance is over.
const JUST_PAST: SignedDuration = SignedDuration::from_secs(1);

impl Judge<'_> {
    /// The slot that fires next, were none decided after now. While `turn_not_before` holds slots
    /// back it is the last of them, which stands for all.
    pub(super) fn next_slot(&self, cursor: Timestamp) -> Option<Timestamp> {
        let now = self.look.now;
        let last_held_back = self.held_back_until().and_then(|not_before| self.slots.last_until(not_before));
        last_held_back.filter(|last| *last > now || *last > cursor).or_else(|| self.slots.next_after(now))
    }

    /// When the next turn is due by the schedule.
    pub(super) fn next_turn(&self) -> Option<Timestamp> {
        let held_back_until = self.held_back_until();
        let mut after = match (self.look.situation, held_back_until) {
            (Situation::Paused, _) => return None,
            (_, Some(_)) => self.cursor,
            (_, None) => self.cursor.max(self.look.now),
        };
        for _ in 0..=self.look.taken.len() {
            let slot = self.slots.next_after(after)?;
            if !self.look.taken.contains(&slot) {
                return Some(held_back_until.map_or(slot, |not_before| not_before.max(slot)));
            }
            after = slot;
        }
        None
    }

    /// When to look again if nothing happens before.
    pub(super) fn look_at(&self) -> Option<Timestamp> {
        let now = self.look.now;
        let next = self.slots.next_after(self.cursor.max(now));
        let Some(waiting) = self.decision.deferred.first() else {
            return match self.look.situation {
                Situation::Off(_) => None,
                // Whatever begins, the next look finds another situation.
                Situation::Begins(_) => Some(now),
                Situation::Ready
                | Situation::TurnOpen
                | Situation::TurnEnded
                | Situation::Held { .. }
                | Situation::Paused => next,
            };
        };
        if let Some(not_before) = self.held_back_until() {
            return Some(not_before);
        }
        match self.spec.missed {
            // What ends the wait brings a look with it; more slots that wait change nothing.
            MissedTurns::Once => None,
            MissedTurns::Skip => {
                let late = self.due(waiting.slot).checked_add(self.tolerance + JUST_PAST).ok();
                late.into_iter().chain(next).min()
            }
        }
    }
}
