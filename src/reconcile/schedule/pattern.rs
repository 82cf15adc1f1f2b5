//! A cron expression on an even wall clock, without zones.

use croner::Cron;
use jiff::civil::{Date, DateTime, Time};

/// The longest a search goes on, in days. 29 February on a given day of the week comes every 28
/// years, or after 40 when a century without a leap year lies between.
pub(super) const MAX_DAYS: u32 = 41 * 366;

/// A cron expression, its times of day spelled out.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    cron: Cron,
    hours: Vec<i8>,
    minutes: Vec<i8>,
    seconds: Vec<i8>,
    /// It has a `*` in the hours: it means "every so often" rather than "at".
    pub(super) recurs: bool,
}

impl Pattern {
    pub(super) fn new(cron: Cron) -> Self {
        let numbers =
            |values: Vec<u16>| values.into_iter().filter_map(|value| i8::try_from(value).ok()).collect();
        let pattern = &cron.pattern;
        let recurs = pattern.hours.from_wildcard;
        Self {
            hours: numbers(pattern.hours.values()),
            minutes: numbers(pattern.minutes.values()),
            seconds: numbers(pattern.seconds.values()),
            recurs,
            cron,
        }
    }

    /// The first match at or after one time and before another.
    pub(super) fn first(&self, from: DateTime, before: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let mut earliest = from.time();
        for _ in 0..MAX_DAYS {
            if date > before.date() {
                return None;
            }
            if !self.has_month(date) {
                date = date.last_of_month().tomorrow().ok()?;
            } else {
                if self.has_day(date)
                    && let Some(time) = self.time_from(earliest)
                {
                    return Some(date.to_datetime(time)).filter(|found| *found < before);
                }
                date = date.tomorrow().ok()?;
            }
            earliest = Time::midnight();
        }
        None
    }

    /// The last match at or after one time and at or before another.
    pub(super) fn last(&self, from: DateTime, until: DateTime) -> Option<DateTime> {
        let mut date = until.date();
        let mut latest = until.time();
        for _ in 0..MAX_DAYS {
            if date < from.date() {
                return None;
            }
            if !self.has_month(date) {
                date = date.first_of_month().yesterday().ok()?;
            } else {
                if self.has_day(date)
                    && let Some(time) = self.time_until(latest)
                {
                    return Some(date.to_datetime(time)).filter(|found| *found >= from);
                }
                date = date.yesterday().ok()?;
            }
            latest = Time::MAX;
        }
        None
    }

    fn has_month(&self, date: Date) -> bool {
        u32::try_from(date.month()).is_ok_and(|month| self.cron.pattern.month_match(month).unwrap_or(false))
    }

    fn has_day(&self, date: Date) -> bool {
        // croner matches dates only together with a time: any that the fields name does.
        self.time_from(Time::midnight())
            .is_some_and(|time| self.cron.is_time_matching(&date.to_datetime(time)).unwrap_or(false))
    }

    /// The first time of day at or after one.
    fn time_from(&self, time: Time) -> Option<Time> {
        let at_least = |set: &[i8], least: i8| set.iter().copied().find(|value| *value >= least);
        let same_hour = self.hours.contains(&time.hour());
        let same_minute = same_hour && self.minutes.contains(&time.minute());
        if same_minute && let Some(second) = at_least(&self.seconds, time.second()) {
            return Time::new(time.hour(), time.minute(), second, 0).ok();
        }
        let second = *self.seconds.first()?;
        if same_hour && let Some(minute) = at_least(&self.minutes, time.minute() + 1) {
            return Time::new(time.hour(), minute, second, 0).ok();
        }
        let hour = at_least(&self.hours, time.hour() + 1)?;
        Time::new(hour, *self.minutes.first()?, second, 0).ok()
    }

    /// The last time of day at or before one.
    fn time_until(&self, time: Time) -> Option<Time> {
        let at_most = |set: &[i8], most: i8| set.iter().rev().copied().find(|value| *value <= most);
        let same_hour = self.hours.contains(&time.hour());
        let same_minute = same_hour && self.minutes.contains(&time.minute());
        if same_minute && let Some(second) = at_most(&self.seconds, time.second()) {
            return Time::new(time.hour(), time.minute(), second, 0).ok();
        }
        let second = *self.seconds.last()?;
        if same_hour && let Some(minute) = at_most(&self.minutes, time.minute() - 1) {
            return Time::new(time.hour(), minute, second, 0).ok();
        }
        let hour = at_most(&self.hours, time.hour() - 1)?;
        Time::new(hour, *self.minutes.last()?, second, 0).ok()
    }
}
