//! Removing everything in a directory, following no link, whatever is in it.
//!
//! An engine decides what its state directory holds, so nothing is assumed: directories may be
//! nested a hundred thousand deep, which would exhaust a recursion's stack or its file descriptors.
//! Directories found inside are therefore moved up to the top before they are emptied: at most two
//! are open at a time. What is mounted inside is somebody's who is not the engine: it stays, and so
//! does what it is mounted on.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::io::Errno;

use super::beneath::{mounted, names, open_on_same_mount};
use super::effects;

/// Removes what is in the directory, and leaves it empty. Asks before each name whether it is to go on.
pub(super) fn empty<E: From<io::Error>>(
    top: &OwnedFd,
    mut goes_on: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut moved = 0_u64;
    loop {
        let entries = names(top)?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            goes_on()?;
            if let Some(directory) = remove_or_open(top, &entry)? {
                for inner in names(&directory)? {
                    goes_on()?;
                    if !removed(&directory, &inner)? {
                        move_up(&directory, &inner, top, &mut moved)?;
                    }
                }
                effects::remove_directory(top, &entry).map_err(io::Error::from)?;
            }
        }
    }
}

/// Removes the entry, or opens it if it is a directory.
fn remove_or_open(parent: &OwnedFd, name: &CString) -> io::Result<Option<OwnedFd>> {
    if removed(parent, name)? {
        return Ok(None);
    }
    match open_on_same_mount(parent, name) {
        Ok(directory) => {
            // A directory that its owner has made read-only could not be emptied. Of another's it
            // fails, and then the removals decide.
            let _ = rustix::fs::fchmod(&directory, Mode::RWXU);
            Ok(Some(directory))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::XDEV) => Err(mounted(name)),
        Err(error) => Err(error.into()),
    }
}

/// Removes what is no directory; says whether it is gone.
fn removed(parent: &OwnedFd, name: &CString) -> io::Result<bool> {
    match effects::unlink(parent, name) {
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
        match effects::rename_new(from, name, top, place) {
            Err(Errno::EXIST) => {}
            Err(Errno::BUSY) => return Err(mounted(name)),
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
