//! What is kept of a game beside its state, and how it goes: all of it with the game, or what was
//! moved aside once it is too much or too old. (Kept copies go one by one; the caller chooses.)

use jiff::Timestamp;
use rustix::fs::AtFlags;

use super::super::state::StateRoot;
use super::super::{beneath, effects, remove_tree};
use super::error::CopyError;
use super::put_back::{FAILED, NOTE, RESTORING, read_note};
use super::{BACKUPS, OWN, remove};
use crate::game::backup::{Keep, outlived};
use crate::game::{GameId, RestoreId};

/// Where something of a game may be beside its state directory.
const KINDS: [&str; 3] = [BACKUPS, RESTORING, FAILED];

impl StateRoot {
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
        let name = game.to_string();
        for kind in KINDS {
            let Some(kinds) = beneath::open_if_there(&own, kind)? else { continue };
            let Some(of_game) = beneath::open_if_there(&kinds, &name)? else { continue };
            for kept in beneath::names(&of_game)? {
                if let Some(kept) = kept.to_str().ok().filter(|kept| kept.parse::<RestoreId>().is_ok()) {
                    remove(&of_game, kept)?;
                }
            }
            remove_tree::empty(&of_game)?;
            effects::remove_directory(&kinds, &name)?;
            effects::flush(&kinds)?;
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
