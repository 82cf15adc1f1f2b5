//! `<state root>/.gamekeeper`: whose state root this is, who works in it, and how far things had come.
//!
//! A disk that is not mounted leaves an empty directory behind, and a database that was put back
//! knows nothing of what happened since. Both show here: the sentinel names the instance whose games
//! these are, the high-water counter is what a database must not be behind of. Everything is opened
//! relative to the root's handle, and written beside its place and then moved there.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::beneath;
use super::small_file::{self, forget, replace};
use super::state::StateRoot;
use crate::runtime::StateRootLook;

pub(super) const DIRECTORY: &str = ".gamekeeper";
pub(super) const SENTINEL: &str = "instance";
/// Marks by which the directory is recognised through Docker begin with this.
pub(super) const MARK: &str = "seen-";
const HIGH_WATER: &str = "high-water";
const LOCK: &str = "lock";

/// A mark that is so old was left by a process that died.
const MARK_IS_LEFT: Duration = Duration::from_secs(3_600);

/// The longest file that is read here, in bytes: an identity or a number.
const LONGEST: u64 = 256;

fn read(own: &OwnedFd, name: &str) -> io::Result<Option<String>> {
    small_file::read(own, name, LONGEST)
}

impl StateRoot {
    /// Whose it is, and how far things had come. Takes its lock where it is this instance's.
    pub(super) fn look_at_ground(&self) -> io::Result<StateRootLook> {
        let Some(own) = self.own_directory()? else { return Ok(StateRootLook::default()) };
        let sentinel = read(&own, SENTINEL)?;
        let ours = sentinel.is_some() && sentinel == self.instance().map(|instance| instance.to_string());
        let high_water = read(&own, HIGH_WATER)?.map(|text| text.parse().map_err(io::Error::other));
        Ok(StateRootLook {
            sentinel,
            high_water: high_water.transpose()?,
            locked_by_another: ours && !self.hold_lock(&own)?,
        })
    }

    /// Makes it this instance's. The high-water counter of another one goes.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn bind(&self) -> io::Result<()> {
        self.prepare()?;
        let root = self.open()?;
        match rustix::fs::mkdirat(&root, DIRECTORY, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let own = beneath::open(&root, DIRECTORY)?;
        let instance = self.instance().ok_or_else(|| io::Error::other("no instance to bind it to"))?;
        if read(&own, SENTINEL)?.is_some_and(|other| other != instance.to_string()) {
            forget(&own, HIGH_WATER)?;
        }
        replace(&own, SENTINEL, &instance.to_string())?;
        Ok(rustix::fs::fsync(&root)?)
    }

