//! Refusals of a schedule's text in words: field by field, with the traps of other dialects named.
//!
//! The parser behind it says the same in its own terms, and takes some things that mean something else than
//! whoever wrote them thought; those are refused here.

use crate::game::manifest::problem::shorten;

/// Short for a whole schedule where `cron` takes one, with what it is short for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// One of a schedule's fields.
struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    /// The words for its first numbers.
    names: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field { name: "second", from: 0, to: 59, names: &[] },
    Field { name: "minute", from: 0, to: 59, names: &[] },
    Field { name: "hour", from: 0, to: 23, names: &[] },
    Field { name: "day", from: 1, to: 31, names: &[] },
    Field { name: "month", from: 1, to: 12, names: &MONTHS },
    Field { name: "weekday", from: 0, to: 7, names: &WEEKDAYS },
];

/// Refuses a schedule that has something wrong in one of its fields.
///
/// # Errors
/// The field, its fault, and what would be right.
pub(super) fn check(text: &str) -> Result<(), String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let first = fields.first().copied().unwrap_or_default();
    if first.starts_with('@') {
        let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(first));
        let instead = known
            .map_or("a schedule out, as in \"0 18 * * *\"".to_owned(), |(_, long)| format!("\"{long}\""));
        return Err(format!("nicknames are not taken; write {instead}"));
    }
    if let Some((variable, zone)) = first.split_once('=') {
        let zone = if zone.is_empty() { "Europe/Berlin" } else { zone };
        let (variable, zone) = (shorten(variable), shorten(zone));
        return Err(format!("`{variable}=` is not taken; the zone has a field of its own, timeZone: {zone}"));
    }
    let kinds = match fields.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        7 => return Err("it has 7 fields; a year is not taken, leave the last one out".into()),
        other => {
            return Err(format!(
                "it has {other} fields; a schedule has five (minute hour day month weekday), or six with \
                 seconds first, as in \"0 18 * * *\""
            ));
        }
    };
    kinds.iter().zip(&fields).try_for_each(|(kind, field)| kind.check(&field.to_uppercase()))
}

impl Field {
    fn check(&self, text: &str) -> Result<(), String> {
        // `+MON`: that weekday and the day, not the one or the other.
        let plus = if self.name == "weekday" { text.strip_prefix('+') } else { None };
        let mut parts = plus.unwrap_or(text).split(',');
        parts.try_for_each(|part| {
            self.part(part).map_err(|why| format!("{} `{}`: {why}", self.name, shorten(text)))
        })
    }

    fn part(&self, part: &str) -> Result<(), String> {
        match part {
            "" => return Err("something is missing beside a comma".into()),
            "?" if matches!(self.name, "day" | "weekday") => return Ok(()),
            "?" => return Err("`?` stands in the place of a day or a weekday alone; write `*`".into()),
            _ if part == "H" || part.starts_with("H(") || part.starts_with("H/") => {
                return Err("`H` is another program's; write the number that you want".into());
            }
            _ if self.is_special(part) => return Ok(()),
            _ => {}
        }
        let (base, step) = part.split_once('/').map_or((part, None), |(base, step)| (base, Some(step)));
        let is_step = |step: &str| step.parse::<u32>().is_ok_and(|step| (1..=self.to).contains(&step));
        if step.is_some_and(|step| !is_step(step)) {
            return Err(format!("a step is a number from 1 to {}", self.to));
        }
        match (base.split_once('-'), step) {
            _ if base == "*" => Ok(()),
            (Some((first, last)), _) => self.range(first, last),
            (None, Some(step)) => {
                let value = self.value(base)?;
                Err(format!("write where it ends: `{value}-{}/{step}`", self.to))
            }
            (None, None) => self.value(base).map(drop),
        }
    }

    /// `L`, `LW`, `15W`; `FRI#2`, `5L`.
    fn is_special(&self, part: &str) -> bool {
        let is_value = |text: &str| self.value(text).is_ok();
        match (self.name, part.split_once('#')) {
            ("day", _) => part == "L" || part == "LW" || part.strip_suffix('W').is_some_and(is_value),
            ("weekday", Some((day, nth))) => {
                is_value(day) && matches!(nth, "1" | "2" | "3" | "4" | "5" | "L")
            }
            ("weekday", None) => part.strip_suffix('L').is_some_and(is_value),
            _ => false,
        }
    }

