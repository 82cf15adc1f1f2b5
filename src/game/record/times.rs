//! The times of a record, and which of them something counts from.
//!
//! Times on record are the wall clock's, so that people can read them, and that clock may be set. Every
//! field of what is on record is named here, and so says for itself: a time that an age, a grace, a pause or
//! a deadline counts from, or that another such time is compared with, moves with the clock; a slot of the
//! schedule follows the new time, and what only tells when something was stays as it was told.

use jiff::{SignedDuration, Timestamp};

use super::super::backup::Copying;
use super::super::patch::{Patch, PatchDelay};
use super::super::turn::{OpenTurn, TurnState};
use super::Record;

/// The time, moved by so much and kept within what can be written.
pub fn moved(at: Timestamp, step: SignedDuration) -> Timestamp {
    at.saturating_add(step).unwrap_or(at)
}

/// Times that something counts from: those that have been, and those that are to be.
#[derive(Default)]
struct Counted<'a> {
    since: Vec<&'a mut Timestamp>,
    until: Vec<&'a mut Timestamp>,
}

impl Record {
    /// Moves every time that something counts from with the wall clock, which was set by so much: what was
    /// to happen in a minute still happens in a minute, and nothing becomes older or younger.
    pub fn shift_clock(&mut self, step: SignedDuration) {
        // At a stop the cursor is no later than it: slots that pass from there on fire at no later start.
        let ends_at_the_stop =
            |record: &Self| record.slot_cursor.is_some() && record.slot_cursor <= record.stopped_at;
        let stopped = ends_at_the_stop(self);
        let Counted { since, until } = self.counted();
        for at in since.into_iter().chain(until) {
            *at = moved(*at, step);
        }
        if stopped {
            self.slot_cursor = self.slot_cursor.min(self.stopped_at);
        }
    }

    /// The record of an earlier process, at the present time of this one's clock. It cannot be from the
    /// future: where it is, the clock was set back meanwhile, by so much at least, and everything is moved
    /// along. So what had just begun begins anew, and nothing is over, or too young to be protected,
    /// because of the clock. True if that was so.
    pub fn is_not_from_the_future(&mut self, written_at: Option<Timestamp>, now: Timestamp) -> bool {
        let Some(latest) = self.counted().since.into_iter().map(|at| *at).chain(written_at).max() else {
            return false;
        };
        let ahead = latest > now;
        if ahead {
            self.shift_clock(now.duration_since(latest));
        }
        ahead
    }

