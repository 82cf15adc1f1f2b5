//! Changes to the disk, one system call each.
//!
//! A process may die between any two of them. Copies, restores and removals are made of nothing
//! else, so that tests can let them die before each one.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::{Errno, Result};
use rustix::path::Arg;

/// Makes a directory that only this user sees; one that is there is as good.
pub(super) fn make_directory(parent: &OwnedFd, name: impl Arg) -> Result<()> {
    about_to_change()?;
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a file that only this user sees; nothing of that name may be there.
pub(super) fn make_file(parent: &OwnedFd, name: impl Arg) -> Result<OwnedFd> {
    about_to_change()?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
}

pub(super) fn make_symlink(target: &CStr, parent: &OwnedFd, name: &CStr) -> Result<()> {
    about_to_change()?;
    rustix::fs::symlinkat(target, parent, name)
}

/// Gives a file a second name.
pub(super) fn link(from: &OwnedFd, name: impl Arg, to: &OwnedFd, new: impl Arg) -> Result<()> {
    about_to_change()?;
    rustix::fs::linkat(from, name, to, new, AtFlags::empty())
}

pub(super) fn write(file: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    about_to_change()?;
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Writes at this position, wherever the file's own is.
pub(super) fn write_at(file: &OwnedFd, mut bytes: &[u8], mut position: u64) -> Result<()> {
    about_to_change()?;
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, position))?;
        bytes = bytes.get(written..).unwrap_or_default();
        position += written as u64;
    }
    Ok(())
}

/// Gives a file this length; what was not written reads as zeros.
pub(super) fn set_length(file: &OwnedFd, length: u64) -> Result<()> {
    about_to_change()?;
    rustix::fs::ftruncate(file, length)
}

/// Lets `to` share the content of `from`, where the file system can; says whether it does.
pub(super) fn share_content(from: &OwnedFd, to: &OwnedFd) -> Result<bool> {
    about_to_change()?;
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Gives an open file or directory another's owner, mode and time of change.
pub(super) fn dress(made: &OwnedFd, like: &Stat) -> Result<()> {
    about_to_change()?;
    let now = rustix::fs::fstat(made)?;
    if (now.st_uid, now.st_gid) != (like.st_uid, like.st_gid) {
        rustix::fs::fchown(made, Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid)))?;
    }
    // After the owner: a change of owner takes bits away.
    rustix::fs::fchmod(made, Mode::from_raw_mode(like.st_mode & 0o7777))?;
    rustix::fs::futimens(made, &changed_like(like))
}

/// Gives what this is a handle of another mode. (A handle that is for its path alone takes none itself: the
/// kernel names what it leads to.)
pub(super) fn set_mode(handle: &OwnedFd, mode: Mode) -> Result<()> {
    about_to_change()?;
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    rustix::fs::chmodat(rustix::fs::CWD, path, mode, AtFlags::empty())
}

/// Gives an open file to another.
pub(super) fn give(made: &OwnedFd, user: u32, group: u32) -> Result<()> {
    about_to_change()?;
    rustix::fs::fchown(made, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
}

/// The same for a link, which cannot be opened and has no mode.
pub(super) fn dress_link(parent: &OwnedFd, name: &CStr, like: &Stat) -> Result<()> {
    about_to_change()?;
    let now = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (now.st_uid, now.st_gid) != (like.st_uid, like.st_gid) {
        let (owner, group) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
        rustix::fs::chownat(parent, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    rustix::fs::utimensat(parent, name, &changed_like(like), AtFlags::SYMLINK_NOFOLLOW)
}

fn changed_like(like: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: like.st_mtime, tv_nsec: like.st_mtime_nsec.cast_signed() },
    }
}

pub(super) fn rename(from: &OwnedFd, name: impl Arg, to: &OwnedFd, new: impl Arg) -> Result<()> {
    about_to_change()?;
    rustix::fs::renameat(from, name, to, new)
}

/// The same, where nothing of the new name may be there. Some file systems know no such rename (NFS, 9p,
/// CephFS): there it is made of what they know.
pub(super) fn rename_new(from: &OwnedFd, name: impl Arg, to: &OwnedFd, new: impl Arg) -> Result<()> {
    let (name, new) = (name.into_c_str()?, new.into_c_str()?);
    about_to_change()?;
    match rename_no_replace(from, &name, to, &new) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rename_where_free(from, &name, to, &new),
        renamed => renamed,
    }
}

