//! Directories: that they are there or can be made, and that state can be made, copied and removed.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Finding;
use crate::game::spec::RunAs;
use crate::game::{BackupReason, GameId, NewBackup};
use crate::runtime::docker::{CopyError, SCRATCH, StateRoot, Watch};

const WHO: &str = "run gamekeeper as the directory's owner, or give the directory to this user (chown)";

/// The data directory can be read and written, or made.
pub(super) fn data_directory(path: &Path) -> Finding {
    match probe(path) {
        Ok(Probed::Absent { by }) => {
            Finding::Ok(format!("{} is not there yet; it can be made in {}", path.display(), by.display()))
        }
        Ok(Probed::Writable) => match std::fs::metadata(path).map(|about| about.permissions().mode()) {
            Ok(mode) if mode & 0o007 != 0 => Finding::Warn(
                format!(
                    "{} is writable, and others may look into it (mode {:o})",
                    path.display(),
                    mode & 0o777
                ),
                "close it (chmod 0700); it holds the server's keys".into(),
            ),
            _ => Finding::Ok(format!("{} is writable", path.display())),
        },
        Err(error) => Finding::Fail(
            format!("{} cannot be used: {error}", path.display()),
            format!("{WHO}, or name another one by --data-dir"),
        ),
    }
}

/// The state root can be written, or made; and where to try out state directories.
pub(super) fn state_root(path: &Path) -> (Finding, Option<PathBuf>) {
    match probe(path) {
        Ok(Probed::Absent { by }) => {
            let told = format!("{} is not there yet; it can be made in {}", path.display(), by.display());
            (Finding::Ok(told), Some(by))
        }
        Ok(Probed::Writable) => {
            (Finding::Ok(format!("{} is writable", path.display())), Some(path.to_owned()))
        }
        Err(error) => {
            let advice = format!("{WHO}, or name another one by --state-root");
            (Finding::Fail(format!("{} cannot be used: {error}", path.display()), advice), None)
        }
    }
}

/// A game's state directory can be made for the engine's user, copied and removed.
pub(super) fn state_directories(within: &Path) -> Finding {
    let advice =
        "the file system has to let this user make, copy and remove directories of the engine's user";
    let scratch = match Scratch::new(within) {
        Ok(scratch) => scratch,
        Err(error) => {
            return Finding::Fail(format!("{} cannot be written: {error}", within.display()), advice.into());
        }
    };
    match prove(&scratch.0) {
        Ok((uid, gid)) => Finding::Ok(format!("made for {uid}:{gid}, copied, put back and removed")),
        Err(error) => Finding::Fail(error.to_string(), advice.into()),
    }
}

/// Uses the runtime's own ways of making, copying, putting back and removing, with a state root of
/// its own.
fn prove(scratch: &Path) -> Result<(u32, u32), CopyError> {
    let state = StateRoot::new(scratch.to_owned(), None);
    let game = GameId(uuid::Uuid::now_v7());
    state.create(game, RunAs::Auto, &Watch::nobody())?;
    let directory = scratch.join(game.to_string());
    let owner = fill(&directory)?;
    let copy = NewBackup {
        id: "doctor".parse().map_err(io::Error::other)?,
        game,
        taken_at: jiff::Timestamp::now(),
        reason: BackupReason::Demand,
        turn: None,
        timeline: None,
        build: None,
    };
    state.copy(&copy, &Watch::nobody())?;
    std::fs::write(turn(&directory), b"another turn")?;
    state.check_room_for_patch(game, &Watch::nobody())?;
    state.put_back(game, &copy.id, &"doctor".parse().map_err(io::Error::other)?, &Watch::nobody())?;
    if std::fs::read(turn(&directory))? != b"turn" {
        return Err(io::Error::other("the copy is not what was copied").into());
    }
    state.remove_backup(game, &copy.id, &Watch::nobody())?;
    state.remove(&state.hold(game)?, &Watch::nobody())?;
    Ok(owner)
}

/// What an engine does; gives the user that it belongs to.
fn fill(directory: &Path) -> io::Result<(u32, u32)> {
    let owner = std::fs::metadata(directory)?;
    let (uid, gid) = (owner.uid(), owner.gid());
    let file = turn(directory);
    let inner = directory.join("turns");
    std::fs::create_dir(&inner)?;
    std::fs::write(&file, b"turn")?;
    for made in [&inner, &file] {
        std::os::unix::fs::chown(made, Some(uid), Some(gid))?;
        std::fs::set_permissions(made, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok((uid, gid))
}

fn turn(directory: &Path) -> PathBuf {
    directory.join("turns").join("0001")
}

enum Probed {
    /// It is not there; this is the nearest directory that is, and it can be written.
    Absent { by: PathBuf },
    /// It is there, can be listed and written.
    Writable,
}

fn probe(path: &Path) -> io::Result<Probed> {
    let nearest = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    if !nearest.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no directory", nearest.display()),
        ));
    }
    Scratch::new(nearest)?;
    if nearest == path {
        std::fs::read_dir(path)?;
        return Ok(Probed::Writable);
    }
    Ok(Probed::Absent { by: nearest.to_owned() })
}

/// What a doctor that was killed left is so old.
const IS_LEFT: Duration = Duration::from_secs(600);

/// A directory that goes when it is done with.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(within: &Path) -> io::Result<Self> {
        let path = within.join(format!("{SCRATCH}{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path)?;
        remove_left(within);
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Removes what doctors left that were killed. What cannot be removed is in nobody's way.
fn remove_left(within: &Path) {
    for entry in std::fs::read_dir(within).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH));
        let Ok(about) = entry.metadata() else { continue };
        let age = about.modified().ok().and_then(|made| made.elapsed().ok());
        if is_ours && about.is_dir() && age.is_some_and(|age| age > IS_LEFT) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a check left is in a directory of its own name; nothing else is in there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_can_be_made_is_as_good_as_one_that_is_there() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(data_directory(parent.path()), Finding::Ok(_)));
        assert!(matches!(data_directory(&parent.path().join("a/b")), Finding::Ok(_)));
        std::fs::write(parent.path().join("file"), "").unwrap();
        assert!(matches!(data_directory(&parent.path().join("file")), Finding::Fail(..)));
        assert!(matches!(state_root(&parent.path().join("file/x")), (Finding::Fail(..), None)));
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_doctor_left_that_was_killed_goes_with_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let left = |name: &str| parent.path().join(format!("{SCRATCH}{name}"));
        for name in ["old", "young"] {
            std::fs::create_dir_all(left(name).join("inner")).unwrap();
        }
        std::fs::File::open(left("old")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        drop(Scratch::new(parent.path()).unwrap());
        assert!(!left("old").exists() && left("young").exists());
    }

    #[test]
    fn state_directories_are_proved_and_nothing_is_left() {
        let parent = tempfile::tempdir().unwrap();
        let finding = state_directories(parent.path());
        assert!(matches!(finding, Finding::Ok(_)), "{finding:?}");
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
