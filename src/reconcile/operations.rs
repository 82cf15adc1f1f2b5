//! When an operation begins and ends: pure bookkeeping, each operation closed exactly once.

use crate::game::operation::{Ending, NewOperation, OpenOperation, OperationKind};

/// What a plan changes about its game's operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationChange {
    /// How the open one ends.
    pub close: Option<Ending>,
    /// The one that begins.
    pub open: Option<NewOperation>,
    /// Those that end as they begin: asked for and refused, or done as they are decided.
    pub at_once: Vec<(NewOperation, Ending)>,
}

impl OperationChange {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.close.is_none() && self.open.is_none() && self.at_once.is_empty()
    }

    /// Makes sure that an operation of this kind is open, superseding one that leads elsewhere.
    pub fn ensure(&mut self, open: Option<&OpenOperation>, wanted: NewOperation) {
        let still_open = open.filter(|_| self.close.is_none());
        match (still_open, &self.open) {
            (Some(operation), _) if serves(operation.kind, wanted.kind) => {}
            (_, Some(begun)) if serves(begun.kind, wanted.kind) => {}
            (Some(_), _) => {
                self.close = Some(Ending::Superseded);
                self.open = Some(wanted);
            }
            (None, _) => self.open = Some(wanted),
        }
    }

    /// Ends what is open, if anything is.
    pub fn end(&mut self, open: Option<&OpenOperation>, ending: Ending) {
        if let Some(begun) = self.open.take() {
            self.at_once.push((begun, ending));
        } else if open.is_some() && self.close.is_none() {
            self.close = Some(ending);
        }
    }
}

/// Whether an operation under way leads to what is wanted now.
fn serves(open: OperationKind, wanted: OperationKind) -> bool {
    use OperationKind as K;
    match wanted {
        // Whatever leads to a healthy engine may go on.
        K::Start | K::Heal => {
            matches!(open, K::Start | K::Heal | K::Restart | K::Adopt | K::Patch | K::Rollback | K::Restore)
        }
        K::Stop
        | K::Restart
        | K::Patch
        | K::Rollback
        | K::Pause
        | K::Resume
        | K::ForceNextTurn
        | K::Turn
        | K::Restore
        | K::Backup
        | K::Delete
        | K::Adopt => open == wanted,
    }
}
