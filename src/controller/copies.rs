//! Copies of states that are being taken, put back or removed: how far they are, for those who ask, and
//! what is too much once another one was taken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;

use crate::game::backup::Keep;
use crate::game::controller::Freeze;
use crate::game::record::Record;
use crate::game::spec::Desired;
use crate::game::{BackupId, GameId, Phase, RestoreId};
use crate::reconcile::Remains;
use crate::reconcile::apply::chain;
use crate::runtime::{CopiesUnderWay, CopyProgress, MayGo, Runtime, RuntimeError};

use super::leading::Leading;

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

/// Work that takes long and gives its place away now and then: so much of it is begun at a time, and so much of
/// that goes on.
///
/// Work that is begun keeps a thread of the runtime's to its end, also while it stands still. So no more is begun
/// than there are threads, and none has a place among those that go on that has yet to get a thread.
pub(super) struct LongWork {
    threads: Semaphore,
    places: Semaphore,
}

impl LongWork {
    pub(super) fn new(threads: usize, places: usize) -> Self {
        Self { threads: Semaphore::new(threads.max(1)), places: Semaphore::new(places.max(1)) }
    }

    /// A thread, and then a place among those that go on.
    pub(super) async fn begin(&self) -> Option<Begun<'_>> {
        let thread = self.threads.acquire().await.ok()?;
        let place = self.places.acquire().await.ok()?;
        Some(Begun { places: &self.places, place: Some(place), _thread: thread })
    }
}

/// Some long work that may begin.
pub(super) struct Begun<'a> {
    places: &'a Semaphore,
    place: Option<SemaphorePermit<'a>>,
    _thread: SemaphorePermit<'a>,
}

