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

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, ResolveFlags};
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

/// Opens a directory by its one name, unless another file system is mounted there.
fn open_on_same_mount(parent: &OwnedFd, name: &CString) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(parent, name, DIRECTORY, Mode::empty(), resolve) {
        // A kernel before 5.6, or a filter of system calls that is as old: mounts cannot be told.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()),
        opened => opened,
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
            Err(Errno::BUSY) => return Err(mounted(name)),
            other => return gone(other),
        }
    }
}

fn mounted(name: &CString) -> io::Error {
    let name = crate::runtime::docker::text::one_line(&name.to_string_lossy());
    io::Error::other(format!("something is mounted at {name} in it; unmount it first"))
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
