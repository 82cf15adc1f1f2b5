//! The tokens of the data directory: the administrator's, which the server makes at its first start,
//! and those that somebody put beside it. They are good on this server alone.

use std::path::Path;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::digest;
use crate::game::access::Role;
use crate::store::access::{from_hex, to_hex};

/// A token as it is kept: nobody can get back from it to what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Who has it; stands in the audit.
    pub name: String,
    /// What it is good for.
    pub role: Role,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Why the tokens could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file is there, and cannot be read.
    #[error("{path} could not be read; check its owner and mode")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no list of tokens.
    #[error("{path} is not a list of tokens; mend it, or remove it to have a new admin token made")]
    Parse {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: serde_yaml::Error,
    },
    /// An entry's digest is none.
    #[error("{path}: the sha256 of `{name}` is not 64 hexadecimal digits")]
    Digest {
        /// Which file.
        path: String,
        /// Whose entry.
        name: String,
    },
}

/// The tokens of the file.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(TokenEntry, [u8; 32])>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensFile {
    tokens: Vec<TokenEntry>,
}

impl Tokens {
    /// Reads the tokens of a file; none if there is no file.
    ///
    /// # Errors
    /// The file is there and cannot be used.
    pub fn read(path: &Path) -> Result<Self, TokensError> {
        let shown = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(TokensError::Read { path: shown(), source }),
        };
        let file: TokensFile =
            serde_yaml::from_str(&text).map_err(|source| TokensError::Parse { path: shown(), source })?;
        let entries = file.tokens.into_iter().map(|entry| {
            let digest = from_hex(&entry.sha256);
            digest
                .ok_or_else(|| TokensError::Digest { path: shown(), name: entry.name.clone() })
                .map(|d| (entry, d))
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// As the file has them.
    ///
    /// # Errors
    /// None that can happen with such entries.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        serde_yaml::to_string(&TokensFile { tokens: self.0.iter().map(|(entry, _)| entry.clone()).collect() })
    }

    /// Gives a name a token, in place of the one it had.
    pub fn replace(&mut self, name: &str, role: Role, token: &str) {
        let digest = digest(token);
        self.0.retain(|(entry, _)| entry.name != name);
        self.0.push((TokenEntry { name: name.into(), role, sha256: to_hex(&digest) }, digest));
    }

    /// Whether somebody has this name.
    pub(in crate::api) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(entry, _)| entry.name == name)
    }

    /// The role of this name's token.
    pub(super) fn role_of(&self, name: &str) -> Option<Role> {
        self.0.iter().find(|(entry, _)| entry.name == name).map(|(entry, _)| entry.role)
    }

    /// Whether this is the token of that name.
    pub fn is_of(&self, name: &str, token: &str) -> bool {
        self.find(token).is_some_and(|entry| entry.name == name)
    }

    /// Compares with every entry, in the same time whatever is in them.
    pub(super) fn find(&self, token: &str) -> Option<&TokenEntry> {
        let sent = digest(token);
        let mut found = None;
        for (entry, digest) in &self.0 {
            if bool::from(digest.ct_eq(&sent)) {
                found = Some(entry);
            }
        }
        found
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(entry, _)| &entry.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_token_of_a_name_is_good() {
        let mut tokens = Tokens::default();
        tokens.replace("admin", Role::Admin, "first");
        tokens.replace("looker", Role::Viewer, "other");
        tokens.replace("admin", Role::Admin, "second");
        assert!(tokens.is_of("admin", "second") && tokens.is_of("looker", "other"));
        assert!(!tokens.is_of("admin", "first") && !tokens.is_of("admin", "other"));
        assert!(!tokens.is_of("admin", "") && !tokens.to_yaml().unwrap().contains("second"));
    }
}
