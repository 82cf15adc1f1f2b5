//! Promises of room: numbers alone. Their lock is held to add them up and to note them, and never
//! while anybody looks at a disk.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::survey::Room;
use super::{Needs, Purpose};
use crate::game::{BackupId, GameId, RestoreId};
use crate::runtime::CopiesUnderWay;

/// So long a look that found room counts, at least: longer than its answer is believed.
const LOOK_COUNTS: Duration = Duration::from_secs(10);
/// So long others wait for the survey of a promise that came without its numbers, from its coming on.
const SURVEY_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// All promises of room.
#[derive(Debug, Default)]
pub(in super::super::super) struct Promises {
    noted: Mutex<Noted>,
    /// A survey told the numbers of one of them.
    surveyed: Condvar,
}

#[derive(Debug, Default)]
struct Noted {
    of: HashMap<GameId, Promise>,
    /// Copies that are being made, by their numbers.
    made: HashMap<u64, Making>,
    /// The number of the last one.
    last: u64,
    /// Moves with everything that is noted: what was added up before is not true any more.
    at: Version,
}

/// As of which note something was added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Version(u64);

#[derive(Debug)]
struct Promise {
    /// The time at which it was noted.
    since: Instant,
    /// The room that is still needed; none until the survey says so.
    needs: Option<Needs>,
    /// The copies on record; none: somebody looked, and nothing is on record yet.
    copies: Option<CopiesUnderWay>,
    /// Moves with each copy that has come to lie on the disk.
    stage: u32,
}

/// A copy that is being made. Until it is whole it counts as if nothing of it were written yet.
#[derive(Debug)]
struct Making {
    game: GameId,
    needs: Needs,
    /// The name under which it is to be put back; none: it is one that is kept.
    restore: Option<RestoreId>,
}

/// The room of a copy that is being made, until this goes.
#[derive(Debug)]
pub(in super::super) struct Taken<'a> {
    promises: &'a Promises,
    number: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut noted = self.promises.noted();
        noted.made.remove(&self.number);
        noted.at.0 += 1;
    }
}

impl Noted {
    /// The promises to others that come before this.
    fn promised(&self, game: GameId, purpose: Purpose) -> impl Iterator<Item = &Promise> {
        let others = self.of.iter().filter(move |(of, promise)| **of != game && promise.precedes(purpose));
        others.map(|(_, promise)| promise)
    }

    /// The copies that others make, of which nothing is among the promises that come before this.
    fn made(&self, game: GameId, purpose: Purpose) -> impl Iterator<Item = &Making> {
        let is_promised = move |making: &Making| {
            let promise = self.of.get(&making.game).filter(|promise| promise.precedes(purpose));
            let restore = promise.and_then(|promise| promise.copies.as_ref()?.restore.as_ref());
            restore.is_some() && restore == making.restore.as_ref()
        };
        self.made.values().filter(move |making| making.game != game && !is_promised(making))
    }
}

impl Promise {
    fn counts(&self) -> bool {
        self.copies.is_some() || self.since.elapsed() < LOOK_COUNTS
    }

    /// True if it stands in the way of what looks for room.
    fn precedes(&self, purpose: Purpose) -> bool {
        let waits_for_person = self.copies.as_ref().is_some_and(|copies| copies.waits_for_person);
        self.counts() && !(waits_for_person && purpose == Purpose::Turn)
    }

    fn is_waited_for(&self) -> bool {
        self.needs.is_none() && self.since.elapsed() < SURVEY_PATIENCE
    }
}

impl Promises {
    /// Copies of this game are under way from now on; none: no more. True if a survey has to say how much
    /// they need.
    pub(super) fn keep(&self, game: GameId, copies: Option<CopiesUnderWay>) -> bool {
        let mut noted = self.noted();
        let before = noted.of.get_mut(&game);
        let Some(copies) = copies else {
            // (What was only looked for may be about to be on record.)
            if before.is_some_and(|promise| promise.copies.is_some()) {
                noted.of.remove(&game);
                noted.at.0 += 1;
            }
            return false;
        };
        let is_same = |before: &Promise| before.copies.as_ref().is_none_or(|of| of.backup == copies.backup);
        if let Some(before) = before.filter(|before| is_same(before)) {
            if before.copies.as_ref() != Some(&copies) {
                before.copies = Some(copies);
                noted.at.0 += 1;
            }
            return false;
        }
        let promise = Promise { since: Instant::now(), needs: None, copies: Some(copies), stage: 0 };
        noted.of.insert(game, promise);
        noted.at.0 += 1;
        true
    }

