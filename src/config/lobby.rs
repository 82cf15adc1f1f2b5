//! The settings about the lobby.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer};

/// How the lobby is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LobbyMode {
    /// Each event is sent to --lobby-url.
    Push,
    /// Events are written, and the lobby reads the table or the API.
    Pull,
    /// Nothing is written.
    #[default]
    Off,
}

/// How and where the lobby is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LobbyConfig {
    /// How.
    pub mode: LobbyMode,
    /// Where events are pushed to.
    pub url: Option<LobbyUrl>,
    /// The file with the secrets that sign what is pushed.
    pub secret_file: Option<PathBuf>,
    /// After so many refusals an event is set aside.
    pub give_up_after: u32,
    /// How long the lobby may take to answer.
    pub deadline: Duration,
    /// How long events are kept that the lobby has.
    pub keep_delivered: Duration,
    /// How long events are kept that it does not have.
    pub keep_undelivered: Duration,
}

impl LobbyConfig {
    /// Where events are pushed to, and what signs them; none unless they are pushed.
    pub fn push(&self) -> Option<(&LobbyUrl, &PathBuf)> {
        match self.mode {
            LobbyMode::Push => self.url.as_ref().zip(self.secret_file.as_ref()),
            LobbyMode::Pull | LobbyMode::Off => None,
        }
    }

    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let Self { mode: LobbyMode::Push, url, secret_file, .. } = self else { return None };
        if url.is_none() {
            return Some((
                "--lobby-mode",
                "push needs to know where to; name the lobby by --lobby-url".into(),
            ));
        }
        if secret_file.is_none() {
            let message = "what is pushed is signed; write a secret into a file that only you can read, \
                           as in `(umask 077; echo whsec_$(openssl rand -base64 32) >lobby-secret)`, \
                           and name it";
            return Some(("--lobby-secret-file", message.into()));
        }
        None
    }
}

/// Where the lobby takes events. Shown without its path: some keep a token there.
#[derive(Clone, PartialEq, Eq)]
pub struct LobbyUrl(reqwest::Url);

impl LobbyUrl {
    /// The URL.
    pub fn url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl FromStr for LobbyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "write http://HOST/PATH or https://HOST/PATH";
        let url: reqwest::Url = text.parse().map_err(|_| format!("not a URL; {hint}"))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(format!("not where something can be posted to; {hint}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("leave out user and password; what is pushed is signed instead".into());
        }
        if url.fragment().is_some() {
            return Err("leave out what follows `#`; it is not sent".into());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for LobbyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for LobbyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for LobbyUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::value::from_text(deserializer, "a URL such as `https://lobby.example/hooks`")
    }
}
