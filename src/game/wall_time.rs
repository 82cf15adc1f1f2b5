//! Times as people write them: in full, or as a clock on the wall shows them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// What is accepted, for help texts and refusals.
pub const ACCEPTED: &str = "2026-11-23T18:00:00Z (RFC 3339), or, by the clock in the game's time zone, \
                            \"2026-11-23 18:00\" or 18:00";

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 64;

/// Which of the days is meant by a time of day alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// The last on which it is not later than now.
    Last,
    /// The next on which it is later than now.
    Next,
}

/// The instant that is meant. A wall time that a clock skips is the one after the gap; of one that
/// it shows twice, the first is meant.
///
/// # Errors
/// The text is no time; the message says what would be.
pub fn resolve(text: &str, zone: &TimeZone, now: Timestamp, day: Day) -> Result<Timestamp, String> {
    let wrong = || {
        let shown: String = text.chars().take(LONGEST).collect();
        format!("`{}` is not a time; write {ACCEPTED}", shown.escape_debug())
    };
    if text.len() > LONGEST {
        return Err(wrong());
    }
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let instant = |wall: DateTime| zone.to_timestamp(wall).map_err(|_| wrong());
    // Never both: a date alone would be a time of day at midnight to the one, an hour to the other.
    let has_clock = text.contains(':');
    if let (true, Ok(time)) = (has_clock && !text.contains('-'), text.parse::<Time>()) {
        let today = zone.to_datetime(now).date();
        let on = |days: i64| instant(today.checked_add(days.days()).map_err(|_| wrong())?.to_datetime(time));
        let days = match day {
            Day::Last => [0, -1],
            Day::Next => [0, 1],
        };
        let meant = |at: Timestamp| match day {
            Day::Last => at <= now,
            Day::Next => at > now,
        };
        let [today, other] = days;
        return match on(today)? {
            at if meant(at) => Ok(at),
            _ => on(other),
        };
    }
    if let (true, Ok(wall)) = (has_clock, text.parse::<DateTime>()) {
        return instant(wall);
    }
    Err(wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(text: &str, now: &str, day: Day) -> Result<String, String> {
        resolve(text, &berlin(), now.parse().unwrap(), day).map(|at| at.to_string())
    }

    #[test]
    fn a_time_is_written_in_full_or_as_the_clock_shows_it() {
        let now = "2026-11-23T17:30:00Z";
        for (text, day, meant) in [
            ("2026-11-23T18:00:00Z", Day::Last, "2026-11-23T18:00:00Z"),
            ("2026-11-23T18:00:00+01:00", Day::Next, "2026-11-23T17:00:00Z"),
            ("2026-11-23 18:00", Day::Last, "2026-11-23T17:00:00Z"),
            ("2026-11-23T18:00:30", Day::Next, "2026-11-23T17:00:30Z"),
            ("18:00", Day::Last, "2026-11-23T17:00:00Z"),
            ("18:00", Day::Next, "2026-11-24T17:00:00Z"),
            ("19:00", Day::Last, "2026-11-22T18:00:00Z"),
            ("19:00", Day::Next, "2026-11-23T18:00:00Z"),
            (" 18:30:00 ", Day::Last, "2026-11-23T17:30:00Z"),
            ("18:30", Day::Next, "2026-11-24T17:30:00Z"),
        ] {
            assert_eq!(at(text, now, day).as_deref(), Ok(meant), "{text} {day:?}");
        }
    }

    #[test]
    fn where_the_clock_jumps_one_instant_is_meant() {
        let now = "2026-10-25T12:00:00Z";
        assert_eq!(at("2026-10-25 02:30", now, Day::Last).as_deref(), Ok("2026-10-25T00:30:00Z"));
        assert_eq!(at("2026-03-29 02:30", now, Day::Last).as_deref(), Ok("2026-03-29T01:30:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be() {
        let long = "1".repeat(1_000);
        for text in ["", "soon", "18", "2026-11-23", "25:00", "18:00:99", "2026-13-01 18:00", "-1:00", &long]
        {
            let refused = at(text, "2026-11-23T17:30:00Z", Day::Last).unwrap_err();
            assert!(refused.contains("is not a time; write 2026-11-23T18:00:00Z"), "{refused}");
            assert!(refused.len() < 300, "{refused}");
        }
    }
}
