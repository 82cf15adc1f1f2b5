//! One audited convergence: why it began, who asked, how it ended.

use super::id::OperationId;
use super::spec::Source;
use super::version::EngineVersion;

/// What kind of convergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// From nothing to a healthy, initialised engine.
    Start,
    /// To no engine, state kept.
    Stop,
    /// A new container, asked for.
    Restart,
    /// Another engine version.
    Patch,
    /// Back from another engine version.
    Rollback,
    /// A dead, unreachable or lost engine back to health.
    Heal,
    /// No turns from now on.
    Pause,
    /// Turns again.
    Resume,
    /// A turn asked for now.
    ForceNextTurn,
    /// A turn by schedule.
    Turn,
    /// An older state put back.
    Restore,
    /// A copy of the state, asked for.
    Backup,
    /// The game removed.
    Delete,
    /// A container of ours taken over after its record was lost.
    Adopt,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Patch,
        Self::Rollback,
        Self::Heal,
        Self::Pause,
        Self::Resume,
        Self::ForceNextTurn,
        Self::Turn,
        Self::Restore,
        Self::Backup,
        Self::Delete,
        Self::Adopt,
    ];

    /// As the database and the command line have it.
    pub fn as_row(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Patch => "patch",
            Self::Rollback => "rollback",
            Self::Heal => "heal",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::ForceNextTurn => "force_next_turn",
            Self::Turn => "turn",
            Self::Restore => "restore",
            Self::Backup => "backup",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
        }
    }

    /// From what the database has.
    pub fn from_row(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_row() == text)
    }
}

/// An operation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOperation {
    /// Its identity.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// The generation it serves.
    pub generation: i64,
    /// The user behind it; empty if nobody asked.
    pub requested_by: String,
    /// The request behind it; empty if nobody asked.
    pub request_id: String,
}

/// An operation to be opened; its id is drawn where randomness is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOperation {
    /// What it does.
    pub kind: OperationKind,
    /// Why it began, in words.
    pub cause: String,
    /// Who is behind it.
    pub source: Source,
    /// The generation it serves.
    pub generation: i64,
    /// The user behind it; empty if nobody asked.
    pub requested_by: String,
    /// The request behind it; empty if nobody asked.
    pub request_id: String,
    /// The version before, if one ran.
    pub from_version: Option<EngineVersion>,
    /// The version it leads to.
    pub to_version: Option<EngineVersion>,
}

impl NewOperation {
    /// It, once it has its identity and is on record.
    pub fn opened(&self, id: OperationId) -> OpenOperation {
        OpenOperation {
            id,
            kind: self.kind,
            generation: self.generation,
            requested_by: self.requested_by.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It came true.
    Succeeded,
    /// It did not, and is not tried further under this operation.
    Failed {
        /// One CamelCase word for machines.
        code: String,
        /// A sentence for people.
        message: String,
    },
    /// Something else is wanted now.
    Superseded,
}