    /// Writes down how far things have come.
    pub(super) fn keep_high_water(&self, high_water: i64) -> io::Result<()> {
        let root = self.open()?;
        self.check(&root)?;
        let own = beneath::open(&root, DIRECTORY)?;
        // It never goes back: that is what it is for. (Who hangs while it writes an older one ends later.)
        let Ok(_noting) = self.noting.try_lock() else {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "an earlier note of it is not written yet",
            ));
        };
        let kept = read(&own, HIGH_WATER)?.and_then(|text| text.parse::<i64>().ok());
        if kept.is_some_and(|kept| kept >= high_water) {
            return Ok(());
        }
        replace(&own, HIGH_WATER, &high_water.to_string())
    }

    /// Makes an empty file of this name beside the sentinel, and removes marks that others left.
    pub(super) fn leave_mark(&self, name: &str) -> io::Result<()> {
        let own = self.checked_directory()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&own, name, flags, Mode::RUSR | Mode::WUSR)?;
        for left in beneath::names(&own)? {
            let Some(left) = left.to_str().ok().filter(|left| left.starts_with(MARK) && *left != name) else {
                continue;
            };
            let Ok(about) = rustix::fs::statat(&own, left, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let made = UNIX_EPOCH + Duration::from_secs(about.st_mtime.unsigned_abs());
            if made.elapsed().is_ok_and(|age| age > MARK_IS_LEFT) {
                forget(&own, left)?;
            }
        }
        Ok(())
    }

    /// Removes it. False if it was not there any more.
    pub(super) fn remove_mark(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(self.checked_directory()?, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn checked_directory(&self) -> io::Result<OwnedFd> {
        let root = self.open()?;
        self.check(&root)?;
        beneath::open(&root, DIRECTORY)
    }

    /// That this handle leads to this instance's state root: asked before anything is made or
    /// removed in it.
    pub(super) fn check(&self, root: &OwnedFd) -> io::Result<()> {
        let Some(instance) = self.instance() else { return Ok(()) };
        let found = match beneath::open(root, DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            own => read(&own?, SENTINEL)?,
        };
        if found == Some(instance.to_string()) {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::StaleNetworkFileHandle, NotOurs))
        }
    }

    fn own_directory(&self) -> io::Result<Option<OwnedFd>> {
        let root = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            root => root?,
        };
        beneath::open_if_there(&root, DIRECTORY)
    }

    /// Whether no process of another kind works in it: alone, or with others that share it. Held until
    /// the process ends.
    fn hold_lock(&self, own: &OwnedFd) -> io::Result<bool> {
        let mut held = self.lock.lock().map_err(|_| io::Error::other("the lock's holder panicked"))?;
        if held.is_some() {
            return Ok(true);
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(own, LOCK, flags, Mode::RUSR | Mode::WUSR)?);
        let locked = if self.shared { file.try_lock_shared() } else { file.try_lock() };
        match locked {
            Ok(()) => {
                *held = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The state root is not this instance's, or not mounted.
#[derive(Debug, thiserror::Error)]
#[error("the state root is not this database's (any more): is its disk mounted?")]
pub(super) struct NotOurs;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::InstanceId;
    use uuid::Uuid;

    fn root(directory: &tempfile::TempDir) -> StateRoot {
        StateRoot::new(directory.path().join("games"), Some(InstanceId(Uuid::from_u128(1))))
    }

    #[test]
    fn a_state_root_is_nobodys_until_it_is_bound() {
        let directory = tempfile::tempdir().unwrap();
        let ours = root(&directory);
        assert_eq!(ours.look_at_ground().unwrap(), StateRootLook::default());
        ours.bind().unwrap();
        ours.keep_high_water(7).unwrap();
        let look = ours.look_at_ground().unwrap();
        assert_eq!(look.sentinel, Some(Uuid::from_u128(1).to_string()));
        assert_eq!((look.high_water, look.locked_by_another), (Some(7), false));
    }

    #[test]
    fn another_instances_state_root_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        root(&directory).bind().unwrap();
        let other = StateRoot::new(directory.path().join("games"), Some(InstanceId(Uuid::from_u128(2))));
        let refused = other.keep_high_water(9).unwrap_err();
        assert!(refused.get_ref().is_some_and(|error| error.is::<NotOurs>()), "{refused:?}");
        assert_eq!(root(&directory).look_at_ground().unwrap().high_water, None);
    }

    #[test]
    fn marks_that_were_left_go_and_those_of_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let ours = root(&directory);
        assert!(ours.leave_mark("seen-1").is_err(), "it is nobody's yet");
        ours.bind().unwrap();
        ours.leave_mark("seen-1").unwrap();
        let own = directory.path().join("games").join(DIRECTORY);
        let left = File::create(own.join("seen-left")).unwrap();
        left.set_modified(UNIX_EPOCH).unwrap();
        ours.leave_mark("seen-2").unwrap();
        assert!(own.join("seen-1").exists() && !own.join("seen-left").exists());
        assert!(ours.remove_mark("seen-1").unwrap() && ours.remove_mark("seen-2").unwrap());
        assert!(!ours.remove_mark("seen-1").unwrap());
        assert_eq!(std::fs::read_dir(own).unwrap().count(), 1);
    }

    #[test]
    fn a_note_of_the_high_water_that_hangs_is_never_written_over_a_later_one() {
        let directory = tempfile::tempdir().unwrap();
        let ours = root(&directory);
        ours.bind().unwrap();
        ours.keep_high_water(7).unwrap();
        let hangs = ours.noting.lock().unwrap();
        let refused = ours.keep_high_water(9).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        drop(hangs);
        ours.keep_high_water(9).unwrap();
        ours.keep_high_water(8).unwrap();
        assert_eq!(ours.look_at_ground().unwrap().high_water, Some(9));
    }

    #[test]
    fn two_cannot_work_in_one_state_root() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (root(&directory), root(&directory));
        first.bind().unwrap();
        assert!(!first.look_at_ground().unwrap().locked_by_another);
        assert!(second.look_at_ground().unwrap().locked_by_another);
        drop(first);
        assert!(!second.look_at_ground().unwrap().locked_by_another);
    }

    #[test]
    fn those_that_share_it_keep_out_who_would_work_in_it_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (root(&directory).shared(true), root(&directory).shared(true));
        first.bind().unwrap();
        assert!(!first.look_at_ground().unwrap().locked_by_another);
        assert!(!second.look_at_ground().unwrap().locked_by_another);
        assert!(root(&directory).look_at_ground().unwrap().locked_by_another);
    }
}
