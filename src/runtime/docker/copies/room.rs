//! Room on the disk that others will need: a game whose version is being changed, or whose state is being
//! put back, finds the room that it was promised, whoever else copies meanwhile.
//!
//! Who copies is told by the controller ([`StateRoot::keep_room`]), from what is on record. How much each
//! still needs is what it looked for before it began; it becomes less as its copies come to lie on the disk,
//! and is forgotten when it is over. A copy that nothing on record speaks of is noted while it is made. After a
//! restart each is surveyed once ([`StateRoot::survey_promise`]).
//! A look for room adds numbers up: it reads nothing of another game's, and waits for another's survey
//! for a moment at most.

mod promises;

use std::os::fd::OwnedFd;

use rustix::fs::fstat;

use super::super::beneath;
use super::super::state::StateRoot;
use super::checks::room_at;
use super::error::CopyError;
use super::put_back::RESTORING;
use super::survey::{Room, check_room, shortage, survey};
use super::watch::Watch;
use super::{BACKUPS, STATE, read_manifest};
use crate::game::{BackupReason, GameId, RestoreId};
use crate::runtime::CopiesUnderWay;
pub(in super::super) use promises::Promises;
use promises::{Taken, Version};

/// Looks for room that were overtaken by another one's result, in a row. Each time another one has come to
/// its end, and as many are under way as there are threads for them.
const OVERTAKEN: usize = 256;

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

/// The purpose of a look for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A change of version: what is found is kept for it. It waits for everybody who was promised room,
    /// those included that wait for a person: that may be long, but its engine runs meanwhile, and the other
    /// game's way back must not depend on who came in between.
    Patch,
    /// A copy that somebody asked for, or that is to be put back: the same, and nothing is kept for it before
    /// it is made.
    Wish,
    /// A copy before a turn. A game that waits for a person may do so for weeks, and no other game's turns
    /// wait for that; its way back has to look for room then.
    Turn,
}

impl Purpose {
    /// The purpose of a copy with this reason, if it looks for room: a change of version did before it began.
    pub(super) fn of(reason: BackupReason) -> Option<Self> {
        match reason {
            BackupReason::Patch => None,
            BackupReason::Turn => Some(Self::Turn),
            BackupReason::Demand => Some(Self::Wish),
        }
    }
}

impl StateRoot {
    /// Copies of this game are under way from now on; none: no more. True if nobody knows how much they still
    /// need: [`StateRoot::survey_promise`] finds it out.
    pub fn keep_room(&self, game: GameId, copies: Option<CopiesUnderWay>) -> bool {
        self.room.keep(game, copies)
    }

    /// Finds out how much the copies of this game that are under way still need. What cannot be found out is
    /// nothing: whoever looks is not held up by another game's disk.
    pub fn survey_promise(&self, game: GameId) {
        while let Some((copies, stage)) = self.room.unknown(game) {
            let needs = self.still_needs(game, &copies).unwrap_or_else(|error| {
                tracing::warn!(game_id = %game, error = %error, "how much room its copies need cannot be told");
                Needs::default()
            });
            if self.room.surveyed(game, stage, needs) {
                return;
            }
        }
    }

    /// That there is room for what a game needs, beside what others with copies under way still need.
    pub(super) fn check_room_beside(
        &self,
        game: GameId,
        needs: Needs,
        purpose: Purpose,
    ) -> Result<(), CopyError> {
        self.room_beside(game, needs, purpose, |at| {
            (purpose != Purpose::Patch || self.room.claim(game, needs, at)).then_some(())
        })
    }

    /// The same for a copy that is made now, which has that room until what is given here goes. `restore` is
    /// the name under which it is to be put back.
    pub(super) fn take_room_beside(
        &self,
        game: GameId,
        needs: Needs,
        purpose: Purpose,
        restore: Option<&RestoreId>,
    ) -> Result<Taken<'_>, CopyError> {
        self.room_beside(game, needs, purpose, |at| self.room.take(game, needs, restore, at))
    }

    /// `note` gives nothing if anything was noted since, and all has to be added up again.
    fn room_beside<T>(
        &self,
        game: GameId,
        needs: Needs,
        purpose: Purpose,
        note: impl Fn(Version) -> Option<T>,
    ) -> Result<T, CopyError> {
        let places = [(BACKUPS, self.near(BACKUPS, game)?), (RESTORING, self.near(RESTORING, game)?)];
        for _ in 0..OVERTAKEN {
            let (others, at) = self.room.others(game, purpose);
            let add = |sum: &mut Room, needs: &Needs, here: &[&str]| {
                here.iter().for_each(|kind| *sum += needs.of(kind));
            };
            for (kind, place) in &places {
                if needs.of(kind) == Room::default() {
                    continue;
                }
                let here = on_disk_of(place, &places)?;
                let mut needed = Room::default();
                add(&mut needed, &needs, &here);
                check_room(place, needed)?;
                others.iter().for_each(|other| add(&mut needed, other, &here));
                if let Some(shortage) = shortage(place, needed)? {
                    return Err(CopyError::RoomKept { shortage, games: others.len() });
                }
            }
            if let Some(noted) = note(at) {
                return Ok(noted);
            }
        }
        Err(CopyError::Busy)
    }

    /// The room that copies of a game that are under way may still take.
    fn still_needs(&self, game: GameId, copies: &CopiesUnderWay) -> Result<Needs, CopyError> {
        // Its result is waited for by nobody beyond a moment.
        let watch = Watch::nobody();
        let CopiesUnderWay { backup, restore, waits_for_person: _ } = copies;
        if let (Some(at), Some(name)) = (self.place_if_there(RESTORING, game)?, restore)
            && beneath::open_if_there(&at, name.as_str())?.is_some()
        {
            return Ok(Needs::default());
        }
        let (backups, restoring) = (self.near(BACKUPS, game)?, self.near(RESTORING, game)?);
        if let Some(kept) = self.place_if_there(BACKUPS, game)?
            && let Some(manifest) = read_manifest(&kept, game, backup)?
        {
            let state = beneath::open(&beneath::open(&kept, backup.as_str())?, STATE)?;
            // A release that noted no room left the copy itself to look at.
            let room = manifest.room.map_or_else(|| survey(&state, &watch).map(|found| found.room), Ok)?;
            return Ok(Needs { restoring: room_at(&state, &restoring, room)?, ..Needs::default() });
        }
        match self.open_game(game)? {
            Some(state) if restore.is_none() => {
                let room = survey(&state, &watch)?.room;
                let at = |place: &OwnedFd| room_at(&state, place, room);
                Ok(Needs { backups: at(&backups)?, restoring: at(&restoring)? })
            }
            // A copy that is not kept cannot be fetched, and a state that is not there cannot be copied.
            _ => Ok(Needs::default()),
        }
    }
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
