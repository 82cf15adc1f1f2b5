//! The numbers that planning depends on.

use std::time::Duration;

/// Times and thresholds of the planner. All of them can be configured; the defaults are the
/// design's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long Docker may be silent before anything is shown as unknown.
    pub silence: Duration,
    /// From the start of a container to its first health.
    pub start_deadline: Duration,
    /// Between a process being asked to end and being killed.
    pub stop_grace: Duration,
    /// Between two looks at a healthy engine.
    pub probe_interval: Duration,
    /// Between two looks at an engine that was healthy and now fails.
    pub failing_probe_interval: Duration,
    /// Between two rows of what an engine reports, while it says nothing new.
    pub report_interval: Duration,
    /// Failed looks in a row until the engine counts as unreachable.
    pub unreachable_after: u32,
    /// Failed looks in a row until its process is replaced.
    pub restart_after: u32,
    /// The wait before the second attempt; doubles from there.
    pub backoff_first: Duration,
    /// The longest wait between two attempts.
    pub backoff_longest: Duration,
    /// Health without a break that makes earlier failures forgotten.
    pub forget_failures_after: Duration,
    /// From a row's vanishing to the deletion of its game; the row may come back meanwhile.
    pub deletion_grace: Duration,
    /// How many deletions at once wait for an operator's confirmation.
    pub deletions: super::deletions::Limits,
    /// How long a turn may take.
    pub turn_deadline: Duration,
    /// How long a stop waits for a turn in flight.
    pub stop_turn_wait: Duration,
    /// When images are fetched.
    pub pull: PullPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(5),
            start_deadline: Duration::from_secs(60),
            stop_grace: Duration::from_secs(10),
            probe_interval: Duration::from_secs(15),
            failing_probe_interval: Duration::from_secs(2),
            report_interval: Duration::from_secs(300),
            unreachable_after: 3,
            restart_after: 10,
            backoff_first: Duration::from_secs(1),
            backoff_longest: Duration::from_secs(300),
            forget_failures_after: Duration::from_secs(600),
            deletion_grace: Duration::from_secs(60),
            deletions: super::deletions::Limits::default(),
            turn_deadline: Duration::from_secs(600),
            stop_turn_wait: Duration::from_secs(30),
            pull: PullPolicy::IfNotPresent,
        }
    }
}

/// When an image is fetched from its registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// When it is not on the host.
    #[default]
    IfNotPresent,
    /// Before a game's first start.
    Always,
    /// Never: a missing image is an error.
    Never,
}
