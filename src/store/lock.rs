//! The lock that makes a process the only controller of the embedded database.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
        let mut name = file_itself(path).into_os_string();
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

/// So many links lead to a file at most, as for the kernel.
const MAX_LINKS: usize = 40;

/// The file that a path leads to, whether or not it is there yet: the same file has one lock, by whatever
/// name it is known.
pub(super) fn file_itself(path: &Path) -> PathBuf {
    let mut file = path.to_owned();
    for _ in 0..MAX_LINKS {
        if let Ok(found) = file.canonicalize() {
            return found;
        }
        let Ok(target) = file.read_link() else { break };
        // One that is relative is relative to its own directory.
        file = file.parent().map_or_else(|| target.clone(), |directory| directory.join(&target));
    }
    let directory =
        file.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    match (directory.and_then(|directory| directory.canonicalize().ok()), file.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => file,
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

    #[test]
    fn a_link_to_a_database_that_is_not_there_yet_has_the_lock_of_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("disk")).unwrap();
        // By one link to another, which is relative, and through a directory that is one.
        std::os::unix::fs::symlink("disk/games.db", at("near.db")).unwrap();
        std::os::unix::fs::symlink(at("near.db"), at("far.db")).unwrap();
        std::os::unix::fs::symlink(at("disk"), at("mount")).unwrap();
        let names = [at("far.db"), at("near.db"), at("disk/games.db"), at("mount/games.db")];
        let place = |path: &Path| format!("sqlite:{}", path.display()).parse::<Place>().unwrap();
        for first in &names {
            let _held = place(first).lock().unwrap();
            for second in &names {
                assert!(matches!(place(second).lock(), Err(LockError::Held { .. })), "{first:?} {second:?}");
            }
        }
        let lock = at("disk/games.db.lock");
        assert!(lock.exists() && !at("far.db.lock").exists() && !at("near.db.lock").exists());
    }
}
