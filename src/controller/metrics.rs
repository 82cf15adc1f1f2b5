//! What the controller counts. The names are a contract.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::game::Phase;
use crate::reconcile::Step;

/// Which step, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StepLabels {
    step: &'static str,
    result: &'static str,
}

/// Which phase.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PhaseLabels {
    phase: &'static str,
}

/// What the controller counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) rounds: Counter,
    pub(super) relists: Counter,
    pub(super) queue: Gauge,
    pub(super) docker_up: Gauge,
    pub(super) frozen: Gauge,
    pub(super) held_deletions: Gauge,
    pub(super) orphans: Gauge,
    games: Family<PhaseLabels, Gauge>,
    steps: Family<StepLabels, Counter>,
    step_seconds: Family<StepLabels, Histogram>,
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        // 1 ms to about 32 s: from a look to a slow start.
        let histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let metrics = Self {
            rounds: Counter::default(),
            relists: Counter::default(),
            queue: Gauge::default(),
            docker_up: Gauge::default(),
            frozen: Gauge::default(),
            held_deletions: Gauge::default(),
            orphans: Gauge::default(),
            games: Family::default(),
            steps: Family::default(),
            step_seconds: Family::new_with_constructor(histogram),
        };
        registry.register("gamekeeper_rounds", "Rounds of any game", metrics.rounds.clone());
        registry.register("gamekeeper_relists", "Bulk lists of all containers", metrics.relists.clone());
        registry.register("gamekeeper_queue_depth", "Games that are due or will be", metrics.queue.clone());
        registry.register(
            "gamekeeper_docker_up",
            "Whether Docker answers (1) or not (0)",
            metrics.docker_up.clone(),
        );
        registry.register(
            "gamekeeper_frozen",
            "Reasons for which the controller touches nothing",
            metrics.frozen.clone(),
        );
        registry.register(
            "gamekeeper_held_deletions",
            "Deletions that wait for an operator's word",
            metrics.held_deletions.clone(),
        );
        registry.register("gamekeeper_orphans", "Containers that belong to no game", metrics.orphans.clone());
        registry.register("gamekeeper_games", "Games by phase", metrics.games.clone());
        registry.register("gamekeeper_steps", "Steps taken, by kind and result", metrics.steps.clone());
        registry.register("gamekeeper_step_seconds", "How long steps took", metrics.step_seconds.clone());
        metrics
    }

    pub(super) fn step(&self, step: &Step, ok: bool, took: Duration) {
        let labels = StepLabels { step: kind(step), result: if ok { "ok" } else { "error" } };
        self.steps.get_or_create(&labels).inc();
        self.step_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Shows how many there are of something.
    pub(super) fn show(gauge: &Gauge, count: usize) {
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts games from none.
    pub(super) fn forget_games(&self) {
        self.games.clear();
    }

    pub(super) fn moved(&self, from: Option<Phase>, to: Option<Phase>) {
        if from == to {
            return;
        }
        let gauge = |phase: Phase| self.games.get_or_create(&PhaseLabels { phase: phase.as_row() }).clone();
        if let Some(from) = from {
            gauge(from).dec();
        }
        if let Some(to) = to {
            gauge(to).inc();
        }
    }
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::LookAtImage(_) => "look_at_image",
        Step::LookAtNextImage(_) => "look_at_next_image",
        Step::LookAtImageUsers { .. } => "look_at_image_users",
        Step::LookAtBackup(_) => "look_at_backup",
        Step::LookAtRoom => "look_at_room",
        Step::LookAtNetwork => "look_at_network",
        Step::LookAtStateDirectory => "look_at_state_directory",
        Step::LookAtContents => "look_at_contents",
        Step::LookAtCopies => "look_at_copies",
        Step::LookForRival { .. } => "look_for_rival",
        Step::PullImage(_) => "pull_image",
        Step::CreateStateDirectory(_) => "create_state_directory",
        Step::CreateNetwork => "create_network",
        Step::CreateContainer { .. } => "create_container",
        Step::StartContainer(_) => "start_container",
        Step::StopContainer { .. } => "stop_container",
        Step::RemoveContainer(_) => "remove_container",
        Step::ProbeEngine { .. } => "probe_engine",
        Step::InitialiseEngine { .. } => "initialise_engine",
        Step::GenerateTurn { .. } => "generate_turn",
        Step::BackUp(_) => "back_up",
        Step::FetchBackup { .. } => "fetch_backup",
        Step::PutBack { .. } => "put_back",
        Step::RemoveCopies(_) => "remove_copies",
        Step::RemoveStateDirectory(_) => "remove_state_directory",
        Step::FinishDeletion(_) => "finish_deletion",
    }
}
