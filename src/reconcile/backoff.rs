//! When a failed game is tried again.

use jiff::Timestamp;

use super::policy::Policy;

/// When attempt number `failures + 1` is due: the first retry at once, then one second, doubling,
/// up to the longest wait.
pub fn next_attempt(failures: u32, now: Timestamp, policy: &Policy) -> Timestamp {
    let wait = match failures {
        0 | 1 => std::time::Duration::ZERO,
        more => {
            // 2^32 times a second is far past the longest wait; the shift must not overflow.
            let doublings = (more - 2).min(31);
            policy.backoff_first.saturating_mul(1 << doublings).min(policy.backoff_longest)
        }
    };
    after(now, wait)
}

/// `now + wait`, without overflow at the end of time.
pub fn after(now: Timestamp, wait: std::time::Duration) -> Timestamp {
    jiff::SignedDuration::try_from(wait).ok().and_then(|d| now.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_one_second_doubling_to_five_minutes() {
        let now = Timestamp::UNIX_EPOCH;
        let waits: Vec<i64> =
            (1..=12).map(|n| next_attempt(n, now, &Policy::default()).as_second()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(next_attempt(u32::MAX, now, &Policy::default()).as_second(), 300);
        assert_eq!(next_attempt(50, Timestamp::MAX, &Policy::default()), Timestamp::MAX);
    }
}