    fn counted(&mut self) -> Counted<'_> {
        let Self {
            // Counted from.
            reported_at,
            turn,
            turn_wait_until,
            init_intent_at,
            started_at,
            stopped_at,
            start_began_at,
            healthy_since,
            next_attempt_at,
            deletion_seen_at,
            patch,
            patch_delay,
            copying,
            // Slots of the schedule.
            taken: _,
            deferred: _,
            slot_cursor: _,
            next_turn_at: _,
            // Told. (That they are there is what is asked for.)
            initialized_at: _,
            paused_at: _,
            finished_at: _,
            erasing_since: _,
            deleted_at: _,
            last_exit: _,
            conditions: _,
            // No times.
            phase: _,
            reason: _,
            message: _,
            observed_generation: _,
            observed_requests: _,
            observed_membership_revision: _,
            container: _,
            container_started_at: _,
            image_id: _,
            applied: _,
            endpoint: _,
            endpoints: _,
            state_path: _,
            network: _,
            engine_health: _,
            current_turn: _,
            timeline: _,
            failed_patch: _,
            put_back: _,
            players: _,
            standings: _,
            scheduled_by: _,
            init_baseline: _,
            failures: _,
            restart_count: _,
            last_log_lines: _,
            restart_from: _,
            may_be_alive: _,
            blocked_by: _,
            waiting_on: _,
            left_to_do: _,
            operation: _,
            deletion_guard: _,
            // Compared with itself alone.
            deletion_confirmed_before: _,
            unreadable: _,
        } = self;
        let mut times = Counted::default();
        let since = [
            reported_at,
            init_intent_at,
            started_at,
            stopped_at,
            start_began_at,
            healthy_since,
            deletion_seen_at,
        ];
        times.since.extend(since.into_iter().flatten());
        times.until.extend([turn_wait_until, next_attempt_at].into_iter().flatten());
        if let Some(OpenTurn { number: _, cause: _, slot: _, attempts: _, opened_at, state }) = turn {
            times.since.push(opened_at);
            match state {
                TurnState::Pending | TurnState::Failed { life: _, code: _, message: _ } => {}
                TurnState::Dispatched { life: _, at, deadline } => {
                    times.since.push(at);
                    times.until.push(deadline);
                }
            }
        }
        if let Some(Patch { from: _, backup: _, turn: _, timeline: _, committed_at, stage: _, deaths: _ }) =
            patch
        {
            times.since.extend(committed_at);
        }
        if let Some(PatchDelay { version: _, failures: _, next_attempt_at, reason: _, message: _, wish: _ }) =
            patch_delay
        {
            times.until.push(next_attempt_at);
        }
        if let Some(Copying {
            backup: _,
            reason: _,
            request: _,
            before: _,
            failures: _,
            next_attempt_at,
            problem: _,
        }) = copying
        {
            times.until.extend(next_attempt_at);
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::ContainerId;
    use crate::game::record::Life;
    use crate::game::spec::Requests;
    use crate::game::turn::TurnCause;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).expect("a time")
    }

    /// A record in which everything that something counts from is a number of seconds of its own.
    fn counted() -> Record {
        let life = Life { container: ContainerId::new("c1"), started_at: "life-1".into() };
        Record {
            init_intent_at: Some(at(-8_000)),
            started_at: Some(at(-500)),
            stopped_at: Some(at(-600)),
            healthy_since: Some(at(-490)),
            deletion_seen_at: Some(at(-20)),
            turn: Some(OpenTurn {
                number: 4,
                cause: TurnCause::Schedule,
                slot: Some(at(-40)),
                attempts: 1,
                opened_at: at(-39),
                state: TurnState::Dispatched { life, at: at(-38), deadline: at(600) },
            }),
            turn_wait_until: Some(at(9)),
            next_attempt_at: Some(at(30)),
            slot_cursor: Some(at(-40)),
            next_turn_at: Some(at(3_600)),
            paused_at: Some(at(-7)),
            ..Record::first_seen(Requests::default())
        }
    }

    /// How far each of them is from a time, in seconds.
    fn ages(mut record: Record, now: Timestamp) -> Vec<i64> {
        let Counted { since, until } = record.counted();
        since.into_iter().chain(until).map(|at| now.duration_since(*at).as_secs()).collect()
    }

    #[test]
    fn what_something_counts_from_is_as_old_as_before_however_the_clock_is_set() {
        let before = ages(counted(), at(0));
        assert_eq!(before.len(), 10);
        for step in [-100_000, -30, 30, 100_000] {
            let mut record = counted();
            record.shift_clock(SignedDuration::from_secs(step));
            assert_eq!(ages(record.clone(), at(step)), before);
            // The schedule follows the new time, and what was told stays as it was told.
            let as_it_was = counted();
            assert_eq!(
                (record.next_turn_at, record.paused_at),
                (as_it_was.next_turn_at, as_it_was.paused_at)
            );
            assert_eq!(record.turn.and_then(|turn| turn.slot), as_it_was.turn.and_then(|turn| turn.slot));
        }
        let mut at_the_end = Record { next_attempt_at: Some(Timestamp::MAX), ..counted() };
        at_the_end.shift_clock(SignedDuration::from_secs(5));
        assert_eq!(at_the_end.next_attempt_at, Some(Timestamp::MAX));
    }

    #[test]
    fn the_slots_of_a_stop_still_end_at_it_when_the_clock_was_set_back() {
        let stopped = Record {
            started_at: Some(at(-900)),
            stopped_at: Some(at(-30)),
            slot_cursor: Some(at(-40)),
            ..counted()
        };
        for step in [-3_600, 3_600] {
            let mut record = stopped.clone();
            record.shift_clock(SignedDuration::from_secs(step));
            assert!(record.slot_cursor <= record.stopped_at && record.stopped_at > record.started_at);
        }
    }

    #[test]
    fn a_record_from_the_future_begins_anew_and_nothing_in_it_is_over_or_younger() {
        let before = ages(counted(), at(0));
        // Written now, and read by a clock that was set back meanwhile: what was newest is of now.
        for back in [-40_000, -60, -21] {
            let mut record = counted();
            assert!(record.is_not_from_the_future(None, at(back)));
            let found = ages(record, at(back));
            let younger = before.iter().zip(&found).map(|(before, found)| before - found);
            assert_eq!(
                younger.collect::<Vec<_>>(),
                vec![20; before.len()],
                "all by as much as the newest had"
            );
        }
        // The time of its writing says more.
        let mut record = counted();
        assert!(record.is_not_from_the_future(Some(at(0)), at(-60)));
        assert_eq!(ages(record, at(-60)), before);
        let mut record = counted();
        assert!(!record.is_not_from_the_future(Some(at(0)), at(5)) && record == counted());
    }
}
