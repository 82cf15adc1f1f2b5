//! What a container may use, written as Kubernetes quantities.

use serde::{Deserialize, Serialize};

/// Limits of one container. What is absent is left to the engine version's, then the
/// configuration's, default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// CPU time, in thousandths of a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
}

/// The smallest and largest values that make sense. Docker refuses less than 6 MiB of memory; the
/// upper ends keep a slip of the pen from being accepted.
const CPU_MILLIS: std::ops::RangeInclusive<u64> = 10..=1_024_000;
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = (6 << 20)..=(16 << 40);
const PIDS: std::ops::RangeInclusive<u64> = 1..=4_194_304;

impl Resources {
    /// Each limit from the first that sets it.
    #[must_use]
    pub fn or(self, default: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.or(default.cpu_millis),
            memory_bytes: self.memory_bytes.or(default.memory_bytes),
            pids: self.pids.or(default.pids),
        }
    }
}

/// `500m`, `2`, `0.5` → thousandths of a core.
pub fn parse_cpu(text: &str) -> Result<u64, String> {
    let millis = match text.strip_suffix('m') {
        Some(number) => whole(number),
        None => decimal(text, 1_000),
    };
    within(millis, &CPU_MILLIS, text, "a CPU quantity such as \"500m\" or \"2\" (10m to 1024)")
}

/// `256Mi`, `1Gi`, `268435456` → bytes.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let bytes = UNITS
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| decimal(number, *scale)))
        .unwrap_or_else(|| whole(text));
    within(bytes, &MEMORY_BYTES, text, "a memory quantity such as \"256Mi\" (6Mi to 16Ti)")
}

/// `128` → a number of processes.
pub fn parse_pids(count: u64) -> Result<u64, String> {
    within(Some(count), &PIDS, &count.to_string(), "a number of processes (1 to 4194304)")
}

fn within(
    value: Option<u64>,
    range: &std::ops::RangeInclusive<u64>,
    text: &str,
    what: &str,
) -> Result<u64, String> {
    value.filter(|v| range.contains(v)).ok_or_else(|| {
        let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
        format!("`{shown}` is not {what}")
    })
}

fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A decimal number times `scale`, if that is a whole number.
fn decimal(text: &str, scale: u64) -> Option<u64> {
    let (before, after) = text.split_once('.').unwrap_or((text, "0"));
    if after.len() > 12 {
        return None;
    }
    let unit = 10u64.checked_pow(u32::try_from(after.len()).ok()?)?;
    let scaled = whole(after)?.checked_mul(scale)?;
    if !scaled.is_multiple_of(unit) {
        return None;
    }
    whole(before)?.checked_mul(scale)?.checked_add(scaled / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_mean_what_kubernetes_means() {
        assert_eq!(parse_cpu("500m"), Ok(500));
        assert_eq!(parse_cpu("2"), Ok(2_000));
        assert_eq!(parse_cpu("0.25"), Ok(250));
        assert_eq!(parse_memory("256Mi"), Ok(256 << 20));
        assert_eq!(parse_memory("1.5Gi"), Ok(3 << 29));
        assert_eq!(parse_memory("300M"), Ok(300_000_000));
        assert_eq!(parse_memory("268435456"), Ok(256 << 20));
    }

    #[test]
    fn zero_negative_absurd_and_odd_quantities_are_refused() {
        for bad in ["", "0", "-1", "1e3", "0m", "1.0001", "99999999999999999999", "2 ", "m", "NaN"] {
            assert!(parse_cpu(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "-1Mi", "1Mi", "17Ti", "1.Mi", "256mi", "256 Mi", "Mi", "1e9", "0.3"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
        assert!(parse_pids(0).is_err());
    }
}
