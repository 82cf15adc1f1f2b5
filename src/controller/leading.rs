//! Whether this process leads, as far as it can know without asking.
//!
//! Asked before everything that would change anything: a process that was suspended wakes up in the
//! middle of whatever it did, when somebody else may long lead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How soon long work notices that the lead has ended.
const LOOK: Duration = Duration::from_millis(250);

/// Until when this process leads; its clones are the same.
#[derive(Debug, Clone)]
pub struct Leading(Arc<AtomicI64>);

/// A moment, on a clock that nobody sets and that goes on while the machine sleeps. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        Self(now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000))
    }
}

impl Leading {
    /// Nobody can take the lead from this process while it lives.
    pub fn for_ever() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }

    /// It leads for so long from that moment, unless it is renewed.
    pub fn from(moment: Moment, span: Duration) -> Self {
        let leading = Self(Arc::new(AtomicI64::new(0)));
        leading.renewed(moment, span);
        leading
    }

    /// It leads for so long from that moment, which is when the renewal was asked for.
    pub fn renewed(&self, moment: Moment, span: Duration) {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.0.store(moment.0.saturating_add(span), Ordering::Release);
    }

    /// It leads no more, and is not to be renewed.
    pub fn end(&self) {
        self.0.store(i64::MIN, Ordering::Release);
    }

    /// Whether it leads.
    pub fn holds(&self) -> bool {
        Moment::now().0 < self.0.load(Ordering::Acquire)
    }

    /// Returns soon after it ended.
    pub async fn ended(&self) {
        while self.holds() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// For how long, if nothing renews it.
    pub fn left(&self) -> Duration {
        let left = self.0.load(Ordering::Acquire).saturating_sub(Moment::now().0);
        Duration::from_millis(u64::try_from(left).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_ends_by_itself() {
        let leading = Leading::from(Moment::now(), Duration::from_secs(60));
        assert!(leading.holds() && leading.left() > Duration::from_secs(59));
        leading.renewed(Moment(Moment::now().0 - 60_001), Duration::from_secs(60));
        assert!(!leading.holds() && leading.left().is_zero());
        assert!(Leading::for_ever().holds());
    }

    #[test]
    fn a_lead_that_was_ended_holds_nowhere() {
        let leading = Leading::for_ever();
        let elsewhere = leading.clone();
        leading.end();
        assert!(!elsewhere.holds());
    }
}
