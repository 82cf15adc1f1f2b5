//! Places of which there are so many for each client, and so many in all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places are taken, and by whom.
pub(super) struct Places<K> {
    of_one: usize,
    of_all: usize,
    taken: Arc<Mutex<Taken<K>>>,
}

struct Taken<K> {
    by: HashMap<K, usize>,
    all: usize,
}

/// One of them, for as long as it is held.
pub(super) struct Place<K: Hash + Eq> {
    who: K,
    taken: Arc<Mutex<Taken<K>>>,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// This client has all that are for one.
    OfOne,
    /// All of them are taken.
    OfAll,
}

impl<K: Hash + Eq + Clone> Places<K> {
    pub(super) fn new(of_one: usize, of_all: usize) -> Self {
        Self { of_one, of_all, taken: Arc::new(Mutex::new(Taken { by: HashMap::new(), all: 0 })) }
    }

    pub(super) fn take(&self, who: K) -> Result<Place<K>, Full> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.of_all {
            return Err(Full::OfAll);
        }
        let count = taken.by.entry(who.clone()).or_default();
        if *count >= self.of_one {
            return Err(Full::OfOne);
        }
        *count += 1;
        taken.all += 1;
        Ok(Place { who, taken: Arc::clone(&self.taken) })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(count) = taken.by.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                taken.by.remove(&self.who);
            }
        }
    }
}

fn lock<K>(taken: &Mutex<Taken<K>>) -> MutexGuard<'_, Taken<K>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places_and_what_is_left_is_free_again() {
        let places = Places::new(2, 3);
        let (first, second) = (places.take("a"), places.take("a"));
        assert_eq!(places.take("a").err(), Some(Full::OfOne));
        let third = places.take("b").unwrap();
        assert_eq!(places.take("b").err(), Some(Full::OfAll));
        drop(first);
        assert!(places.take("c").is_ok());
        drop((second, third));
        assert!(lock(&places.taken).by.is_empty() && lock(&places.taken).all == 0);
    }
}
