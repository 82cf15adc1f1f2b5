//! What holds over whatever life a game has had, against slots found by trying every minute.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Beginning, Cause, DOWN, Decision, Fate, Game, Situation};
use crate::game::spec::{ForceMode, MissedTurns};
use crate::reconcile::schedule::tests::reference::{Expression, expression, zone_and_instant};
use crate::reconcile::schedule::tests::turns;
use crate::reconcile::turns::{CLOCK_MAY_GO_BACK, Off, ROWS};

/// What happens before a look.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Time passes.
    Later(SignedDuration),
    /// As much as the last decision asked for.
    AsAsked,
    /// The clock goes back, less than is suspicious.
    Back(SignedDuration),
    /// The clock had been far ahead: the cursor is.
    CursorAhead(SignedDuration),
    Force,
}

fn event() -> impl Strategy<Value = Event> {
    let seconds = SignedDuration::from_secs;
    prop_oneof![
        4 => Just(Event::AsAsked),
        4 => (0..90_i64).prop_map(move |s| Event::Later(seconds(s))),
        3 => (0..9_000_i64).prop_map(move |s| Event::Later(seconds(s))),
        1 => (0..100_000_i64).prop_map(move |s| Event::Later(seconds(s))),
        1 => (0..7_200_i64).prop_map(move |s| Event::Back(seconds(s))),
        1 => (90_000_000..400_000_000_i64).prop_map(move |s| Event::CursorAhead(seconds(s))),
        2 => Just(Event::Force),
    ]
}

fn situation() -> impl Strategy<Value = Situation<'static>> {
    prop_oneof![
        8 => Just(Situation::Ready),
        3 => Just(Situation::TurnOpen),
        3 => Just(Situation::TurnEnded),
        2 => Just(DOWN),
        1 => Just(Situation::Paused),
        1 => Just(Situation::Off(Off::Stopped)),
        1 => Just(Situation::Begins(Beginning::Started)),
        1 => Just(Situation::Begins(Beginning::Resumed)),
        1 => Just(Situation::Begins(Beginning::ScheduleChanged)),
    ]
}

prop_compose! {
    fn game()(
        expression in expression(false),
        (zone, start) in zone_and_instant(),
        skip in any::<bool>(),
        extra in any::<bool>(),
        not_before in proptest::option::weighted(0.3, 0..200_000_i64),
    ) -> (Expression, Game) {
        let mut spec = turns(&expression.text(), zone);
        spec.missed = if skip { MissedTurns::Skip } else { MissedTurns::Once };
        spec.force_mode = if extra { ForceMode::Extra } else { ForceMode::Advance };
        spec.not_before = not_before.map(|seconds| start + SignedDuration::from_secs(seconds));
        (expression, Game { spec, now: start, cursor: Some(start), forced: false, taken: Vec::new() })
    }
}

/// The slots that exist, and what has become of them.
struct Truth {
    slots: BTreeSet<Timestamp>,
    known_from: Timestamp,
    known_until: Timestamp,
    told: BTreeSet<Timestamp>,
    turns: BTreeSet<Timestamp>,
    /// The clock or the schedule changed in a way that lets rows be told again.
    again: bool,
}

impl Truth {
    fn new(expression: &Expression, game: &Game) -> Self {
        let known_from = game.now - SignedDuration::from_hours(4);
        let known_until = game.now + SignedDuration::from_hours(24 * 3);
        let slots = expression.slots(&game.spec.time_zone, known_from, known_until);
        Self { slots, known_from, known_until, told: BTreeSet::new(), turns: BTreeSet::new(), again: false }
    }

    fn has(&self, slot: Timestamp) -> bool {
        slot > self.known_until || self.slots.contains(&slot)
    }

    fn check(
        &mut self,
        game: &Game,
        situation: Situation<'_>,
        decision: &Decision,
    ) -> Result<(), TestCaseError> {
        let now = game.now;
        prop_assert!(decision.decided.len() <= ROWS && decision.deferred.len() <= ROWS);
        for row in decision.decided.iter().chain(&decision.deferred) {
            prop_assert!(self.has(row.slot), "invented: {row:?}");
            prop_assert!(row.slot <= now || row.fate == Fate::Consumed, "not yet: {row:?}");
            prop_assert!(!row.reason.is_empty() && row.message.ends_with('.'), "{row:?}");
        }
        for pair in decision.decided.windows(2) {
            prop_assert!(pair[0].slot < pair[1].slot, "{pair:?}");
        }
        for row in &decision.decided {
            prop_assert!(row.fate != Fate::Deferred);
            prop_assert!(self.told.insert(row.slot) || self.again, "told twice: {row:?}");
        }

        if let Some(open) = &decision.open {
            let after_a_turn =
                situation == Situation::TurnEnded && matches!(open.cause, Cause::Forced { .. });
            prop_assert!(situation == Situation::Ready || after_a_turn, "{situation:?}: {open:?}");
            if let Some(slot) = open.cause.slot() {
                prop_assert!(self.has(slot), "invented: {open:?}");
                prop_assert!(self.turns.insert(slot), "a second turn: {open:?}");
            }
            match open.cause {
                Cause::Schedule { slot } => {
                    prop_assert!(
                        slot <= now && game.spec.not_before.is_none_or(|not_before| not_before <= now)
                    );
                    let fired: Vec<_> =
                        decision.decided.iter().filter(|row| row.fate == Fate::Fired).collect();
                    prop_assert!(fired.len() == 1 && fired[0].slot == slot);
                }
                Cause::Forced { takes } => {
                    prop_assert!(game.forced);
                    prop_assert!(takes.is_none() || game.spec.force_mode == ForceMode::Advance);
                    prop_assert!(decision.decided.iter().all(|row| row.fate != Fate::Fired));
                }
            }
        }
        self.check_cursor(game, situation, decision)
    }

