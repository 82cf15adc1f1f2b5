//! The things that keep a controller from acting for a game, beside a freeze; docs/operating.md has the
//! list.

use jiff::Timestamp;

use crate::game::controller::DOCKER_WAY_OUT;

use super::Guard;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// Another process leads, or nobody does.
    NotLeading,
    /// It has not looked at Docker and the state root yet.
    Starting,
    /// The database does not answer it; and why not.
    DatabaseUnreachable(String),
    /// The database did not take what the last round had to record of the game; and why not.
    NotRecorded(String),
    /// Docker does not answer: since when, and why not.
    DockerUnreachable(Timestamp, String),
    /// It has not heard of the newest generation of the game; what it knows is of an older one.
    NotHeard {
        /// The row's.
        newest: i64,
        /// The one it knows.
        known: i64,
    },
}

impl Hindrance {
    /// One CamelCase word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotLeading => "NotLeading",
            Self::Starting => "Starting",
            Self::DatabaseUnreachable(_) => "DatabaseUnreachable",
            Self::NotRecorded(_) => "NotRecorded",
            Self::DockerUnreachable(..) => "DockerUnreachable",
            Self::NotHeard { .. } => "NotHeard",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NotLeading => {
                "This process does not lead (any more), so it does nothing; another one may.".to_owned()
            }
            Self::Starting => {
                "The controller has just begun, and has not looked at Docker and the state root yet."
                    .to_owned()
            }
            Self::DatabaseUnreachable(why) => format!(
                "The database does not answer the controller, which does nothing without it, and hears of no change: {why}"
            ),
            Self::NotRecorded(why) => format!(
                "What there is to record of the game could not be recorded, so nothing is done for it: {why}"
            ),
            Self::DockerUnreachable(since, why) => format!(
                "Docker does not answer since {since:.0}: {why}. What is known is kept; an engine that goes on answering gets its turns."
            ),
            Self::NotHeard { newest, known } => format!(
                "The controller has not heard of generation {newest} yet; what follows is of generation {known}."
            ),
        }
    }

    fn way_out(&self) -> String {
        match self {
            Self::NotLeading => "`gamekeeper leader` names who leads; ask that one.".to_owned(),
            Self::Starting => {
                "Nothing: it goes on by itself. If it stays so, `gamekeeper status` says why.".to_owned()
            }
            Self::DatabaseUnreachable(_) => {
                "Mend the database; it goes on by itself. `gamekeeper doctor` looks for the cause.".to_owned()
            }
            Self::NotRecorded(_) => {
                "It is tried again by itself. If it stays so, mend what the message names: end the transaction that holds the lock, make room, give write access.".to_owned()
            }
            Self::DockerUnreachable(..) => format!("To have Docker answer, {DOCKER_WAY_OUT}; it goes on by itself."),
            Self::NotHeard { .. } => {
                "Ask again in a second. If it stays so, `gamekeeper doctor` says what keeps the controller from hearing.".to_owned()
            }
        }
    }
}

impl From<Hindrance> for Guard {
    fn from(hindrance: Hindrance) -> Self {
        Self {
            reason: hindrance.reason().to_owned(),
            message: hindrance.message(),
            way_out: hindrance.way_out(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_one() {
        let page = include_str!("../../../docs/operating.md");
        let why = String::new;
        let all = [
            Hindrance::NotLeading,
            Hindrance::Starting,
            Hindrance::DatabaseUnreachable(why()),
            Hindrance::NotRecorded(why()),
            Hindrance::DockerUnreachable(Timestamp::UNIX_EPOCH, why()),
            Hindrance::NotHeard { newest: 2, known: 1 },
        ];
        for hindrance in all {
            let row = format!("\n| `{}` | ", hindrance.reason());
            assert!(page.contains(&row), "{row}");
            assert!(!Guard::from(hindrance).way_out.is_empty());
        }
    }
}
