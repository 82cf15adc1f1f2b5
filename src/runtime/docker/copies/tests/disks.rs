//! File systems of their own, for as long as a test lives. Only root may mount one: elsewhere there is none,
//! which is said, and the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that is mounted.
pub(super) struct Mounted(PathBuf);

impl Mounted {
    pub(super) fn new(place: &Path, arguments: &[&str]) -> Option<Self> {
        fs::create_dir_all(place).expect("directories");
        succeeds(Command::new("mount").args(arguments).arg(place)).then(|| Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A disk of a bounded size.
pub(super) struct Disk {
    mounted: Mounted,
    // After what is mounted in it.
    _directory: tempfile::TempDir,
}

impl Disk {
    /// One in memory, with these options: `size=16m`.
    pub(super) fn of(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mounted = Mounted::new(&directory.path().join("disk"), &["-t", "tmpfs", "-o", options, "none"])?;
        Some(Self { mounted, _directory: directory })
    }

    /// One of 320 MiB on which files can share their contents.
    pub(super) fn that_shares() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let image = directory.path().join("image");
        fs::File::create(&image).expect("a file").set_len(320 << 20).expect("a length");
        if !succeeds(Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image)) {
            return None;
        }
        let arguments = ["-o", "loop", &image.display().to_string()];
        let mounted = Mounted::new(&directory.path().join("disk"), &arguments)?;
        Some(Self { mounted, _directory: directory })
    }

    pub(super) fn path(&self) -> &Path {
        &self.mounted.0
    }
}

fn succeeds(command: &mut Command) -> bool {
    let done = command.output().is_ok_and(|output| output.status.success());
    if !done {
        eprintln!("{command:?} is not possible here: what it is for is LEFT OUT");
    }
    done
}
