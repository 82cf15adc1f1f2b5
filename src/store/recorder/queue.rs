//! The order in which recordings are written, and the answer to each.
//!
//! Most recordings go together, many in one transaction. Of two kinds each goes by itself, one after the other
//! between the others: deletions, since their rows are also others', who may do with them what nobody here
//! foresees; and whatever failed the last time. So the others wait for little of them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio::sync::{mpsc, watch};

use crate::game::GameId;

use super::super::connection::holder;
use super::super::fault::{self, Fault};
use super::super::{HeldLease, Store, turns};
use super::attempt::{Batch, Care, Failure, Fate, waited};
use super::{AT_ONCE, Asked, RecordError, Recording};

/// Those that go by themselves have so long before the others have their turn, and one of them at least. Less than
/// one takes that waits ([`super::super::connection::BRIEFLY`]), so that the others wait for one such at most.
const ALONE: Duration = Duration::from_millis(100);

/// The recordings that wait, and the games whose recordings fail.
pub(super) struct Queue {
    store: Store,
    lease: HeldLease,
    waiting: mpsc::Receiver<Asked>,
    high_water: watch::Sender<i64>,
    /// Those that go together.
    together: VecDeque<Asked>,
    /// One of the last of these has failed, so that the next are written each by itself within a transaction.
    careful: bool,
    /// Those that go by themselves.
    alone: VecDeque<Asked>,
    /// Games whose last recording failed, since when. As many as there are games at most.
    failing: HashMap<GameId, Instant>,
    /// The time at which a recording was written last.
    written: Option<Instant>,
}

impl Queue {
    pub(super) fn new(
        store: Store,
        lease: HeldLease,
        waiting: mpsc::Receiver<Asked>,
        high_water: watch::Sender<i64>,
    ) -> Self {
        Self {
            store,
            lease,
            waiting,
            high_water,
            together: VecDeque::with_capacity(AT_ONCE),
            careful: false,
            alone: VecDeque::new(),
            failing: HashMap::new(),
            written: None,
        }
    }

    /// Writes until nobody can ask any more.
    pub(super) async fn write_all(mut self) {
        let mut some = Vec::with_capacity(AT_ONCE);
        loop {
            let is_idle = self.together.is_empty() && self.alone.is_empty();
            if is_idle && self.waiting.recv_many(&mut some, AT_ONCE).await == 0 {
                return;
            }
            while some.len() < AT_ONCE
                && let Ok(asked) = self.waiting.try_recv()
            {
                some.push(asked);
            }
            for asked in some.drain(..) {
                if asked.0.deleted.is_some() || self.failing.contains_key(&asked.0.game) {
                    self.alone.push_back(asked);
                } else {
                    self.together.push_back(asked);
                }
            }
            let batch: Vec<Asked> = self.together.drain(..self.together.len().min(AT_ONCE)).collect();
            if !batch.is_empty() {
                self.write_together(batch).await;
            }
            let began = Instant::now();
            while let Some(asked) = self.alone.pop_front() {
                self.write_alone(asked).await;
                if began.elapsed() > ALONE {
                    break;
                }
            }
        }
    }

    /// Writes them in one transaction; if one of them is at fault, the others.
    async fn write_together(&mut self, batch: Vec<Asked>) {
        let care = if self.careful { Care::Each } else { Care::Together };
        let failure = match self.write(&batch, care).await {
            Ok(written) => {
                self.careful = written.fates.iter().any(Fate::is_failed);
                return self.settle(batch, written);
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Deposed => answer(batch, || RecordError::Deposed),
            Failure::DatabaseOlder { counts, committed } => {
                answer(batch, || RecordError::DatabaseOlder { counts, committed });
            }
            // Nobody's fault: each of them asks again.
            Failure::OfEverybody(error) => answer(batch, || RecordError::Database(error.clone())),
            Failure::OfOne(error) if batch.len() > 1 && care == Care::Together => {
                tracing::warn!(error = &error as &dyn std::error::Error, "games are recorded one by one");
                self.careful = true;
                for asked in batch.into_iter().rev() {
                    self.together.push_front(asked);
                }
            }
            Failure::OfOne(error) | Failure::OfAny(error) => {
                if batch.len() > 1 {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "games are recorded by themselves"
                    );
                    let now = Instant::now();
                    for (recording, _) in &batch {
                        self.failing.entry(recording.game).or_insert(now);
                    }
                    self.alone.extend(batch);
                } else {
                    for asked in batch {
                        self.refuse(asked, error.clone()).await;
                    }
                }
            }
        }
    }