impl Begun<'_> {
    /// Copies, and gives its place away now and then: whoever waits for one is served before it goes on.
    /// So many copies go on at a time as there are places, and none holds its place for as long as it takes.
    pub(super) async fn in_turns<T>(
        mut self,
        turn: Duration,
        pause: impl Fn(bool),
        copy: impl Future<Output = T>,
    ) -> T {
        let mut copy = std::pin::pin!(copy);
        loop {
            tokio::select! {
                done = &mut copy => return done,
                () = tokio::time::sleep(turn) => {}
            }
            pause(true);
            drop(self.place.take());
            // At the end of the queue: at once, if nobody is in it.
            tokio::select! {
                done = &mut copy => return done,
                again = self.places.acquire() => self.place = again.ok(),
            }
            pause(false);
        }
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

/// Copies and states of one game that somebody may have to go back to: never removed, whatever is kept.
#[derive(Debug, Default)]
pub(super) struct Named {
    copies: Vec<BackupId>,
    put_backs: Vec<RestoreId>,
}

/// Shared with whoever removes what is too much: what is named meanwhile counts.
pub(super) type SharedNamed = Arc<Mutex<Named>>;

/// Takes over what record and desired state name now.
pub(super) fn keep_named(named: &SharedNamed, record: Option<&Record>, desired: Option<&Desired>) {
    let patch = record.and_then(|record| record.patch.as_ref()).map(|patch| &patch.backup);
    let restore = desired.and_then(|desired| desired.restore_backup.as_ref());
    let put_backs = || record.into_iter().flat_map(Record::put_backs);
    let copies = [patch, restore].into_iter().flatten().chain(put_backs().map(|back| &back.backup));
    *named.lock().unwrap_or_else(PoisonError::into_inner) = Named {
        copies: copies.cloned().collect(),
        put_backs: put_backs().map(|back| back.restore.clone()).collect(),
    };
}

/// The pruning of one game's copies by this process: what nobody has named may go, as long as it leads and
/// is not frozen.
#[derive(Debug)]
pub(super) struct Pruning {
    pub(super) named: SharedNamed,
    pub(super) leading: Leading,
    pub(super) brake: watch::Receiver<Option<Freeze>>,
}

impl Pruning {
    fn may_go(&self, is_named: impl FnOnce(&Named) -> bool) -> bool {
        self.anything() && !is_named(&self.named.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl MayGo for Pruning {
    fn anything(&self) -> bool {
        self.leading.holds() && self.brake.borrow().is_none()
    }

    fn copy(&self, id: &BackupId) -> bool {
        self.may_go(|named| named.copies.contains(id))
    }

    fn put_back(&self, id: &RestoreId) -> bool {
        self.may_go(|named| named.put_backs.contains(id))
    }
}

/// Removes what is too much of a game's copies, and of its states that were moved aside. That it fails, or gives
/// way to other work on the game, makes the copy that was taken no worse: it is tried again with the next one.
pub(super) async fn prune(runtime: &dyn Runtime, game: GameId, keep: Keep, may_go: &Arc<dyn MayGo>) {
    let now = crate::clock::retention_now();
    match runtime.prune_backups(game, keep, may_go, now).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => {
            tracing::info!(game_id = %game, ?gone, "copies of the state were removed: there are newer ones")
        }
        Err(RuntimeError::Conflict(_)) => return,
        Err(error) => tracing::warn!(game_id = %game, error = chain(&error), "copies that are too much stay"),
    }
    match runtime.prune_aside(game, keep, may_go, now).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => tracing::info!(game_id = %game, ?gone, "states that were moved aside were removed"),
        Err(RuntimeError::Conflict(_)) => {}
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

    #[test]
    fn what_is_named_by_the_time_it_would_go_stays_and_nothing_goes_for_who_leads_no_more() {
        let (brake, frozen) = watch::channel(None);
        let (named, leading) = (SharedNamed::default(), Leading::for_ever());
        let pruning = Pruning { named: named.clone(), leading: leading.clone(), brake: frozen };
        let (copy, way) = ("b-1".parse().expect("a name"), "r-1".parse().expect("a name"));
        let may_go = || [pruning.anything(), pruning.copy(&copy), pruning.put_back(&way)];
        assert_eq!(may_go(), [true; 3]);
        *named.lock().expect("no panic") = Named { copies: vec![copy.clone()], put_backs: vec![way.clone()] };
        assert_eq!(may_go(), [true, false, false]);
        *named.lock().expect("no panic") = Named::default();
        assert_eq!(may_go(), [true; 3]);
        brake.send_replace(Some(Freeze {
            reason: crate::game::controller::FreezeReason::FrozenByHand,
            message: String::new(),
            way_out: String::new(),
        }));
        assert_eq!(may_go(), [false; 3]);
        brake.send_replace(None);
        leading.end();
        assert_eq!(may_go(), [false; 3]);
    }

    #[test]
    fn every_way_back_that_is_on_record_is_named_and_what_a_change_of_version_may_go_back_to() {
        use crate::game::patch::{PutBack, PutBackCause, PutBackStage};
        let mut world = crate::reconcile::plan::tests::world::World::running();
        world.wants("1.4.3");
        while world.record.patch.is_none() {
            world.round();
        }
        let patch = world.record.patch.clone().expect("a change of version");
        let back = |backup: &str, restore: &str, instead: Option<PutBack>| PutBack {
            backup: backup.parse().expect("a name"),
            restore: restore.parse().expect("a name"),
            stage: PutBackStage::Placing,
            build: patch.from.clone(),
            turn: None,
            timeline: None,
            new_timeline: false,
            cause: PutBackCause::Patch,
            reason: String::new(),
            message: String::new(),
            instead: instead.map(Box::new),
        };
        world.record.put_back = Some(back("b-1", "r-1", Some(back("b-2", "r-2", None))));
        let named = SharedNamed::default();
        keep_named(&named, Some(&world.record), None);
        let named = named.lock().expect("no panic");
        let names = |names: Vec<String>| names.join(" ");
        let copies = names(named.copies.iter().map(ToString::to_string).collect());
        assert_eq!(copies, format!("{} b-1 b-2", patch.backup));
        assert_eq!(names(named.put_backs.iter().map(ToString::to_string).collect()), "r-1 r-2");
    }

    #[tokio::test]
    async fn one_long_copy_gives_its_place_to_who_waits_and_comes_to_its_end() {
        let work = LongWork::new(9, 1);
        let ended = AtomicBool::new(false);
        let long = async {
            let paused = AtomicBool::new(false);
            let pause = |now| paused.store(now, Ordering::Relaxed);
            let begun = work.begin().await.expect("a place");
            begun.in_turns(5 * TICK, pause, copy(200, &paused)).await;
            ended.store(true, Ordering::Relaxed);
        };
        let short = async {
            for _ in 0..5 {
                tokio::time::sleep(TICK).await;
                let _begun = work.begin().await;
                assert!(!ended.load(Ordering::Relaxed), "it waited for the whole of the long one");
                assert_eq!(work.places.available_permits(), 0, "never more at a time than there are places");
                tokio::time::sleep(3 * TICK).await;
            }
        };
        tokio::join!(long, short);
        assert!(ended.load(Ordering::Relaxed) && work.places.available_permits() == 1);
        assert_eq!(work.threads.available_permits(), 9);
    }

    #[tokio::test]
    async fn no_more_is_begun_than_there_are_threads_and_no_place_is_held_without_one() {
        let work = LongWork::new(2, 1);
        let end = tokio::sync::Notify::new();
        let begun = std::sync::atomic::AtomicUsize::new(0);
        let long = || async {
            let turns = work.begin().await.expect("a place");
            begun.fetch_add(1, Ordering::Relaxed);
            turns.in_turns(TICK, |_| {}, end.notified()).await;
        };
        let watch = async {
            tokio::time::sleep(20 * TICK).await;
            assert_eq!(begun.load(Ordering::Relaxed), 2, "so many as there are threads");
            // The one that waits for a thread holds no place: those that have one go on in turns.
            end.notify_one();
            tokio::time::sleep(20 * TICK).await;
            assert_eq!(begun.load(Ordering::Relaxed), 3);
            end.notify_waiters();
        };
        tokio::join!(long(), long(), long(), watch);
        assert_eq!((work.threads.available_permits(), work.places.available_permits()), (2, 1));
    }
}
