//! When a failed game is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::observed::Pace;
use super::policy::Policy;

/// When attempt number `failures + 1` is due: the first retry at once, then one second, doubling,
/// up to the longest wait.
pub fn next_attempt(failures: u32, now: Timestamp, policy: &Policy) -> Timestamp {
    paced_attempt(failures, Pace::Usual, now, policy)
}

/// The same at any pace.
pub fn paced_attempt(failures: u32, pace: Pace, now: Timestamp, policy: &Policy) -> Timestamp {
    // 2^32 times a second is far past the longest wait; the shift must not overflow.
    let doubled = |first: Duration, times: u32| first.saturating_mul(1 << times.min(31));
    let wait = match (pace, failures) {
        (Pace::Usual, 0 | 1) => Duration::ZERO,
        (Pace::Usual, more) => doubled(policy.backoff_first, more - 2),
        (Pace::Slow, failures) => doubled(policy.backoff_longest / 5, failures.saturating_sub(1)),
        (Pace::Slowest, _) => policy.backoff_longest,
    };
    after(now, wait.min(policy.backoff_longest))
}

/// `now + wait`, without overflow at the end of time.
pub fn after(now: Timestamp, wait: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(wait).ok().and_then(|d| now.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_one_second_doubling_to_five_minutes() {
        let now = Timestamp::UNIX_EPOCH;
        let policy = Policy::default();
        let waits = |pace, to: u32| -> Vec<i64> {
            (1..=to).map(|n| paced_attempt(n, pace, now, &policy).as_second()).collect()
        };
        assert_eq!(waits(Pace::Usual, 12), [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(waits(Pace::Slow, 5), [60, 120, 240, 300, 300]);
        assert_eq!(waits(Pace::Slowest, 2), [300, 300]);
        for pace in [Pace::Usual, Pace::Slow, Pace::Slowest] {
            assert_eq!(paced_attempt(u32::MAX, pace, now, &policy).as_second(), 300);
            assert_eq!(paced_attempt(50, pace, Timestamp::MAX, &policy), Timestamp::MAX);
        }
    }
}
