//! Cron schedules: parsed one way everywhere, and refused if they would never fire.

mod fields;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, date};

/// The longest schedule worth reading.
const MAX_CHARACTERS: usize = 128;

/// Twenty-eight years hold every combination of leap year, date and day of the week. Between 1901
/// and 2099 they repeat exactly.
const FIRST_DAY: Date = date(2000, 1, 1);
const DAYS: usize = 28 * 366;

/// Parses a schedule: five fields, or six with seconds first.
///
/// # Errors
/// A sentence: what is wrong with it.
pub fn parse_schedule(text: &str) -> Result<Cron, String> {
    if text.len() > MAX_CHARACTERS {
        return Err(format!("a schedule has at most {MAX_CHARACTERS} characters"));
    }
    let shown = super::problem::shorten(text);
    fields::check(text).map_err(|why| format!("`{shown}` is not a schedule: {why}"))?;
    let cron = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Optional)
        .build()
        .parse(text)
        .map_err(|error| format!("`{shown}` is not a schedule: {error}"))?;
    if fires_ever(&cron) { Ok(cron) } else { Err(format!("`{shown}` never fires: no year has such a day")) }
}

/// Any time of day that the fields name exists, so only the date can be impossible.
fn fires_ever(cron: &Cron) -> bool {
    let Some(midnight) = first_time_of_day(cron) else { return false };
    FIRST_DAY
        .series(jiff::ToSpan::days(1))
        .take(DAYS)
        .any(|day| cron.is_time_matching(&day.to_datetime(midnight)).unwrap_or(false))
}

fn first_time_of_day(cron: &Cron) -> Option<jiff::civil::Time> {
    let first = |values: Vec<u16>| values.first().and_then(|value| i8::try_from(*value).ok());
    let pattern = &cron.pattern;
    let (hour, minute, second) =
        (first(pattern.hours.values())?, first(pattern.minutes.values())?, first(pattern.seconds.values())?);
    jiff::civil::Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_fields_or_six_are_a_schedule() {
        for good in [
            "0 18 * * *",
            "*/5 * * * *",
            "30 0 18 * * *",
            "0 0 29 2 *",
            "0 0 * * MON-FRI",
            "0 0 L * *",
            "59 59 23 31 12 *",
            "0 0 29 2 +MON",
            "  0 18 * * *  ",
        ] {
            assert!(parse_schedule(good).is_ok(), "{good}: {:?}", parse_schedule(good));
        }
    }

    #[test]
    fn nonsense_and_what_never_fires_is_refused() {
        for bad in [
            "",
            "daily",
            "@daily",
            "0 18 * *",
            "0 0 18 * * * 2030",
            "60 * * * *",
            "0 24 * * *",
            "* * * * 8",
            "0 0 30 2 *",
            "0 0 31 2,4,6,9,11 *",
            "0 0 18 30 2 *",
            "5-1 * * * *",
            "*/0 * * * *",
            "0 18 * * \u{0}",
            &"0 ".repeat(500),
            &format!("0{} 18 * * *", ",1".repeat(100)),
        ] {
            assert!(parse_schedule(bad).is_err(), "{bad}");
        }
    }
}
