//! The clock that nobody sets, beside the wall clock, which somebody may.
//!
//! Graces, backoffs, deadlines and ages must not end because the wall clock was set. Times on record are
//! of the wall clock, so that people can read them; while the process lives, the controller moves those
//! that something counts from along with every step of it ([`ClockSteps`]).

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// A wall clock that differs by less from the steady one is being slewed, or was read a little later.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The present time by the clock that nobody sets: the wall clock's time at the start of the process,
/// and what has passed since, suspended machines included.
pub fn steady_now() -> Timestamp {
    static START: OnceLock<(Timestamp, Duration)> = OnceLock::new();
    let (wall, booted) = *START.get_or_init(|| (Timestamp::now(), since_boot()));
    let passed = SignedDuration::try_from(since_boot().saturating_sub(booted)).unwrap_or(SignedDuration::MAX);
    wall.saturating_add(passed).unwrap_or(Timestamp::MAX)
}

fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// Notices when the wall clock was set.
#[derive(Debug)]
pub struct ClockSteps {
    offset: SignedDuration,
}

impl Default for ClockSteps {
    fn default() -> Self {
        Self { offset: Timestamp::now().duration_since(steady_now()) }
    }
}

impl ClockSteps {
    /// By how much the wall clock was set since the last call; none if it was not.
    pub fn step(&mut self) -> Option<SignedDuration> {
        self.step_between(Timestamp::now(), steady_now())
    }

    fn step_between(&mut self, wall: Timestamp, steady: Timestamp) -> Option<SignedDuration> {
        let offset = wall.duration_since(steady);
        let step = offset.saturating_sub(self.offset);
        if step.unsigned_abs() <= TOLERANCE {
            return None;
        }
        self.offset = offset;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_drifts_is_not() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let mut steps = ClockSteps { offset: SignedDuration::ZERO };
        assert_eq!(steps.step_between(at(10), at(10)), None);
        assert_eq!(steps.step_between(at(80), at(11)), Some(SignedDuration::from_secs(69)));
        assert_eq!(steps.step_between(at(90), at(21)), None);
        assert_eq!(steps.step_between(at(0), at(22)), Some(SignedDuration::from_secs(-91)));
        assert_eq!(steps.step_between(at(1), at(22)), None, "slewed");
    }

    #[test]
    fn the_steady_clock_goes_forward() {
        let before = steady_now();
        assert!(steady_now() >= before);
    }
}
