//! Copies of states that are being taken, put back or removed: how far they are, for those who ask, and
//! what is too much once another one was taken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use crate::game::backup::Keep;
use crate::game::record::Record;
use crate::game::spec::Desired;
use crate::game::{BackupId, GameId, Phase, RestoreId};
use crate::reconcile::Remains;
use crate::reconcile::apply::chain;
use crate::runtime::{CopiesUnderWay, CopyProgress, Runtime};

/// Shared with the copying.
pub(super) type Progress = Arc<Mutex<CopyProgress>>;

/// How long a copy has its place while others wait for one.
pub(super) const TURN: Duration = Duration::from_secs(10);

/// Who can have the copying of one game's state stand still, and lets it go on in the end.
pub(super) struct Pausing {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) game: GameId,
}

impl Pausing {
    pub(super) fn pause(&self, paused: bool) {
        self.runtime.pause_copying(self.game, paused);
    }
}

impl Drop for Pausing {
    fn drop(&mut self) {
        // Called off while it stood still.
        self.pause(false);
    }
}

/// Copies, and gives its place away now and then: whoever waits for one is served before it goes on.
/// So many copies go on at a time as there are places, and none holds its place for as long as it takes.
pub(super) async fn in_turns<T>(
    places: &Semaphore,
    place: Option<SemaphorePermit<'_>>,
    turn: Duration,
    pause: impl Fn(bool),
    copy: impl Future<Output = T>,
) -> T {
    let mut copy = std::pin::pin!(copy);
    let mut place = place;
    loop {
        tokio::select! {
            done = &mut copy => return done,
            () = tokio::time::sleep(turn) => {}
        }
        pause(true);
        drop(place.take());
        // At the end of the queue: at once, if nobody is in it.
        tokio::select! {
            done = &mut copy => return done,
            again = places.acquire() => place = again.ok(),
        }
        pause(false);
    }
}

/// A copy in the background of one game.
pub(super) struct CopyUnderWay {
    pub(super) what: CopyName,
    /// The number of the work that it is.
    pub(super) number: u64,
    pub(super) progress: Progress,
    /// What ends it before its time, where that does no harm.
    pub(super) task: Option<AbortHandle>,
}

/// What is being copied, by the name that is on record for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CopyName {
    /// A copy of the state.
    Backup(BackupId),
    /// A kept copy, on its way back.
    Restore(RestoreId),
    /// Nothing is: this is removed.
    Nothing(Remains),
}

impl CopyName {
    /// Whether it is on record: whatever is not, nobody waits for. A stop, a deletion, a request that was
    /// withdrawn, a change of version that was called off take it from there.
    pub(super) fn is_wanted(&self, record: &Record) -> bool {
        match self {
            Self::Backup(id) => {
                let on_its_own = record.copying.as_ref().is_some_and(|copying| copying.backup == *id);
                on_its_own || record.patch.as_ref().is_some_and(|patch| patch.backup == *id)
            }
            Self::Restore(id) => record.put_backs().any(|back| back.restore == *id),
            Self::Nothing(_) => record.erasing_since.is_some(),
        }
    }
}

impl CopyUnderWay {
    /// Ends it, where that does no harm: what is half copied goes. True if so.
    pub(super) fn call_off(&self) -> bool {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.task.is_some()
    }
}

/// How far it is, in words for people.
pub(super) fn words(copy: &CopyUnderWay) -> String {
    const MIB: u64 = 1 << 20;
    let CopyProgress { files, files_total, bytes, bytes_total } =
        copy.progress.lock().map(|progress| *progress).unwrap_or_default();
    match (&copy.what, files_total) {
        (CopyName::Nothing(_), _) => format!("{files} names are gone"),
        (CopyName::Backup(_) | CopyName::Restore(_), 0) => "it is being looked through".to_owned(),
        (CopyName::Backup(_) | CopyName::Restore(_), _) => {
            format!("{files} of {files_total} files, {} of {} MiB", bytes / MIB, bytes_total.div_ceil(MIB))
        }
    }
}

/// The copies of a game that are under way by its record: they need room on the disk. (On probation the
/// copy is there, and most never need it again.)
pub(super) fn under_way(record: &Record) -> Option<CopiesUnderWay> {
    let waits_for_person = record.phase == Phase::Blocked;
    let of = |backup: &BackupId, restore: Option<&RestoreId>| CopiesUnderWay {
        backup: backup.clone(),
        restore: restore.cloned(),
        waits_for_person,
    };
    let comes_back = record.put_back.as_ref().map(|back| of(&back.backup, Some(&back.restore)));
    let patch = record.patch.as_ref().filter(|patch| patch.committed_at.is_none());
    comes_back.or_else(|| patch.map(|patch| of(&patch.backup, None)))
}

