//! The removal of a game's state, and of what is kept beside it: all of it with the game, or what was
//! moved aside once it is too much or too old. (Kept copies go one by one; the caller chooses.)

use std::io;
use std::os::fd::OwnedFd;

use jiff::Timestamp;
use rustix::fs::AtFlags;

use super::super::state::StateRoot;
use super::super::{beneath, effects, remove_tree};
use super::error::CopyError;
use super::put_back::{FAILED, NOTE, RESTORING, mounted, read_note};
use super::{BACKUPS, OWN, half, remove};
use crate::game::backup::{Keep, outlived};
use crate::game::{GameId, RestoreId};

/// Where a state is that is being removed.
pub(super) const REMOVED: &str = "removed";

/// Where something of a game may be beside its state directory.
const KINDS: [&str; 4] = [BACKUPS, RESTORING, FAILED, REMOVED];

impl StateRoot {
    /// Removes a game's state directory with everything in it, following no link; success if it is gone.
    /// It is moved out of its place first, under a name that nothing ever had: nobody finds a half of it
    /// there. What an interruption leaves is found by [`StateRoot::has_copies`], and goes with
    /// [`StateRoot::remove_copies`] or the next removal.
    ///
    /// # Errors
    /// It cannot be moved, or something in it cannot be removed.
    pub fn remove(&self, game: GameId) -> io::Result<()> {
        let root = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            root => root?,
        };
        self.check(&root)?;
        let name = game.to_string();
        if beneath::open_if_there(&root, &name)?.is_some() {
            let removed = self.place(REMOVED, game).map_err(on_disk)?;
            let moved = half("");
            effects::rename_new(&root, &name, &removed, &moved).map_err(|error| on_disk(mounted(error)))?;
            if let Err(error) = beneath::open(&removed, &moved) {
                // A link came into its place meanwhile: somebody's answer to be looked at.
                effects::rename_new(&removed, &moved, &root, &name)?;
                return Err(error);
            }
            effects::flush(&removed)?;
            effects::flush(&root)?;
        }
        let Some(own) = beneath::open_if_there(&root, OWN)? else { return Ok(()) };
        let Some(kind) = beneath::open_if_there(&own, REMOVED)? else { return Ok(()) };
        remove_all(&kind, REMOVED, game).map_err(on_disk)
    }

    /// Whether anything of a game is kept beside its state directory.
    ///
    /// # Errors
    /// The disk cannot be read, or the state root is another's.
    pub fn has_copies(&self, game: GameId) -> Result<bool, CopyError> {
        for kind in KINDS {
            if self.place_if_there(kind, game)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes every kept copy of a game, and every state that was moved aside; success if nothing is
    /// there. Interrupted anywhere, what is still listed is whole.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove_copies(&self, game: GameId) -> Result<(), CopyError> {
        let _working = self.working_on(game)?;
        let root = self.open()?;
        self.check(&root)?;
        let Some(own) = beneath::open_if_there(&root, OWN)? else { return Ok(()) };
        for kind in KINDS {
            if let Some(kinds) = beneath::open_if_there(&own, kind)? {
                remove_all(&kinds, kind, game)?;
            }
        }
        Ok(())
    }

    /// Removes states of a game that were moved aside, if they are too many or too old; gives those
    /// that went. The newest stays, and so does `spared`, and what nothing is noted about. What was fetched
    /// for a putting back that is not `spared` goes too: nobody waits for it.
    ///
    /// # Errors
    /// The disk failed at it.
    pub fn prune_aside(
        &self,
        game: GameId,
        keep: Keep,
        spared: Option<&RestoreId>,
        now: Timestamp,
    ) -> Result<Vec<RestoreId>, CopyError> {
        let _working = self.working_on(game)?;
        if let Some(restoring) = self.place_if_there(RESTORING, game)? {
            for name in beneath::names(&restoring)? {
                let restore = name.to_str().ok().and_then(|name| name.parse::<RestoreId>().ok());
                if let Some(restore) = restore.filter(|restore| Some(restore) != spared) {
                    remove(&restoring, restore.as_str())?;
                }
            }
        }
        if let Some(removed) = self.place_if_there(REMOVED, game)? {
            // The rest of a former life's state.
            remove_tree::empty(&removed)?;
        }
        let Some(aside) = self.place_if_there(FAILED, game)? else { return Ok(Vec::new()) };
        let mut done = Vec::new();
        for name in beneath::names(&aside)? {
            let Some(restore) = name.to_str().ok().and_then(|name| name.parse::<RestoreId>().ok()) else {
                continue;
            };
            match read_note(&aside, &restore) {
                Ok(Some(_)) => {}
                Ok(None) | Err(CopyError::Damaged(_)) => continue,
                Err(error) => return Err(error),
            }
            let directory = beneath::open(&aside, restore.as_str())?;
            let note = rustix::fs::statat(&directory, NOTE, AtFlags::SYMLINK_NOFOLLOW)?;
            done.push((Timestamp::from_second(note.st_mtime).unwrap_or(now), restore));
        }
        let going = outlived(done, keep, now, |restore| Some(restore) == spared);
        for restore in &going {
            remove(&aside, restore.as_str())?;
        }
        Ok(going)
    }
}

/// Removes everything of this kind that a game has.
fn remove_all(kinds: &OwnedFd, kind: &str, game: GameId) -> Result<(), CopyError> {
    let name = game.to_string();
    let Some(of_game) = beneath::open_if_there(kinds, &name)? else { return Ok(()) };
    let all = || -> Result<(), CopyError> {
        for kept in beneath::names(&of_game)? {
            if let Some(kept) = kept.to_str().ok().filter(|kept| kept.parse::<RestoreId>().is_ok()) {
                remove(&of_game, kept)?;
            }
        }
        Ok(remove_tree::empty(&of_game)?)
    };
    all().map_err(|error| match error {
        // Whoever has to mend it has to find it.
        CopyError::Disk(error) => {
            let place = format!("{OWN}/{kind}/{name} in the state root");
            CopyError::Disk(io::Error::new(error.kind(), format!("{place}: {error}")))
        }
        other => other,
    })?;
    effects::remove_directory(kinds, &name)?;
    Ok(effects::flush(kinds)?)
}

/// As an error of the disk's, which tells of what is not the disk's in its words.
fn on_disk(error: CopyError) -> io::Error {
    match error {
        CopyError::Disk(error) => error,
        other => io::Error::other(other),
    }
}
