//! The rules, one situation after the other.

use jiff::{SignedDuration, Timestamp};

use crate::game::spec::{ForceMode, MissedTurns};
use crate::reconcile::schedule::Passed;

use super::{
    Beginning, CLOCK_MAY_GO_BACK, Cause, Decision, Fate, Look, Off, Opening, ROWS, Situation, SlotFate,
    Slots, TurnSpec, reason, tolerance, words,
};

/// Rows for single slots; one more stands for those before them, and one is for the slot that a
/// forced turn takes.
const LISTED: usize = ROWS - 2;

/// A decision in the making.
pub(super) struct Judge<'a> {
    pub(super) spec: &'a TurnSpec,
    pub(super) slots: &'a Slots,
    pub(super) look: &'a Look<'a>,
    /// The cursor as far as it is believed.
    pub(super) cursor: Timestamp,
    /// What passed and is not decided.
    pub(super) passed: Passed,
    /// How late those may be.
    pub(super) tolerance: SignedDuration,
    pub(super) decision: Decision,
}

impl<'a> Judge<'a> {
    pub(super) fn new(spec: &'a TurnSpec, slots: &'a Slots, look: &'a Look<'a>) -> Self {
        let mut decision = Decision::unchanged(look);
        let cursor = match look.cursor {
            None => look.now,
            Some(cursor) if is_believed(cursor, spec, slots, look.now) => cursor,
            Some(cursor) => {
                decision.reset_from = Some(cursor);
                look.now
            }
        };
        decision.cursor = Some(cursor);
        let passed = slots.passed(cursor, look.now, LISTED);
        let tolerance = passed.last().map_or(SignedDuration::ZERO, |last| tolerance(slots, last));
        Self { spec, slots, look, cursor, passed, tolerance, decision }
    }

    pub(super) fn decide(mut self) -> Decision {
        match self.look.situation {
            // Of games that are off nothing is told, not even that their cursor is odd.
            Situation::Off(Off::NotInitialised | Off::Stopped | Off::Finished) => {
                return Decision::unchanged(self.look);
            }
            Situation::Begins(beginning) => self.begin(beginning),
            Situation::Paused => self.skip_all(reason::PAUSED, words::PAUSED),
            Situation::Ready => match self.held_back_until() {
                Some(not_before) => self.ready_but_early(not_before),
                None => self.ready(),
            },
            Situation::TurnOpen => match self.held_back_until() {
                Some(not_before) => self.defer_until(not_before),
                None => self.turn_open(),
            },
            Situation::TurnEnded => match self.held_back_until() {
                Some(not_before) => self.ready_but_early(not_before),
                None => self.turn_ended(),
            },
            Situation::Held { reason, message } => match self.held_back_until() {
                Some(not_before) => self.defer_until(not_before),
                None => self.held(reason, message),
            },
        }
        self.cursor = self.decision.cursor.unwrap_or(self.cursor);
        self.decision.next_turn = self.next_turn();
        self.decision.look_at = self.look_at();
        self.decision
    }

    fn begin(&mut self, beginning: Beginning) {
        let now = self.look.now;
        match beginning {
            Beginning::Started => self.skip_all(reason::STOPPED, words::STOPPED),
            Beginning::Resumed => self.skip_all(reason::PAUSED, words::PAUSED),
            Beginning::Initialised | Beginning::ScheduleChanged => {
                self.decision.reset_from = None;
                self.decision.cursor = Some(now);
                return;
            }
        }
        self.decision.cursor = Some(self.cursor.max(now));
    }