    /// Writes a single one, with little time.
    async fn write_alone(&mut self, asked: Asked) {
        let asked = vec![asked];
        match self.write(&asked, Care::Alone).await {
            Ok(written) => self.settle(asked, written),
            Err(Failure::Deposed) => answer(asked, || RecordError::Deposed),
            Err(Failure::DatabaseOlder { counts, committed }) => {
                answer(asked, || RecordError::DatabaseOlder { counts, committed });
            }
            Err(Failure::OfEverybody(error)) => answer(asked, || RecordError::Database(error.clone())),
            Err(Failure::OfOne(error) | Failure::OfAny(error)) => {
                for asked in asked {
                    self.refuse(asked, error.clone()).await;
                }
            }
        }
    }

    async fn write(&self, batch: &[Asked], care: Care) -> Result<Batch, Failure> {
        let recordings: Vec<&Recording> = batch.iter().map(|(recording, _)| &**recording).collect();
        self.store.write(self.lease, &recordings, care).await
    }

    /// Answers each as it fared. Those that had no time go on waiting, and those that failed among others go by
    /// themselves, where they are told why.
    fn settle(&mut self, batch: Vec<Asked>, written: Batch) {
        let Batch { high_water, fates, told: _ } = written;
        let now = Instant::now();
        self.high_water.send_if_modified(|kept| high_water.map(|moved| *kept = moved).is_some());
        if fates.iter().any(Fate::is_written) {
            self.written = Some(Instant::now());
        }
        let mut later = Vec::new();
        for ((recording, done), fate) in batch.into_iter().zip(fates) {
            // A round that no longer waits will look again.
            match fate {
                Fate::Written => {
                    self.failing.remove(&recording.game);
                    let _ = done.send(Ok(()));
                }
                Fate::Locked(who) => drop(done.send(Err(RecordError::Locked(who)))),
                Fate::Waits => later.push((recording, done)),
                Fate::Failed(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        game = recording.name.as_str(),
                        "a game is recorded by itself"
                    );
                    self.failing.entry(recording.game).or_insert(now);
                    self.alone.push_back((recording, done));
                }
            }
        }
        for asked in later.into_iter().rev() {
            self.together.push_front(asked);
        }
    }

    /// A single one is at fault, so it is told why, and goes by itself from now on.
    async fn refuse(&mut self, (recording, done): Asked, error: DbErr) {
        let since = *self.failing.entry(recording.game).or_insert_with(Instant::now);
        let takes_others = self.written.is_some_and(|written| written >= since);
        let refused = if waited(&error) {
            RecordError::Locked(holder(&error))
        } else if let Some(slot) = self.taken_slot(&recording).await {
            RecordError::SlotTaken(slot)
        } else if fault::of(&error) != Fault::Refused && (takes_others || recording.deleted.is_some()) {
            RecordError::Refused(error)
        } else {
            RecordError::Database(error)
        };
        // A round that no longer waits will look again.
        let _ = done.send(Err(refused));
    }

    /// The slot that has a turn already, if that is what failed: then the round has to look for another.
    async fn taken_slot(&self, recording: &Recording) -> Option<jiff::Timestamp> {
        turns::taken_slot(&self.store.db, recording).await.ok().flatten()
    }
}

fn answer(batch: Vec<Asked>, error: impl Fn() -> RecordError) {
    for (_, done) in batch {
        // A round that no longer waits will look again.
        let _ = done.send(Err(error()));
    }
}