    fn range(&self, first: &str, last: &str) -> Result<(), String> {
        let (from, to) = (self.value(first)?, self.value(last)?);
        if from <= to {
            return Ok(());
        }
        if self.name == "weekday" && to == 0 {
            return Err(format!("a week begins with SUN here (0, and 7 as well); write `{from}-7`"));
        }
        let highest = if self.name == "weekday" { 6 } else { self.to };
        let span = |from: u32, to: u32| if from == to { from.to_string() } else { format!("{from}-{to}") };
        let both = format!("{},{}", span(from.min(highest), highest), span(self.from, to));
        Err(format!("it ends before it begins; write `{both}`"))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return Ok(self.from + u32::try_from(at).unwrap_or(0));
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u32>().ok().filter(|_| digits);
        if let Some(number) = number.filter(|number| (self.from..=self.to).contains(number)) {
            return Ok(number);
        }
        if self.name == "weekday" && text == "L" {
            return Err("the last what of the month? As in `5L`, or `FRIL`".into());
        }
        let words = match self.names {
            [first, .., last] => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        let shown = shorten(text);
        Err(format!("`{shown}` is no {}; write a number from {} to {}{words}", self.name, self.from, self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_schedule;
    use super::*;

    #[test]
    fn what_other_dialects_take_is_named_with_what_to_write() {
        for (text, why) in [
            ("@daily", "nicknames are not taken; write \"0 0 * * *\""),
            ("@Weekly", "write \"0 0 * * SUN\""),
            ("@every 1h", "nicknames are not taken; write a schedule out"),
            ("@reboot", "nicknames are not taken"),
            ("CRON_TZ=Europe/Berlin 0 18 * * *", "timeZone: Europe/Berlin"),
            ("TZ=UTC 0 18 * * *", "`TZ=` is not taken"),
            (
                "0 18 * * FRI-SUN",
                "weekday `FRI-SUN`: a week begins with SUN here (0, and 7 as well); write `5-7`",
            ),
            ("0 18 * * SAT-MON", "it ends before it begins; write `6,0-1`"),
            ("0 22-2 * * *", "hour `22-2`: it ends before it begins; write `22-23,0-2`"),
            ("? 18 * * *", "minute `?`: `?` stands in the place of a day or a weekday alone; write `*`"),
            ("H 18 * * *", "minute `H`: `H` is another program's"),
            ("H(0-29)/10 18 * * *", "`H` is another program's"),
            ("0 0 18 * * ? 2030", "it has 7 fields; a year is not taken"),
            ("0 18", "it has 2 fields; a schedule has five"),
            ("", "it has 0 fields"),
            ("0 24 * * *", "hour `24`: `24` is no hour; write a number from 0 to 23"),
            ("0 18 0 * *", "`0` is no day; write a number from 1 to 31"),
            ("0 18 * 13 *", "`13` is no month; write a number from 1 to 12, or JAN to DEC"),
            ("0 18 * * 8", "`8` is no weekday; write a number from 0 to 7, or SUN to SAT"),
            ("0 18 * * MONDAY", "`MONDAY` is no weekday; write a number from 0 to 7, or SUN to SAT"),
            ("0 18 * MAI *", "month `MAI`: `MAI` is no month"),
            ("MON 18 * * *", "minute `MON`: `MON` is no minute; write a number from 0 to 59"),
            ("0 18 * * L", "the last what of the month? As in `5L`"),
            ("*/0 * * * *", "minute `*/0`: a step is a number from 1 to 59"),
            ("5/10 * * * *", "minute `5/10`: write where it ends: `5-59/10`"),
            ("0 18,,20 * * *", "hour `18,,20`: something is missing beside a comma"),
            ("-5 * * * *", "minute `-5`"),
            ("0 18 L-3 * *", "day `L-3`"),
        ] {
            let said = parse_schedule(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_taken_is_not_complained_of() {
        for good in [
            "0 18 * * *",
            "*/5 * * * *",
            "30 0 18 * * *",
            "0 18 ? * MON-FRI",
            "0 18 1 * ?",
            "0 0 L * *",
            "0 0 LW * *",
            "0 0 15W * *",
            "0 18 * * FRI#2",
            "0 18 * * 5L",
            "0 18 * * fri,sat,sun",
            "0 18 * * 5-7",
            "0 0 29 2 +MON",
            "0 18 1-15/2 jan-jun *",
            "0 0 1 1,7 *",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
            assert!(parse_schedule(good).is_ok(), "{good}: {:?}", parse_schedule(good));
        }
    }
}
