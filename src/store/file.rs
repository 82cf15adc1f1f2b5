//! The file of the embedded database, which somebody may move away or remove while it is open.
//!
//! The process then goes on in a file that nobody will ever open again: what it acknowledges is lost.
//! So the file's identity is compared before each write and after each commit, with every look at the
//! ground, and before the lead is taken.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sea_orm::DbErr;

/// What is said of a write to such a file.
const REPLACED: &str = "the database file was replaced under the running process";

/// Whether a statement was refused because the file is another one.
pub(super) fn is_replaced(error: &DbErr) -> bool {
    matches!(error, DbErr::Custom(said) if said.starts_with(REPLACED))
}

/// A file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// The file that was opened, its write-ahead log and the index of that.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    opened: Identity,
    /// Two processes with different indexes of one log write over one another's pages.
    beside: [Beside; 2],
}

/// A file that SQLite keeps beside the database for as long as a connection is open; ours stay open.
#[derive(Debug)]
struct Beside {
    path: PathBuf,
    /// Known from the first write on.
    opened: OnceLock<Identity>,
}

impl DatabaseFile {
    /// The file at this path, which a connection of ours has open.
    pub(super) fn opened(path: &Path) -> io::Result<Self> {
        let opened = Identity::from(&std::fs::metadata(path)?);
        let beside = ["-wal", "-shm"].map(|ending| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            Beside { path: name.into(), opened: OnceLock::new() }
        });
        Ok(Self { path: path.to_owned(), opened, beside })
    }

    /// What became of the file, if it is no longer the one that is open.
    pub(super) fn replaced(&self) -> Option<String> {
        let beside =
            || self.beside.iter().find_map(|Beside { path, opened }| changed(path, opened.get().copied()));
        changed(&self.path, Some(self.opened)).or_else(beside)
    }

    /// # Errors
    /// The file is no longer the one that is open.
    pub(super) fn check(&self) -> Result<(), DbErr> {
        match self.replaced() {
            None => Ok(()),
            Some(what) => Err(DbErr::Custom(format!("{REPLACED}: {what}; nothing is written any more"))),
        }
    }

    /// Looks again after a commit, which has reached nobody if the file was replaced before.
    ///
    /// # Errors
    /// It was.
    pub(super) fn check_committed(&self) -> Result<(), DbErr> {
        for Beside { path, opened } in &self.beside {
            if opened.get().is_none()
                && let Ok(found) = std::fs::metadata(path)
            {
                let _ = opened.set(Identity::from(&found));
            }
        }
        self.check()
    }
}

fn changed(path: &Path, opened: Option<Identity>) -> Option<String> {
    let opened = opened?;
    match std::fs::metadata(path) {
        Ok(found) if Identity::from(&found) == opened => None,
        Ok(_) => Some(format!("{} is another file now", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("{} is not there any more", path.display()))
        }
        // Nobody knows, so nothing is acknowledged.
        Err(error) => Some(format!("{} cannot be examined: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sea_orm::{ConnectionTrait, Statement};

    use super::*;
    use crate::game::record::Record;
    use crate::game::spec::Requests;
    use crate::store::{NewLobbyEvent, Recording, Store};

    #[tokio::test]
    async fn a_database_that_was_moved_or_removed_acknowledges_nothing_until_it_is_back() {
        for part in ["x.db", "x.db-wal", "x.db-shm"] {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name);
            let store =
                Store::open(&format!("sqlite:{}", at("x.db").display()).parse().unwrap()).await.unwrap();
            let write = async || store.take_lead("somebody").await.map_err(|error| format!("{:?}", error));
            write().await.unwrap();
            assert_eq!(store.replaced(), None, "{part}");

            std::fs::rename(at(part), at("away")).unwrap();
            let refused = write().await.unwrap_err();
            assert!(refused.contains(REPLACED), "{part}: {refused}");
            assert!(store.replaced().is_some_and(|why| why.contains("not there any more")), "{part}");
            // A copy is not what is open, whatever it holds.
            std::fs::copy(at("away"), at(part)).unwrap();
            assert!(store.replaced().is_some_and(|why| why.contains("another file")), "{part}");
            assert!(write().await.unwrap_err().contains(REPLACED), "{part}");

            std::fs::rename(at("away"), at(part)).unwrap();
            assert_eq!(store.replaced(), None, "{part}");
            write().await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_committed_as_the_file_was_moved_may_have_been_made() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let store = Store::open(&format!("sqlite:{}", at("x.db").display()).parse().unwrap()).await.unwrap();
        store.take_lead("somebody").await.unwrap();
        let transaction = store.db.begin_writing().await.unwrap();
        transaction.execute_unprepared("UPDATE instance SET high_water = 7").await.unwrap();
        std::fs::rename(at("x.db"), at("away")).unwrap();
        let error = crate::store::StoreError::from(transaction.commit().await.unwrap_err());
        let told = error.unanswered().expect("nobody knows");
        assert!(told.contains("it may have been made") && told.contains(REPLACED), "{told}");
        std::fs::rename(at("away"), at("x.db")).unwrap();
        let row = store.db.query_one_raw(Statement::from_string(
            store.db.get_database_backend(),
            "SELECT high_water FROM instance",
        ));
        assert_eq!(row.await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap(), 7);
    }

    /// The recorder finds out, once the file is back.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_that_was_committed_as_the_file_was_moved_is_not_written_twice() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let place: crate::store::Place = format!("sqlite:{}", at("x.db").display()).parse().unwrap();
        let store = Store::open(&place).await.unwrap().telling_the_lobby(true);
        let lease = store.take_lead("somebody").await.unwrap();
        let (recorder, _writer) = store.recorder(lease);
        let event = NewLobbyEvent {
            kind: "dev.gamekeeper.game.status-changed.v1".into(),
            occurred_at: jiff::Timestamp::UNIX_EPOCH,
            payload: serde_json::Map::new(),
        };
        let record = Record::first_seen(Requests::default());
        let game = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let recording = Recording {
            lobby: vec![event],
            ..Recording::of(game, "default".parse().unwrap(), "moved".parse().unwrap(), record)
        };
        recorder.record(recording.clone()).await.unwrap();
        // It has begun to write, and waits for somebody else.
        let other = Store::open(&place).await.unwrap();
        let holds = other.db.begin_writing().await.unwrap();
        let writing = tokio::spawn(async move { recorder.record(recording).await });
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::fs::rename(at("x.db"), at("away")).unwrap();
        holds.rollback().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(!writing.is_finished(), "whether it was written is not known");
        std::fs::rename(at("away"), at("x.db")).unwrap();
        writing.await.unwrap().expect("the counter says that it was written");
        let count = async |of: &str| {
            let asked = Statement::from_string(store.db.get_database_backend(), format!("SELECT {of}"));
            store.db.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap()
        };
        assert_eq!(count("high_water FROM instance").await, 2);
        assert_eq!(count("count(*) FROM lobby_outbox").await, 2);
    }
}
