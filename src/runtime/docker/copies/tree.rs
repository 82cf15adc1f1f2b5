//! Copying a tree, and reading one: both give a digest of all that was read, so that what was
//! written can be read again and compared.

use std::collections::HashMap;
use std::ffi::CString;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::fs::{Advice, SeekFrom, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::super::{beneath, effects};
use super::error::CopyError;
use super::survey::{Bounds, Entry, Kind, Room, check_room, moving, open_directory, open_file};
use super::watch::Watch;
use crate::game::Backup;

/// So much is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// What is zeros is told from what is not in pieces of this size, in bytes: the block of most file
/// systems, and of what they leave out of a file with holes.
const PAGE: u64 = 4_096;

/// What was read.
#[derive(Debug)]
pub(super) struct Measure {
    /// Regular files; one with several names is one.
    pub(super) files: u64,
    /// Bytes in them.
    pub(super) bytes: u64,
    /// Sockets and pipes.
    pub(super) left_out: u64,
    /// Of names, owners, modes, times and contents.
    pub(super) digest: [u8; 32],
}

impl Measure {
    /// Whether the other was read from the like; sockets and pipes are no part of either.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        (self.files, self.bytes, self.digest) == (other.files, other.bytes, other.digest)
    }

    /// Whether this was read from what the copy is of.
    pub(super) fn is_what(&self, backup: &Backup) -> bool {
        self.digest_text() == backup.digest
    }

    /// The digest in hexadecimal digits.
    pub(super) fn digest_text(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where a copy is made.
pub(super) struct Destination<'a> {
    /// The directory to fill.
    pub(super) top: &'a OwnedFd,
    /// A directory beside it, where files with several names are kept at hand.
    pub(super) shared: &'a OwnedFd,
    /// What the copy takes on the disk, where contents cannot be shared, in bytes.
    pub(super) room: Room,
}

/// Reads everything, from the disk rather than from memory.
pub(super) fn read(from: &OwnedFd, watch: &Watch) -> Result<Measure, CopyError> {
    Walk::new(None, watch).tree(from, None)
}

/// Copies everything into an empty directory.
pub(super) fn copy(from: &OwnedFd, to: &Destination<'_>, watch: &Watch) -> Result<Measure, CopyError> {
    Walk::new(Some(to), watch).tree(from, Some(to.top))
}

struct Walk<'a> {
    to: Option<&'a Destination<'a>>,
    watch: &'a Watch,
    digest: Sha256,
    files: u64,
    bytes: u64,
    left_out: u64,
    /// Contents of files with several names, by who they are: a number, and their digest.
    shared: HashMap<(u64, u64), (usize, [u8; 32])>,
    /// Whether the file system can let two files share their content, once that was tried.
    shares_content: Option<bool>,
    buffer: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(to: Option<&'a Destination<'a>>, watch: &'a Watch) -> Self {
        Self {
            to,
            watch,
            digest: Sha256::new(),
            files: 0,
            bytes: 0,
            left_out: 0,
            shared: HashMap::new(),
            shares_content: None,
            buffer: vec![0; CHUNK],
        }
    }

    fn tree(mut self, from: &OwnedFd, to: Option<&OwnedFd>) -> Result<Measure, CopyError> {
        self.directory(from, to, &mut Bounds::new(self.watch))?;
        let Self { files, bytes, left_out, digest, .. } = self;
        Ok(Measure { files, bytes, left_out, digest: digest.finalize().into() })
    }

    /// What is in a directory, and then the directory itself: filling it changes its time.
    fn directory(
        &mut self,
        from: &OwnedFd,
        to: Option<&OwnedFd>,
        bounds: &mut Bounds<'_>,
    ) -> Result<(), CopyError> {
        let about = rustix::fs::fstat(from)?;
        for entry in bounds.entries(from)? {
            let Entry { name, kind, about } = &entry;
            if *kind == Kind::LeftOut {
                self.left_out += 1;
                continue;
            }
            self.digest.update([*kind as u8]);
            self.digest.update(name.to_bytes_with_nul());
            match kind {
                Kind::Directory => {
                    let inner = open_directory(from, name, about)?;
                    let made = to
                        .map(|to| {
                            effects::make_directory(to, name)?;
                            beneath::open_on_same_mount(to, name)
                        })
                        .transpose()?;
                    bounds.within(|bounds| self.directory(&inner, made.as_ref(), bounds))?;
                }
                Kind::File => self.file(from, to, &entry)?,
                Kind::Link => self.link(from, to, &entry)?,
                Kind::LeftOut => {}
            }
        }
        // No kind of entry: the directory ends here.
        self.digest.update([u8::MAX]);
        self.dressed(&about);
        if let Some(to) = to {
            effects::dress(to, &about)?;
        }
        Ok(())
    }

    fn link(&mut self, from: &OwnedFd, to: Option<&OwnedFd>, entry: &Entry) -> Result<(), CopyError> {
        let target = match rustix::fs::readlinkat(from, &entry.name, Vec::new()) {
            // It is no link any more.
            Err(Errno::INVAL) => return Err(CopyError::Changed),
            target => target.map_err(moving)?,
        };
        self.digest.update(target.to_bytes_with_nul());
        self.dressed(&entry.about);
        if let Some(to) = to {
            effects::make_symlink(&target, to, &entry.name)?;
            effects::dress_link(to, &entry.name, &entry.about)?;
        }
        Ok(())
    }

    fn file(&mut self, from: &OwnedFd, to: Option<&OwnedFd>, entry: &Entry) -> Result<(), CopyError> {
        let Entry { name, about, .. } = entry;
        let who = (about.st_nlink > 1).then_some((about.st_dev, about.st_ino));
        let known = who.and_then(|who| self.shared.get(&who).copied());
        let content = if let Some((number, content)) = known {
            if let (Some(to), Some(destination)) = (to, self.to) {
                effects::link(destination.shared, number.to_string(), to, name)?;
            }
            content
        } else {
            let content = self.content(from, to, name, about)?;
            if let Some(who) = who {
                let number = self.shared.len();
                if let (Some(to), Some(destination)) = (to, self.to) {
                    effects::link(to, name, destination.shared, number.to_string())?;
                }
                self.shared.insert(who, (number, content));
            }
            self.files += 1;
            content
        };
        self.digest.update(content);
        self.dressed(about);
        let files = self.files;
        self.watch.at(|progress| progress.files = files)
    }

    /// Reads a file, and writes it where it is copied; gives the digest of what was read.
    fn content(
        &mut self,
        from: &OwnedFd,
        to: Option<&OwnedFd>,
        name: &CString,
        about: &Stat,
    ) -> Result<[u8; 32], CopyError> {
        let file = open_file(from, name, about)?;
        let made = to.map(|to| effects::make_file(to, name)).transpose()?;
        if made.is_none() {
            // Only a hint: a file system without it gives what it has in memory.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        }
        let written = match &made {
            Some(made) if !self.share(&file, made)? => Some(made),
            _ => None,
        };
        let length = about.st_size.cast_unsigned();
        let mut content = Sha256::new();
        content.update(length.to_le_bytes());
        let before = self.bytes;
        let mut position = 0;
        while let Some(data) = next_data(&file, position, length)? {
            let end = data.end.next_multiple_of(PAGE).min(length);
            position = data.start - data.start % PAGE;
            while position < end {
                let size = CHUNK.min(usize::try_from(end - position).unwrap_or(CHUNK));
                read_exactly(&file, self.buffer.get_mut(..size).unwrap_or_default(), position)?;
                pages(self.buffer.get(..size).unwrap_or_default(), position, &mut content, written)?;
                position += size as u64;
                self.bytes = before + position;
                let bytes = self.bytes;
                self.watch.at(|progress| progress.bytes = bytes)?;
            }
        }
        if rustix::fs::fstat(&file)?.st_size != about.st_size {
            return Err(CopyError::Changed);
        }
        self.bytes = before + length;
        let bytes = self.bytes;
        self.watch.at(|progress| progress.bytes = bytes)?;
        if let Some(written) = written {
            effects::set_length(written, length)?;
        }
        if let Some(made) = &made {
            effects::dress(made, about)?;
        }
        Ok(content.finalize().into())
    }

    /// Lets the copy share the content, where that can be; otherwise there has to be room for all.
    fn share(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<bool, CopyError> {
        if self.shares_content == Some(false) {
            return Ok(false);
        }
        let shares = effects::share_content(from, to)?;
        if !shares && let Some(destination) = self.to {
            // Inodes were looked for before the first was taken.
            check_room(to, Room { inodes: 0, ..destination.room })?;
        }
        self.shares_content = Some(shares);
        Ok(shares)
    }

    fn dressed(&mut self, about: &Stat) {
        for number in [about.st_mode, about.st_uid, about.st_gid] {
            self.digest.update(number.to_le_bytes());
        }
        self.digest.update(about.st_mtime.to_le_bytes());
        self.digest.update(about.st_mtime_nsec.to_le_bytes());
    }
}

/// The next stretch of a file that may hold something else than zeros; holes are passed over.
fn next_data(file: &OwnedFd, from: u64, length: u64) -> Result<Option<Range<u64>>, CopyError> {
    if from >= length {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        // A hole to the end.
        Err(Errno::NXIO) => return Ok(None),
        // A file system that cannot tell: everything may be something.
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => from,
        Err(error) => return Err(error.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(length);
    Ok((start < length).then(|| start..end.clamp(start + 1, length)))
}

fn read_exactly(file: &OwnedFd, mut buffer: &mut [u8], mut from: u64) -> Result<(), CopyError> {
    while !buffer.is_empty() {
        let read = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, from))?;
        if read == 0 {
            // It has become shorter.
            return Err(CopyError::Changed);
        }
        buffer = buffer.get_mut(read..).unwrap_or_default();
        from += read as u64;
    }
    Ok(())
}

/// Takes a piece of a file into its digest, and writes it where it is copied. Pages of zeros are in
/// neither, whether the file has a hole there or not: a copy has the digest of what it is a copy of,
/// and no more blocks.
fn pages(
    piece: &[u8],
    position: u64,
    content: &mut Sha256,
    written: Option<&OwnedFd>,
) -> Result<(), CopyError> {
    let mut at = position;
    let mut run: Range<usize> = 0..0;
    for page in piece.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
        if page.iter().any(|byte| *byte != 0) {
            content.update(at.to_le_bytes());
            content.update(page);
            run.end += page.len();
        } else {
            put(piece, &run, position, written)?;
            run = run.end + page.len()..run.end + page.len();
        }
        at += page.len() as u64;
    }
    put(piece, &run, position, written)
}

fn put(piece: &[u8], run: &Range<usize>, position: u64, written: Option<&OwnedFd>) -> Result<(), CopyError> {
    let bytes = piece.get(run.clone()).unwrap_or_default();
    if let (Some(file), false) = (written, bytes.is_empty()) {
        effects::write_at(file, bytes, position + run.start as u64)?;
    }
    Ok(())
}
