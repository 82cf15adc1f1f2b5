//! What to do about how a delivery went: one visible, pure function.

use std::time::Duration;

use jiff::Timestamp;

use crate::store::outbox::{Failed, MAX_PAUSE};

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The lobby has it.
    Delivered,
    /// The lobby answered, and does not want this event: a 4xx that no waiting mends.
    Refused {
        /// In words.
        error: String,
    },
    /// The lobby is away, broken, busy or set up wrongly; nothing is wrong with this event.
    Away {
        /// In words.
        error: String,
        /// The lobby asked not to be bothered for so long.
        retry_after: Option<Duration>,
    },
}

/// How patient the deliverer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest wait before the second attempt; doubles with each.
    pub first: Duration,
    /// The longest wait of all; at most [`MAX_PAUSE`].
    pub longest: Duration,
    /// After so many refusals an event is set aside.
    pub give_up_after: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: MAX_PAUSE, give_up_after: 20 }
    }
}

/// What an answer's status means.
pub(super) fn of_status(status: u16, retry_after: Option<Duration>) -> Outcome {
    let error = format!("the lobby answered {status}");
    match status {
        200..=299 => Outcome::Delivered,
        // Too slow, too early, too much: the same request may be taken later.
        408 | 425 | 429 => Outcome::Away { error, retry_after },
        400..=499 => Outcome::Refused { error },
        300..=399 => Outcome::Away {
            error: format!("{error}; redirects are not followed, correct --lobby-url"),
            retry_after: None,
        },
        _ => Outcome::Away { error, retry_after },
    }
}

/// What becomes of an event; none: it was delivered. `chance` is at least 0 and less than 1.
pub(super) fn consequence(
    outcome: &Outcome,
    attempts: u32,
    refusals: u32,
    patience: &Patience,
    now: Timestamp,
    chance: f64,
) -> Option<Failed> {
    let again = |wait: Duration| now.checked_add(wait).unwrap_or(Timestamp::MAX);
    let wait = wait(attempts, patience, chance);
    match outcome {
        Outcome::Delivered => None,
        Outcome::Refused { error } => {
            let again_at = (refusals.saturating_add(1) < patience.give_up_after).then(|| again(wait));
            Some(Failed { error: error.clone(), refused: true, again_at })
        }
        Outcome::Away { error, retry_after } => {
            // What the lobby asks for counts, up to what we would wait by ourselves.
            let asked = retry_after.unwrap_or_default().min(patience.longest);
            Some(Failed { error: error.clone(), refused: false, again_at: Some(again(wait.max(asked))) })
        }
    }
}

/// Full jitter: anything up to a bound that doubles with each attempt, so that games that failed
/// together do not come back together.
fn wait(attempts: u32, patience: &Patience, chance: f64) -> Duration {
    let bound = patience.first.saturating_mul(1_u32 << attempts.min(30)).min(patience.longest);
    bound.mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { first: Duration::from_secs(1), longest: Duration::from_secs(300), give_up_after: 3 };

    fn after(outcome: &Outcome, attempts: u32, refusals: u32) -> Option<Failed> {
        consequence(outcome, attempts, refusals, &PATIENCE, Timestamp::UNIX_EPOCH, 0.999_999)
    }

    #[test]
    fn only_what_the_lobby_itself_refuses_is_ever_given_up() {
        for status in [400, 401, 403, 404, 410, 413, 422] {
            let outcome = of_status(status, None);
            assert!(after(&outcome, 1_000, 1).unwrap().again_at.is_some(), "{status}");
            assert_eq!(after(&outcome, 2, 2).unwrap().again_at, None, "{status}");
        }
        for status in [101, 301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504, 599] {
            let failed = after(&of_status(status, None), u32::MAX, u32::MAX).unwrap();
            assert!(failed.again_at.is_some() && !failed.refused, "{status}");
        }
        for status in [200, 201, 202, 204] {
            assert_eq!(after(&of_status(status, None), 0, 0), None);
        }
    }

    #[test]
    fn the_wait_doubles_from_a_second_to_five_minutes_with_full_jitter() {
        let bound = |attempts| wait(attempts, &PATIENCE, 1.0).as_secs();
        assert_eq!([0, 1, 2, 8, 9, 10, 4_000_000].map(bound), [1, 2, 4, 256, 300, 300, 300]);
        assert_eq!(wait(5, &PATIENCE, 0.0), Duration::ZERO);
        assert_eq!(wait(2, &PATIENCE, 0.5), Duration::from_secs(2));
    }

    #[test]
    fn the_lobby_may_ask_for_a_longer_wait_but_not_for_any() {
        let waits = |asked| {
            let outcome = of_status(503, Some(Duration::from_secs(asked)));
            after(&outcome, 0, 0).unwrap().again_at.unwrap().as_second()
        };
        assert_eq!([0, 60, 1_000_000].map(waits), [0, 60, 300]);
    }
}
