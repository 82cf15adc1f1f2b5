//! The slots of a schedule, found by trying every minute or second: slow, and plain to see right.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Zones with something to get wrong: half-hour and two-hour shifts, odd offsets, changes at
/// midnight, winter time in summer.
pub(in crate::reconcile) const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Nuuk",
    "America/Havana",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Chatham",
];

/// One field of a cron expression.
#[derive(Debug, Clone)]
pub(in crate::reconcile) enum Field {
    Every,
    Step(i8),
    List(BTreeSet<i8>),
}

impl Field {
    fn has(&self, value: i8) -> bool {
        match self {
            Self::Every => true,
            Self::Step(step) => value % step == 0,
            Self::List(values) => values.contains(&value),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Every => "*".into(),
            Self::Step(step) => format!("*/{step}"),
            Self::List(values) => values.iter().map(i8::to_string).collect::<Vec<_>>().join(","),
        }
    }

    fn has_star(&self) -> bool {
        !matches!(self, Self::List(_))
    }
}

/// A cron expression, field by field.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Expression {
    pub(in crate::reconcile) seconds: Option<Field>,
    pub(in crate::reconcile) minutes: Field,
    pub(in crate::reconcile) hours: Field,
    pub(in crate::reconcile) days: Field,
    pub(in crate::reconcile) months: Field,
    pub(in crate::reconcile) weekdays: Field,
}

impl Expression {
    pub(in crate::reconcile) fn text(&self) -> String {
        let five = [&self.minutes, &self.hours, &self.days, &self.months, &self.weekdays];
        self.seconds.iter().chain(five).map(Field::text).collect::<Vec<_>>().join(" ")
    }

    fn recurs(&self) -> bool {
        self.hours.has_star()
    }

    fn matches(&self, time: DateTime) -> bool {
        let second = self.seconds.as_ref().map_or(time.second() == 0, |field| field.has(time.second()));
        let day = self.days.has(time.day());
        let weekday = self.weekdays.has(time.weekday().to_sunday_zero_offset());
        let date = match (self.days.has_star(), self.weekdays.has_star()) {
            (false, false) => day || weekday,
            (_, _) => day && weekday,
        };
        second
            && self.minutes.has(time.minute())
            && self.hours.has(time.hour())
            && date
            && self.months.has(time.month())
    }

    /// Every slot after one instant, up to another.
    pub(in crate::reconcile) fn slots(
        &self,
        zone: &str,
        after: Timestamp,
        until: Timestamp,
    ) -> BTreeSet<Timestamp> {
        let zone = TimeZone::get(zone).unwrap();
        let step = SignedDuration::from_secs(if self.seconds.is_some() { 1 } else { 60 });
        // No offset since 1990 and no change of one has seconds in it, so whole minutes meet.
        let margin = SignedDuration::from_hours(3);
        let begin = Timestamp::from_second((after - margin).as_second() / 60 * 60).unwrap();
        let mut found = BTreeSet::new();
        if self.recurs() {
            let mut instant = begin;
            while instant <= until {
                if self.matches(zone.to_datetime(instant)) {
                    found.insert(instant);
                }
                instant += step;
            }
        } else {
            let mut shown = zone.to_datetime(begin);
            let last = zone.to_datetime(until + margin);
            while shown <= last {
                if self.matches(shown) {
                    found.insert(first_time_shown(&zone, shown, step));
                }
                shown += step;
            }
        }
        found.into_iter().filter(|slot| *slot > after && *slot <= until).collect()
    }
}

/// When the wall clock shows a time first; or, of a time it skips, the next that it does show.
fn first_time_shown(zone: &TimeZone, mut time: DateTime, step: SignedDuration) -> Timestamp {
    loop {
        match zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => return offset.to_timestamp(time).unwrap(),
            AmbiguousOffset::Fold { before, .. } => return before.to_timestamp(time).unwrap(),
            AmbiguousOffset::Gap { .. } => time += step,
        }
    }
}

fn field(range: std::ops::RangeInclusive<i8>, steps: &'static [i8]) -> impl Strategy<Value = Field> {
    let list = proptest::collection::btree_set(range, 1..4).prop_map(Field::List);
    prop_oneof![2 => Just(Field::Every), 1 => proptest::sample::select(steps).prop_map(Field::Step), 4 => list]
}

fn list_or_every(
    range: std::ops::RangeInclusive<i8>,
    most: usize,
    lists: u32,
) -> impl Strategy<Value = Field> {
    let list = proptest::collection::btree_set(range, 1..=most).prop_map(Field::List);
    prop_oneof![10 - lists => Just(Field::Every), lists => list]
}

prop_compose! {
    /// Any expression that fires on most days: what is never due has nothing to get wrong.
    pub(in crate::reconcile) fn expression(with_seconds: bool)(
        seconds in field(0..=59, &[2, 5, 15, 30]),
        minutes in field(0..=59, &[2, 5, 15, 30]),
        // The hours in which clocks are changed, more often than others.
        hours in prop_oneof![field(0..=3, &[2, 3]), field(0..=23, &[2, 3, 6, 12])],
        days in list_or_every(1..=28, 12, 2),
        months in list_or_every(1..=12, 9, 1),
        weekdays in list_or_every(0..=6, 4, 3),
    ) -> Expression {
        Expression { seconds: with_seconds.then_some(seconds), minutes, hours, days, months, weekdays }
    }
}

prop_compose! {
    /// A zone, and an instant in it that is more often than not within days of a change of clocks.
    pub(in crate::reconcile) fn zone_and_instant()(
        zone in proptest::sample::select(&ZONES[..]),
        second in 1_420_070_400_i64..2_208_988_800, // 2015 to 2039
        near in proptest::option::weighted(0.8, 0..60 * 60 * 24 * 2_i64),
        close in any::<bool>(),
    ) -> (&'static str, Timestamp) {
        let instant = Timestamp::from_second(second).unwrap();
        let change = TimeZone::get(zone).unwrap().following(instant).next().map(|change| change.timestamp());
        match (near, change) {
            (Some(before), Some(change)) => {
                let before = if close { before / 24 } else { before };
                (zone, change - SignedDuration::from_secs(before))
            }
            (_, _) => (zone, instant),
        }
    }
}