    fn ready(&mut self) {
        let newest = self.passed.newest.iter().rev().copied().find(|slot| !self.look.taken.contains(slot));
        let Some(newest) = newest else {
            self.settle();
            return self.force();
        };
        if self.is_late(newest) && self.spec.missed == MissedTurns::Skip {
            self.skip_all(reason::MISSED, words::MISSED_AND_SKIPPED);
            return self.force();
        }
        let forced = self.look.forced && self.spec.force_mode == ForceMode::Advance;
        let others_skipped =
            |slot| self.spec.missed == MissedTurns::Skip && self.due(slot) != self.due(newest);
        let rows = self.rows(|slot| {
            if others_skipped(slot) {
                (Fate::Skipped, reason::MISSED, words::MISSED_AND_SKIPPED.to_owned())
            } else if slot != newest {
                (Fate::Coalesced, self.why_coalesced(slot), words::coalesced(newest))
            } else if forced {
                (Fate::Consumed, reason::FORCED_TURN, words::CONSUMED.to_owned())
            } else {
                (Fate::Fired, self.why_not_then(slot), words::fired(self.look.now.duration_since(slot)))
            }
        });
        self.decision.decided.extend(rows);
        self.settle();
        if forced {
            self.decision.force(Some(newest));
        } else {
            let others = self.decision.decided.len() > 1;
            let why = words::opened(newest, self.why_not_then(newest), others);
            self.decision.open = Some(Opening { cause: Cause::Schedule { slot: newest }, why });
        }
    }

    /// No slot fires before `turn_not_before`; who forces a turn gets it.
    fn ready_but_early(&mut self, not_before: Timestamp) {
        self.force();
        match self.decision.open {
            Some(Opening { cause: Cause::Forced { takes: Some(newest) }, .. }) => {
                let stood_for =
                    self.rows(|_| (Fate::Coalesced, reason::FORCED_TURN, words::coalesced(newest)));
                // What was consumed has a row already.
                let stood_for = stood_for.into_iter().filter(|row| row.slot != newest);
                self.decision.decided.splice(0..0, stood_for);
            }
            Some(_) | None => self.defer_until(not_before),
        }
    }

    fn turn_open(&mut self) {
        // Whoever watches a turn looks at every slot. Those found late passed while nobody did: the
        // controller was away, and for how much of it the engine was busy is not known.
        let unseen = self.passed.first().is_some_and(|slot| self.is_late(slot));
        if unseen && self.spec.missed == MissedTurns::Once {
            self.decision.deferred =
                self.rows(|_| (Fate::Deferred, reason::MISSED, words::AFTER_THE_OPEN_TURN.to_owned()));
            return;
        }
        let rows = self.rows(|slot| {
            if self.is_late(slot) {
                (Fate::Skipped, reason::MISSED, words::MISSED_AND_SKIPPED.to_owned())
            } else {
                (Fate::Skipped, reason::TURN_IN_PROGRESS, words::TURN_IN_PROGRESS.to_owned())
            }
        });
        self.decision.decided = rows;
        self.settle();
    }

    fn turn_ended(&mut self) {
        self.turn_open();
        // Where slots wait for this turn's end, the next look has a turn for them, and in `advance` it is
        // the forced one.
        if self.decision.deferred.is_empty() || self.spec.force_mode == ForceMode::Extra {
            self.force();
        }
    }

    fn held(&mut self, reason: &str, message: &str) {
        let gone = |slot| self.spec.missed == MissedTurns::Skip && self.is_late(slot);
        let rows = self.rows(|slot| {
            if gone(slot) {
                (Fate::Skipped, reason, words::skipped_because(message))
            } else {
                (Fate::Deferred, reason, message.to_owned())
            }
        });
        let (decided, deferred) = rows.into_iter().partition(|row: &SlotFate| row.fate == Fate::Skipped);
        // What is late comes first, so the cursor can stand between the two.
        let settled = self.passed.newest.iter().rev().copied().find(|slot| gone(*slot));
        (self.decision.decided, self.decision.deferred) = (decided, deferred);
        self.decision.cursor = Some(settled.unwrap_or(self.cursor));
    }

    fn defer_until(&mut self, not_before: Timestamp) {
        self.decision.deferred =
            self.rows(|_| (Fate::Deferred, reason::NOT_BEFORE, words::deferred_until(not_before)));
    }

    fn skip_all(&mut self, reason: &str, message: &str) {
        self.decision.decided = self.rows(|_| (Fate::Skipped, reason, message.to_owned()));
        self.settle();
    }

