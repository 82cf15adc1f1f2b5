//! The slots of a schedule: the instants at which a game's turns are due.
//!
//! A zone's time is a row of stretches, each with one offset from UTC; within a stretch the wall
//! clock runs evenly, and a search is a search on the wall clock. What remains is the seams, where
//! the wall clock skips an hour or shows one twice:
//!
//! | schedule | in a gap | in an overlap |
//! |---|---|---|
//! | names hours (`0 18 * * *`, `30 2,14 * * *`, `*/30 2 * * *`) | due when the gap ends, once | the first time only |
//! | is of every hour, or every so many (`*` or `*/n` in the hours) | does not exist | both times |
//!
//! So what is to happen at some hours of a day happens on each day, as often as on any other or, where hours
//! are missing, once for all that are; and an hourly turn comes every hour that passes.
//!
//! Nothing here walks over slots or seconds to get from one instant to a distant one: a search costs
//! at most one look at each day of 41 years, whatever it is asked.

mod pattern;
mod stretch;
#[cfg(test)]
pub(super) mod tests;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::game::manifest::parse_schedule;
use crate::game::spec::TurnSpec;
use crate::game::zone::zone;

use pattern::Pattern;
use stretch::{Seam, Stretch};

/// Of the slots passed that are not listed one by one, at most so many are counted.
pub const COUNTED: u32 = 1000;

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * pattern::MAX_DAYS as i64);

/// Why a schedule has no slots that could be told. Validation refuses all of these; a row written
/// before it, or a zone that a newer database of zones has dropped, can still bring them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression.
    #[error("{0}")]
    Cron(String),
    /// The zone.
    #[error("{0}")]
    Zone(String),
}

/// The slots of one schedule in one zone. They are whole seconds.
#[derive(Debug, Clone)]
pub struct Slots {
    pattern: Pattern,
    zone: TimeZone,
}

/// The slots between two instants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Those before the listed ones, if there are any.
    pub earlier: Option<Earlier>,
    /// The newest, ascending.
    pub newest: Vec<Timestamp>,
}

/// Slots that are not listed one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// The oldest.
    pub first: Timestamp,
    /// The newest of them.
    pub last: Timestamp,
    /// How many; a lower bound if there are `more`.
    pub count: u32,
    /// There are more than were counted.
    pub more: bool,
}

impl Passed {
    /// The oldest slot.
    pub fn first(&self) -> Option<Timestamp> {
        self.earlier.map(|earlier| earlier.first).or_else(|| self.newest.first().copied())
    }

    /// The newest slot.
    pub fn last(&self) -> Option<Timestamp> {
        self.newest.last().copied()
    }
}

impl Slots {
    /// The slots of a spec; none if its turns come by hand only.
    ///
    /// # Errors
    /// When the spec was not validated with the zones and the grammar of today.
    pub fn of(spec: &TurnSpec) -> Result<Option<Self>, ScheduleError> {
        let Some(schedule) = spec.schedule.as_deref() else { return Ok(None) };
        let cron = parse_schedule(schedule).map_err(ScheduleError::Cron)?;
        let zone = zone(&spec.time_zone).map_err(ScheduleError::Zone)?;
        Ok(Some(Self { pattern: Pattern::new(cron), zone }))
    }

    /// The first slot after an instant. None only at the end of representable time, or for a
    /// schedule that never fires.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let mut from = whole_second(instant)?.checked_add(SECOND).ok()?;
        let horizon = from.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
        while from <= horizon {
            let stretch = Stretch::around(&self.zone, from);
            if let Some(slot) = self.first_within(&stretch, from) {
                return Some(slot);
            }
            from = stretch.end?;
        }
        None
    }

    /// The last slot at or before an instant.
    pub fn last_until(&self, instant: Timestamp) -> Option<Timestamp> {
        self.backwards(instant).next()
    }

    /// The slots after one instant, up to and including another: the newest one by one, at most
    /// `listed` of them, those before them as a number.
    pub fn passed(&self, after: Timestamp, until: Timestamp, listed: usize) -> Passed {
        let mut backwards = self.backwards(until).take_while(|slot| *slot > after).peekable();
        let mut newest: Vec<Timestamp> = backwards.by_ref().take(listed).collect();
        newest.reverse();
        let Some(last) = backwards.peek().copied() else { return Passed { earlier: None, newest } };
        let (mut first, mut count) = (last, 0);
        for slot in backwards.by_ref().take(COUNTED as usize) {
            (first, count) = (slot, count + 1);
        }
        let more = backwards.next().is_some();
        // Where the count was given up, the oldest is still found, from the other side.
        let first = if more { self.next_after(after).unwrap_or(first) } else { first };
        Passed { earlier: Some(Earlier { first, last, count, more }), newest }
    }

    /// The slots at or before an instant, newest first.
    fn backwards(&self, until: Timestamp) -> Backwards<'_> {
        Backwards { slots: self, until: whole_second(until), stretch: None }
    }

    /// The first slot of a stretch at or after an instant in it.
    fn first_within(&self, stretch: &Stretch, from: Timestamp) -> Option<Timestamp> {
        let mut earliest = stretch.civil(from);
        match &stretch.seam {
            Seam::Gap { skipped } if !self.pattern.recurs && stretch.start == Some(from) => {
                if self.pattern.first(skipped.start, skipped.end).is_some() {
                    return Some(from);
                }
            }
            Seam::Overlap { repeated } if !self.pattern.recurs => earliest = earliest.max(repeated.end),
            Seam::Gap { .. } | Seam::Overlap { .. } | Seam::None => {}
        }
        stretch.instant(self.pattern.first(earliest, stretch.civil_end())?)
    }

    /// The last slot of a stretch at or before an instant in it.
    fn last_within(&self, stretch: &Stretch, until: Timestamp) -> Option<Timestamp> {
        let mut earliest = stretch.civil_start();
        if let Seam::Overlap { repeated } = &stretch.seam
            && !self.pattern.recurs
        {
            earliest = repeated.end;
        }
        if let Some(found) = self.pattern.last(earliest, stretch.civil(until)) {
            return stretch.instant(found);
        }
        match &stretch.seam {
            Seam::Gap { skipped } if !self.pattern.recurs => {
                self.pattern.first(skipped.start, skipped.end).and(stretch.start)
            }
            Seam::Gap { .. } | Seam::Overlap { .. } | Seam::None => None,
        }
    }
}

/// A walk back over slots, which keeps the stretch that it is in.
struct Backwards<'a> {
    slots: &'a Slots,
    until: Option<Timestamp>,
    stretch: Option<Stretch>,
}

impl Iterator for Backwards<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let mut until = self.until?;
        let horizon = until.checked_sub(HORIZON).unwrap_or(Timestamp::MIN);
        while until >= horizon {
            let stretch = match self.stretch.take() {
                Some(stretch) if stretch.start.is_none_or(|start| start <= until) => stretch,
                Some(_) | None => Stretch::around(&self.slots.zone, until),
            };
            let found = self.slots.last_within(&stretch, until);
            let start = stretch.start;
            self.stretch = Some(stretch);
            if let Some(slot) = found {
                self.until = slot.checked_sub(SECOND).ok();
                return Some(slot);
            }
            until = start?.checked_sub(SECOND).ok()?;
        }
        None
    }
}

/// The whole second an instant is in.
fn whole_second(instant: Timestamp) -> Option<Timestamp> {
    let second = Timestamp::from_second(instant.as_second()).ok()?;
    // `as_second` truncates towards zero; before 1970 that is upwards.
    if second > instant { second.checked_sub(SECOND).ok() } else { Some(second) }
}
