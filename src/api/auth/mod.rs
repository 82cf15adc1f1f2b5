//! Who asks, and what they may do.
//!
//! Whoever asks is known by a token of the data directory ([`tokens`]), by one of the database
//! ([`known`]), or by a client certificate ([`certificate`]). What they may do is decided in one place
//! ([`decide`]), a pure function of the caller and of what is asked, for every request and for every
//! question about what would be allowed. An admin may ask in somebody else's name ([`impersonate`]).

pub(super) mod asked;
pub(super) mod caller;
pub(super) mod certificate;
pub(super) mod decide;
pub(super) mod impersonate;
pub(super) mod known;
mod tokens;

use sha2::{Digest, Sha256};

pub use crate::game::access::Role;
pub(super) use caller::{By, Caller};
pub use tokens::{TokenEntry, Tokens, TokensError};

/// What every token of the database begins with: whoever finds one knows what it is.
pub(super) const PREFIX: &str = "gamekeeper_";

/// A new token: 32 random bytes.
pub(super) fn mint() -> String {
    use base64::Engine;
    let bytes: [u8; 32] = rand::random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_minted_tokens_differ_and_are_long() {
        assert_ne!(mint(), mint());
        assert_eq!(mint().len(), 43);
    }
}
