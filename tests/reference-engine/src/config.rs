//! What the environment says about the game and the contract. Knobs are read in [`crate::knobs::sources`].

use std::env;
use std::path::{Path, PathBuf};

/// Which contract is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// `gamekeeper/v1`: identity, token, precondition.
    V1,
    /// `plain/v0`: none of them.
    V0,
}

impl Contract {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contract::V1 => "gamekeeper/v1",
            Contract::V0 => "plain/v0",
        }
    }
}

/// The environment, validated.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) contract: Contract,
    /// `GAME_ID`; with v0, else the last part of the state path.
    pub(crate) game_id: String,
    /// `GAME_STATE_PATH`: made by the engine at initialisation, inside a mount that is there.
    pub(crate) state_path: PathBuf,
    /// `GAME_ADMIN_TOKEN`. Without one v1 lets nobody in.
    pub(crate) token: Option<String>,
    /// `GAME_PORT`, else `PORT`, else 8080.
    pub(crate) port: u16,
    /// `ENGINE_VERSION`: reported only.
    pub(crate) version: String,
}

impl Config {
    pub(crate) fn from_env() -> Result<Config, String> {
        Self::read(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(var: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
        let contract = match var("ENGINE_CONTRACT").as_deref() {
            None | Some("gamekeeper/v1") => Contract::V1,
            Some("plain/v0") => Contract::V0,
            Some(other) => {
                return Err(format!("ENGINE_CONTRACT {other:?} is neither gamekeeper/v1 nor plain/v0"));
            }
        };
        let state_path = PathBuf::from(var("GAME_STATE_PATH").ok_or("GAME_STATE_PATH is not set")?);
        let last_part = state_path.file_name().map(|name| name.to_string_lossy().into_owned());
        let game_id = match (var("GAME_ID"), contract, last_part) {
            (Some(id), _, Some(_)) => id,
            (None, Contract::V0, Some(name)) => name,
            (None, Contract::V1, _) => return Err("GAME_ID is not set".into()),
            (_, _, None) => return Err("GAME_STATE_PATH names no directory".into()),
        };
        let port = match var("GAME_PORT").or_else(|| var("PORT")) {
            None => 8080,
            Some(text) => text.parse().map_err(|_| format!("{text:?} is no port"))?,
        };
        Ok(Config {
            contract,
            game_id,
            state_path,
            token: var("GAME_ADMIN_TOKEN"),
            port,
            version: var("ENGINE_VERSION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()),
        })
    }

    /// The directory that is mounted: the parent of the state path.
    pub(crate) fn mount(&self) -> &Path {
        self.state_path.parent().unwrap_or(Path::new("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_string()))
    }

    #[test]
    fn v1_wants_to_know_its_game() {
        assert!(read(&[("GAME_STATE_PATH", "/m/g")]).is_err());
        let config = read(&[("GAME_STATE_PATH", "/m/g"), ("GAME_ID", "g")]).expect("valid");
        assert_eq!((config.contract, config.port, config.mount()), (Contract::V1, 8080, Path::new("/m")));
    }

    #[test]
    fn v0_takes_the_game_from_the_path() {
        let config = read(&[("GAME_STATE_PATH", "/m/g"), ("ENGINE_CONTRACT", "plain/v0")]).expect("valid");
        assert_eq!(config.game_id, "g");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(read(&[("GAME_ID", "g")]).is_err());
        assert!(read(&[("GAME_STATE_PATH", "/"), ("GAME_ID", "g")]).is_err());
        assert!(read(&[("GAME_STATE_PATH", "/m/g"), ("GAME_ID", "g"), ("PORT", "99999")]).is_err());
        assert!(read(&[("GAME_STATE_PATH", "/m/g"), ("GAME_ID", "g"), ("ENGINE_CONTRACT", "v2")]).is_err());
    }
}
