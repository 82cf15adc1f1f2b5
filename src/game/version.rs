//! Engine versions: semver without build metadata, in lower case.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Serialize, Serializer};

use super::id::InvalidId;

/// The version of an engine, as registered.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EngineVersion(Version);

impl EngineVersion {
    /// Whether a game with state may move between the two: same major and minor number.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        (self.0.major, self.0.minor) == (other.0.major, other.0.minor)
    }
}

impl FromStr for EngineVersion {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong =
            |why: &str| InvalidId(format!("`{}` is not an engine version: {why}", text.escape_debug()));
        // The longest text worth parsing; semver itself sets no limit.
        if text.len() > 128 {
            return Err(InvalidId("an engine version has at most 128 characters".into()));
        }
        let version = Version::parse(text)
            .map_err(|error| wrong(&format!("{error} (write three numbers, as in \"1.4.2\")")))?;
        if !version.build.is_empty() {
            return Err(wrong("build metadata (after `+`) is not allowed"));
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong("use lower case"));
        }
        Ok(Self(version))
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for EngineVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_lower_case_semver_is_a_version() {
        for good in ["1.4.2", "0.0.1", "1.5.0-rc.1"] {
            assert_eq!(good.parse::<EngineVersion>().map(|v| v.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "1.4",
            "v1.4.2",
            "1.4.2+build",
            "1.5.0-RC.1",
            "latest",
            &format!("1.0.0-{}", "a".repeat(200)),
        ] {
            assert!(bad.parse::<EngineVersion>().is_err(), "{bad}");
        }
    }
}
