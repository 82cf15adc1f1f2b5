//! What is in a state directory: a digest of its names, to tell whether something came or went.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};

use super::holders;
use super::state::StateRoot;
use crate::game::GameId;
use crate::game::record::Contents;

/// So many names are looked at, and so deep; an engine that has not begun has a handful.
const NAMES: usize = 10_000;
const DEEPEST: usize = 16;

impl StateRoot {
    /// A digest of the names below the game's directory. What cannot be opened counts by its name.
    pub(super) fn contents(&self, game: GameId) -> io::Result<Contents> {
        let Some(directory) = self.open_game(game)? else { return Ok(Contents::nothing()) };
        let mut names = Vec::new();
        walk(&directory, "", DEEPEST, &mut names)?;
        if names.is_empty() {
            return Ok(Contents::nothing());
        }
        names.sort_unstable();
        let digest = Sha256::digest(names.join(&b'\n'));
        Ok(Contents::new(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()))
    }
}

impl StateRoot {
    /// The directories within a game's, relative to it; none if they are too many. One that cannot be
    /// opened is taken as it is.
    pub(super) fn directories_within(&self, game: GameId) -> io::Result<Option<Vec<PathBuf>>> {
        let mut found = Vec::new();
        let is_all = match self.open_game(game) {
            Ok(Some(directory)) => directories(&directory, Path::new(""), holders::DEEPEST, &mut found)?,
            Ok(None) => true,
            // Only its owner sees what is within.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => true,
            Err(error) => return Err(error),
        };
        Ok(is_all.then_some(found))
    }
}

/// False if there are more than are looked for.
fn directories(
    directory: &OwnedFd,
    above: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." || entry.file_type() != FileType::Directory {
            continue;
        }
        if depth == 0 || found.len() == holders::MOST_WITHIN {
            return Ok(false);
        }
        let path = above.join(OsStr::from_bytes(name.to_bytes()));
        found.push(path.clone());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(inner) = rustix::fs::openat(directory, name, flags, Mode::empty())
            && !directories(&inner, &path, depth - 1, found)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether anything is in a directory.
pub(super) fn is_empty(directory: &OwnedFd) -> io::Result<bool> {
    let mut names = Vec::new();
    walk(directory, "", 1, &mut names)?;
    Ok(names.is_empty())
}

fn walk(directory: &OwnedFd, above: &str, depth: usize, names: &mut Vec<Vec<u8>>) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if names.len() == NAMES {
            return Ok(());
        }
        let mut path = above.as_bytes().to_vec();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        if depth > 1 && entry.file_type() == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(inner) = rustix::fs::openat(directory, name, flags, Mode::empty()) {
                walk(&inner, &String::from_utf8_lossy(&path), depth - 1, names)?;
            }
        }
        names.push(path);
    }
    Ok(())
}
