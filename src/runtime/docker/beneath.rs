//! Opening and listing what is beneath a directory that is held open, following no link.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::text::one_line;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What is opened to be read blocks nobody, whatever it turns out to be.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Opens a directory by its one name; a link or anything else in its place is an error.
pub(super) fn open(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => Ok(directory),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(not_a_directory()),
        Err(error) => Err(error.into()),
    }
}

/// The same, where nothing of that name is no error.
pub(super) fn open_if_there(parent: &OwnedFd, name: &str) -> io::Result<Option<OwnedFd>> {
    match open(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        directory => directory.map(Some),
    }
}

/// Opens a directory by its one name, unless another file system is mounted there (`EXDEV`).
pub(super) fn open_on_same_mount(parent: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    opened(parent, name, DIRECTORY)
}

/// Opens a file by its one name, unless something is mounted there (`EXDEV`).
pub(super) fn open_file(parent: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    opened(parent, name, FILE)
}

fn opened(parent: &OwnedFd, name: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve) {
        // A kernel before 5.6, or a filter of system calls that is as old: mounts cannot be told.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(parent, name, flags, Mode::empty()),
        opened => opened,
    }
}

/// A handle of a directory by its one name, whatever its mode lets anybody do with it, unless another file
/// system is mounted there (`EXDEV`).
pub(super) fn handle_on_same_mount(parent: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    opened(parent, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

/// The names in a directory.
pub(super) fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
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

pub(super) fn mounted(name: &CStr) -> io::Error {
    let name = one_line(&name.to_string_lossy());
    io::Error::other(format!("something is mounted at {name} in it; unmount it first"))
}

pub(super) fn not_a_directory() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, "what is there is a link or no directory; it is left alone")
}