/// Copies of one game that somebody may have to go back to: never removed, whatever is kept.
#[derive(Debug, Default)]
pub(super) struct Named {
    copies: Vec<BackupId>,
    aside: Option<RestoreId>,
}

/// Shared with whoever removes what is too much: what is named meanwhile counts.
pub(super) type SharedNamed = Arc<Mutex<Named>>;

/// Takes over what record and desired state name now.
pub(super) fn keep_named(named: &SharedNamed, record: Option<&Record>, desired: Option<&Desired>) {
    let patch = record.and_then(|record| record.patch.as_ref()).map(|patch| &patch.backup);
    let put_back = record.and_then(|record| record.put_back.as_ref());
    let restore = desired.and_then(|desired| desired.restore_backup.as_ref());
    let put_backs = record.into_iter().flat_map(Record::put_backs).map(|back| &back.backup);
    let names = [patch, restore].into_iter().flatten().chain(put_backs);
    *named.lock().unwrap_or_else(PoisonError::into_inner) =
        Named { copies: names.cloned().collect(), aside: put_back.map(|back| back.restore.clone()) };
}

/// Removes what is too much of a game's copies, and of its states that were moved aside. That it fails
/// makes the copy that was taken no worse: it is tried again with the next one.
pub(super) async fn prune(runtime: &dyn Runtime, game: GameId, keep: Keep, named: &SharedNamed) {
    let (copies, aside) = {
        let named = named.lock().unwrap_or_else(PoisonError::into_inner);
        (named.copies.clone(), named.aside.clone())
    };
    let now = crate::clock::retention_now();
    match runtime.prune_backups(game, keep, &copies, now).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => {
            tracing::info!(game_id = %game, ?gone, "copies of the state were removed: there are newer ones")
        }
        Err(error) => tracing::warn!(game_id = %game, error = chain(&error), "copies that are too much stay"),
    }
    match runtime.prune_aside(game, keep, aside.as_ref(), now).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => tracing::info!(game_id = %game, ?gone, "states that were moved aside were removed"),
        Err(error) => {
            tracing::warn!(game_id = %game, error = chain(&error), "states that were moved aside stay")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// A copy that is at work for so long, as long as it does not stand still.
    async fn copy(ticks: usize, paused: &AtomicBool) {
        for _ in 0..ticks {
            tokio::time::sleep(TICK).await;
            while paused.load(Ordering::Relaxed) {
                tokio::time::sleep(TICK).await;
            }
        }
    }

    #[test]
    fn a_blocked_game_says_that_its_copies_wait_for_a_person() {
        let mut world = crate::reconcile::plan::tests::world::World::running();
        world.wants("1.4.3");
        while world.record.patch.is_none() {
            world.round();
        }
        let waits = |record: &Record| under_way(record).map(|copies| copies.waits_for_person);
        assert_eq!(waits(&world.record), Some(false));
        world.record.phase = Phase::Blocked;
        assert_eq!(waits(&world.record), Some(true));
        world.record.patch = None;
        assert_eq!(waits(&world.record), None);
    }

    #[tokio::test]
    async fn one_long_copy_gives_its_place_to_who_waits_and_comes_to_its_end() {
        let places = Semaphore::new(1);
        let ended = AtomicBool::new(false);
        let long = async {
            let paused = AtomicBool::new(false);
            let pause = |now| paused.store(now, Ordering::Relaxed);
            in_turns(&places, places.acquire().await.ok(), 5 * TICK, pause, copy(200, &paused)).await;
            ended.store(true, Ordering::Relaxed);
        };
        let short = async {
            for _ in 0..5 {
                tokio::time::sleep(TICK).await;
                let _place = places.acquire().await;
                assert!(!ended.load(Ordering::Relaxed), "it waited for the whole of the long one");
                assert_eq!(places.available_permits(), 0, "never more at a time than there are places");
                tokio::time::sleep(3 * TICK).await;
            }
        };
        tokio::join!(long, short);
        assert!(ended.load(Ordering::Relaxed) && places.available_permits() == 1);
    }
}
