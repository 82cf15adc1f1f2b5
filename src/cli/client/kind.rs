//! The kinds of objects, in the words of people and of the API.

use crate::game::manifest::wire::{ENGINE_VERSION_KIND, GAME_KIND};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// An engine version; of the whole server.
    EngineVersion,
    /// A game; in a namespace.
    Game,
}

impl Kind {
    /// Every kind, in the order in which objects are applied.
    pub(crate) const ALL: [Self; 2] = [Self::EngineVersion, Self::Game];

    /// As a manifest has it.
    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Game => GAME_KIND,
            Self::EngineVersion => ENGINE_VERSION_KIND,
        }
    }

    /// As it stands before a name: `game/andromeda`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Game => "game",
            Self::EngineVersion => "engineversion",
        }
    }

    /// As the API's paths have it.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Game => "games",
            Self::EngineVersion => "engineversions",
        }
    }

    /// From what people write.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "game" | "games" | "gm" => Some(Self::Game),
            "engineversion" | "engineversions" | "ev" => Some(Self::EngineVersion),
            _ => None,
        }
    }
}
