//! State directories: `<state root>/<game id>`, by handles that follow no link.
//!
//! Below the state root nothing is named by a path: the game's directory is opened relative to the
//! root's handle, and what is in it relative to that. A link planted in the place of a directory,
//! before or in the middle of the work, leads nowhere.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::daemon::{User, directory_owner};
use super::remove_tree;
use crate::game::GameId;
use crate::game::spec::RunAs;
use crate::runtime::{RuntimeError, StateDirectory};

/// Others may pass through the state root to a directory they know, and not list it.
const ROOT_MODE: u32 = 0o711;
/// Only its owner sees a game's state …
const OWNED_MODE: u32 = 0o700;
/// … unless the image decides who the owner is.
const SHARED_MODE: u32 = 0o777;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The state root.
#[derive(Debug, Clone)]
pub struct StateRoot {
    path: PathBuf,
}

impl StateRoot {
    /// The state root at this path.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(StateDirectory::Absent),
            root => root?,
        };
        match rustix::fs::statat(&root, game.to_string(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                Ok(StateDirectory::Present)
            }
            Ok(_) => Err(not_a_directory()),
            Err(Errno::NOENT) => Ok(StateDirectory::Absent),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a game's directory, owned by the user that its engine will be; one that is there is
    /// given to that user.
    ///
    /// # Errors
    /// It cannot be made or owned, or something that is no directory is in its place.
    pub fn create(&self, game: GameId, run_as: RunAs) -> io::Result<()> {
        self.prepare()?;
        let root = self.open()?;
        let name = game.to_string();
        match rustix::fs::mkdirat(&root, &name, Mode::from_raw_mode(OWNED_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let directory = open_beneath(&root, &name)?;
        let owner = directory_owner(run_as);
        give(&directory, owner)?;
        let mode = if owner.is_some() { OWNED_MODE } else { SHARED_MODE };
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))?;
        rustix::fs::fsync(&directory)?;
        Ok(rustix::fs::fsync(&root)?)
    }

    /// Removes a game's directory with everything in it, following no link.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn remove(&self, game: GameId) -> io::Result<()> {
        let root = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            root => root?,
        };
        let name = game.to_string();
        let directory = match open_beneath(&root, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            directory => directory?,
        };
        remove_tree::empty(&directory)?;
        match rustix::fs::unlinkat(&root, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(rustix::fs::fsync(&root)?),
            Err(error) => Err(error.into()),
        }
    }

    /// The operator names the root; it may be reached by a link.
    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }

    /// An error, with the game's directory as this process sees it.
    pub(super) fn error(&self, game: GameId, verb: &'static str, source: io::Error) -> RuntimeError {
        RuntimeError::StateDirectory {
            path: self.path.join(game.to_string()).display().to_string(),
            verb,
            source,
        }
    }
}

/// Opens a directory by its one name; a link or anything else in its place is an error.
pub(super) fn open_beneath(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => Ok(directory),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(not_a_directory()),
        Err(error) => Err(error.into()),
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

fn not_a_directory() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, "what is there is a link or no directory; it is left alone")
}

#[cfg(test)]
mod tests;
