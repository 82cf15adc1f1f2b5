//! A stretch of time in which a zone keeps one offset, and the seam at which it begins.

use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Time between two changes of a zone's offset.
pub(super) struct Stretch {
    /// Its first instant; none if it goes back for ever.
    pub(super) start: Option<Timestamp>,
    /// The first instant of the next one; none if it goes on for ever.
    pub(super) end: Option<Timestamp>,
    /// What the wall clock did where it begins.
    pub(super) seam: Seam,
    offset: Offset,
}

/// What the wall clock does at a change of offset.
pub(super) enum Seam {
    /// Nothing.
    None,
    /// It is put forward: these times are never shown.
    Gap { skipped: Range<DateTime> },
    /// It is put back: these times are shown a second time.
    Overlap { repeated: Range<DateTime> },
}

impl Stretch {
    /// The stretch that an instant is in.
    pub(super) fn around(zone: &TimeZone, instant: Timestamp) -> Self {
        let tick = SignedDuration::from_nanos(1);
        let next = instant.checked_add(tick).unwrap_or(instant);
        let start = zone.preceding(next).next().map(|change| change.timestamp());
        let end = zone.following(instant).next().map(|change| change.timestamp());
        let offset = zone.to_offset(instant);
        let seam = match start.and_then(|start| Some((start, start.checked_sub(tick).ok()?))) {
            Some((start, before)) => {
                let (old, new) = (zone.to_offset(before).to_datetime(start), offset.to_datetime(start));
                match old.cmp(&new) {
                    std::cmp::Ordering::Less => Seam::Gap { skipped: old..new },
                    std::cmp::Ordering::Equal => Seam::None,
                    std::cmp::Ordering::Greater => Seam::Overlap { repeated: new..old },
                }
            }
            None => Seam::None,
        };
        Self { start, end, seam, offset }
    }

    /// What the wall clock shows at an instant of the stretch.
    pub(super) fn civil(&self, instant: Timestamp) -> DateTime {
        self.offset.to_datetime(instant)
    }

    /// What it shows at the beginning.
    pub(super) fn civil_start(&self) -> DateTime {
        self.start.map_or(DateTime::MIN, |start| self.civil(start))
    }

    /// What it would show at the end if nothing changed.
    pub(super) fn civil_end(&self) -> DateTime {
        self.end.map_or(DateTime::MAX, |end| self.civil(end))
    }

    /// When in the stretch the wall clock shows a time.
    pub(super) fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        self.offset.to_timestamp(civil).ok()
    }
}
