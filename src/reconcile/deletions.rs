//! So many deletions at once that they are more likely a mistake: they wait for an operator's word.

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::after;
use crate::game::controller::ControllerSpec;

/// Deletions asked for within this time belong together.
pub const WINDOW: Duration = Duration::from_secs(600);

/// Fewer are never held.
pub const FEWEST: usize = 5;

/// What is known about the deletion of one game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is not to be deleted.
    Stays,
    /// It is to be deleted, which was first seen then.
    Going(Timestamp),
    /// It is deleted, which was first seen then.
    Gone(Timestamp),
}

/// How many deletions were asked for, of how many games.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Deletions asked for within the window and not confirmed, those that are done included.
    pub asked: usize,
    /// The games known within the window.
    pub known: usize,
}

impl Count {
    /// Counts all games. Deletions that an operator has confirmed count as none; those that are not
    /// done count however old they are, so that what is held stays held.
    pub fn of(fates: impl Iterator<Item = Fate>, spec: &ControllerSpec, now: Timestamp) -> Self {
        let meant = |seen: Timestamp| spec.confirms(seen, now);
        let mut count = Self::default();
        for fate in fates {
            match fate {
                Fate::Stays => count.known += 1,
                Fate::Going(seen) => {
                    count.known += 1;
                    count.asked += usize::from(!meant(seen));
                }
                Fate::Gone(seen) if now < after(seen, WINDOW) && !meant(seen) => {
                    count.known += 1;
                    count.asked += 1;
                }
                Fate::Gone(_) => {}
            }
        }
        count
    }

    /// Whether they are too many: more than half of the games, and not just a few.
    pub fn too_many(self) -> bool {
        self.asked >= FEWEST && self.asked * 2 > self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn count(stay: usize, going: usize, gone: usize, confirmed: Option<i64>, now: i64) -> Count {
        let fates = std::iter::repeat_n(Fate::Stays, stay)
            .chain(std::iter::repeat_n(Fate::Going(at(100)), going))
            .chain(std::iter::repeat_n(Fate::Gone(at(100)), gone));
        let spec = ControllerSpec { deletions_confirmed_at: confirmed.map(at), ..ControllerSpec::default() };
        Count::of(fates, &spec, at(now))
    }

    #[test]
    fn more_than_half_and_at_least_five_are_too_many() {
        assert!(!count(8, 7, 0, None, 100).too_many());
        assert!(count(7, 8, 0, None, 100).too_many());
        assert!(!count(0, 4, 0, None, 100).too_many());
        assert!(count(0, 5, 0, None, 100).too_many());
    }

    #[test]
    fn one_after_the_other_counts_like_all_at_once() {
        assert!(count(7, 1, 7, None, 650).too_many());
        // Ten minutes later they no longer belong together.
        assert!(!count(7, 1, 7, None, 700).too_many());
    }

    #[test]
    fn what_is_held_stays_held_until_it_is_confirmed() {
        assert!(count(5, 10, 0, None, 1_000_000).too_many());
        assert!(!count(5, 10, 0, Some(100), 1_000_000).too_many());
        assert!(count(5, 10, 0, Some(99), 1_000_000).too_many());
        // A word from the future was given by a wrong clock.
        assert!(count(5, 10, 0, Some(2_000_000), 1_000_000).too_many());
    }
}
