//! What can be known before anything is touched: whether a copy can be put back, and whether a change
//! of version has the room that it may need. Nothing is changed by asking.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;

use super::super::state::StateRoot;
use super::super::{beneath, effects};
use super::error::CopyError;
use super::put_back::{FAILED, RESTORING, damaged};
use super::room::{Needs, Purpose};
use super::survey::{Room, Survey, survey, survey_as_copied};
use super::watch::Watch;
use super::{BACKUPS, STATE, read_backup, tree};
use crate::game::{Backup, BackupId, GameId};

/// Why a copy cannot take the place of the state where that is.
pub(super) const IS_A_MOUNT: &str =
    "the state directory is a mount of its own and cannot be moved aside; unmount it first";

impl StateRoot {
    /// Whether a copy could be put back now: it is there and is what was copied, there is room for it
    /// beside the state, and it can be moved into the state's place.
    ///
    /// # Errors
    /// Why not.
    pub fn check_backup(&self, game: GameId, id: &BackupId, watch: &Watch) -> Result<Backup, CopyError> {
        let absent = || CopyError::Absent(format!("copy {id}"));
        let kept = self.place_if_there(BACKUPS, game)?.ok_or_else(absent)?;
        let backup = read_backup(&kept, game, id)?.ok_or_else(absent)?;
        let state = beneath::open(&beneath::open(&kept, id.as_str())?, STATE)?;
        if !tree::read(&state, watch)?.is_what(&backup) {
            return Err(damaged(id));
        }
        let restoring = self.near(RESTORING, game)?;
        self.check_movable(game, &restoring, &self.near(FAILED, game)?)?;
        let room = room_at(&state, &restoring, survey(&state, watch)?.room)?;
        let needs = Needs { restoring: room, ..Needs::default() };
        self.check_room_beside(game, needs, Purpose::Wish)?;
        Ok(backup)
    }

    /// Whether there is room for a change of version, beside what other games with copies under way still
    /// need: for the copy of the state that is taken before it, and for that copy's way back, which is
    /// another one. What was found to be there is kept for it for a moment.
    ///
    /// # Errors
    /// There is not, or the state is none that this process can copy, or move aside.
    pub fn check_room_for_patch(&self, game: GameId, watch: &Watch) -> Result<(), CopyError> {
        let absent = || CopyError::Absent(format!("the state directory of {game}"));
        let state = self.open_game(game)?.ok_or_else(absent)?;
        let (kept, restoring) = (self.near(BACKUPS, game)?, self.near(RESTORING, game)?);
        self.check_movable(game, &restoring, &self.near(FAILED, game)?)?;
        let found = survey_as_copied(&state, watch)?;
        may_give(&kept, &found)?;
        let takes = |place: &OwnedFd| room_at(&state, place, found.room);
        let needs = Needs { backups: takes(&kept)?, restoring: takes(&restoring)? };
        self.check_room_beside(game, needs, Purpose::Patch)
    }

    /// That the state of a game can be moved aside, and a copy into its place: a rename does both.
    pub(super) fn check_movable(
        &self,
        game: GameId,
        restoring: &OwnedFd,
        aside: &OwnedFd,
    ) -> Result<(), CopyError> {
        let root = self.open()?;
        self.check(&root)?;
        let device = fstat(&root)?.st_dev;
        for place in [restoring, aside] {
            if fstat(place)?.st_dev != device {
                let why = "the directory .gamekeeper in the state root is partly on another file system, so nothing can be moved between them; unmount that";
                return Err(CopyError::Unfit(why.into()));
            }
        }
        let name = std::ffi::CString::new(game.to_string()).map_err(std::io::Error::other)?;
        match beneath::open_on_same_mount(&root, &name) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::XDEV) => Err(CopyError::Unfit(IS_A_MOUNT.into())),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(beneath::not_a_directory().into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// That a copy can be given to those who own what it is a copy of: tried with a file that has no name,
/// where such can be made.
fn may_give(to: &OwnedFd, found: &Survey) -> Result<(), CopyError> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let Ok(nameless) = rustix::fs::openat(to, c".", flags, Mode::RUSR | Mode::WUSR) else { return Ok(()) };
    for (user, group) in &found.owners {
        effects::give(&nameless, *user, *group).map_err(|error| {
            CopyError::Unfit(format!(
                "a copy of it could not be given to {user}:{group}, who owns a part of it ({error}); run gamekeeper as root, or with the capability CAP_CHOWN"
            ))
        })?;
    }
    Ok(())
}

/// What a copy takes at that place: inodes always, bytes unless it shares its content with what is copied.
pub(super) fn room_at(from: &OwnedFd, to: &OwnedFd, whole: Room) -> Result<Room, CopyError> {
    Ok(if shares_content(from, to)? { Room { bytes: 0, ..whole } } else { whole })
}

/// Whether what is copied from one directory to the other takes no room of its own: tried with two
/// files that have no name, where such can be made.
fn shares_content(from: &OwnedFd, to: &OwnedFd) -> Result<bool, CopyError> {
    if fstat(from)?.st_dev != fstat(to)?.st_dev {
        return Ok(false);
    }
    let nameless = || {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::openat(to, c".", flags, Mode::RUSR | Mode::WUSR)
    };
    let (Ok(one), Ok(other)) = (nameless(), nameless()) else { return Ok(false) };
    if rustix::io::write(&one, &[1; 4_096]).is_err() {
        return Ok(false);
    }
    Ok(effects::share_content(&one, &other)?)
}
