//! The state on disk: `state.json` under the state path, replaced as a whole.
//!
//! Written to a temporary file, synced, renamed, the directory synced: whenever the process or the machine dies, the
//! file is the old state or the new one. A temporary file that is left over means nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::game::Game;

/// Where one game's state is.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    pub(crate) fn new(directory: &Path) -> Store {
        Store { directory: directory.into() }
    }

    /// The state, or `None` if there never was one.
    pub(crate) fn load(&self) -> io::Result<Option<Game>> {
        match fs::read(self.file()) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Makes the directory, but not its parent: a mount that is not there must not be replaced by a directory.
    pub(crate) fn make_directory(&self) -> io::Result<()> {
        match fs::create_dir(&self.directory) {
            Err(problem) if problem.kind() != io::ErrorKind::AlreadyExists => return Err(problem),
            _ => {}
        }
        sync_directory(self.directory.parent().unwrap_or(Path::new("/")))
    }

    pub(crate) fn save(&self, game: &Game) -> io::Result<()> {
        let mut file = File::create(self.temporary())?;
        file.write_all(&serde_json::to_vec_pretty(game)?)?;
        file.sync_all()?;
        fs::rename(self.temporary(), self.file())?;
        sync_directory(&self.directory)
    }

    /// What a crash in the middle of [`Store::save`] leaves behind.
    pub(crate) fn save_half(&self, game: &Game) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(game)?;
        fs::write(self.temporary(), &bytes[..bytes.len() / 2])
    }

    fn file(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    fn temporary(&self) -> PathBuf {
        self.directory.join("state.json.tmp")
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
