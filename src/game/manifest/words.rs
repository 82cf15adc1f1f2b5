//! The words that the database has for the enumerations of a spec.

use std::fmt;
use std::str::FromStr;

use crate::game::id::InvalidId;
use crate::game::spec::{
    Contract, DeletionPolicy, DesiredStatus, ForceMode, MissedTurns, Relaxation, RunAs, Source,
};

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As the database has it.
            pub fn as_row(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// From what the database has.
            pub fn from_row(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words!(DesiredStatus { Running = "running", Stopped = "stopped" });
words!(DeletionPolicy { Retain = "retain", Delete = "delete" });
words!(MissedTurns { Once = "once", Skip = "skip" });
words!(ForceMode { Advance = "advance", Extra = "extra" });
words!(Contract { GamekeeperV1 = "gamekeeper/v1", PlainV0 = "plain/v0" });
words!(Source {
    Lobby = "lobby",
    Operator = "operator",
    Manifest = "manifest",
    Schedule = "schedule",
    Controller = "controller",
});
words!(Relaxation {
    NewPrivileges = "new-privileges",
    Capabilities = "capabilities",
    WritableRoot = "writable-root",
});

impl fmt::Display for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Image => f.write_str("image"),
            Self::User { uid, gid } => write!(f, "{uid}:{gid}"),
        }
    }
}

impl FromStr for RunAs {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // What Docker takes for a user or group id.
        let id = |digits: &str| {
            let plain = (1..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|id| plain && *id <= i32::MAX.unsigned_abs())
        };
        match text {
            "auto" => Ok(Self::Auto),
            "image" => Ok(Self::Image),
            _ => text
                .split_once(':')
                .and_then(|(uid, gid)| Some(Self::User { uid: id(uid)?, gid: id(gid)? }))
                .ok_or_else(|| {
                    let shown = super::problem::shorten(text);
                    InvalidId(format!(
                        "`{shown}` is not a user: use `auto`, `image` or numbers as in `10001:10001`"
                    ))
                }),
        }
    }
}
