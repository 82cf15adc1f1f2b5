//! The lock that makes a process the only controller of the embedded database.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::Place;

/// Why the embedded database cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error(
        "another gamekeeper runs with the database {path}; stop it, or choose another one with --data-dir or --database-url (several may run with one PostgreSQL)"
    )]
    Held {
        /// The database.
        path: PathBuf,
    },
    /// The file cannot be made or locked.
    #[error("the lock {path} beside the database cannot be taken; check that this user may write it")]
    Failed {
        /// The lock.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Place {
    /// Locks the embedded database for as long as the file is open. It is a file beside the database:
    /// a lock on the database itself would hold up its readers. On PostgreSQL there is none: a lease
    /// decides who leads.
    ///
    /// # Errors
    /// Another process holds it, or it cannot be made.
    pub fn lock(&self) -> Result<Option<File>, LockError> {
        let Some(path) = self.sqlite_path() else { return Ok(None) };
        // The same file by another name has the same lock.
        let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
        name.push(".lock");
        let beside = PathBuf::from(name);
        let failed = |source| LockError::Failed { path: beside.clone(), source };
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&beside);
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_whatever_name_it_uses() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("a.db"), directory.path().join("b.db"));
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let place = |path: &std::path::Path| format!("sqlite:{}", path.display()).parse::<Place>().unwrap();
        let held = place(&path).lock().unwrap();
        for name in [&path, &link] {
            let refused = place(name).lock().unwrap_err();
            assert!(refused.to_string().contains("another gamekeeper runs"), "{refused}");
        }
        drop(held);
        place(&link).lock().unwrap();
    }
}
