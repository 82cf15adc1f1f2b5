//! The things that a game waits for, and what ends each of them.
//!
//! Everybody prints these words: the status (`waiting_on`), `explain`, `plan`, `describe`; and
//! docs/operating.md has the list.

use std::fmt;

use crate::game::ImageRef;

/// What a plan is waiting on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// An image being fetched; a game that no longer waits on it lets go of it.
    Pull(ImageRef),
    /// A place among the concurrent starts.
    StartSlot,
    /// A place among the games that are disrupted at a time.
    DisruptionPlace,
    /// Background work of its own.
    Work,
    /// The next attempt, after a failure.
    NextAttempt,
    /// The engine's health, or its next look.
    Engine,
    /// The end of a turn that was sent.
    TurnEnd,
    /// The end of a pause, which a forced turn waits for.
    Resume,
    /// Docker, which has to settle or to answer.
    Docker,
    /// The grace period of a row that vanished.
    Grace,
    /// A changed spec.
    Spec,
    /// A word about the engine version that is wanted: it failed, or changes to it are halted.
    Version,
    /// A person.
    Person,
}

/// Who ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Gamekeeper goes on by itself, after a time that is bounded.
    Itself,
    /// Docker, a registry or an engine has to do something; Gamekeeper notices by itself.
    Another,
    /// Somebody has to say or to change something.
    Person,
}

impl Wait {
    /// One of each kind.
    pub fn all() -> [Self; 13] {
        let list = [
            Self::Pull(ImageRef::new("IMAGE")),
            Self::StartSlot,
            Self::DisruptionPlace,
            Self::Work,
            Self::NextAttempt,
            Self::Engine,
            Self::TurnEnd,
            Self::Resume,
            Self::Docker,
            Self::Grace,
            Self::Spec,
            Self::Version,
            Self::Person,
        ];
        for wait in &list {
            // A new kind has to be listed above, too.
            match wait {
                Self::Pull(_)
                | Self::StartSlot
                | Self::DisruptionPlace
                | Self::Work
                | Self::NextAttempt
                | Self::Engine
                | Self::TurnEnd
                | Self::Resume
                | Self::Docker
                | Self::Grace
                | Self::Spec
                | Self::Version
                | Self::Person => {}
            }
        }
        list
    }

    /// False for what passes in a moment and is not worth showing in a status.
    pub fn lasts(&self) -> bool {
        !matches!(self, Self::Work | Self::Engine)
    }

    /// True if the game as a whole goes no further until others have done something, which may never be.
    /// (What one turn or one change of version waits for holds up nothing else of it.)
    pub fn is_for_others(&self) -> bool {
        matches!(self, Self::Grace | Self::Spec | Self::Person)
    }

    /// Who ends it.
    pub fn ended_by(&self) -> EndedBy {
        match self {
            Self::StartSlot
            | Self::DisruptionPlace
            | Self::Work
            | Self::NextAttempt
            | Self::TurnEnd
            | Self::Grace => EndedBy::Itself,
            Self::Pull(_) | Self::Engine | Self::Docker => EndedBy::Another,
            Self::Resume | Self::Spec | Self::Version | Self::Person => EndedBy::Person,
        }
    }

    /// What ends it, in words that go on after "it ends".
    pub fn end(&self) -> &'static str {
        match self {
            Self::Pull(_) => "when Docker has it from the registry; a pull that fails is tried again",
            Self::StartSlot => "by itself, when another engine is up (--max-starts)",
            Self::DisruptionPlace => {
                "by itself, when another game's change of version or restore is over (--max-disruptions)"
            }
            Self::Work => "by itself, when that is done",
            Self::NextAttempt => "by itself, when the pause after the last failure is over",
            Self::Engine => "with the engine's answer; it is asked again by itself",
            Self::TurnEnd => "by itself, with the turn, or at its deadline",
            Self::Resume => "with `gamekeeper resume`",
            Self::Docker => "when Docker answers; it is asked again by itself",
            Self::Grace => "by itself, or when the row is back",
            Self::Spec => "when somebody corrects what SpecValid or the message names",
            Self::Version => {
                "with another engineVersion, `gamekeeper patch --retry`, or `gamekeeper versions resume` if it is halted"
            }
            Self::Person => "when somebody follows the way out that `gamekeeper explain` names",
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull(image) => write!(f, "the image {image}"),
            Self::StartSlot => f.write_str("a place among the concurrent starts"),
            Self::DisruptionPlace => {
                f.write_str("a place among the games that are patched or restored at a time")
            }
            Self::Work => f.write_str("work in the background"),
            Self::NextAttempt => f.write_str("the next attempt"),
            Self::Engine => f.write_str("the engine"),
            Self::TurnEnd => f.write_str("the end of the turn that is being generated"),
            Self::Resume => f.write_str("the end of the pause"),
            Self::Docker => f.write_str("Docker"),
            Self::Grace => f.write_str("the grace period of its vanished row"),
            Self::Spec => f.write_str("a changed spec"),
            Self::Version => f.write_str("a word about the engine version"),
            Self::Person => f.write_str("a person"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of docs/operating.md, row by row.
    fn documented() -> Vec<[String; 3]> {
        let page = include_str!("../../docs/operating.md");
        let table = page.split("| waiting on | ended by | it ends |").nth(1).expect("the table of waits");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let cells: Vec<String> =
                row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
            cells.try_into().expect("three cells")
        })
        .collect()
    }

    #[test]
    fn the_documentation_lists_every_wait_and_what_ends_it() {
        let expected: Vec<[String; 3]> = Wait::all()
            .iter()
            .map(|wait| {
                let by = match wait.ended_by() {
                    EndedBy::Itself => "itself",
                    EndedBy::Another => "Docker, registry or engine",
                    EndedBy::Person => "a person",
                };
                [wait.to_string(), by.to_owned(), wait.end().to_owned()]
            })
            .collect();
        assert_eq!(documented(), expected);
    }
}
