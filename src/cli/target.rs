//! Which objects a command is about: `NAME`, `game/NAME`, `ev/1.4.2`, and in which namespace.

use std::fmt;
use std::str::FromStr;

use clap::{ArgGroup, Args};

use super::client::{Address, Client, Kind};
use super::failure::Failure;
use super::output::remark;
use crate::game::manifest::DEFAULT_NAMESPACE;
use crate::game::{EngineVersion, Name, Namespace};

/// The namespace that a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NamespaceOption {
    /// The games' namespace [default: the kubeconfig's, else `default`]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<Namespace>,
}

impl NamespaceOption {
    /// The namespace that was named, if one was.
    pub(crate) fn named(&self) -> Option<&str> {
        self.namespace.as_ref().map(Namespace::as_str)
    }

    /// The namespace that is meant.
    pub(crate) fn meant(&self, client: &Client) -> String {
        self.named().or(client.namespace()).unwrap_or(DEFAULT_NAMESPACE).to_owned()
    }
}

/// An object by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name, checked.
    pub(crate) name: String,
}

impl Target {
    /// An object of this kind, if this can be its name.
    pub(crate) fn new(kind: Kind, name: &str) -> Result<Self, String> {
        // Checked here, because it becomes a part of a path.
        let checked = match kind {
            Kind::Game => name.parse::<Name>().map(drop),
            Kind::EngineVersion => name.parse::<EngineVersion>().map(drop),
        };
        checked.map_err(|error| error.to_string())?;
        Ok(Self { kind, name: name.to_owned() })
    }

    /// Where it is in the API.
    pub(crate) fn address<'a>(&'a self, namespace: &'a str) -> Address<'a> {
        Address { kind: self.kind, namespace, name: &self.name }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            None => Self::new(Kind::Game, text),
            Some((word, name)) => {
                let kind = Kind::from_word(word).ok_or_else(|| {
                    format!(
                        "`{}` is not a kind; write game/NAME or engineversion/VERSION",
                        word.escape_debug()
                    )
                })?;
                Self::new(kind, name)
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

/// A game by name, for commands that know no other kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GameTarget(pub(crate) Target);

impl FromStr for GameTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Target>()? {
            target if target.kind == Kind::Game => Ok(Self(target)),
            target => Err(format!("{target} is not a game; this command is about games")),
        }
    }
}

/// The games that a command is about: some by name, or all there are.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["games", "all", "selector"]))]
pub(crate) struct Games {
    /// The games: NAME or game/NAME
    #[arg(value_name = "GAME")]
    games: Vec<GameTarget>,
    /// All games that there are now
    #[arg(long, conflicts_with = "games")]
    all: bool,
    /// All games with these labels: season=7,team!=a
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "games")]
    selector: Option<String>,
    /// The games of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "games"])]
    all_namespaces: bool,
    #[command(flatten)]
    namespace: NamespaceOption,
}

/// An object and the namespace that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// Which object.
    pub(crate) target: Target,
    /// Its namespace.
    pub(crate) namespace: String,
}

impl Located {
    /// Where it is in the API.
    pub(crate) fn address(&self) -> Address<'_> {
        self.target.address(&self.namespace)
    }

    /// What tells it from all others.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.target)
    }
}

impl Games {
    /// The games that are meant, each once.
    pub(crate) async fn find(&self, client: &Client) -> Result<Vec<Located>, Failure> {
        let meant = self.namespace.meant(client);
        let mut found = Vec::new();
        if self.games.is_empty() {
            let within = (!self.all_namespaces).then_some(meant.as_str());
            for game in client.list(Kind::Game, within, self.selector.as_deref()).await? {
                let target = Target { kind: Kind::Game, name: game.name().to_owned() };
                found.push(Located { target, namespace: game.namespace().unwrap_or(&meant).to_owned() });
            }
            if found.is_empty() {
                remark("no games found");
            }
        }
        for GameTarget(target) in &self.games {
            let located = Located { target: target.clone(), namespace: meant.clone() };
            if !found.contains(&located) {
                found.push(located);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_several_ways() {
        for (text, shown) in [
            ("andromeda", "game/andromeda"),
            ("game/andromeda", "game/andromeda"),
            ("gm/andromeda", "game/andromeda"),
            ("games/andromeda", "game/andromeda"),
            ("ev/1.4.2", "engineversion/1.4.2"),
            ("EngineVersion/1.4.2", "engineversion/1.4.2"),
        ] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(shown.to_owned()));
        }
        for bad in [
            "",
            "game/",
            "game/..",
            "..",
            "pod/x",
            "game/a/b",
            "ev/latest",
            "Andromeda",
            "a?b",
            "ev/../games",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
        assert!("ev/1.4.2".parse::<GameTarget>().is_err());
    }
}
