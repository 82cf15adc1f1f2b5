//! Values of settings: each reads the same from a flag, a variable and the file.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer};

use crate::game::resources::{parse_cpu, parse_memory};
use crate::reconcile;
use crate::runtime::docker;
use crate::store::Place;

/// Longer than anybody waits for a controller; keeps sums of times far from overflow.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A length of time, written as `30s`, `5m` or `1h30m`; never zero, at most thirty days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "write a number with a unit, as in `30s`, `5m` or `1h30m`";
        let span: jiff::SignedDuration = text.parse().map_err(|_| format!("not a duration; {hint}"))?;
        let span = Duration::try_from(span).map_err(|_| format!("a duration cannot be negative; {hint}"))?;
        match span {
            Duration::ZERO => Err(format!("has to be more than zero; {hint}")),
            span if span > LONGEST => Err("has to be at most 30 days".into()),
            span => Ok(Self(span)),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a duration such as `30s` or `5m`")
    }
}

/// Names and addresses of a server, with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsNames(pub Vec<String>);

/// More than a certificate should have.
const MOST_NAMES: usize = 50;

impl FromStr for TlsNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        if names.len() > MOST_NAMES {
            return Err(format!("has more than {MOST_NAMES} names"));
        }
        match names.iter().find(|name| rustls::pki_types::ServerName::try_from(name.as_str()).is_err()) {
            Some(_) => Err("write host names and IP addresses, as in games.example.org,192.0.2.7".into()),
            None => Ok(Self(names)),
        }
    }
}

impl<'de> Deserialize<'de> for TlsNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "names such as `games.example.org,192.0.2.7`")
    }
}

/// A number from 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count @ 1..=10_000) => Ok(Self(count)),
            _ => Err("has to be a number from 1 to 10000".into()),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a number from 1 to 10000")
    }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $parse:path, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub u64);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $parse(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, $expected)
            }
        }
    };
}

quantity!(
    /// CPU time, in thousandths of a core.
    Cpu,
    parse_cpu,
    "a CPU quantity such as `500m`"
);
quantity!(
    /// A size, in bytes.
    Memory,
    parse_memory,
    "a quantity such as `256Mi`"
);

/// The name of one of Docker's log drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDriver(pub String);

impl Default for LogDriver {
    fn default() -> Self {
        Self("json-file".to_owned())
    }
}

impl FromStr for LogDriver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (2..=64).contains(&text.len()) && text.bytes().all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err("not the name of a log driver; write json-file, local, journald …".into())
        }
    }
}

impl<'de> Deserialize<'de> for LogDriver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "the name of a log driver such as `json-file`")
    }
}

/// The URL of a database. Shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with whatever secret is in it, for opening the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<Place>().map(|_| Self(text.to_owned())).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.parse::<Place>().map_err(|_| fmt::Error)?.fmt(f)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a database URL such as `sqlite:PATH`")
    }
}

/// How the controller reaches an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointMode {
    /// Finds out, once it can.
    #[default]
    Auto,
    /// By the container's address: a controller on the engines' host.
    Address,
    /// By the container's host name: a controller in a container on the engines' network.
    HostName,
    /// By a port that Docker chooses on 127.0.0.1: rootless Docker, Docker Desktop.
    Published,
}

impl From<EndpointMode> for docker::EndpointMode {
    fn from(mode: EndpointMode) -> Self {
        match mode {
            EndpointMode::Auto => Self::Auto,
            EndpointMode::Address => Self::Address,
            EndpointMode::HostName => Self::HostName,
            EndpointMode::Published => Self::Published,
        }
    }
}

/// When a registry is asked for an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// When the image is not on the host.
    #[default]
    IfNotPresent,
    /// Whenever an image is wanted.
    Always,
    /// Never; images get to the host by other means.
    Never,
}

impl From<PullPolicy> for docker::PullPolicy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::IfNotPresent => Self::IfNotPresent,
            PullPolicy::Always => Self::Always,
            PullPolicy::Never => Self::Never,
        }
    }
}

impl From<PullPolicy> for reconcile::PullPolicy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::IfNotPresent => Self::IfNotPresent,
            PullPolicy::Always => Self::Always,
            PullPolicy::Never => Self::Never,
        }
    }
}

/// In which form logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a scalar as its text would be read from a flag.
pub(super) fn from_text<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    struct Visitor<T>(&'static str, std::marker::PhantomData<T>);

    impl<T: FromStr<Err = String>> serde::de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }
    }

    deserializer.deserialize_any(Visitor(expected, std::marker::PhantomData))
}

/// The embedded database in this data directory.
pub(super) fn embedded(data_dir: &std::path::Path) -> Result<DatabaseUrl, super::ConfigError> {
    let wrong = |message| super::ConfigError::Wrong { setting: "--data-dir", message };
    let path = data_dir.join("gamekeeper.db");
    let path = path.to_str().ok_or_else(|| wrong("use a path in UTF-8".into()))?;
    format!("sqlite:{path}").parse().map_err(|_| wrong("use a path without `?`".into()))
}
