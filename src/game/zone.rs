//! Time zones by name: looked up in one way everywhere.
//!
//! The host's database is asked first, as it may be newer; what it lacks (minimal images have none, others
//! only some) is in the one that this program brings along.

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Longer than the name of any zone.
const LONGEST: usize = 64;

/// Names that some hosts have among their zones, and that are no places: they mean something else on each host,
/// or nothing at all.
const NO_PLACES: [&str; 4] = ["localtime", "posixrules", "Factory", "leapseconds"];

/// The zone of this name.
///
/// # Errors
/// A sentence: there is none, or it is no place's.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    let shown = || super::manifest::problem::shorten(name);
    let plain =
        name.len() <= LONGEST && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-/".contains(&b));
    let is_no_place = NO_PLACES.iter().any(|no| no.eq_ignore_ascii_case(name));
    if is_no_place {
        return Err(format!(
            "`{}` is whatever the host happens to have; write the place's IANA name, such as Europe/Berlin",
            shown()
        ));
    }
    let found =
        plain.then(|| jiff::tz::db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name)).ok());
    found
        .flatten()
        .filter(|zone| zone.iana_name().is_some())
        .ok_or_else(|| format!("`{}` is not a time zone; write an IANA name such as Europe/Berlin", shown()))
}

/// The zone of this name, UTC if nobody knows it: for texts that have to show some time.
pub fn zone_or_utc(name: &str) -> TimeZone {
    zone(name).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_and_what_is_none_is_refused_in_words() {
        for (name, canonical) in
            [("Europe/Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("UTC", "UTC")]
        {
            assert_eq!(zone(name).unwrap().iana_name(), Some(canonical));
        }
        for name in ["localtime", "LocalTime", "posixrules", "Factory", "leapseconds"] {
            assert!(zone(name).unwrap_err().contains("whatever the host happens to have"), "{name}");
        }
        for name in ["", "Mars/Olympus", "../../etc/passwd", "Europe/Berlin ", &"a".repeat(65), "CEST+2:00"] {
            assert!(zone(name).unwrap_err().contains("is not a time zone"), "{name}");
        }
    }

    /// The program's own database has zones that a host may lack.
    #[test]
    fn zones_that_a_host_lacks_are_brought_along() {
        let bundled = TimeZoneDatabase::bundled();
        for name in ["America/Coyhaique", "Europe/Kyiv", "Asia/Kolkata", "US/Pacific"] {
            assert!(bundled.get(name).is_ok() && zone(name).is_ok(), "{name}");
        }
    }
}
