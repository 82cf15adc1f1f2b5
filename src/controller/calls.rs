//! Places for calls to Docker that a round waits for: each kind of call has its own.
//!
//! # Guarantees
//! - Calls that hang hold no more than the places of their kind, and no round waits for a place for longer than
//!   [`PLACE_WAITS`]: it ends without its step, and the game comes again after a pause. So all the calls that hang,
//!   of however many games, leave most rounds to games that ask Docker nothing of the kind.
//! - A game whose last call came to nothing takes one of a quarter of the places of a kind, so once it is known who
//!   hangs, the others find a place.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::reconcile::Step;

/// The longest that a round waits for a place.
pub(super) const PLACE_WAITS: Duration = Duration::from_secs(1);

/// Of the places of a kind, one in so many may be held by games about which Docker was late.
pub(super) const LATE_PART: usize = 4;

/// The places of every kind.
pub(super) struct Calls {
    images: Kind,
    networks: Kind,
    rivals: Kind,
    removals: Kind,
}

/// A place, until the call has come to its end.
pub(super) struct Place<'p> {
    _place: SemaphorePermit<'p>,
    _late: Option<SemaphorePermit<'p>>,
}

/// The places of one kind.
struct Kind {
    all: Semaphore,
    late: Semaphore,
}

impl Kind {
    fn new(places: usize) -> Self {
        let places = places.max(1);
        Self { all: Semaphore::new(places), late: Semaphore::new((places / LATE_PART).max(1)) }
    }

    async fn place(&self, is_late: bool) -> Option<Place<'_>> {
        let late = match is_late {
            true => Some(self.late.acquire().await.ok()?),
            false => None,
        };
        Some(Place { _place: self.all.acquire().await.ok()?, _late: late })
    }
}

/// No place was free in time, or the controller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

impl Calls {
    /// So many looks of a kind, and so many removals, at a time.
    pub(super) fn new(looks: usize, removals: usize) -> Self {
        Self {
            images: Kind::new(looks),
            networks: Kind::new(looks),
            rivals: Kind::new(looks),
            removals: Kind::new(removals),
        }
    }

    /// A place for a step; none if it needs none. `is_late`: the game's last call came to nothing.
    pub(super) async fn place(&self, step: &Step, is_late: bool) -> Result<Option<Place<'_>>, Crowded> {
        let Some(kind) = self.of(step) else { return Ok(None) };
        match tokio::time::timeout(PLACE_WAITS, kind.place(is_late)).await {
            Ok(Some(place)) => Ok(Some(place)),
            Ok(None) | Err(_) => Err(Crowded),
        }
    }

    /// Nobody gets a place any more.
    pub(super) fn close(&self) {
        for kind in [&self.images, &self.networks, &self.rivals, &self.removals] {
            kind.all.close();
            kind.late.close();
        }
    }

    fn of(&self, step: &Step) -> Option<&Kind> {
        match step {
            Step::LookAtImage(_) | Step::LookAtNextImage(_) | Step::LookAtImageUsers { .. } => {
                Some(&self.images)
            }
            Step::LookAtNetwork => Some(&self.networks),
            Step::LookForRival { .. } => Some(&self.rivals),
            Step::RemoveContainer(_) => Some(&self.removals),
            // The disk is asked, which has threads of its own.
            Step::LookAtBackup(_)
            | Step::LookAtRoom
            | Step::LookAtStateDirectory
            | Step::LookAtContents
            | Step::LookAtCopies
            | Step::CreateStateDirectory(_)
            // The places of concurrent starts bound them.
            | Step::CreateNetwork
            | Step::CreateContainer { .. }
            | Step::StartContainer(_)
            // They go on in the background.
            | Step::PullImage(_)
            | Step::StopContainer { .. }
            | Step::ProbeEngine { .. }
            | Step::InitialiseEngine { .. }
            | Step::GenerateTurn { .. }
            | Step::BackUp(_)
            | Step::FetchBackup { .. }
            | Step::PutBack { .. }
            | Step::RemoveCopies(_)
            | Step::RemoveStateDirectory(_)
            | Step::FinishDeletion(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_that_hang_hold_places_of_their_kind_and_those_that_are_known_to_a_quarter() {
        let calls = Calls::new(4, 1);
        let look = Step::LookAtNetwork;
        let hangs = calls.place(&look, true).await.expect("a place");
        assert!(calls.place(&look, true).await.is_err(), "one of four is theirs");
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(calls.place(&look, false).await.expect("a place"));
        }
        let began = tokio::time::Instant::now();
        assert!(calls.place(&look, false).await.is_err());
        assert!(began.elapsed() >= PLACE_WAITS);
        // Another kind knows nothing of that, and what asks no Docker needs no place.
        let other = Step::LookForRival { own: None, doubted: None };
        assert!(calls.place(&other, false).await.is_ok_and(|place| place.is_some()));
        assert!(calls.place(&Step::LookAtRoom, true).await.is_ok_and(|place| place.is_none()));
        drop((hangs, others));
        assert!(calls.place(&look, true).await.is_ok());
        calls.close();
        assert!(calls.place(&look, false).await.is_err());
    }
}
