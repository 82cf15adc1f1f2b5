//! What is counted about the lobby. The names are a contract.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::store::outbox::{Depth, Pruned};

use super::verdict::Outcome;

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// What is counted about the lobby.
#[derive(Debug, Clone)]
pub struct LobbyMetrics {
    depth: Gauge,
    set_aside: Gauge,
    oldest: Gauge,
    dropped: Counter,
    deliveries: Family<ResultLabels, Counter>,
    seconds: Family<ResultLabels, Histogram>,
}

impl LobbyMetrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        // 1 ms to about 16 s: from a lobby next door to the deadline.
        let histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let metrics = Self {
            depth: Gauge::default(),
            set_aside: Gauge::default(),
            oldest: Gauge::default(),
            dropped: Counter::default(),
            deliveries: Family::default(),
            seconds: Family::new_with_constructor(histogram),
        };
        registry.register(
            "gamekeeper_outbox_depth",
            "Events that the lobby has yet to be told",
            metrics.depth.clone(),
        );
        registry.register(
            "gamekeeper_outbox_set_aside",
            "Events that were refused too often, or skipped",
            metrics.set_aside.clone(),
        );
        registry.register(
            "gamekeeper_outbox_oldest_seconds",
            "Age of the oldest event that the lobby has yet to be told",
            metrics.oldest.clone(),
        );
        registry.register(
            "gamekeeper_outbox_dropped",
            "Events that were too old or too many and went without reaching the lobby",
            metrics.dropped.clone(),
        );
        registry.register(
            "gamekeeper_lobby_deliveries",
            "Attempts to tell the lobby something, by result",
            metrics.deliveries.clone(),
        );
        registry.register(
            "gamekeeper_lobby_delivery_seconds",
            "How long attempts to tell the lobby something took",
            metrics.seconds.clone(),
        );
        metrics
    }

    pub(super) fn attempt(&self, outcome: &Outcome, took: Duration) {
        let result = match outcome {
            Outcome::Delivered => "delivered",
            Outcome::Refused { .. } => "refused",
            Outcome::Away { .. } => "away",
        };
        let labels = ResultLabels { result };
        self.deliveries.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(super) fn pruned(&self, pruned: Pruned) {
        self.dropped.inc_by(pruned.undelivered);
    }

    pub(super) fn shows(&self, depth: Depth, now: Timestamp) {
        let show = |gauge: &Gauge, count: u64| gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        show(&self.depth, depth.open);
        show(&self.set_aside, depth.set_aside);
        self.oldest.set(depth.oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0)));
    }
}
