//! Small files that are read and replaced as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::effects;

/// What it says, without the space around it; none if it is not there. More than `longest` bytes
/// are not read.
pub(super) fn read(directory: &OwnedFd, name: &str, longest: u64) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => File::from(file?),
    };
    let mut text = String::new();
    file.take(longest).read_to_string(&mut text)?;
    Ok(Some(text.trim().to_owned()))
}

/// Removes it; success if it is gone.
pub(super) fn forget(directory: &OwnedFd, name: &str) -> io::Result<()> {
    match effects::unlink(directory, name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Half of it is never seen: it is written beside its place, flushed, and moved there.
pub(super) fn replace(directory: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let beside = format!("{name}.new");
    forget(directory, &beside)?;
    let file = effects::make_file(directory, &beside)?;
    effects::write(&file, format!("{text}\n").as_bytes())?;
    effects::flush(&file)?;
    effects::rename(directory, &beside, directory, name)?;
    Ok(effects::flush(directory)?)
}
