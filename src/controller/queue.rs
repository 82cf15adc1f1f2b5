//! Which game is to be looked at when: deduplicated by game, the earliest due time wins.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::game::GameId;

/// Games and when each is due. No I/O; the clock is handed in.
#[derive(Debug, Default)]
pub(super) struct Queue {
    due: HashMap<GameId, Instant>,
    order: BTreeSet<(Instant, GameId)>,
}

impl Queue {
    /// Makes sure that this game is looked at no later than then.
    pub(super) fn at(&mut self, game: GameId, when: Instant) {
        match self.due.get(&game) {
            Some(known) if *known <= when => return,
            Some(known) => {
                self.order.remove(&(*known, game));
            }
            None => {}
        }
        self.due.insert(game, when);
        self.order.insert((when, game));
    }

    /// Forgets a game.
    pub(super) fn forget(&mut self, game: GameId) {
        if let Some(known) = self.due.remove(&game) {
            self.order.remove(&(known, game));
        }
    }

    /// Takes the next game that is due by now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<GameId> {
        let (when, game) = *self.order.first()?;
        if when > now {
            return None;
        }
        self.order.pop_first();
        self.due.remove(&game);
        Some(game)
    }

    /// When the next game is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(when, _)| *when)
    }

    /// How many games wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn game(n: u128) -> GameId {
        GameId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_game_is_there_once_at_its_earliest_time() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut queue = Queue::default();
        queue.at(game(1), later);
        queue.at(game(1), now);
        queue.at(game(1), later);
        queue.at(game(2), later);
        assert_eq!((queue.len(), queue.next_due()), (2, Some(now)));
        assert_eq!((queue.pop(now), queue.pop(now)), (Some(game(1)), None));
        assert_eq!(queue.pop(later), Some(game(2)));
        queue.at(game(3), now);
        queue.forget(game(3));
        assert_eq!((queue.pop(later), queue.next_due()), (None, None));
    }
}
