//! Places among the concurrent starts: handed out first come, first served, and never waited for
//! inside a round.

use std::collections::{HashSet, VecDeque};

use crate::game::GameId;

/// The places that a game may hold, of every kind.
#[derive(Debug)]
pub(super) struct Places {
    /// Among the concurrent starts.
    pub(super) starts: Slots,
    /// Among the games that are disrupted at a time.
    pub(super) disruptions: Slots,
}

impl Places {
    /// This game is no more, or nothing is desired of it: it holds no place of any kind. Returns who has
    /// got one for it.
    pub(super) fn release_all(&mut self, game: GameId) -> Vec<GameId> {
        // A new kind has to be named here.
        let Self { starts, disruptions } = self;
        [starts, disruptions].into_iter().filter_map(|slots| slots.release(game)).collect()
    }
}

#[derive(Debug)]
pub(super) struct Slots {
    places: usize,
    held: HashSet<GameId>,
    waiting: VecDeque<GameId>,
}

impl Slots {
    pub(super) fn new(places: usize) -> Self {
        Self { places: places.max(1), held: HashSet::new(), waiting: VecDeque::new() }
    }

    pub(super) fn holds(&self, game: GameId) -> bool {
        self.held.contains(&game)
    }

    /// This game wants a place. True if it has one now that it had not before.
    pub(super) fn want(&mut self, game: GameId) -> bool {
        if self.held.contains(&game) || self.waiting.contains(&game) {
            return false;
        }
        if self.held.len() < self.places {
            self.held.insert(game);
            return true;
        }
        self.waiting.push_back(game);
        false
    }

    /// This game wants no place (any more). Returns who has got its place.
    pub(super) fn release(&mut self, game: GameId) -> Option<GameId> {
        if !self.held.remove(&game) {
            self.waiting.retain(|waiting| *waiting != game);
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.held.insert(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_forgotten_holds_no_place_of_any_kind() {
        let game = |n| GameId(uuid::Uuid::from_u128(n));
        let mut places = Places { starts: Slots::new(1), disruptions: Slots::new(1) };
        for slots in [&mut places.starts, &mut places.disruptions] {
            assert!(slots.want(game(1)) && !slots.want(game(2)));
        }
        assert_eq!(places.release_all(game(1)), [game(2), game(2)]);
        assert!(!places.starts.holds(game(1)) && !places.disruptions.holds(game(1)));
        assert!(places.starts.holds(game(2)) && places.disruptions.holds(game(2)));
    }

    #[test]
    fn places_are_handed_on_in_the_order_of_asking() {
        let game = |n| GameId(uuid::Uuid::from_u128(n));
        let mut slots = Slots::new(1);
        assert!(slots.want(game(1)) && !slots.want(game(1)) && !slots.want(game(2)) && !slots.want(game(3)));
        assert_eq!(slots.release(game(2)), None);
        assert_eq!(slots.release(game(1)), Some(game(3)));
        assert!(slots.holds(game(3)) && !slots.holds(game(1)));
        assert_eq!(slots.release(game(3)), None);
    }
}