/// Renames to a name that nothing has. What comes to have it in the middle of this is not replaced: the
/// second name of what is no directory cannot be one that is taken, and a directory takes the place of nothing
/// but an empty one. (Names here are new ones, or nobody else of this process works on the game.)
fn rename_where_free(from: &OwnedFd, name: &CStr, to: &OwnedFd, new: &CStr) -> Result<()> {
    match rustix::fs::statat(to, new, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => return Err(Errno::EXIST),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    let found = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return rustix::fs::renameat(from, name, to, new);
    }
    rustix::fs::linkat(from, name, to, new, AtFlags::empty())?;
    unlink(from, name)
}

#[cfg(not(test))]
fn rename_no_replace(from: &OwnedFd, name: &CStr, to: &OwnedFd, new: &CStr) -> Result<()> {
    rustix::fs::renameat_with(from, name, to, new, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(test)]
use interruption::rename_no_replace;

/// Removes what is no directory.
pub(super) fn unlink(parent: &OwnedFd, name: impl Arg) -> Result<()> {
    about_to_change()?;
    rustix::fs::unlinkat(parent, name, AtFlags::empty())
}

/// Removes an empty directory; one that is gone is as good.
pub(super) fn remove_directory(parent: &OwnedFd, name: impl Arg) -> Result<()> {
    about_to_change()?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Has everything that was written to this file system on its disk, in one go.
pub(super) fn flush_all(somewhere: &OwnedFd) -> Result<()> {
    about_to_change()?;
    rustix::fs::syncfs(somewhere)
}

/// Has what happened in this directory on its disk.
pub(super) fn flush(directory: &OwnedFd) -> Result<()> {
    about_to_change()?;
    rustix::fs::fsync(directory)
}

/// The moment before a change.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it is where the process dies")]
fn about_to_change() -> Result<()> {
    Ok(())
}

#[cfg(test)]
use interruption::about_to_change;

/// Interruptions between two changes: the process's death, or somebody else's hand. And file systems that know
/// less than others.
#[cfg(test)]
pub(super) mod interruption {
    use std::cell::{Cell, RefCell};
    use std::ffi::CStr;
    use std::os::fd::OwnedFd;

    use rustix::fs::RenameFlags;
    use rustix::io::{Errno, Result};

    enum Interruption {
        /// From then on it changes nothing, not even to clean up.
        Death { changes_left: u32, died: bool },
        /// This is done, once.
        Meddling { changes_left: u32, meddle: Box<dyn FnOnce()> },
    }

    thread_local! {
        static PLANNED: RefCell<Option<Interruption>> = const { RefCell::new(None) };
        static PLAIN_RENAMES: Cell<Option<Errno>> = const { Cell::new(None) };
    }

    /// Runs `work` where a rename that replaces nothing is answered with this error, as NFS does.
    pub(in super::super) fn with_plain_renames<T>(error: Errno, work: impl FnOnce() -> T) -> T {
        PLAIN_RENAMES.set(Some(error));
        let done = work();
        PLAIN_RENAMES.set(None);
        done
    }

    pub(super) fn rename_no_replace(from: &OwnedFd, name: &CStr, to: &OwnedFd, new: &CStr) -> Result<()> {
        match PLAIN_RENAMES.get() {
            Some(error) => Err(error),
            None => rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE),
        }
    }

    /// Runs `work`, which dies before the change after the first `changes`; says whether it did.
    pub(in super::super) fn death_after<T>(changes: u32, work: impl FnOnce() -> T) -> (T, bool) {
        PLANNED.set(Some(Interruption::Death { changes_left: changes, died: false }));
        let done = work();
        let died = matches!(PLANNED.take(), Some(Interruption::Death { died: true, .. }));
        (done, died)
    }

    /// Runs `work`, and does `meddle` before the change after the first `changes`; says whether it
    /// was done.
    pub(in super::super) fn meddling_after<T>(
        changes: u32,
        meddle: impl FnOnce() + 'static,
        work: impl FnOnce() -> T,
    ) -> (T, bool) {
        PLANNED.set(Some(Interruption::Meddling { changes_left: changes, meddle: Box::new(meddle) }));
        let done = work();
        (done, PLANNED.take().is_none())
    }

    pub(super) fn about_to_change() -> Result<()> {
        let meddle = PLANNED.with_borrow_mut(|planned| match planned {
            None => Ok(None),
            Some(Interruption::Death { changes_left: 0, died }) => {
                *died = true;
                Err(Errno::OWNERDEAD)
            }
            Some(Interruption::Meddling { changes_left: 0, .. }) => Ok(planned.take()),
            Some(Interruption::Death { changes_left, .. } | Interruption::Meddling { changes_left, .. }) => {
                *changes_left -= 1;
                Ok(None)
            }
        })?;
        if let Some(Interruption::Meddling { meddle, .. }) = meddle {
            meddle();
        }
        Ok(())
    }
}