    /// The cursor goes forward, and whatever it passes is told.
    fn check_cursor(
        &self,
        game: &Game,
        situation: Situation<'_>,
        decision: &Decision,
    ) -> Result<(), TestCaseError> {
        let (old, new) = (game.cursor.unwrap(), decision.cursor.unwrap());
        if situation == Situation::Begins(Beginning::ScheduleChanged) {
            prop_assert_eq!(new, game.now);
            return Ok(());
        }
        if let Some(from) = decision.reset_from {
            prop_assert_eq!(from, old);
            prop_assert!(old > game.now + CLOCK_MAY_GO_BACK);
            prop_assert!(new == game.now || decision.open.is_some());
            return Ok(());
        }
        prop_assert!(new >= old, "{old} to {new}");
        if old >= game.now || new > self.known_until {
            return Ok(());
        }
        // What waits behind what is decided has a row too; what has a turn already has none here.
        let rows: BTreeSet<_> =
            decision.decided.iter().chain(&decision.deferred).map(|row| row.slot).collect();
        let until = rows.last().copied().unwrap_or(new).max(new).min(game.now);
        let passed: Vec<_> =
            self.slots.range((std::ops::Bound::Excluded(old), std::ops::Bound::Included(until))).collect();
        // Where many passed at once, the first row stands for several.
        let all = || decision.decided.iter().chain(&decision.deferred);
        let told =
            |slot: Timestamp| all().any(|row| row.slot <= slot && slot <= row.until.unwrap_or(row.slot));
        let mut untold = passed.iter().filter(|slot| !told(***slot) && !game.taken.contains(**slot));
        prop_assert_eq!(untold.next(), None);
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_slot_twice_none_invented_none_forgotten(
        (expression, mut game) in game(),
        events in proptest::collection::vec((event(), situation()), 1..25),
    ) {
        let mut truth = Truth::new(&expression, &game);
        let mut asked = None;
        for (event, situation) in events {
            match event {
                Event::Later(time) => game.now += time,
                Event::AsAsked => game.now = asked.unwrap_or(game.now).max(game.now),
                Event::Back(time) => game.now -= time,
                Event::CursorAhead(time) => {
                    game.cursor = Some(game.now + time);
                    truth.again = true;
                }
                Event::Force => game.forced = true,
            }
            if game.now < truth.known_from || game.now >= truth.known_until {
                break;
            }
            let decision = game.decide(situation);
            prop_assert_eq!(&decision, &game.decide(situation), "deciding is a function");
            truth.again |= situation == Situation::Begins(Beginning::ScheduleChanged);
            truth.check(&game, situation, &decision)?;

            game.look(situation);
            asked = decision.look_at;
            if let Some(at) = asked {
                prop_assert!(at > game.now || matches!(situation, Situation::Begins(_)), "a busy loop: {at}");
            }

            // Written down, it is done: whether the turn is still open or was done at once.
            if situation == Situation::Ready && !game.forced {
                for situation in [Situation::TurnOpen, Situation::Ready] {
                    let next = game.decide(situation);
                    prop_assert!(next.open.is_none(), "{next:?}");
                    prop_assert!(next.decided.is_empty() && next.cursor == game.cursor, "{next:?}");
                }
            }
        }
    }

    #[test]
    fn a_recovery_brings_one_turn_at_most(
        (expression, mut game) in game(),
        away in 0..250_000_i64,
        watched in any::<bool>(),
    ) {
        let truth = Truth::new(&expression, &game);
        let start = game.now;
        if watched {
            game.later(away / 2).look(DOWN);
        }
        let recovered = game.later(away - if watched { away / 2 } else { 0 }).look(Situation::Ready);
        let passed = truth.slots.range((std::ops::Bound::Excluded(start), std::ops::Bound::Included(game.now)));
        let held_back = game.spec.not_before.is_some_and(|not_before| game.now < not_before);
        let some = passed.count() > 0;
        match game.spec.missed {
            MissedTurns::Once => prop_assert_eq!(recovered.open.is_some(), some && !held_back),
            MissedTurns::Skip => prop_assert!(recovered.open.is_none() || some && !held_back),
        }
        prop_assert!(game.decide(Situation::Ready).open.is_none());
    }

    /// A controller that looks when it was asked to has every slot fire, on time.
    #[test]
    fn who_looks_when_asked_misses_nothing((expression, mut game) in game(), late in 0..4_000_i64) {
        game.spec.not_before = None;
        let truth = Truth::new(&expression, &game);
        let start = game.now;
        let mut fired = BTreeSet::new();
        for _ in 0..20 {
            let next = game.look(Situation::Ready).look_at.unwrap();
            game.now = next + SignedDuration::from_millis(late);
            if game.now > truth.known_until {
                break;
            }
            let decision = game.decide(Situation::Ready);
            prop_assert_eq!(decision.open.map(|open| open.cause), Some(Cause::Schedule { slot: next }));
            prop_assert_eq!(decision.decided.len(), 1);
            prop_assert_eq!(&decision.decided[0].reason, "OnTime");
            fired.insert(next);
        }
        let due = truth.slots.into_iter().filter(|slot| *slot > start);
        prop_assert!(due.take(fired.len()).eq(fired));
    }
}