    /// The copies under way of a game about which nobody knows how much it needs, and their stage.
    pub(super) fn unknown(&self, game: GameId) -> Option<(CopiesUnderWay, u32)> {
        let noted = self.noted();
        let promise = noted.of.get(&game).filter(|promise| promise.needs.is_none())?;
        Some((promise.copies.clone()?, promise.stage))
    }

    /// A survey that began at this stage found out how much it needs. False if it went on meanwhile.
    pub(super) fn surveyed(&self, game: GameId, stage: u32, needs: Needs) -> bool {
        let mut noted = self.noted();
        let Some(promise) = noted.of.get_mut(&game).filter(|promise| promise.needs.is_none()) else {
            return true;
        };
        if promise.stage != stage {
            return false;
        }
        promise.needs = Some(needs);
        noted.at.0 += 1;
        drop(noted);
        self.surveyed.notify_all();
        true
    }

    /// The needs of others that come before this, or are at it, and as of which note. Those who need nothing are not
    /// among them.
    pub(in super::super) fn others(&self, game: GameId, purpose: Purpose) -> (Vec<Needs>, Version) {
        let mut noted = self.noted();
        noted.of.retain(|_, promise| promise.counts());
        let is_unknown = |noted: &Noted| noted.promised(game, purpose).any(Promise::is_waited_for);
        while is_unknown(&noted) {
            let waited = self.surveyed.wait_timeout(noted, SURVEY_PATIENCE / 10);
            noted = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let promised = noted.promised(game, purpose).filter_map(|promise| promise.needs);
        let made = noted.made(game, purpose).map(|making| making.needs);
        (promised.chain(made).filter(|it| *it != Needs::default()).collect(), noted.at)
    }

    /// Notes that a copy is made of what was found to be there. None if anything was noted since: it has to
    /// be added up anew.
    pub(in super::super) fn take(
        &self,
        game: GameId,
        needs: Needs,
        restore: Option<&RestoreId>,
        at: Version,
    ) -> Option<Taken<'_>> {
        let mut noted = self.noted();
        if noted.at != at {
            return None;
        }
        noted.at.0 += 1;
        noted.last += 1;
        let number = noted.last;
        noted.made.insert(number, Making { game, needs, restore: restore.cloned() });
        drop(noted);
        Some(Taken { promises: self, number })
    }

    /// Notes what was found to be there. False if anything was noted since: it has to be added up anew.
    pub(in super::super) fn claim(&self, game: GameId, needs: Needs, at: Version) -> bool {
        let mut noted = self.noted();
        if noted.at != at {
            return false;
        }
        let promise = noted.of.entry(game).or_insert_with(|| Promise {
            since: Instant::now(),
            needs: None,
            copies: None,
            stage: 0,
        });
        (promise.since, promise.needs) = (Instant::now(), Some(needs));
        noted.at.0 += 1;
        true
    }

    /// A copy of the state lies on the disk: its room is taken.
    pub(in super::super) fn is_copied(&self, game: GameId, backup: &BackupId) {
        self.goes_on(game, |copies| copies.backup == *backup, |needs| needs.backups = Room::default());
    }

    /// A copy lies beside the state, to be put back under this name: nothing more is needed.
    pub(in super::super) fn is_fetched(&self, game: GameId, restore: &RestoreId) {
        let is_it = |copies: &CopiesUnderWay| copies.restore.as_ref() == Some(restore);
        self.goes_on(game, is_it, |needs| *needs = Needs::default());
    }

    fn goes_on(&self, game: GameId, is_it: impl Fn(&CopiesUnderWay) -> bool, less: impl Fn(&mut Needs)) {
        let mut noted = self.noted();
        let Some(promise) = noted.of.get_mut(&game) else { return };
        if promise.copies.as_ref().is_some_and(is_it) {
            promise.stage += 1;
            promise.needs.iter_mut().for_each(less);
            noted.at.0 += 1;
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time passes since every look.
    #[cfg(test)]
    pub(in super::super) fn forget_old_looks(&self, counts: Duration) {
        self.noted().of.retain(|_, promise| promise.copies.is_some() || promise.since.elapsed() < counts);
    }
}
