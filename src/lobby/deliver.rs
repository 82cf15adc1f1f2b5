//! The deliverer: a task of its own that reads the outbox and pushes what is due.
//!
//! Of each game one event is under way at a time, the oldest; several games go side by side. All
//! that has to outlive the process is in the table, so a deliverer can end at any moment: what was
//! sent and not marked is sent again, with the same id. Nothing else waits for it.
//!
//! Rows are the lobby's too, which may hold them locked for as long as it likes: such a row is not sent, as
//! it could not be marked. Where it is locked in between, its game rests, and its place is another's.

mod rests;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::pause_now;
use crate::game::GameId;
use crate::store::Store;
use crate::store::outbox::Due;

use super::metrics::LobbyMetrics;
use super::push::Push;
use super::verdict::{Outcome, Patience, consequence};
use rests::Rests;

/// So many events of one game are told in a row before other games get its place.
const IN_A_ROW: usize = 32;

/// How long what is under way may take when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How the deliverer goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many games side by side.
    pub at_once: usize,
    /// The table is looked at so often, even if nobody said that there is something new.
    pub look_every: Duration,
    /// What failures lead to.
    pub patience: Patience,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once: 16, look_every: Duration::from_secs(1), patience: Patience::default() }
    }
}

/// Delivers until told to end.
pub async fn deliver(
    store: Store,
    push: Push,
    pace: Pace,
    metrics: LobbyMetrics,
    shutdown: CancellationToken,
) {
    let written = store.outbox_written();
    let telling = Arc::new(Telling { store, push, pace, metrics, shutdown, away: AtomicBool::new(false) });
    let mut under_way = JoinSet::new();
    let mut busy = HashSet::new();
    let mut rests = Rests::default();
    loop {
        let began = Instant::now();
        for due in telling.look(&busy, rests.at(began)).await {
            busy.insert(due.game);
            under_way.spawn(telling.clone().tell(due));
        }
        // However much there is, most of the time is spent on something else than looking.
        tokio::time::sleep(began.elapsed() * 4).await;
        tokio::select! {
            () = telling.shutdown.cancelled() => break,
            Some(ended) = under_way.join_next() => match ended {
                Ok((game, marked)) => {
                    busy.remove(&game);
                    rests.note(game, marked, Instant::now());
                }
                // Which game it was is not known any more; none may stay busy for ever.
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a delivery panicked");
                    under_way.abort_all();
                    while under_way.join_next().await.is_some() {}
                    busy.clear();
                }
            },
            () = written.notified() => {}
            () = tokio::time::sleep(pace.look_every) => {}
        }
    }
    let ended = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, ended).await.is_err() {
        tracing::info!("some deliveries did not end in time; they are made again");
    }
}

struct Telling {
    store: Store,
    push: Push,
    pace: Pace,
    metrics: LobbyMetrics,
    shutdown: CancellationToken,
    /// The lobby did not answer last time; so that the log says it once.
    away: AtomicBool,
}

impl Telling {
    /// Due events of games that are neither under way nor resting, as many as there is room for.
    async fn look(&self, busy: &HashSet<GameId>, resting: Vec<GameId>) -> Vec<Due> {
        let room = self.pace.at_once.saturating_sub(busy.len());
        if room == 0 {
            return Vec::new();
        }
        // Those under way are due as well until they are marked.
        let others: Vec<GameId> = busy.iter().copied().chain(resting).collect();
        match self.store.outbox_due(pause_now(), &others, room as u64).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read");
                Vec::new()
            }
        }
    }

    /// Tells a game's events, from this one on, until one fails, or it is others' turn.
    async fn tell(self: Arc<Self>, first: Due) -> (GameId, Marked) {
        let game = first.game;
        let mut due = first;
        let mut marked = Marked::Yes;
        for _ in 0..IN_A_ROW {
            match self.tell_one(&due).await {
                Ok(Goes::On) if !self.shutdown.is_cancelled() => {}
                Ok(Goes::On | Goes::NoFurther) => break,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "what became of a delivery could not be written down; it is made again"
                    );
                    marked = Marked::No;
                    break;
                }
            }
            match self.store.outbox_next(game, pause_now()).await {
                Ok(Some(next)) => due = next,
                // An error shows at the next look too.
                Ok(None) | Err(_) => break,
            }
        }
        (game, marked)
    }

    async fn tell_one(&self, due: &Due) -> Result<Goes, crate::store::StoreError> {
        let began = Instant::now();
        let outcome = self.push.attempt(due).await;
        self.metrics.attempt(&outcome, began.elapsed());
        self.note(&outcome);
        let now = Timestamp::now();
        let patience = &self.pace.patience;
        let counted_from = pause_now();
        let Some(failed) =
            consequence(&outcome, due.attempts, due.refusals, patience, counted_from, rand::random::<f64>())
        else {
            self.store.outbox_delivered(due.event, now).await?;
            return Ok(Goes::On);
        };
        self.store.outbox_failed(due, &failed, now).await?;
        let (game, seq, error) = (due.game, due.seq, &failed.error);
        if failed.again_at.is_some() {
            tracing::debug!(%game, seq, error, "an event was not delivered");
            return Ok(Goes::NoFurther);
        }
        tracing::warn!(%game, seq, error, "the lobby refused an event too often; it is set aside");
        Ok(Goes::On)
    }

    fn note(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Away { error, .. } => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error, "the lobby cannot be told anything; it is tried again");
                }
            }
            Outcome::Delivered | Outcome::Refused { .. } => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the lobby answers again");
                }
            }
        }
    }
}

/// The database took what became of a game's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marked {
    Yes,
    /// It did not take the last: that would be sent again and again.
    No,
}

/// What comes after an event of a game.
enum Goes {
    /// The next one.
    On,
    /// Nothing, for now.
    NoFurther,
}
