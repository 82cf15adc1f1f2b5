//! What is in a state directory: how much, of what kind, and whether it stays as it is.
//!
//! An engine decides what its directory holds, and may still be at work in it. So everything is
//! bounded, and two surveys that agree say that between them nothing was written.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::beneath;
use super::super::text::one_line;
use super::error::CopyError;
use super::watch::Watch;
use crate::runtime::Shortage;

/// Directories in directories, at most.
const DEEPEST: usize = 64;
/// Names in all, at most.
const MOST: u64 = 1_000_000;
/// How long all files may be together, holes counted, in bytes: a tebibyte. That is a thousand times
/// what an engine's state has ever been; what is longer is a mistake or a trap (a sparse file of the
/// longest length that ext4 takes, 16 TiB), and where a file system cannot tell its holes, it would be
/// read from its beginning to its end.
pub(super) const LONGEST: u64 = 1 << 40;
/// What a name takes on a disk besides its content, about, in bytes.
pub(super) const PER_NAME: u64 = 4_096;
/// After so many looks is told that the disk answers.
const LOOKS: u64 = 1_000;
/// A file system tells times apart that are so far from each other: two ticks of the slowest kernel.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Regular files; one with several names is one.
    pub(super) files: u64,
    /// Bytes in them.
    pub(super) bytes: u64,
    /// What a copy of it takes on the disk.
    pub(super) room: Room,
    /// Who owns files and directories in it: user and group.
    pub(super) owners: HashSet<(u32, u32)>,
    /// Of every name, who it is and when it changed.
    stamps: [u8; 32],
    /// Something changed just now: until the clock of the file system has moved on, another change
    /// could not be told from it.
    pub(super) is_fresh: bool,
}

impl Survey {
    /// Whether nothing was written between the two.
    pub(super) fn is_same_as(&self, earlier: &Self) -> bool {
        !earlier.is_fresh && self.stamps == earlier.stamps
    }
}

/// What something takes on a disk, about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Room {
    pub(super) bytes: u64,
    /// Of its files, directories and links.
    pub(super) inodes: u64,
}

impl std::ops::AddAssign for Room {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.inodes = self.inodes.saturating_add(other.inodes);
    }
}

/// What a copy takes beside what is copied: its directory, that of the state, one that goes again, and the
/// manifest.
const BESIDE: Room = Room { bytes: 4 * PER_NAME, inodes: 4 };

/// A name in a directory.
pub(super) struct Entry {
    pub(super) name: CString,
    pub(super) kind: Kind,
    pub(super) about: Stat,
}

/// What can be in a state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// Copied as it is, and led to nowhere.
    Link,
    /// A socket or a pipe: without the process that made it, it is nothing.
    LeftOut,
}

/// Looks at everything once, reading no content, as long as anybody waits for it.
pub(super) fn survey(top: &OwnedFd, watch: &Watch) -> Result<Survey, CopyError> {
    survey_opening(top, false, watch)
}

/// The same, and opens each file, as whoever copies it has to.
pub(super) fn survey_as_copied(top: &OwnedFd, watch: &Watch) -> Result<Survey, CopyError> {
    survey_opening(top, true, watch)
}

fn survey_opening(top: &OwnedFd, opens_files: bool, watch: &Watch) -> Result<Survey, CopyError> {
    let mut surveyor = Surveyor {
        found: Survey { room: BESIDE, ..Survey::default() },
        stamps: Sha256::new(),
        shared: HashSet::new(),
        began: now(),
        opens_files,
    };
    surveyor.stamp(c".".to_bytes(), &rustix::fs::fstat(top)?);
    surveyor.directory(top, &mut Bounds::new(watch))?;
    Ok(Survey { stamps: surveyor.stamps.finalize().into(), ..surveyor.found })
}

struct Surveyor {
    found: Survey,
    stamps: Sha256,
    shared: HashSet<(u64, u64)>,
    /// Nanoseconds, as times of files are.
    began: i128,
    opens_files: bool,
}

impl Surveyor {
    fn directory(&mut self, directory: &OwnedFd, bounds: &mut Bounds<'_>) -> Result<(), CopyError> {
        for Entry { name, kind, about } in bounds.entries(directory)? {
            self.found.room += Room { bytes: PER_NAME, inodes: u64::from(kind != Kind::LeftOut) };
            self.stamp(name.to_bytes_with_nul(), &about);
            match kind {
                Kind::Directory => {
                    self.found.owners.insert((about.st_uid, about.st_gid));
                    let inner = open_directory(directory, &name, &about);
                    let inner = inner.map_err(|error| closed(error, &name, &about))?;
                    bounds.within(|bounds| self.directory(&inner, bounds))?;
                }
                Kind::File if about.st_nlink > 1 && !self.shared.insert((about.st_dev, about.st_ino)) => {}
                Kind::File => {
                    self.found.files += 1;
                    self.found.owners.insert((about.st_uid, about.st_gid));
                    if self.opens_files {
                        bounds.goes_on()?;
                        open_file(directory, &name, &about).map_err(|error| closed(error, &name, &about))?;
                    }
                    self.found.bytes = self.found.bytes.saturating_add(about.st_size.cast_unsigned());
                    if self.found.bytes > LONGEST {
                        return Err(too_long(&name, about.st_size.cast_unsigned()));
                    }
                    // What is not written takes no room, here or in the copy.
                    self.found.room.bytes += about.st_blocks.cast_unsigned() * 512;
                }
                Kind::Link | Kind::LeftOut => {}
            }
        }
        Ok(())
    }

