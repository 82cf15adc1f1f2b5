//! Moving a directory from one place to another, whatever its mode.
//!
//! Its entry for what is above it changes with that, so the kernel asks for the right to write to the
//! directory itself. An engine may have taken that from its own, and who is not root has no more.

use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::io::{Errno, Result};

use super::{beneath, effects};

/// Does a rename of this directory, which has its mode again afterwards. (If the process dies in between, its
/// owner may write to it: an engine that runs by that user could have said so itself.)
pub(super) fn whatever_its_mode(parent: &OwnedFd, name: &str, rename: impl Fn() -> Result<()>) -> Result<()> {
    match rename() {
        Err(Errno::ACCESS) => {
            let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
            let directory = beneath::handle_on_same_mount(parent, &name)?;
            let mode = Mode::from_raw_mode(rustix::fs::fstat(&directory)?.st_mode & 0o7777);
            effects::set_mode(&directory, mode | Mode::WUSR).map_err(|_| Errno::ACCESS)?;
            let renamed = rename();
            effects::set_mode(&directory, mode)?;
            renamed
        }
        renamed => renamed,
    }
}
