//! Small files that are read and replaced as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{beneath, effects};

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

/// Half of it is never seen: it is written beside its place, flushed, and moved there. Beside it means
/// under a name that nobody else has: two that write at the same time write two files. What one left there
/// that died goes with the next writing.
pub(super) fn replace(directory: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let (begin, end) = (format!("{name}."), ".new");
    let beside = format!("{begin}{}{end}", uuid::Uuid::new_v4().simple());
    let file = effects::make_file(directory, &beside)?;
    effects::write(&file, format!("{text}\n").as_bytes())?;
    effects::flush(&file)?;
    effects::rename(directory, &beside, directory, name)?;
    for left in beneath::names(directory)? {
        if let Some(left) = left.to_str().ok().filter(|left| left.starts_with(&begin) && left.ends_with(end))
        {
            forget(directory, left)?;
        }
    }
    Ok(effects::flush(directory)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_write_at_once_leave_the_whole_of_one_and_what_was_left_half_written_goes() {
        let directory = tempfile::tempdir().unwrap();
        let open = || OwnedFd::from(File::open(directory.path()).unwrap());
        let at = open();
        std::fs::write(directory.path().join("note.0123.new"), "half").unwrap();
        std::fs::write(directory.path().join("note.json"), "another file").unwrap();
        let mut moments = 0;
        for changes in 0.. {
            let other = open();
            let meddle = move || replace(&other, "note", "other").unwrap();
            let write = || replace(&at, "note", "whole");
            let (replaced, done) = effects::interruption::meddling_after(changes, meddle, write);
            let text = read(&at, "note", 100).unwrap().expect("a note");
            assert!(text == "whole" || (done && text == "other"), "{changes}: {text} {replaced:?}");
            moments += usize::from(done);
            if !done {
                break;
            }
        }
        assert!(moments >= 5, "{moments}");
        let mut names: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["note", "note.json"]);
    }
}
