//! Who asks: bearer tokens, hashed at rest, and the roles behind them.

use std::path::Path;

use axum::http::{HeaderMap, Method, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes.
    Operator,
    /// Reads, and writes games; what it writes is the lobby's.
    Lobby,
    /// Everything.
    Admin,
}

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

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) role: Role,
}

/// The tokens that are good.
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

    /// Whether this is the token of that name.
    pub fn is_of(&self, name: &str, token: &str) -> bool {
        self.find(token).is_some_and(|entry| entry.name == name)
    }

    /// Compares with every entry, in the same time whatever is in them.
    fn find(&self, token: &str) -> Option<&TokenEntry> {
        let sent = digest(token);
        let mut found = None;
        for (entry, digest) in &self.0 {
            if bool::from(digest.ct_eq(&sent)) {
                found = Some(entry);
            }
        }
        found
    }

    /// Who sends these headers.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = sent.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let entry = token.and_then(|token| self.find(token)).ok_or(ApiError::Unauthorized)?;
        Ok(Caller { name: entry.name.clone(), role: entry.role })
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(entry, _)| &entry.name)).finish()
    }
}

impl Caller {
    /// Whether the caller's role allows this method on this path.
    pub(super) fn may(&self, method: &Method, path: &str) -> Result<(), ApiError> {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        // Of what is in a namespace, games alone are the lobby's to write.
        let games = of_namespace(path).is_some_and(|(_, kind)| kind == "games");
        let allowed = match self.role {
            Role::Admin | Role::Operator => true,
            Role::Lobby => reads || games,
            Role::Viewer => reads || (*method == Method::POST && asks_for_a_plan(path)),
        };
        if allowed {
            return Ok(());
        }
        let role = match self.role {
            Role::Lobby => "a lobby's token changes games and nothing else",
            Role::Viewer => "a viewer's token only reads",
            Role::Admin | Role::Operator => "this token does not allow it",
        };
        Err(ApiError::Forbidden(format!("{role}; use the token of an operator")))
    }
}

/// The namespace of something that is in one, and the plural of its kind.
fn of_namespace(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.strip_prefix("/apis/gamekeeper.dev/v1/namespaces/")?.split('/');
    Some((parts.next()?, parts.next()?))
}

/// A plan is asked for by sending a manifest, and changes nothing.
pub(super) fn asks_for_a_plan(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/apis/gamekeeper.dev/v1/namespaces/") else { return false };
    let parts: Vec<&str> = rest.split('/').collect();
    matches!(parts.as_slice(), [_, "games", _, "plan"])
}

/// A new token: 32 random bytes.
pub(super) fn mint() -> String {
    use base64::Engine;
    let bytes: [u8; 32] = rand::random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(text.get(pair * 2..pair * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
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

    #[test]
    fn roles_bound_what_may_be_done() {
        let may =
            |role, method: Method, path: &str| Caller { name: "x".into(), role }.may(&method, path).is_ok();
        let (games, versions) = (
            "/apis/gamekeeper.dev/v1/namespaces/default/games/a",
            "/apis/gamekeeper.dev/v1/engineversions/1.4.2",
        );
        assert!(may(Role::Viewer, Method::GET, games) && !may(Role::Viewer, Method::PUT, games));
        assert!(may(Role::Lobby, Method::PATCH, games) && !may(Role::Lobby, Method::DELETE, versions));
        assert!(may(Role::Lobby, Method::GET, versions) && may(Role::Operator, Method::DELETE, versions));
        let controller = "/apis/gamekeeper.dev/v1/controllers/gamekeeper";
        assert!(may(Role::Operator, Method::PATCH, controller) && may(Role::Viewer, Method::GET, controller));
        assert!(
            !may(Role::Lobby, Method::PATCH, controller) && !may(Role::Viewer, Method::PATCH, controller)
        );
        assert!(!may(Role::Lobby, Method::POST, &format!("{controller}/remove")));
        let plan = format!("{games}/plan");
        assert!(may(Role::Viewer, Method::POST, &plan) && !may(Role::Viewer, Method::PUT, &plan));
        let named_plan = "/apis/gamekeeper.dev/v1/namespaces/default/games/plan";
        assert!(!may(Role::Viewer, Method::POST, named_plan));
        let outbox = "/apis/gamekeeper.dev/v1/namespaces/games/outbox";
        assert!(may(Role::Lobby, Method::GET, outbox) && may(Role::Viewer, Method::GET, outbox));
        for verb in ["retry", "skip", "replay"].map(|verb| format!("{outbox}/{verb}")) {
            assert!(may(Role::Operator, Method::POST, &verb) && may(Role::Admin, Method::POST, &verb));
            assert!(!may(Role::Lobby, Method::POST, &verb) && !may(Role::Viewer, Method::POST, &verb));
        }
    }

    #[test]
    fn two_minted_tokens_differ_and_are_long() {
        assert_ne!(mint(), mint());
        assert_eq!(mint().len(), 43);
    }
}
