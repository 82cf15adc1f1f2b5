//! The removal of a game's state, and of what is kept beside it: all of it with the game, or what was
//! moved aside once it is too much or too old. (Kept copies go one by one; the caller chooses.)

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::{AtFlags, StatxFlags};

use super::super::state::StateRoot;
use super::super::{beneath, effects, moving, remove_tree};
use super::error::CopyError;
use super::put_back::{FAILED, NOTE, RESTORING, mounted, read_note};
use super::watch::Watch;
use super::{BACKUPS, OWN, Working, half, left_behind, remove, remove_if};
use crate::game::backup::{Keep, outlived};
use crate::game::{GameId, RestoreId};
use crate::runtime::MayGo;

/// Where a state is that is being removed.
pub(super) const REMOVED: &str = "removed";

/// Where something of a game may be beside its state directory.
const KINDS: [&str; 4] = [BACKUPS, RESTORING, FAILED, REMOVED];

/// All that a game has on the disk, as it was when its removal was queued: whatever comes into a place of it
/// later is something else, and stays.
#[derive(Debug, Clone)]
pub struct Belongings {
    game: GameId,
    state: Option<Identity>,
    /// By their kind.
    kept: Vec<(&'static str, Identity)>,
}

/// The identity of a directory, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// A file system gives the inodes of what is gone to what comes next; not all of them tell this.
    born: Option<(i64, u32)>,
}

impl Identity {
    fn of(directory: &OwnedFd) -> io::Result<Self> {
        let about = rustix::fs::fstat(directory)?;
        let born = rustix::fs::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok();
        let born = born.filter(|born| born.stx_mask & StatxFlags::BTIME.bits() != 0);
        Ok(Self {
            device: about.st_dev,
            inode: about.st_ino,
            born: born.map(|born| (born.stx_btime.tv_sec, born.stx_btime.tv_nsec)),
        })
    }

    /// That this is it.
    fn check(self, found: &OwnedFd, place: impl FnOnce() -> String) -> Result<(), CopyError> {
        if Self::of(found)? == self { Ok(()) } else { Err(CopyError::Replaced(place())) }
    }
}

