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

impl BackupReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Patch, Self::Turn, Self::Demand];
}

/// A copy that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Its name, which no other copy ever had. A copy that has it already is taken for this one, if it
    /// is of the state as it is.
    pub id: BackupId,
    /// Whose state.
    pub game: GameId,
    /// When.
    pub taken_at: Timestamp,
    /// Why.
    pub reason: BackupReason,
    /// The turn that the state is at, if it is known.
    pub turn: Option<i64>,
    /// The history that this is a turn of.
    pub timeline: Option<i64>,
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
    /// The history that this is a turn of; none: its note is of a release that did not say.
    #[serde(default)]
    pub timeline: Option<i64>,
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

/// A copy that is to be taken while the game goes on, on record from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Copying {
    /// Its name: the same wish has the same name, however often it is tried, and no other ever had it.
    pub backup: BackupId,
    /// Why.
    pub reason: BackupReason,
    /// The request that it answers, if it answers one.
    pub request: Option<i64>,
    /// The turn that it is taken before, if it is taken before one.
    #[serde(default)]
    pub before: Option<i64>,
    /// Attempts that failed, in a row.
    #[serde(default)]
    pub failures: u32,
    /// No attempt before.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(default)]
    pub problem: Option<CopyProblem>,
}

/// Why a copy could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyProblem {
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Copying {
    fn new(backup: BackupId, reason: BackupReason) -> Self {
        let (request, before) = (None, None);
        Self { backup, reason, request, before, failures: 0, next_attempt_at: None, problem: None }
    }

    /// One that answers a request.
    pub fn on_demand(backup: BackupId, request: i64) -> Self {
        Self { request: Some(request), ..Self::new(backup, BackupReason::Demand) }
    }

    /// One before a turn.
    pub fn before_turn(backup: BackupId, turn: i64) -> Self {
        Self { before: Some(turn), ..Self::new(backup, BackupReason::Turn) }
    }
}

/// How many copies of a game are kept of each reason, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// At most so many; at least one.
    pub count: usize,
    /// At most so old; none: of any age.
    pub age: Option<Duration>,
}

/// The copies that go, oldest first. Each reason counts for itself: copies before turns never push
/// out the one before the last change of version. The newest of each stays whatever its age, and so
/// does what is spared: a copy that somebody may have to go back to.
pub fn surplus(backups: &[Backup], keep: Keep, spared: &[BackupId], now: Timestamp) -> Vec<BackupId> {
    let is_spared = |(_, id): &(Timestamp, BackupId)| spared.contains(id);
    let mut going = Vec::new();
    for reason in BackupReason::ALL {
        let of_reason = backups.iter().filter(|backup| backup.reason == reason);
        let of_reason = of_reason.map(|backup| (backup.taken_at, (backup.taken_at, backup.id.clone())));
        going.extend(outlived(of_reason.collect(), keep, now, is_spared));
    }
    going.sort();
    going.into_iter().map(|(_, id)| id).collect()
}

/// What goes of things of which so many are kept so long, oldest first; the newest never does.
pub fn outlived<T: Ord>(
    kept: Vec<(Timestamp, T)>,
    keep: Keep,
    now: Timestamp,
    is_spared: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut newest_first = kept;
    newest_first.sort_by(|a, b| b.cmp(a));
    let too_old = |since: Timestamp| {
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        keep.age.is_some_and(|longest| age > longest)
    };
    let mut going: Vec<T> = newest_first
        .into_iter()
        .enumerate()
        .skip(1)
        .filter(|(number, (since, _))| *number >= keep.count || too_old(*since))
        .map(|(_, (_, kept))| kept)
        .filter(|kept| !is_spared(kept))
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
            timeline: None,
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
    fn a_note_that_says_no_timeline_is_read() {
        let mut note = serde_json::to_value(Backup { timeline: Some(3), ..taken(1) }).expect("a note");
        assert_eq!(note["timeline"], 3);
        note.as_object_mut().expect("a note").remove("timeline");
        assert_eq!(serde_json::from_value::<Backup>(note).expect("a copy"), taken(1));
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
    fn copies_of_one_reason_never_push_out_those_of_another() {
        let mut copies: Vec<Backup> = (1..=9).map(|at| taken(at * 10)).collect();
        for (copy, reason) in copies.iter_mut().zip([BackupReason::Patch, BackupReason::Demand]) {
            copy.reason = reason;
        }
        for copy in &mut copies[2..] {
            copy.reason = BackupReason::Turn;
        }
        let keep = Keep { count: 2, age: Some(Duration::from_secs(25)) };
        let now = Timestamp::from_second(100).expect("a time");
        let gone = surplus(&copies, keep, &[], now);
        let gone: Vec<&str> = gone.iter().map(BackupId::as_str).collect();
        assert_eq!(gone, ["b-30", "b-40", "b-50", "b-60", "b-70"]);
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
