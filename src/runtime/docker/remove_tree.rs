//! Removing everything in a directory, following no link, whatever is in it.
//!
//! An engine decides what its state directory holds, so nothing is assumed: directories may be
//! nested a hundred thousand deep, which would exhaust a recursion's stack or its file descriptors.
//! Directories found inside are therefore moved up to the top before they are emptied: at most two
//! are open at a time.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes what is in the directory, and leaves it empty.
pub(super) fn empty(top: &OwnedFd) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let entries = entries(top)?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            if let Some(directory) = remove_or_open(top, &entry)? {
                for inner in self::entries(&directory)? {
                    if !removed(&directory, &inner)? {
                        move_up(&directory, &inner, top, &mut moved)?;
                    }
                }
                gone(rustix::fs::unlinkat(top, &entry, AtFlags::REMOVEDIR))?;
            }
        }
    }
}

/// Removes the entry, or opens it if it is a directory.
fn remove_or_open(parent: &OwnedFd, name: &CString) -> io::Result<Option<OwnedFd>> {
    if removed(parent, name)? {
        return Ok(None);
    }
    match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => {
            // A directory that its owner has made read-only could not be emptied. Of another's it
            // fails, and then the removals decide.
            let _ = rustix::fs::fchmod(&directory, Mode::RWXU);
            Ok(Some(directory))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes what is no directory; says whether it is gone.
fn removed(parent: &OwnedFd, name: &CString) -> io::Result<bool> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        // Linux says the first of a directory, POSIX the second, which may also mean what it says:
        // then the attempt to open it, or to remove it as a directory, fails in its turn.
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn move_up(from: &OwnedFd, name: &CString, top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        let place = format!(".removed-{moved}");
        match rustix::fs::renameat_with(from, name, top, place, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return gone(other),
        }
    }
}

fn entries(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
