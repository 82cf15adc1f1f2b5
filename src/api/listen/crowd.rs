//! Everybody who has a connection: strangers, and those who are known.
//!
//! Whoever connects is a stranger until a request on the connection was let in. There are few places
//! for strangers, and whoever comes gets one: if all are taken, the oldest connection of the address
//! that has most of them goes. So nobody keeps others out by connecting and saying nothing, or saying
//! it slowly; who has something to say is known within moments. Known connections are bounded for
//! each caller and in all, and nobody has to go for another's sake.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::api::Limits;
use crate::api::auth::caller::CallerKey;
use crate::api::places::{Full, Place, Places};

/// Everybody.
#[derive(Clone)]
pub(super) struct Crowd {
    most_strangers: usize,
    strangers: Arc<Mutex<Strangers>>,
    known: Arc<Places<CallerKey>>,
}

#[derive(Default)]
struct Strangers {
    /// Numbers grow: the first is the oldest.
    next: u64,
    by_age: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

/// One connection, for as long as it is open.
pub(in crate::api) struct Connection {
    number: u64,
    out: CancellationToken,
    crowd: Crowd,
    place: OnceLock<Place<CallerKey>>,
}

impl Crowd {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            most_strangers: limits.strangers,
            strangers: Arc::default(),
            known: Arc::new(Places::new(limits.connections_of_one, limits.connections)),
        }
    }

    /// Somebody connects from there.
    pub(super) fn enter(&self, from: IpAddr) -> Connection {
        let out = CancellationToken::new();
        let mut strangers = self.strangers();
        if strangers.by_age.len() >= self.most_strangers {
            strangers.make_room();
        }
        let number = strangers.next;
        strangers.next += 1;
        strangers.by_age.insert(number, (from, out.clone()));
        drop(strangers);
        Connection { number, out, crowd: self.clone(), place: OnceLock::new() }
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strangers {
    fn make_room(&mut self) {
        let mut of: HashMap<IpAddr, usize> = HashMap::new();
        for (address, _) in self.by_age.values() {
            *of.entry(*address).or_default() += 1;
        }
        let most = of.values().max().copied().unwrap_or_default();
        let first = self.by_age.iter().find(|(_, (address, _))| of.get(address) == Some(&most));
        let Some(number) = first.map(|(number, _)| *number) else { return };
        if let Some((_, out)) = self.by_age.remove(&number) {
            out.cancel();
        }
    }
}

impl Connection {
    /// Returns when it has to make room.
    pub(super) fn out(&self) -> WaitForCancellationFutureOwned {
        self.out.clone().cancelled_owned()
    }

    /// Whether it is known whose it is.
    pub(super) fn is_known(&self) -> bool {
        self.place.get().is_some()
    }

    /// A request on it was this caller's. The first one counts: it is whoever opened it.
    pub(in crate::api) fn is_of(&self, caller: CallerKey) -> Result<(), Full> {
        if self.is_known() {
            return Ok(());
        }
        let place = self.crowd.known.take(caller)?;
        if self.place.set(place).is_ok() {
            self.crowd.strangers().by_age.remove(&self.number);
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.crowd.strangers().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::caller::By;

    fn crowd() -> Crowd {
        Crowd::new(Limits { strangers: 3, connections: 3, connections_of_one: 2, ..Limits::default() })
    }

    fn out(connection: &Connection) -> bool {
        connection.out.is_cancelled()
    }

    #[test]
    fn a_stranger_makes_room_from_the_address_that_has_most() {
        let (crowd, flood, other) = (crowd(), [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let one = crowd.enter(other);
        let (first, second) = (crowd.enter(flood), crowd.enter(flood));
        let third = crowd.enter(flood);
        assert_eq!([&one, &first, &second, &third].map(out), [false, true, false, false]);
        drop((first, second));
        let fourth = crowd.enter(flood);
        assert!(!out(&third) && !out(&fourth) && !out(&one));
    }

    #[test]
    fn who_is_known_stays_and_has_a_bounded_number() {
        let (crowd, from) = (crowd(), [10, 0, 0, 1].into());
        let caller = |name: &str| (By::Token, Arc::from(name));
        let known: Vec<_> = (0..2).map(|_| crowd.enter(from)).collect();
        assert!(known.iter().all(|connection| connection.is_of(caller("ann")).is_ok()));
        let more = crowd.enter(from);
        assert_eq!(more.is_of(caller("ann")), Err(Full::OfOne));
        assert_eq!(more.is_of(caller("bob")), Ok(()));
        assert_eq!(crowd.enter(from).is_of(caller("eve")), Err(Full::OfAll));
        let flood: Vec<_> = (0..9).map(|_| crowd.enter(from)).collect();
        assert!(!known.iter().any(out) && !out(&more));
        assert_eq!(flood.iter().filter(|connection| !out(connection)).count(), 3);
        drop((known, more, flood));
        assert!(crowd.strangers().by_age.is_empty());
    }
}