    /// The forced turn, if one is asked for, when no slot is due that it could take.
    fn force(&mut self) {
        if !self.look.forced {
            return;
        }
        let cursor = self.decision.cursor.unwrap_or(self.cursor);
        let takes = match self.spec.force_mode {
            ForceMode::Extra => None,
            // A second forced turn before the next slot finds it taken, and comes on top.
            ForceMode::Advance => {
                self.next_slot(cursor).filter(|slot| *slot > cursor && !self.look.taken.contains(slot))
            }
        };
        self.decision.force(takes);
        if let Some(slot) = takes {
            self.decision.decided.push(SlotFate {
                slot,
                until: None,
                fate: Fate::Consumed,
                reason: reason::FORCED_TURN.to_owned(),
                message: words::CONSUMED.to_owned(),
            });
            self.decision.cursor = Some(slot);
        }
    }

    /// `turn_not_before`, while it is ahead.
    pub(super) fn held_back_until(&self) -> Option<Timestamp> {
        self.spec.not_before.filter(|not_before| self.look.now < *not_before)
    }

    /// When a slot may fire.
    pub(super) fn due(&self, slot: Timestamp) -> Timestamp {
        self.spec.not_before.map_or(slot, |not_before| not_before.max(slot))
    }

    fn is_late(&self, slot: Timestamp) -> bool {
        self.look.now.duration_since(self.due(slot)) > self.tolerance
    }

    /// Why a slot's turn is not one that began at the slot.
    fn why_not_then(&self, slot: Timestamp) -> &'static str {
        if self.is_late(slot) {
            reason::MISSED
        } else if self.due(slot) > slot {
            reason::NOT_BEFORE
        } else {
            reason::ON_TIME
        }
    }

    /// Why a slot has no turn of its own: it waited, or a newer one came before it was looked at.
    fn why_coalesced(&self, slot: Timestamp) -> &'static str {
        if self.due(slot) > slot && !self.is_late(slot) { reason::NOT_BEFORE } else { reason::MISSED }
    }

    /// All that passed is decided.
    fn settle(&mut self) {
        self.decision.cursor = Some(self.passed.last().unwrap_or(self.cursor));
    }

    /// A row for each slot that passed, the oldest together in one. Slots that have a turn have
    /// their rows already.
    fn rows<'w>(&self, fate: impl Fn(Timestamp) -> (Fate, &'w str, String)) -> Vec<SlotFate> {
        let row = |slot, (fate, reason, message): (Fate, &str, String)| SlotFate {
            slot,
            until: None,
            fate,
            reason: reason.to_owned(),
            message,
        };
        let earlier = self.passed.earlier.map(|earlier| {
            let (fate, reason, message) = fate(earlier.last);
            let message = words::for_several(&message, &earlier);
            SlotFate { until: Some(earlier.last), ..row(earlier.first, (fate, reason, message)) }
        });
        let newest = self.passed.newest.iter().filter(|slot| !self.look.taken.contains(slot));
        earlier.into_iter().chain(newest.map(|slot| row(*slot, fate(*slot)))).collect()
    }
}

/// Whether a cursor can be right: it is not far ahead, or it was moved to the next slot by a forced
/// turn. That was the next slot as the clock was then, which may have gone back since.
fn is_believed(cursor: Timestamp, spec: &TurnSpec, slots: &Slots, now: Timestamp) -> bool {
    let plausible = now.checked_add(CLOCK_MAY_GO_BACK).unwrap_or(Timestamp::MAX);
    let was_next = || {
        let last_held_back = spec.not_before.and_then(|not_before| slots.last_until(not_before));
        let before = cursor.checked_sub(SignedDuration::from_secs(1)).ok();
        let before = before.and_then(|before| slots.last_until(before));
        last_held_back == Some(cursor)
            || slots.last_until(cursor) == Some(cursor) && before.is_none_or(|before| before <= plausible)
    };
    cursor <= plausible || was_next()
}
