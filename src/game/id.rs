//! Newtypes for every identity and name that could be swapped for another.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Why a text is not an identity or a name of the wanted kind. The message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub String);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Only the canonical form: 36 characters, lower case. Anything else would be a second
            /// spelling of one identity.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match Uuid::try_parse(text) {
                    Ok(id) if id.as_hyphenated().to_string() == text => Ok(Self(id)),
                    _ => Err(InvalidId(format!(
                        "`{}` is not a UUID in canonical lower case (8-4-4-4-12 hexadecimal digits)",
                        shorten(text)
                    ))),
                }
            }
        }
    };
}

uuid_id!(
    /// Identity of a game, for ever.
    GameId
);
uuid_id!(
    /// Identity of one Gamekeeper database; stamped on every container and on the state root.
    InstanceId
);
uuid_id!(
    /// A user of the lobby.
    UserId
);
uuid_id!(
    /// One audited convergence.
    OperationId
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is: it comes from the authority that names such things.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Docker's id of a container.
    ContainerId
);
text_id!(
    /// Docker's id of an image: what a tag pointed to at one time.
    ImageId
);
text_id!(
    /// An image reference, as registered with an engine version.
    ImageRef
);
text_id!(
    /// Docker's id of a network.
    NetworkId
);

impl ContainerId {
    /// The first twelve characters, as Docker's own tools print it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $is_valid:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if $is_valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId(format!(concat!("`{}` is not a valid name: ", $rule), shorten(text))))
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

checked_name!(
    /// Handle of a game, unique in its namespace (an RFC 1123 label).
    Name,
    is_label,
    "use 1 to 63 of a-z, 0-9 and `-`, beginning and ending with a letter or digit"
);
checked_name!(
    /// A namespace of names (an RFC 1123 label).
    Namespace,
    is_label,
    "use 1 to 63 of a-z, 0-9 and `-`, beginning and ending with a letter or digit"
);
checked_name!(
    /// The name of a kept copy of a game's state, unique in its game; it is a directory's name too.
    BackupId,
    is_copy_name,
    "use 1 to 128 of a-z, A-Z, 0-9, `.`, `_` and `-`, no `..`, and no `.` in front"
);
checked_name!(
    /// The name of one putting back of a copy: the same wish has the same name, however often it is
    /// tried.
    RestoreId,
    is_copy_name,
    "use 1 to 128 of a-z, A-Z, 0-9, `.`, `_` and `-`, no `..`, and no `.` in front"
);

/// So much of what a copy is for is part of its name, in bytes; an engine version may be longer.
const LONGEST_PURPOSE: usize = 80;

impl BackupId {
    /// The name of a copy that is begun at `at`, in words for people. `fresh` is an identity that nobody
    /// used before, so no other copy ever had this name: not after an older database was put back, nor
    /// after the clock was set back.
    pub fn fresh(at: Timestamp, fresh: Uuid, purpose: &str) -> Self {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let mut plain = String::new();
        for byte in purpose.bytes().take(LONGEST_PURPOSE) {
            let after_dot = plain.ends_with('.');
            plain.push(if allowed(byte) || (byte == b'.' && !after_dot) { char::from(byte) } else { '-' });
        }
        // The time is in front, so that names are in the order in which the copies were begun.
        let tail = fresh.as_u128() & u128::from(u32::MAX);
        Self(format!("{}-{tail:08x}-{plain}", at.strftime("%Y%m%dT%H%M%S%3fZ")))
    }
}

impl RestoreId {
    /// The name of a putting back that nobody began before; `fresh` is nobody else's either.
    pub fn fresh(fresh: Uuid) -> Self {
        Self(format!("restore-{}", fresh.simple()))
    }
}

/// What the database takes as `restore_backup_id`.
fn is_copy_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('.')
        && !text.contains("..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The name under which a user plays: 1 to 64 characters, none of them a control character, and not
/// only spaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RaceName(String);

impl RaceName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RaceName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let length = text.chars().count();
        let is_blank = text.trim_matches(' ').is_empty();
        if (1..=64).contains(&length) && !is_blank && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId(format!(
                "`{}` is not a valid race name: use 1 to 64 characters, not only spaces, no control characters",
                shorten(text)
            )))
        }
    }
}

/// Number of a leadership; grows at every change of leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| inner(*b))
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

/// Keeps hostile text from filling a message.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_spelling_of_an_id_is_refused() {
        let canonical = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
        assert_eq!(canonical.parse::<GameId>().map(|id| id.to_string()), Ok(canonical.to_owned()));
        for other in [canonical.to_uppercase(), format!("{{{canonical}}}"), canonical.replace('-', "")] {
            assert!(other.parse::<GameId>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_fresh_name_is_a_name_whatever_it_is_for() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let fresh = Uuid::from_u128(0xabcd_0000_0000_0007);
        let name = BackupId::fresh(at, fresh, "before-1.4.3");
        assert_eq!(name.as_str(), "20270115T080000000Z-00000007-before-1.4.3");
        for purpose in ["", "before-1.4.3-rc.1", "a..b/../c", "ä\n", &"1.".repeat(200)] {
            let name = BackupId::fresh(at, fresh, purpose);
            assert_eq!(name.as_str().parse(), Ok(name.clone()), "{purpose}");
        }
        let other = BackupId::fresh(at, Uuid::from_u128(8), "before-1.4.3");
        assert_ne!(name, other, "in the same moment, for the same");
        assert!(RestoreId::fresh(fresh).as_str().parse::<RestoreId>().is_ok());
    }

    #[test]
    fn names_are_labels() {
        for good in ["a", "andromeda", "game-7", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "..", "a/b", "ä", "a\0", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_hostile_text_does_not_fill_the_message() {
        let message = "\u{1b}[2J".repeat(5_000).parse::<Name>().unwrap_err().to_string();
        assert!(message.len() < 1_000 && !message.contains('\u{1b}'));
    }
}
