//! So many requests a second of each, and some more at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// So many clients are told apart; those who have not asked for a while are forgotten.
const MOST: usize = 10_000;

/// A bucket for each client, which fills again at a steady rate.
pub(super) struct Rate<K> {
    per_second: f64,
    at_once: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Hash + Eq> Rate<K> {
    /// So many a second in the long run, and so many at once.
    pub(super) fn new(per_second: u32, at_once: u32) -> Self {
        Self { per_second: per_second.into(), at_once: at_once.into(), buckets: Mutex::default() }
    }

    /// Whether this client may ask once more.
    pub(super) fn allows(&self, client: K) -> bool {
        self.allows_at(client, Instant::now())
    }

    fn allows_at(&self, client: K, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&client) {
            buckets.retain(|_, bucket| self.left(bucket, now) < self.at_once);
            if buckets.len() >= MOST {
                return false;
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket { left: self.at_once, at: now });
        *bucket = Bucket { left: self.left(bucket, now), at: now };
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }

    fn left(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.duration_since(bucket.at).as_secs_f64();
        (bucket.left + passed * self.per_second).min(self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_has_its_rate_and_some_at_once_and_takes_nothing_from_others() {
        let (rate, now) = (Rate::new(10, 40), Instant::now());
        let asked = |now| (0..100).filter(|_| rate.allows_at("ann", now)).count();
        assert_eq!(asked(now), 40);
        assert!(rate.allows_at("bob", now));
        assert_eq!(asked(now + Duration::from_millis(500)), 5);
        assert_eq!(asked(now + Duration::from_secs(3_600)), 40);
    }

    #[test]
    fn many_clients_cost_bounded_memory() {
        let (rate, now) = (Rate::new(1, 2), Instant::now());
        let allowed = (0..3 * MOST).filter(|client| rate.allows_at(*client, now)).count();
        assert_eq!(allowed, MOST);
        assert_eq!(rate.buckets.lock().unwrap().len(), MOST);
        assert!(rate.allows_at(usize::MAX, now + Duration::from_secs(2)));
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