impl StateRoot {
    /// All that a game has on the disk now, to be removed.
    ///
    /// # Errors
    /// The disk cannot be read, or the state root is another's; or something that is no directory is in a
    /// place of it.
    pub fn hold(&self, game: GameId) -> Result<Belongings, CopyError> {
        let mut held = Belongings { game, state: None, kept: Vec::new() };
        let root = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(held),
            root => root?,
        };
        self.check(&root)?;
        let state = beneath::open_if_there(&root, &game.to_string())?;
        held.state = state.as_ref().map(Identity::of).transpose()?;
        for kind in KINDS {
            if let Some(of_game) = self.place_if_there(kind, game)? {
                held.kept.push((kind, Identity::of(&of_game)?));
            }
        }
        Ok(held)
    }

    /// Waits for other work on what the game has on the disk, as long as anybody waits for this: what was
    /// called off takes its time to notice where the host is busy, and is no reason to fail.
    fn working_alone_on(&self, game: GameId, watch: &Watch) -> Result<Working<'_>, CopyError> {
        loop {
            watch.check()?;
            match self.working_on(game) {
                Err(CopyError::Busy) => {}
                working => return working,
            }
        }
    }

    /// Removes a game's state directory with everything in it, following no link; success if it is gone.
    /// It is moved out of its place first, under a name that nothing ever had: nobody finds a half of it
    /// there. What an interruption leaves is found by [`StateRoot::has_copies`], and goes with
    /// [`StateRoot::remove_copies`] or the next removal.
    ///
    /// # Errors
    /// It cannot be moved, or something in it cannot be removed; or another directory is in its place.
    pub fn remove(&self, held: &Belongings, watch: &Watch) -> Result<(), CopyError> {
        let game = held.game;
        let _working = self.working_alone_on(game, watch)?;
        let root = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            root => root?,
        };
        self.check(&root)?;
        let name = game.to_string();
        if let Some(there) = beneath::open_if_there(&root, &name)? {
            let replaced = || CopyError::Replaced(format!("{name} in the state root"));
            let state = held.state.ok_or_else(replaced)?;
            let check = |found: &OwnedFd| state.check(found, || format!("{name} in the state root"));
            check(&there)?;
            let removed = self.place(REMOVED, game)?;
            let moved = half("");
            watch.check()?;
            let rename = || effects::rename_new(&root, &name, &removed, &moved);
            moving::whatever_its_mode(&root, &name, rename).map_err(mounted)?;
            let found = beneath::open(&removed, &moved).map_err(CopyError::from);
            if let Err(error) = found.and_then(|found| check(&found)) {
                // Something came into its place meanwhile: a link, which is somebody's answer to be looked
                // at, or the directory of the game's next life.
                let rename = || effects::rename_new(&removed, &moved, &root, &name);
                moving::whatever_its_mode(&removed, &moved, rename)?;
                return Err(error);
            }
            effects::flush(&removed)?;
            effects::flush(&root)?;
        }
        let Some(own) = beneath::open_if_there(&root, OWN)? else { return Ok(()) };
        let Some(kind) = beneath::open_if_there(&own, REMOVED)? else { return Ok(()) };
        // All that is in there was taken out of its place to be removed.
        let Some(rest) = beneath::open_if_there(&kind, &name)? else { return Ok(()) };
        remove_all((&kind, REMOVED), game, &rest, watch)
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
    /// Something cannot be removed, or another directory is in its place.
    pub fn remove_copies(&self, held: &Belongings, watch: &Watch) -> Result<(), CopyError> {
        let _working = self.working_alone_on(held.game, watch)?;
        let root = self.open()?;
        self.check(&root)?;
        let Some(own) = beneath::open_if_there(&root, OWN)? else { return Ok(()) };
        for &(kind, identity) in &held.kept {
            let Some(kinds) = beneath::open_if_there(&own, kind)? else { continue };
            let Some(of_game) = beneath::open_if_there(&kinds, &held.game.to_string())? else { continue };
            identity.check(&of_game, || place(kind, held.game))?;
            remove_all((&kinds, kind), held.game, &of_game, watch)?;
        }
        Ok(())
    }

    /// Removes states of a game that were moved aside, if they are too many or too old; gives those
    /// that went. The newest stays, and so does what may not go, and what nothing is noted about. What was fetched
    /// for a putting back goes too, if it may: nobody waits for it. Whatever else is to be done about the game
    /// comes first.
    ///
    /// # Errors
    /// The disk failed at it, or others came first.
    pub fn prune_aside(
        &self,
        game: GameId,
        keep: Keep,
        may_go: &Arc<dyn MayGo>,
        now: Timestamp,
        watch: &Watch,
    ) -> Result<Vec<RestoreId>, CopyError> {
        let working = self.working_on(game)?;
        let watch = &watch.giving_way(may_go, &working);
        if let Some(restoring) = self.place_if_there(RESTORING, game)? {
            for name in beneath::names(&restoring)? {
                if let Some(restore) = name.to_str().ok().and_then(|name| name.parse::<RestoreId>().ok()) {
                    remove_if(&restoring, restore.as_str(), watch, || may_go.put_back(&restore))?;
                }
            }
        }
        if let Some(removed) = self.place_if_there(REMOVED, game)? {
            // The rest of a former life's state.
            left_behind(remove_tree::empty(&removed, || watch.one_gone()))?;
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
        let mut gone = Vec::new();
        for restore in outlived(done, keep, now, |restore| !may_go.put_back(restore)) {
            if remove_if(&aside, restore.as_str(), watch, || may_go.put_back(&restore))? {
                gone.push(restore);
            }
        }
        Ok(gone)
    }
}

/// Removes everything of this kind that a game has.
fn remove_all(
    (kinds, kind): (&OwnedFd, &str),
    game: GameId,
    of_game: &OwnedFd,
    watch: &Watch,
) -> Result<(), CopyError> {
    let all = || -> Result<(), CopyError> {
        for kept in beneath::names(of_game)? {
            watch.check()?;
            if let Some(kept) = kept.to_str().ok().filter(|kept| kept.parse::<RestoreId>().is_ok()) {
                remove(of_game, kept, watch)?;
            }
        }
        remove_tree::empty(of_game, || watch.one_gone())
    };
    all().map_err(|error| match error {
        // Whoever has to mend it has to find it.
        CopyError::Disk(error) => {
            CopyError::Disk(io::Error::new(error.kind(), format!("{}: {error}", place(kind, game))))
        }
        other => other,
    })?;
    effects::remove_directory(kinds, game.to_string())?;
    Ok(effects::flush(kinds)?)
}

/// The place of a game's things of this kind, in words.
fn place(kind: &str, game: GameId) -> String {
    format!("{OWN}/{kind}/{game} in the state root")
}
