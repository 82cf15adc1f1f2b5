//! Kept copies of a game's state: what is known of each, and which of them go.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::patch::Build;
use super::{BackupId, GameId};

/// Why a copy was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackupReason {
    /// Before a change of version.
    Patch,
    /// Before a turn.
    Turn,
    /// Somebody asked for it.
    Demand,
}

/// A copy that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Its name. A copy that has it already is taken for this one.
    pub id: BackupId,
    /// Whose state.
    pub game: GameId,
    /// When.
    pub taken_at: Timestamp,
    /// Why.
    pub reason: BackupReason,
    /// The turn that the state is at, if it is known.
    pub turn: Option<i64>,
    /// What ran on it last.
    pub build: Option<Build>,
}

/// A kept copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Its name.
    pub id: BackupId,
    /// Whose state.
    pub game: GameId,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Why.
    pub reason: BackupReason,
    /// The turn that the state was at.
    pub turn: Option<i64>,
    /// What had run on it last.
    pub build: Option<Build>,
    /// Regular files in it.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Sockets and pipes that were left out: a process makes them anew.
    pub left_out: u64,
    /// SHA-256 of names, owners, modes, times and contents, in hexadecimal digits.
    pub digest: String,
}

/// How many copies of a game are kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// At most so many; at least one.
    pub count: usize,
    /// At most so old; none: of any age.
    pub age: Option<Duration>,
}

/// The copies that go, oldest first. The newest stays whatever its age, and so does what is spared:
/// a copy that somebody may have to go back to.
pub fn surplus(backups: &[Backup], keep: Keep, spared: &[BackupId], now: Timestamp) -> Vec<BackupId> {
    let mut newest_first: Vec<&Backup> = backups.iter().collect();
    newest_first.sort_by(|a, b| (b.taken_at, &b.id).cmp(&(a.taken_at, &a.id)));
    let too_old = |backup: &Backup| {
        let age = Duration::try_from(now.duration_since(backup.taken_at)).unwrap_or_default();
        keep.age.is_some_and(|longest| age > longest)
    };
    let mut going: Vec<BackupId> = newest_first
        .into_iter()
        .enumerate()
        .skip(1)
        .filter(|(number, backup)| *number >= keep.count || too_old(backup))
        .map(|(_, backup)| backup.id.clone())
        .filter(|id| !spared.contains(id))
        .collect();
    going.reverse();
    going
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::RestoreId;

    fn taken(at: i64) -> Backup {
        Backup {
            id: format!("b-{at}").parse().expect("a name"),
            game: GameId(uuid::Uuid::nil()),
            taken_at: Timestamp::from_second(at).expect("a time"),
            reason: BackupReason::Demand,
            turn: None,
            build: None,
            files: 0,
            bytes: 0,
            left_out: 0,
            digest: String::new(),
        }
    }

    fn going(times: &[i64], count: usize, age: Option<u64>, spared: &[&str], now: i64) -> Vec<String> {
        let backups: Vec<Backup> = times.iter().copied().map(taken).collect();
        let spared: Vec<BackupId> = spared.iter().map(|id| id.parse().expect("a name")).collect();
        let keep = Keep { count, age: age.map(Duration::from_secs) };
        let now = Timestamp::from_second(now).expect("a time");
        surplus(&backups, keep, &spared, now).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_oldest_go_and_the_newest_stays() {
        assert_eq!(going(&[30, 10, 20], 2, None, &[], 40), ["b-10"]);
        assert_eq!(going(&[30, 10, 20], 9, Some(15), &[], 40), ["b-10", "b-20"]);
        assert_eq!(going(&[30, 10, 20], 9, Some(1), &[], 1_000_000), ["b-10", "b-20"]);
        assert_eq!(going(&[30, 10, 20], 0, None, &[], 40), ["b-10", "b-20"]);
        assert_eq!(going(&[30, 10, 20], 1, None, &["b-10"], 40), ["b-20"]);
        assert!(going(&[], 1, Some(1), &[], 40).is_empty());
        // A clock that was ahead when the copy was taken makes it no older.
        assert!(going(&[90, 95], 5, Some(1), &[], 40).is_empty());
    }

    #[test]
    fn a_name_leads_nowhere_but_to_its_directory() {
        for good in ["b-1", "20261105T180000Z-patch", "1.4.2", "_", &"x".repeat(128)] {
            assert!(good.parse::<BackupId>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".making-x", "a..b", "a/b", "a\\b", "a\0", "ä", " ", &"x".repeat(129)] {
            assert!(bad.parse::<BackupId>().is_err(), "{bad}");
            assert!(serde_json::from_value::<RestoreId>(bad.into()).is_err(), "{bad}");
        }
    }
}
