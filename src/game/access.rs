//! Who may do what: roles, and where they hold.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::id::{Name, Namespace};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and writes games; what it writes is the lobby's.
    Lobby,
    /// Reads and writes, all but who has access.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Lobby, Self::Operator, Self::Admin];

    /// As rows, manifests and certificates have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Lobby => "lobby",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.word() == word)
            .ok_or_else(|| format!("a role is one of {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// A role, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// In which namespaces alone; empty: everywhere, and with what is in none.
    pub namespaces: Vec<Namespace>,
}

impl Grant {
    /// A role that holds everywhere.
    pub fn everywhere(role: Role) -> Self {
        Self { role, namespaces: Vec::new() }
    }
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Who gets it, as the audit will name them.
    pub name: Name,
    /// What it will be good for.
    pub grant: Grant,
    /// From when on it is refused; none: never.
    pub expires_at: Option<Timestamp>,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its identity: another token of the same name has another one.
    pub id: Uuid,
    /// What it was made as.
    pub token: NewToken,
    /// Its SHA-256; nobody can get back from it to what is sent.
    pub digest: [u8; 32],
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

impl AccessToken {
    /// Whether it is refused by now.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.token.expires_at.is_some_and(|end| end <= now)
    }
}
