//! State directories: `<state root>/<game id>`, by handles that follow no link.
//!
//! Below the state root nothing is named by a path: the game's directory is opened relative to the
//! root's handle, and what is in it relative to that. A link planted in the place of a directory,
//! before or in the middle of the work, leads nowhere.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::copies::{BusyGames, CopyError, Promises, Watch};
use super::daemon::{User, directory_owner};
use super::{beneath, contents, sentinel};
use crate::game::spec::RunAs;
use crate::game::{GameId, InstanceId};
use crate::runtime::{RuntimeError, StateDirectory};

/// Others may pass through the state root to a directory they know, and not list it.
const ROOT_MODE: u32 = 0o711;
/// Only its owner sees a game's state …
const OWNED_MODE: u32 = 0o700;
/// … unless the image decides who the owner is.
const SHARED_MODE: u32 = 0o777;

/// The state root.
#[derive(Debug)]
pub struct StateRoot {
    path: PathBuf,
    instance: Option<InstanceId>,
    /// Other controllers of this database may hold its lock too.
    pub(super) shared: bool,
    /// Held from the first look at it as long as the process lives.
    pub(super) lock: Mutex<Option<File>>,
    /// Held by whoever writes the high-water counter.
    pub(super) noting: Mutex<()>,
    /// The games whose copies are being worked on.
    pub(super) copying: BusyGames,
    /// Who needs room for copies.
    pub(super) room: Promises,
}

impl StateRoot {
    /// The state root at this path, which belongs to this instance; none: to nobody in particular.
    pub fn new(path: PathBuf, instance: Option<InstanceId>) -> Self {
        let (copying, room) = (BusyGames::default(), Promises::default());
        let (lock, noting) = (Mutex::new(None), Mutex::new(()));
        Self { path, instance, shared: false, lock, noting, copying, room }
    }

    /// This root for one of several controllers of one database, if so.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Its path once every link on the way is followed, if that can be told.
    pub(super) fn real_path(&self) -> Option<PathBuf> {
        std::fs::canonicalize(&self.path).ok()
    }

    pub(super) fn instance(&self) -> Option<InstanceId> {
        self.instance
    }

    /// Makes the root itself; one that is there stays as it is.
    pub(super) fn prepare(&self) -> io::Result<()> {
        if self.path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match std::fs::create_dir(&self.path) {
            Ok(()) => Ok(rustix::fs::fchmod(self.open()?, Mode::from_raw_mode(ROOT_MODE))?),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn look(&self, game: GameId) -> io::Result<StateDirectory> {
        let root = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.instance.is_none() => {
                return Ok(StateDirectory::Absent);
            }
            root => root?,
        };
        self.check(&root)?;
        match rustix::fs::statat(&root, game.to_string(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                let name = game.to_string();
                let empty = |directory: io::Result<OwnedFd>| directory.and_then(|it| contents::is_empty(&it));
                let directory = beneath::open(&root, &name);
                let place = directory.as_ref().ok().map(|directory| beneath::open(directory, &name));
                Ok(match (empty(directory), place.map(empty)) {
                    (Ok(true), _) => StateDirectory::Empty,
                    (Ok(false), Some(Ok(false))) => StateDirectory::WithGame,
                    // Whose content only its owner may see has one, as far as anybody else can tell.
                    _ => StateDirectory::Present,
                })
            }
            Ok(_) => Err(beneath::not_a_directory()),
            Err(Errno::NOENT) => Ok(StateDirectory::Absent),
            Err(error) => Err(error.into()),
        }
    }

    /// How a game's directory keeps this user from working in it, if it does, in words.
    pub(super) fn bars(&self, game: GameId, user: User) -> io::Result<Option<String>> {
        let Some(directory) = self.open_game(game)? else { return Ok(None) };
        let found = rustix::fs::fstat(&directory)?;
        let bits = if found.st_uid == user.uid {
            found.st_mode >> 6
        } else if found.st_gid == user.gid {
            found.st_mode >> 3
        } else {
            found.st_mode
        };
        Ok((bits & 0o7 != 0o7).then(|| {
            let (uid, gid, mode) = (found.st_uid, found.st_gid, found.st_mode & 0o777);
            format!("{} belongs to {uid}:{gid} (mode {mode:03o})", self.path.join(game.to_string()).display())
        }))
    }

    /// Makes a game's directory, owned by the user that its engine will be; one that is there is
    /// given to that user.
    ///
    /// # Errors
    /// It cannot be made or owned, something that is no directory is in its place, or other work on what
    /// the game has on the disk is not done yet.
    pub fn create(&self, game: GameId, run_as: RunAs, watch: &Watch) -> Result<(), CopyError> {
        let _working = self.working_on(game)?;
        if self.instance.is_none() {
            self.prepare()?;
        }
        let root = self.open()?;
        self.check(&root)?;
        let name = game.to_string();
        watch.check()?;
        match rustix::fs::mkdirat(&root, &name, Mode::from_raw_mode(OWNED_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let directory = beneath::open(&root, &name)?;
        let owner = directory_owner(run_as);
        watch.check()?;
        give(&directory, owner)?;
        let mode = if owner.is_some() { OWNED_MODE } else { SHARED_MODE };
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))?;
        rustix::fs::fsync(&directory)?;
        Ok(rustix::fs::fsync(&root)?)
    }

    /// The operator names the root; it may be reached by a link.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }

    /// Every directory in it that a game's could be.
    pub(super) fn games(&self) -> io::Result<HashSet<GameId>> {
        let root = self.open()?;
        self.check(&root)?;
        let mut games = HashSet::new();
        for entry in Dir::read_from(root)? {
            let entry = entry?;
            let is_directory = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            let game: Option<GameId> = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
            games.extend(game.filter(|_| is_directory));
        }
        Ok(games)
    }

    pub(super) fn open_game(&self, game: GameId) -> io::Result<Option<OwnedFd>> {
        let root = self.open()?;
        self.check(&root)?;
        beneath::open_if_there(&root, &game.to_string())
    }

    /// An error, with the game's directory as this process sees it.
    pub(super) fn error(&self, game: Option<GameId>, verb: &'static str, source: io::Error) -> RuntimeError {
        if source.get_ref().is_some_and(|error| error.is::<sentinel::NotOurs>()) {
            return RuntimeError::StateRootNotOurs;
        }
        RuntimeError::StateDirectory {
            path: game
                .map_or(self.path.clone(), |game| self.path.join(game.to_string()))
                .display()
                .to_string(),
            verb,
            source,
        }
    }
}

fn give(directory: &OwnedFd, owner: Option<User>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let now = rustix::fs::fstat(directory)?;
    if (now.st_uid, now.st_gid) != (owner.uid, owner.gid) {
        rustix::fs::fchown(directory, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
