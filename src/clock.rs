//! The clock that nobody sets, beside the wall clock, which somebody may.
//!
//! Graces, backoffs and deadlines must not end because the wall clock was set. Times on record are
//! of the wall clock, so that people can read them; the controller goes by a [`WallClock`], which is set in
//! one place, together with every time that something counts from ([`ClockSteps`]). What has an end that
//! people name, as a slot of a schedule or the expiry of a token, follows the wall clock, however it is set.
//!
//! Neither clock alone says that something is old enough to be forgotten: the wall clock may be set ahead,
//! and the steady one may have begun while it was. [`retention_now`] is the earlier of the two.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// A wall clock that differs by less from the steady one was read a little later.
const JITTER: Duration = Duration::from_millis(100);

/// The present time by which the age of what is kept is judged: the earlier of the wall clock and the clock
/// that nobody sets, as what either of them calls young is not forgotten.
pub fn retention_now() -> Timestamp {
    steady_now().min(Timestamp::now())
}

/// The present time for pauses on record that this process begins and ends: by the clock that nobody sets,
/// so that none is longer or shorter because the wall clock is set. Another process may have begun one by
/// another clock, so whoever reads one bounds it.
pub fn pause_now() -> Timestamp {
    steady_now()
}

/// The present time by the clock that nobody sets: the wall clock's time at the start of the process,
/// and what has passed since, suspended machines included.
fn steady_now() -> Timestamp {
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

/// A moment by the clock that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

impl Moment {
    /// The present one.
    pub fn now() -> Self {
        Self(steady_now())
    }
}

/// The wall clock as it was set when this was taken: it goes on evenly from there. Whoever took times
/// together with it compares them with its present time, and a step in between mixes no two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// By so much it is ahead of the steady one.
    ahead: SignedDuration,
}

impl WallClock {
    /// The present time.
    pub fn now(self) -> Timestamp {
        self.at(Moment::now())
    }

    /// The time at a moment.
    pub fn at(self, Moment(steady): Moment) -> Timestamp {
        steady.saturating_add(self.ahead).unwrap_or(steady)
    }
}

#[cfg(test)]
impl WallClock {
    /// The same, set by so much.
    pub fn set_by(self, step: SignedDuration) -> Self {
        Self { ahead: self.ahead.saturating_add(step) }
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self { ahead: Timestamp::now().duration_since(steady_now()) }
    }
}

/// Notices when the wall clock was set.
#[derive(Debug, Default)]
pub struct ClockSteps {
    clock: WallClock,
}

impl ClockSteps {
    /// The clock as it was set when that was last noticed.
    pub fn clock(&self) -> WallClock {
        self.clock
    }

    /// By how much the wall clock was set since the last call; none if it was not.
    pub fn step(&mut self) -> Option<SignedDuration> {
        let (before, wall, after) = (steady_now(), Timestamp::now(), steady_now());
        // Whoever was held up between the two has not read them at the same time.
        let at_once = after.duration_since(before).unsigned_abs() < JITTER / 2;
        if at_once { self.step_between(wall, before) } else { None }
    }

    fn step_between(&mut self, wall: Timestamp, steady: Timestamp) -> Option<SignedDuration> {
        let ahead = wall.duration_since(steady);
        let step = ahead.saturating_sub(self.clock.ahead);
        if step.unsigned_abs() <= JITTER {
            return None;
        }
        self.clock.ahead = ahead;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_drifts_is_not() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let before = WallClock { ahead: SignedDuration::ZERO };
        let mut steps = ClockSteps { clock: before };
        assert_eq!(steps.step_between(at(10), at(10)), None);
        assert_eq!(steps.step_between(at(80), at(11)), Some(SignedDuration::from_secs(69)));
        assert_eq!(steps.step_between(at(90), at(21)), None);
        assert_eq!(steps.step_between(at(0), at(22)), Some(SignedDuration::from_secs(-91)));
        let a_little_later = at(1) + Duration::from_millis(90);
        assert_eq!(steps.step_between(a_little_later, at(23)), None, "read a little later");
        // Whoever began before goes on with the clock as it was then.
        assert_eq!(before.at(Moment(at(30))), at(30));
        assert_eq!(steps.clock().at(Moment(at(30))), at(8));
    }

    #[test]
    fn the_steady_clock_goes_forward() {
        let before = steady_now();
        assert!(steady_now() >= before);
    }
}
