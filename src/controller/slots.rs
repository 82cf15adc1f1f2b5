//! Places among the concurrent starts: handed out first come, first served, and never waited for
//! inside a round.

use std::collections::{HashSet, VecDeque};

use crate::game::GameId;
use crate::game::record::Record;

/// The places that a game may hold, of every kind.
#[derive(Debug)]
pub(super) struct Places {
    /// Among the concurrent starts.
    pub(super) starts: Slots,
    /// Among the games that are disrupted at a time.
    pub(super) disruptions: Slots,
}

impl Places {
    /// Notes what a game still uses of what it holds, after a round of it. Returns who has got a place now.
    pub(super) fn uses(&mut self, game: GameId, start: bool, disruption: bool) -> Vec<GameId> {
        let Self { starts, disruptions } = self;
        let kinds = [(starts, start), (disruptions, disruption)];
        let next = |(slots, is_used): (&mut Slots, bool)| match is_used {
            true => slots.want(game).then_some(game),
            false => slots.release(game),
        };
        kinds.into_iter().filter_map(next).collect()
    }

    /// A game comes to this process as it is on record. One that is disrupted already has its place before
    /// anybody is given one, be they more than there are places. (Who waits for a person holds none.)
    pub(super) fn come(&mut self, game: GameId, record: &Record) {
        if record.is_disrupted() && record.blocked_by.is_none() {
            self.disruptions.keep(game);
        }
    }

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

    /// This game has a place, whoever else has.
    fn keep(&mut self, game: GameId) {
        self.waiting.retain(|waiting| *waiting != game);
        self.held.insert(game);
    }

    /// This game wants no place (any more). Returns who has got its place.
    pub(super) fn release(&mut self, game: GameId) -> Option<GameId> {
        if !self.held.remove(&game) {
            self.waiting.retain(|waiting| *waiting != game);
            return None;
        }
        if self.held.len() >= self.places {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.held.insert(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use crate::game::controller::{Freeze, FreezeReason};
    use crate::reconcile::plan::tests::world::World;

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

    #[test]
    fn places_beyond_their_number_are_given_to_nobody_else() {
        let game = |n| GameId(uuid::Uuid::from_u128(n));
        let mut slots = Slots::new(2);
        assert!(slots.want(game(1)) && slots.want(game(2)) && !slots.want(game(4)));
        slots.keep(game(3));
        assert_eq!((slots.release(game(1)), slots.holds(game(3))), (None, true));
        assert_eq!(slots.release(game(2)), Some(game(4)));
    }

    /// Games whose version is being changed, one after the other, and the places that they go by.
    struct Crowd {
        worlds: Vec<World>,
        places: Places,
        /// Whose round comes first: nobody promises any order.
        last_first: bool,
    }

    impl Crowd {
        fn all_want_another_version(games: usize) -> Self {
            let mut one = World::running();
            one.wants("1.4.3");
            one.works_slowly = true;
            let places = Places { starts: Slots::new(8), disruptions: Slots::new(3) };
            Self { worlds: vec![one; games], places, last_first: false }
        }

        /// One round of each, as the loop has them.
        fn round(&mut self) {
            let mut order: Vec<usize> = (0..self.worlds.len()).collect();
            if self.last_first {
                order.reverse();
            }
            for n in order {
                let (game, world) =
                    (GameId(uuid::Uuid::from_u128(u128::try_from(n).unwrap())), &mut self.worlds[n]);
                world.start_slot = self.places.starts.holds(game);
                world.disruption_place = self.places.disruptions.holds(game);
                let plan = world.round();
                self.places.uses(game, plan.uses_start_slot, plan.uses_disruption_place);
                world.now += jiff::SignedDuration::from_secs(1);
            }
            let down: Vec<usize> = (0..self.worlds.len()).filter(|n| self.is_down(*n)).collect();
            assert!(down.len() <= 3, "{down:?}");
        }

        fn is_down(&self, n: usize) -> bool {
            let world = &self.worlds[n];
            world.record.is_disrupted() || !world.is_alive()
        }

        /// Rounds until three games are between two versions.
        fn until_three_are_down(&mut self) {
            while (0..self.worlds.len()).filter(|n| self.is_down(*n)).count() < 3 {
                self.round();
            }
        }

        /// Everything that takes long comes to its end; all games are on the new version in the end.
        fn goes_on(&mut self) {
            for _ in 0..400 {
                self.round();
                self.worlds.iter_mut().for_each(World::end_work);
            }
            let left = self.worlds.iter().filter(|world| {
                world
                    .record
                    .applied
                    .as_ref()
                    .is_none_or(|applied| applied.engine_version.to_string() != "1.4.3")
            });
            assert_eq!(left.count(), 0);
        }
    }

    #[test]
    fn who_is_between_versions_keeps_its_place_while_docker_says_nothing_of_it() {
        let mut crowd = Crowd::all_want_another_version(20);
        crowd.until_three_are_down();
        let silent = (0..20).find(|n| crowd.is_down(*n)).unwrap();
        crowd.worlds[silent].docker_answers = false;
        (0..20).for_each(|_| crowd.round());
        crowd.worlds[silent].docker_answers = true;
        crowd.goes_on();
    }

    #[test]
    fn who_is_between_versions_keeps_its_place_over_a_freeze() {
        let mut crowd = Crowd::all_want_another_version(20);
        crowd.until_three_are_down();
        let by_hand = Freeze {
            reason: FreezeReason::FrozenByHand,
            message: "An operator said so.".into(),
            way_out: "Unfreeze it.".into(),
        };
        crowd.worlds.iter_mut().for_each(|world| world.freeze = Some(by_hand.clone()));
        (0..3).for_each(|_| crowd.round());
        crowd.worlds.iter_mut().for_each(|world| world.freeze = None);
        crowd.last_first = true;
        (0..3).for_each(|_| crowd.round());
        crowd.goes_on();
    }

    #[test]
    fn who_is_between_versions_has_its_place_before_anybody_else_after_a_restart() {
        let mut crowd = Crowd::all_want_another_version(53);
        crowd.until_three_are_down();
        crowd.last_first = true;
        crowd.places = Places { starts: Slots::new(8), disruptions: Slots::new(3) };
        for (n, world) in (0u128..).zip(&mut crowd.worlds) {
            world.forget_facts();
            crowd.places.come(GameId(uuid::Uuid::from_u128(n)), &world.record);
        }
        (0..10).for_each(|_| crowd.round());
        crowd.goes_on();
    }
}
