//! The door to the deletion of rows: few rounds at a time ask the recorder for one.
//!
//! Each deletion is a transaction by itself, which takes as long as what others have hung on the row. Rounds
//! that wait for each other's there would take the places of all other games, so a round that finds the door
//! shut ends, and comes back. However many do, they come back one after the other.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::reconcile::Step;
use crate::reconcile::plan::Plan;

/// So many deletions are asked for at a time: enough to keep the recorder at it.
const AT_A_TIME: usize = 32;

/// So long after the one before comes a round back that was turned away.
const APART: Duration = Duration::from_millis(10);

/// See the [module](self).
pub(super) struct Door {
    places: Semaphore,
    /// The time at which the last of those that were turned away comes back.
    last: Mutex<Instant>,
}

impl Door {
    pub(super) fn new() -> Self {
        Self { places: Semaphore::new(AT_A_TIME), last: Mutex::new(Instant::now()) }
    }

    /// A place for a plan that deletes its game's row; none is needed for any other.
    ///
    /// # Errors
    /// There is no place now. The round comes back after so long.
    pub(super) fn place(&self, plan: &Plan) -> Result<Option<SemaphorePermit<'_>>, Duration> {
        let deletes = plan.steps.iter().any(|planned| matches!(planned.step, Step::FinishDeletion(_)));
        deletes.then(|| self.places.try_acquire().map_err(|_| self.turn(Instant::now()))).transpose()
    }

    /// The pause of the next that is turned away.
    fn turn(&self, now: Instant) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(*last) + APART;
        last.duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_turned_away_come_back_one_after_the_other() {
        let (door, now) = (Door::new(), Instant::now());
        let pauses: Vec<u128> = (0..4).map(|_| door.turn(now).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 30, 40]);
        let later = now + Duration::from_secs(1);
        assert_eq!(door.turn(later), APART, "nobody is waited for who came back");
    }
}