    fn stamp(&mut self, name: &[u8], about: &Stat) {
        let changed = i128::from(about.st_ctime) * 1_000_000_000 + i128::from(about.st_ctime_nsec);
        let tick = TICK.as_nanos().cast_signed();
        self.found.is_fresh |= (self.began - tick..=now() + tick).contains(&changed);
        self.stamps.update((name.len() as u64).to_le_bytes());
        self.stamps.update(name);
        for number in [about.st_dev, about.st_ino, about.st_mtime_nsec, about.st_ctime_nsec] {
            self.stamps.update(number.to_le_bytes());
        }
        for number in [about.st_size, about.st_mtime, about.st_ctime] {
            self.stamps.update(number.to_le_bytes());
        }
        for number in [about.st_mode, about.st_uid, about.st_gid] {
            self.stamps.update(number.to_le_bytes());
        }
    }
}

/// Only its owner may see what is in it.
fn closed(error: CopyError, name: &CString, about: &Stat) -> CopyError {
    match error {
        CopyError::Disk(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            CopyError::Unfit(format!(
                "{} in it is {}:{}'s and cannot be read (mode {:o}); run gamekeeper as that user or as root, or have the engine let others read it",
                one_line(&name.to_string_lossy()),
                about.st_uid,
                about.st_gid,
                about.st_mode & 0o7777,
            ))
        }
        other => other,
    }
}

fn too_long(name: &CString, length: u64) -> CopyError {
    const GIB: u64 = 1 << 30;
    CopyError::Unfit(format!(
        "its files are longer than {} GiB together, which is the most that is copied ({} alone is {} GiB long, holes counted); is a file with holes in it by mistake?",
        LONGEST / GIB,
        one_line(&name.to_string_lossy()),
        length / GIB
    ))
}

fn now() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// The depth, and the number of names so far; and the one who waits for what is done with them.
#[derive(Debug)]
pub(super) struct Bounds<'a> {
    depth: usize,
    names: u64,
    watch: &'a Watch,
    /// Looks so far.
    looks: u64,
}

impl<'a> Bounds<'a> {
    pub(super) fn new(watch: &'a Watch) -> Self {
        Self { depth: 0, names: 0, watch, looks: 0 }
    }

    /// Before each look at a name, which may take a disk a while: an error once nobody waits for it any more.
    /// A disk that answers is not silent, however many it has to answer for.
    fn goes_on(&mut self) -> Result<(), CopyError> {
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS) { self.watch.at(|_| {}) } else { self.watch.check() }
    }

    /// Work one directory deeper.
    pub(super) fn within<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, CopyError>,
    ) -> Result<T, CopyError> {
        if self.depth == DEEPEST {
            return Err(CopyError::Unfit(format!("directories are nested more than {DEEPEST} deep in it")));
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        done
    }

    /// What is in a directory, by name.
    pub(super) fn entries(&mut self, directory: &OwnedFd) -> Result<Vec<Entry>, CopyError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.names += 1;
            if self.names > MOST {
                return Err(CopyError::Unfit(format!("there are more than {MOST} names in it")));
            }
            names.push(name.to_owned());
        }
        names.sort_unstable();
        let looked = names.into_iter().map(|name| {
            self.goes_on()?;
            look(directory, name)
        });
        looked.collect()
    }
}

fn look(directory: &OwnedFd, name: CString) -> Result<Entry, CopyError> {
    let about = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(moving)?;
    let kind = match FileType::from_raw_mode(about.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Link,
        FileType::Socket | FileType::Fifo => Kind::LeftOut,
        _ => {
            let shown = one_line(&name.to_string_lossy());
            return Err(CopyError::Unfit(format!("{shown} in it is a device, which is not copied")));
        }
    };
    Ok(Entry { name, kind, about })
}

/// Opens the directory that was looked at, and no other.
pub(super) fn open_directory(parent: &OwnedFd, name: &CString, about: &Stat) -> Result<OwnedFd, CopyError> {
    the_same(beneath::open_on_same_mount(parent, name), name, about)
}

/// Opens the file that was looked at, and no other.
pub(super) fn open_file(parent: &OwnedFd, name: &CString, about: &Stat) -> Result<OwnedFd, CopyError> {
    the_same(beneath::open_file(parent, name), name, about)
}

fn the_same(opened: rustix::io::Result<OwnedFd>, name: &CString, about: &Stat) -> Result<OwnedFd, CopyError> {
    let opened = match opened {
        Err(Errno::XDEV) => return Err(CopyError::Unfit(beneath::mounted(name).to_string())),
        opened => opened.map_err(moving)?,
    };
    let now = rustix::fs::fstat(&opened)?;
    if (now.st_dev, now.st_ino) == (about.st_dev, about.st_ino) {
        Ok(opened)
    } else {
        Err(CopyError::Changed)
    }
}

/// What was there and is not, or is something else, is being written to.
pub(super) fn moving(error: Errno) -> CopyError {
    match error {
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::AGAIN => CopyError::Changed,
        other => other.into(),
    }
}

/// That there is room for this where `somewhere` is.
pub(super) fn check_room(somewhere: &OwnedFd, needed: Room) -> Result<(), CopyError> {
    shortage(somewhere, needed)?.map_or(Ok(()), |shortage| Err(CopyError::NoRoom(shortage)))
}

/// What there is too little of, if so.
pub(super) fn shortage(somewhere: &OwnedFd, needed: Room) -> std::io::Result<Option<Shortage>> {
    let about = rustix::fs::fstatvfs(somewhere)?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    if free < needed.bytes {
        return Ok(Some(Shortage::Bytes { needed: needed.bytes, free }));
    }
    // A file system that makes inodes as they are needed has none to count (Btrfs says 0 of 0).
    let is_counted = about.f_files > 0;
    let (needed, free) = (needed.inodes, about.f_favail);
    Ok((is_counted && free < needed).then_some(Shortage::Inodes { needed, free }))
}
