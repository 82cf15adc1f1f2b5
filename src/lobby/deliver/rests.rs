//! Games whose last event was sent and could not be marked: they rest, without a place, before it is sent
//! again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::game::GameId;

use super::Marked;

/// The rest after the first event that could not be marked; it doubles with each that follows.
const FIRST_REST: Duration = Duration::from_secs(5);

/// No rest is longer: as no pause between two attempts is.
const MAX_REST: Duration = crate::store::outbox::MAX_PAUSE;

/// No more games rest at a time, so that a question that leaves them out stays a small one. Those that
/// rest longest are asked about again before their time.
const MAX_RESTING: usize = 1_000;

/// Until when games rest.
#[derive(Debug, Default)]
pub(super) struct Rests(HashMap<GameId, Rest>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl Rests {
    /// Takes in how the telling of a game ended.
    pub(super) fn note(&mut self, game: GameId, marked: Marked, now: Instant) {
        let before = self.0.remove(&game);
        if marked == Marked::Yes {
            return;
        }
        if self.0.len() >= MAX_RESTING
            && let Some(first) = self.0.iter().min_by_key(|(_, rest)| rest.until).map(|(game, _)| *game)
        {
            self.0.remove(&first);
        }
        let length = before.map_or(FIRST_REST, |rest| (rest.length * 2).min(MAX_REST));
        self.0.insert(game, Rest { until: now + length, length });
    }

    /// The games that rest now. One that has rested is remembered for as long again, so that the next rest
    /// is longer.
    pub(super) fn at(&mut self, now: Instant) -> Vec<GameId> {
        self.0.retain(|_, rest| now < rest.until + rest.length);
        self.0.iter().filter(|(_, rest)| now < rest.until).map(|(game, _)| *game).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn game(number: u128) -> GameId {
        GameId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn each_rest_is_twice_as_long_up_to_the_longest_pause_until_something_is_marked() {
        let mut rests = Rests::default();
        let mut now = Instant::now();
        for length in [5, 10, 20, 40, 80, 160, 300, 300] {
            rests.note(game(1), Marked::No, now);
            let length = Duration::from_secs(length);
            assert_eq!(rests.at(now + length - Duration::from_millis(1)), [game(1)], "{length:?}");
            assert!(rests.at(now + length).is_empty(), "{length:?}");
            now += length;
        }
        rests.note(game(1), Marked::Yes, now);
        rests.note(game(1), Marked::No, now);
        assert!(rests.at(now + FIRST_REST).is_empty());
        // Nothing is left of one that has not failed for long.
        assert!(rests.at(now + 2 * FIRST_REST).is_empty() && rests.0.is_empty());
    }

    #[test]
    fn however_many_fail_a_bounded_number_rests() {
        let mut rests = Rests::default();
        let now = Instant::now();
        for number in 0..3_000 {
            rests.note(game(number), Marked::No, now + Duration::from_millis(u64::try_from(number).unwrap()));
        }
        assert_eq!(rests.at(now).len(), MAX_RESTING);
        assert!(rests.at(now).contains(&game(2_999)));
    }
}
