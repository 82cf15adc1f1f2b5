//! The outbox kept within its bounds, and its depth shown.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::outbox::{Pruned, Retention};
use crate::store::{Store, StoreError};

use super::metrics::LobbyMetrics;

/// Between two looks at how much there is.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// So many looks until what is old goes.
const LOOKS: u64 = 12;

/// Forgets what is old or too much, and shows how much there is, until told to end.
pub async fn keep_bounded(
    store: Store,
    retention: Retention,
    metrics: LobbyMetrics,
    shutdown: CancellationToken,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut look = 0;
    while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
        // Not at once: a leadership begins with more urgent things.
        let prune = look % LOOKS == LOOKS - 1;
        let done = shutdown.run_until_cancelled(once(&store, &retention, &metrics, prune)).await;
        if let Some(Err(error)) = done {
            tracing::warn!(error = &error as &dyn std::error::Error, "the outbox could not be kept small");
        }
        look += 1;
    }
}

async fn once(
    store: &Store,
    retention: &Retention,
    metrics: &LobbyMetrics,
    prune: bool,
) -> Result<(), StoreError> {
    if prune {
        let pruned = store.prune_outbox(store.retention_now().await?, retention).await?;
        metrics.pruned(pruned);
        if let Pruned { undelivered: 1.., .. } = pruned {
            tracing::warn!(events = pruned.undelivered, "events went without reaching the lobby");
        }
    }
    metrics.shows(store.outbox_depth().await?, crate::clock::retention_now());
    Ok(())
}
