use std::time::Instant;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{at, slots, turns};
use crate::reconcile::schedule::{COUNTED, ScheduleError, Slots};

/// The slots of one day on a zone's wall clock, as offsets from UTC and times shown.
fn day(schedule: &str, zone: &str, date: &str) -> Vec<String> {
    let tz = TimeZone::get(zone).unwrap();
    let date: jiff::civil::Date = date.parse().unwrap();
    let midnight = |date: jiff::civil::Date| date.to_zoned(tz.clone()).unwrap().timestamp();
    let (begin, end) = (midnight(date), midnight(date.tomorrow().unwrap()));
    let tick = SignedDuration::from_nanos(1);
    slots(schedule, zone)
        .passed(begin - tick, end - tick, usize::MAX)
        .newest
        .into_iter()
        .map(|slot| slot.to_zoned(tz.clone()).strftime("%H:%M%:z").to_string())
        .collect()
}

fn count(schedule: &str, zone: &str, date: &str) -> usize {
    day(schedule, zone, date).len()
}

#[test]
fn a_daily_slot_comes_once_on_every_day_of_the_weeks_that_change_the_clock() {
    for (zone, spring, autumn) in [
        ("Europe/Berlin", "2026-03-23", "2026-10-19"),
        ("America/New_York", "2026-03-02", "2026-10-26"),
        ("Australia/Lord_Howe", "2026-09-28", "2026-03-30"),
        ("Asia/Kathmandu", "2026-03-23", "2026-10-19"),
    ] {
        for first in [spring, autumn] {
            let first: jiff::civil::Date = first.parse().unwrap();
            for date in first.series(1.day()).take(14) {
                for daily in
                    ["0 18 * * *", "30 2 * * *", "0 2 * * *", "45 1 * * *", "15 2 * * *", "59 59 23 * * *"]
                {
                    assert_eq!(count(daily, zone, &date.to_string()), 1, "{daily} {zone} {date}");
                }
                assert_eq!(count("30 2,14 * * *", zone, &date.to_string()), 2, "{zone} {date}");
            }
        }
    }
}

#[test]
fn a_daily_slot_in_a_gap_comes_when_the_gap_ends() {
    assert_eq!(day("30 2 * * *", "Europe/Berlin", "2026-03-29"), ["03:00+02:00"]);
    assert_eq!(day("0 30 2 * * *", "America/New_York", "2026-03-08"), ["03:00-04:00"]);
    assert_eq!(day("15 2 * * *", "Australia/Lord_Howe", "2026-10-04"), ["02:30+11:00"]);
    assert_eq!(day("0,30 2 * * *", "Europe/Berlin", "2026-03-29"), ["03:00+02:00"]);
    // Midnight itself is skipped.
    assert_eq!(day("0 0 * * 0", "America/Santiago", "2026-09-06"), ["01:00-03:00"]);
    // The gap ends on the next day: a weekly slot is not lost for that.
    assert_eq!(day("30 23 * * 6", "America/Nuuk", "2024-03-31"), ["00:00-01:00"]);
}

#[test]
fn a_daily_slot_in_an_overlap_comes_the_first_time() {
    assert_eq!(day("30 2 * * *", "Europe/Berlin", "2026-10-25"), ["02:30+02:00"]);
    assert_eq!(day("30 1,2 * * *", "Europe/Berlin", "2026-10-25"), ["01:30+02:00", "02:30+02:00"]);
    assert_eq!(day("30 1 * * *", "America/New_York", "2026-11-01"), ["01:30-04:00"]);
    assert_eq!(day("45 1 * * *", "Australia/Lord_Howe", "2026-04-05"), ["01:45+11:00"]);
}

#[test]
fn an_hourly_slot_comes_every_hour_that_passes() {
    for (zone, shorter, longer) in
        [("Europe/Berlin", "2026-03-29", "2026-10-25"), ("America/New_York", "2026-03-08", "2026-11-01")]
    {
        for (schedule, an_hour) in [("0 * * * *", 1), ("* * * * *", 60), ("*/5 * * * *", 12)] {
            assert_eq!(count(schedule, zone, shorter), 23 * an_hour, "{schedule} {zone}");
            assert_eq!(count(schedule, zone, longer), 25 * an_hour, "{schedule} {zone}");
        }
    }
    assert_eq!(count("* * * * *", "Australia/Lord_Howe", "2026-10-04"), 24 * 60 - 30);
    assert_eq!(count("* * * * *", "Australia/Lord_Howe", "2026-04-05"), 24 * 60 + 30);
    assert_eq!(count("45 * * * *", "Australia/Lord_Howe", "2026-04-05"), 25);
    assert_eq!(count("0 * * * *", "Asia/Kathmandu", "2026-03-29"), 24);
}

/// `*/30 2 * * *` is of the hour from two to three: a day without that hour has it at once, and a day that has
/// it twice has it once.
#[test]
fn what_recurs_within_named_hours_comes_on_every_day_and_not_twice() {
    let berlin = |schedule, date| day(schedule, "Europe/Berlin", date);
    assert_eq!(berlin("*/30 2 * * *", "2026-03-28"), ["02:00+01:00", "02:30+01:00"]);
    assert_eq!(berlin("*/30 2 * * *", "2026-03-29"), ["03:00+02:00"]);
    assert_eq!(berlin("*/30 2 * * *", "2026-10-25"), ["02:00+02:00", "02:30+02:00"]);
    assert_eq!(
        berlin("*/30 1-3 * * *", "2026-03-29"),
        ["01:00+01:00", "01:30+01:00", "03:00+02:00", "03:30+02:00"]
    );
    let autumn = ["01:30+02:00", "02:30+02:00", "03:30+01:00"];
    assert_eq!(berlin("30 1-3 * * *", "2026-10-25"), autumn);
    assert_eq!(
        berlin("0 */6 * * *", "2026-03-29"),
        ["00:00+01:00", "06:00+02:00", "12:00+02:00", "18:00+02:00"]
    );
    assert_eq!(count("*/20 * * * * *", "Europe/Berlin", "2026-10-25"), 25 * 180);
}

