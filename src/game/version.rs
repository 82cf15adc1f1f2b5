//! Engine versions: semver without build metadata, in lower case.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
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

    /// The newest of those that a game with state of this one may move to.
    pub fn newest_compatible(&self) -> VersionWish {
        let same = semver::Comparator {
            op: semver::Op::Tilde,
            major: self.0.major,
            minor: Some(self.0.minor),
            patch: None,
            pre: semver::Prerelease::EMPTY,
        };
        VersionWish::Newest(VersionReq { comparators: vec![same] })
    }
}

impl FromStr for EngineVersion {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong =
            |why: &str| InvalidId(format!("`{}` is not an engine version: {why}", text.escape_debug()));
        // Semver itself sets no limit.
        if text.len() > LONGEST {
            return Err(InvalidId(format!("an engine version has at most {LONGEST} characters")));
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

/// The longest version, and the longest wish for one, in bytes: what the database takes.
const LONGEST: usize = 64;

/// Which version a game should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionWish {
    /// This one.
    Exactly(EngineVersion),
    /// The newest enabled one that fits: `~1.4`, `1.4.x`, `>=1.4.2, <1.6`.
    Newest(VersionReq),
}

impl VersionWish {
    /// Whether this version fulfils it.
    pub fn accepts(&self, version: &EngineVersion) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == version,
            Self::Newest(fits) => fits.matches(&version.0),
        }
    }
}

impl From<EngineVersion> for VersionWish {
    fn from(version: EngineVersion) -> Self {
        Self::Exactly(version)
    }
}

impl FromStr for VersionWish {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let exactly = text.parse::<EngineVersion>();
        let numbers = text.split(['.', '-']).take(3);
        let is_open = text.starts_with(['~', '^', '>', '<', '='])
            || numbers.into_iter().any(|n| matches!(n, "x" | "*"));
        // A bare `1.4` may be a number that lost its quotes: it has to be said what it means.
        if exactly.is_ok() || !is_open || text.len() > LONGEST {
            return exactly.map(Self::Exactly);
        }
        VersionReq::parse(text).map(Self::Newest).map_err(|error| {
            InvalidId(format!(
                "`{}` is neither an engine version nor a requirement such as \"~1.4\" or \"1.4.x\": {error}",
                text.escape_debug()
            ))
        })
    }
}

impl fmt::Display for VersionWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(version) => version.fmt(f),
            Self::Newest(fits) => fits.fmt(f),
        }
    }
}

impl Serialize for VersionWish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_version_or_says_what_fits() {
        let accepts = |wish: &str, version: &str| {
            wish.parse::<VersionWish>().unwrap().accepts(&version.parse().unwrap())
        };
        for (wish, fits, not) in [
            ("1.4.2", "1.4.2", "1.4.3"),
            ("~1.4", "1.4.9", "1.5.0"),
            ("1.4.x", "1.4.0", "1.5.0"),
            ("1.x", "1.9.0", "2.0.0"),
            ("1.4.*", "1.4.7", "1.5.0"),
            ("^1.4.2", "1.9.9", "1.4.1"),
            ("=1.4.2", "1.4.2", "1.4.3"),
            (">=1.4.2, <1.6.0", "1.5.9", "1.6.0"),
        ] {
            assert!(accepts(wish, fits) && !accepts(wish, not), "{wish}");
        }
        for bad in [
            "1.4",
            "1",
            "",
            "latest",
            "~",
            "~1.4.2.3",
            "1.4.2, <1.6",
            ">=1.4.2 junk",
            &format!("~1.{}", "4".repeat(80)),
        ] {
            assert!(bad.parse::<VersionWish>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_compatible_one_has_the_same_major_and_minor_number() {
        let wish = "1.4.2".parse::<EngineVersion>().unwrap().newest_compatible();
        let accepts = |version: &str| wish.accepts(&version.parse().unwrap());
        assert!(accepts("1.4.0") && accepts("1.4.9"));
        assert!(!accepts("1.5.0") && !accepts("2.4.2") && !accepts("1.4.9-rc.1"));
    }

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
