//! Removing everything in a directory, following no link, whatever is in it.
//!
//! An engine decides what its state directory holds, so nothing is assumed: directories may be
//! nested a hundred thousand deep, which would exhaust a recursion's stack or its file descriptors.
//! Directories found inside are therefore moved up to the top before they are emptied: at most two
//! are open at a time. What is mounted inside is somebody's who is not the engine: it stays, and so
//! does what it is mounted on. A directory that its owner may not read, or not write to, is made one that
//! they may: who is not root could not open it, or not move it up.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::io::Errno;

use super::beneath::{handle_on_same_mount, mounted, names, not_a_directory, open_on_same_mount};
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
    if removed(parent, name)? { Ok(None) } else { open(parent, name) }
}

/// Opens a directory that is to be emptied, whatever its mode; none if it is gone.
pub(super) fn open(parent: &OwnedFd, name: &CStr) -> io::Result<Option<OwnedFd>> {
    let opened = match open_on_same_mount(parent, name) {
        Err(Errno::ACCESS) => {
            made_ours(parent, name, Errno::ACCESS).and_then(|()| open_on_same_mount(parent, name))
        }
        opened => opened,
    };
    match opened {
        Ok(directory) => {
            // A directory that its owner has made read-only could not be emptied. Of another's it
            // fails, and then the removals decide.
            let _ = rustix::fs::fchmod(&directory, Mode::RWXU);
            Ok(Some(directory))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::XDEV) => Err(mounted(name)),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(not_a_directory()),
        Err(error) => Err(error.into()),
    }
}

/// Lets the owner of a directory do everything with it. If that cannot be, `otherwise` is what keeps it.
fn made_ours(parent: &OwnedFd, name: &CStr, otherwise: Errno) -> Result<(), Errno> {
    let directory = handle_on_same_mount(parent, name)?;
    effects::set_mode(&directory, Mode::RWXU).map_err(|_| otherwise)
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
    let mut was_made_ours = false;
    loop {
        *moved += 1;
        let place = format!(".removed-{moved}");
        match effects::rename_new(from, name, top, place) {
            Err(Errno::EXIST) => {}
            Err(Errno::BUSY) => return Err(mounted(name)),
            // Its entry for what is above it changes, so it has to be one that can be written to.
            Err(error @ Errno::ACCESS) if !was_made_ours => {
                match made_ours(from, name, error) {
                    Err(Errno::XDEV) => return Err(mounted(name)),
                    Err(Errno::NOENT) => return Ok(()),
                    made => made?,
                }
                was_made_ours = true;
            }
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