#[test]
fn quarters_of_an_hour_in_kathmandu_are_quarters_of_an_hour() {
    let slots = slots("0 18 * * *", "Asia/Kathmandu");
    assert_eq!(slots.next_after(at("2026-03-29T00:00:00Z")), Some(at("2026-03-29T12:15:00Z")));
}

#[test]
fn the_slot_at_an_instant_is_passed_and_not_next() {
    let slots = slots("0 18 * * *", "UTC");
    let slot = at("2026-06-01T18:00:00Z");
    assert_eq!(slots.last_until(slot), Some(slot));
    assert_eq!(slots.last_until(slot - 1.nanosecond()), Some(at("2026-05-31T18:00:00Z")));
    assert_eq!(slots.next_after(slot), Some(at("2026-06-02T18:00:00Z")));
    assert_eq!(slots.next_after(slot - 1.nanosecond()), Some(slot));
}

#[test]
fn leap_days_are_found_in_both_directions() {
    let leap = slots("0 12 29 2 *", "Europe/Berlin");
    assert_eq!(leap.next_after(at("2024-02-29T11:00:00Z")), Some(at("2028-02-29T11:00:00Z")));
    assert_eq!(leap.last_until(at("2028-02-29T10:59:59Z")), Some(at("2024-02-29T11:00:00Z")));
    // 2100 has none.
    assert_eq!(leap.next_after(at("2096-03-01T00:00:00Z")), Some(at("2104-02-29T11:00:00Z")));
    let on_a_sunday = slots("0 0 29 2 +SUN", "UTC");
    assert_eq!(on_a_sunday.next_after(at("2088-03-01T00:00:00Z")), Some(at("2128-02-29T00:00:00Z")));
    assert_eq!(on_a_sunday.last_until(at("2128-02-28T00:00:00Z")), Some(at("2088-02-29T00:00:00Z")));
}

#[test]
fn the_last_day_of_a_month_and_its_second_tuesday() {
    assert_eq!(
        slots("0 0 L * *", "UTC").next_after(at("2026-02-01T00:00:00Z")),
        Some(at("2026-02-28T00:00:00Z"))
    );
    assert_eq!(
        slots("0 0 * * TUE#2", "UTC").next_after(at("2026-12-01T00:00:00Z")),
        Some(at("2026-12-08T00:00:00Z"))
    );
}

#[test]
fn centuries_of_seconds_are_bounded_work() {
    let began = Instant::now();
    let slots = slots("* * * * * *", "Europe/Berlin");
    let (from, until) = (at("1900-01-01T00:00:00Z"), at("2900-01-01T00:00:00Z"));
    let passed = slots.passed(from, until, 10);
    let earlier = passed.earlier.unwrap();
    assert_eq!((passed.newest.len(), passed.last()), (10, Some(until)));
    assert_eq!((earlier.count, earlier.more), (COUNTED, true));
    assert_eq!(passed.first(), Some(from + 1.second()));
    // Thirty thousand million slots; walking over them would take the better part of an hour.
    assert!(began.elapsed().as_secs() < 10);
}

#[test]
fn the_ends_of_time_are_ends() {
    for schedule in ["* * * * * *", "0 18 * * *", "0 0 29 2 *"] {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Chatham"] {
            let slots = slots(schedule, zone);
            assert_eq!(slots.next_after(Timestamp::MAX), None);
            assert_eq!(slots.last_until(Timestamp::MIN).filter(|slot| *slot > Timestamp::MIN), None);
            assert!(slots.passed(Timestamp::MIN, Timestamp::MAX, 5).newest.len() <= 5);
        }
    }
}

#[test]
fn what_validation_refuses_has_no_slots() {
    assert!(matches!(Slots::of(&turns("0 0 30 2 *", "UTC")), Err(ScheduleError::Cron(_))));
    assert!(matches!(Slots::of(&turns("nonsense", "UTC")), Err(ScheduleError::Cron(_))));
    assert!(matches!(Slots::of(&turns("0 18 * * *", "Mars/Olympus")), Err(ScheduleError::Zone(_))));
    assert!(Slots::of(&turns("", "UTC")).unwrap().is_none());
}

#[test]
fn single_times_and_wildcards_are_what_croner_makes_of_them() {
    use crate::game::manifest::parse_schedule;
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"] {
        for schedule in ["30 2 * * *", "0 18 * * *", "45 1 * * *", "0 * * * *", "*/7 * * * *", "0 3 * * MON"]
        {
            let (cron, slots) = (parse_schedule(schedule).unwrap(), slots(schedule, zone));
            for month in ["2026-03-01", "2026-10-01"] {
                let date: jiff::civil::Date = month.parse().unwrap();
                let mut at = date.to_datetime(Time::midnight()).in_tz(zone).unwrap();
                for _ in 0..400 {
                    let next = cron.find_next_occurrence(&at, false).unwrap();
                    assert_eq!(slots.next_after(at.timestamp()), Some(next.timestamp()), "{schedule} {at}");
                    at = next;
                }
            }
        }
    }
}
