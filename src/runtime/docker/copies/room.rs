//! Room on the disk that others will need: a game whose version is being changed, or whose state is being
//! put back, finds the room that it was promised, whoever else copies meanwhile.
//!
//! Who copies is told by the controller ([`StateRoot::keep_room`]), from what is on record. How much each
//! of them still needs is read from the disk when somebody looks for room. One look comes after the other,
//! and one that found room counts until what it was for is on record.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::fstat;

use super::super::beneath;
use super::super::state::StateRoot;
use super::error::CopyError;
use super::put_back::RESTORING;
use super::survey::{PER_NAME, Room, check_room, shortage, survey};
use super::{BACKUPS, read_backup};
use crate::game::{Backup, GameId};
use crate::runtime::CopiesUnderWay;

/// So long a look that found room counts, at least: longer than its answer is believed.
const LOOK_COUNTS: Duration = Duration::from_secs(10);

/// Who was promised room.
#[derive(Debug, Default)]
pub(in super::super) struct Promises {
    under_way: Mutex<HashMap<GameId, CopiesUnderWay>>,
    /// What was found to be there for whom. Held while somebody looks.
    looked: Mutex<HashMap<GameId, (Instant, Needs)>>,
}

/// Room, by the place that it is needed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// For a copy that is kept.
    pub(super) backups: Room,
    /// For one on its way back.
    pub(super) restoring: Room,
}

impl Needs {
    fn of(self, kind: &str) -> Room {
        if kind == BACKUPS { self.backups } else { self.restoring }
    }
}

impl StateRoot {
    /// Copies of this game are under way from now on; none: no more.
    pub fn keep_room(&self, game: GameId, copies: Option<CopiesUnderWay>) {
        let mut under_way = lock(&self.room.under_way);
        match copies {
            Some(copies) => drop(under_way.insert(game, copies)),
            None => drop(under_way.remove(&game)),
        }
    }

    /// That there is room for what a game needs, beside what others with copies under way still need.
    /// `claims`: what is looked for is kept for it.
    pub(super) fn check_room_beside(
        &self,
        game: GameId,
        needs: Needs,
        claims: bool,
    ) -> Result<(), CopyError> {
        let places = [(BACKUPS, self.place(BACKUPS, game)?), (RESTORING, self.place(RESTORING, game)?)];
        let mut looked = lock(&self.room.looked);
        let under_way = lock(&self.room.under_way).clone();
        looked.retain(|of, (at, _)| *of != game && !under_way.contains_key(of) && at.elapsed() < LOOK_COUNTS);
        let others = under_way.iter().filter(|(of, _)| **of != game);
        let mut others: Vec<Needs> = others.map(|(of, copies)| self.still_needs(*of, copies)).collect();
        others.extend(looked.values().map(|(_, needs)| *needs));
        for (kind, place) in &places {
            if needs.of(kind) == Room::default() {
                continue;
            }
            let here = on_disk_of(place, &places)?;
            let mut needed = Room::default();
            let add = |sum: &mut Room, needs: &Needs| here.iter().for_each(|kind| *sum += needs.of(kind));
            add(&mut needed, &needs);
            check_room(place, needed)?;
            others.iter().for_each(|other| add(&mut needed, other));
            if let Some(shortage) = shortage(place, needed)? {
                return Err(CopyError::RoomKept { shortage, games: others.len() });
            }
        }
        if claims {
            looked.insert(game, (Instant::now(), needs));
        }
        Ok(())
    }

    /// Time passes since every look.
    #[cfg(test)]
    pub(super) fn forget_old_looks(&self, counts: Duration) {
        lock(&self.room.looked).retain(|_, (at, _)| at.elapsed() < counts);
    }

    /// What copies of a game that are under way may still take. What cannot be told is nothing: whoever
    /// looks is not held up by another game's disk.
    fn still_needs(&self, game: GameId, copies: &CopiesUnderWay) -> Needs {
        let CopiesUnderWay { backup, restore } = copies;
        let is_fetched = || {
            let restoring = self.place_if_there(RESTORING, game).ok().flatten();
            let there = restoring.zip(restore.as_ref());
            there.is_some_and(|(at, name)| matches!(beneath::open_if_there(&at, name.as_str()), Ok(Some(_))))
        };
        let kept = self.place_if_there(BACKUPS, game).ok().flatten();
        let kept = kept.and_then(|kept| read_backup(&kept, game, backup).ok().flatten());
        match kept {
            Some(_) if is_fetched() => Needs::default(),
            Some(copy) => Needs { restoring: takes(&copy), ..Needs::default() },
            // It cannot be fetched, so nothing will be.
            None if restore.is_some() => Needs::default(),
            None => {
                let state = self.open_game(game).ok().flatten();
                let room = state
                    .and_then(|state| survey(&state).ok())
                    .map_or_else(Room::default, |found| found.room);
                Needs { backups: room, restoring: room }
            }
        }
    }
}

/// What a copy of a copy takes on the disk, about.
pub(super) fn takes(copy: &Backup) -> Room {
    Room { bytes: copy.bytes.saturating_add(copy.files.saturating_mul(PER_NAME)), inodes: copy.files }
}

/// The kinds whose place is on the same file system as this one.
fn on_disk_of<'a>(place: &OwnedFd, places: &'a [(&'a str, OwnedFd)]) -> Result<Vec<&'a str>, CopyError> {
    let device = fstat(place)?.st_dev;
    let mut here = Vec::new();
    for (kind, other) in places {
        if fstat(other)?.st_dev == device {
            here.push(*kind);
        }
    }
    Ok(here)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
