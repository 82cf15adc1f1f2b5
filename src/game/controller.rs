//! The whole controller: what operators want of it, what its games stand on, and how it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{ContainerId, GameId, InstanceId};

/// What `kind` says of it.
pub const KIND: &str = "Controller";
/// The name of the only one that there is.
pub const NAME: &str = "gamekeeper";

/// What to do about a Docker that does not answer.
pub const DOCKER_WAY_OUT: &str = "start it, or say where it is with --docker-host or DOCKER_HOST";

/// What operators want of the whole controller: the one row of `controller_spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControllerSpec {
    /// Look, show, and touch nothing.
    pub frozen: bool,
    /// Why, in the operator's words.
    pub frozen_because: String,
    /// The many deletions that were seen up to this time are meant.
    pub deletions_confirmed_at: Option<Timestamp>,
    /// Counts the confirmations of a deliberate move.
    pub rebind_generation: i64,
    /// What the last of them named; it counts only while this is what is found.
    pub rebind: Ground,
    /// Who wrote last.
    pub requested_by: String,
    /// Counts all changes.
    pub row_version: i64,
}

/// What the games of a database stand on, as it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ground {
    /// The Docker Engine that answers; none if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_engine_id: Option<String>,
    /// The instance that the state root's sentinel names; empty if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_root: Option<String>,
    /// The high-water counter kept in the state root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_water: Option<i64>,
}

/// The state root as Docker mounts it into engines, compared with the one that is seen here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MountView {
    /// Not compared: it is not this instance's, or Docker does not answer.
    #[default]
    NotAsked,
    /// The same directory.
    Same,
    /// Another one, or none.
    Other {
        /// Where Docker looks for it.
        on_host: String,
        /// Where it is here.
        here: String,
        /// What Docker sees there, as the end of a sentence.
        sees: String,
    },
    /// The comparison could not be made, and why. It says nothing about the directory.
    Unknown(String),
}

/// What the games of a database should stand on: the row of `instance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Minted at its first migration.
    pub id: InstanceId,
    /// The Docker Engine its games run on, once known.
    pub docker_engine_id: Option<String>,
    /// The state root has been given this instance's sentinel.
    pub state_root_bound: bool,
    /// Grows with every write of observed state.
    pub high_water: i64,
    /// The last confirmation of a move that came true.
    pub observed_rebind_generation: i64,
}

/// What is to be bound to the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    /// The games run on this Docker Engine.
    pub docker_engine_id: Option<String>,
    /// The state root, which has this instance's sentinel.
    pub state_root: bool,
    /// The database goes on counting from here.
    pub high_water: Option<i64>,
    /// The confirmation that this comes from.
    pub rebind_generation: Option<i64>,
}

impl ControllerSpec {
    /// Whether an operator has said that a deletion is meant: it was first seen at `seen`, and
    /// `before` is the confirmation that was there when the guard decided about it. That one was given
    /// for others, whatever clock it was given by.
    pub fn confirms(&self, seen: Timestamp, before: Option<Timestamp>) -> bool {
        self.deletions_confirmed_at.is_some_and(|confirmed| seen <= confirmed)
            && self.deletions_confirmed_at != before
    }
}

/// Why the controller touches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum FreezeReason {
    /// An operator said so.
    FrozenByHand,
    /// Another Docker Engine answers than the one its games run on.
    OtherDocker,
    /// The state root lost this instance's sentinel: a disk that is not mounted.
    StateRootMissing,
    /// The state root belongs to another database.
    StateRootOfAnother,
    /// Another process works in the state root.
    StateRootInUse,
    /// The state root cannot be read.
    StateRootUnreadable,
    /// Docker mounts another directory into engines than the state root that is seen here.
    OtherStateRootInDocker,
    /// The database is older than what happened since: a backup put back.
    DatabaseOlder,
    /// The embedded database's file was moved, removed or replaced while it was open.
    DatabaseReplaced,
}

/// One reason why the controller touches nothing, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// One CamelCase word.
    pub reason: FreezeReason,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub way_out: String,
}

impl FreezeReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::FrozenByHand,
        Self::OtherDocker,
        Self::StateRootMissing,
        Self::StateRootOfAnother,
        Self::StateRootInUse,
        Self::StateRootUnreadable,
        Self::OtherStateRootInDocker,
        Self::DatabaseOlder,
        Self::DatabaseReplaced,
    ];

    /// Whether this word is one of them.
    pub fn is_named(word: &str) -> bool {
        Self::ALL.iter().any(|reason| reason.to_string() == word)
    }
}

impl std::fmt::Display for FreezeReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// A container of this instance that belongs to no game: no row and no tombstone speaks of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The game that its label names.
    #[schemars(with = "String")]
    pub game_id: GameId,
    /// The container.
    #[schemars(with = "String")]
    pub container_id: ContainerId,
    /// The game's handle when it was made, from its label.
    pub name: String,
    /// The engine version it runs, from its label.
    pub engine_version: String,
    /// Docker's word for its state.
    pub state: String,
}

/// A game whose deletion waits for an operator's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldDeletion {
    /// The game.
    #[schemars(with = "String")]
    pub game_id: GameId,
    /// Its namespace.
    pub namespace: String,
    /// Its handle.
    pub name: String,
    /// Its state directory goes with it.
    pub removes_state: bool,
    /// When the controller first saw that it is to be deleted.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub seen_at: Timestamp,
}

/// Deletions that are held because they are so many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldDeletions {
    /// Those that wait; empty if nothing is held.
    pub games: Vec<HeldDeletion>,
    /// How many were asked for lately, those that are done included.
    pub asked: usize,
    /// Of how many known games.
    pub known: usize,
    /// Deletions asked for within this time belong together, in seconds.
    #[serde(default)]
    pub window_seconds: u64,
    /// Percentage of the games that may be deleted within it.
    #[serde(default)]
    pub share_percent: u32,
}

/// How the whole controller is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControllerStatus {
    /// Another process leads, or may; this one acts as soon as it does.
    pub stands_by: bool,
    /// Desired state and containers have been read once.
    pub started: bool,
    /// Why it touches nothing; empty if it acts.
    pub freezes: Vec<Freeze>,
    /// What its games stand on, as found.
    pub ground: Ground,
    /// Deletions that wait for an operator's word. None: this process does not lead, or has not looked yet.
    pub held_deletions: Option<HeldDeletions>,
    /// Containers of ours that belong to no game, in the order of their games. None: this process does not
    /// lead, or has not looked yet.
    pub orphans: Option<Vec<Orphan>>,
    /// Why Docker does not answer, if it does not.
    pub docker_down: Option<String>,
    /// Why the database does not answer, if it does not.
    pub database_down: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_about_what_was_there_when_it_was_given_whatever_the_clock_says_later() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).expect("a time");
        let said = |word| ControllerSpec { deletions_confirmed_at: Some(word), ..Default::default() };
        assert!(said(at(10)).confirms(at(9), None) && said(at(10)).confirms(at(9), Some(at(1))));
        assert!(!said(at(10)).confirms(at(12), None), "it came later");
        // Given at 10, the clock set back by 20, deleted at -5: at 10 the word's time comes once more.
        assert!(!said(at(10)).confirms(at(-5), Some(at(10))));
        assert!(said(at(-4)).confirms(at(-5), Some(at(10))), "another word");
    }
}
