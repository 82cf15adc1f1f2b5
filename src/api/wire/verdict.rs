//! What of a game's status is there for tools that tell from any object whether it is done, on its way
//! or stuck (kstatus, and with it Flux and Argo CD). They read `metadata.deletionTimestamp`,
//! `status.observedGeneration` and the conditions `Ready`, `Stalled` and `Reconciling`; docs/kubectl.md
//! says which phase is what to them.

use crate::game::record::Record;
use crate::game::spec::Requests;
use crate::game::{Condition, ConditionStatus, ConditionType, Phase};
use crate::reconcile::plan::PATCH_PENDING;

/// Of a game that the controller has not looked at yet. An object without any status they take for done.
pub(super) fn unseen() -> Record {
    Record {
        reason: "New".into(),
        message: "The controller has not looked at it yet.".into(),
        ..Record::first_seen(Requests::default())
    }
}

/// Where nothing is tried any more until somebody changes something: they wait for everything else.
pub(super) fn stalled(record: &Record) -> Option<Condition> {
    let ready = record.conditions.iter().find(|condition| condition.kind == ConditionType::Ready);
    let not_ready = ready.filter(|ready| ready.status == ConditionStatus::False)?;
    let stuck = match record.phase {
        Phase::Blocked | Phase::Invalid => true,
        // Where it wants to be, but not as its spec wants it: a version that is none for it, or that failed.
        // Where the reason is still the phase's own, it is about to leave it.
        Phase::Running | Phase::Stopped | Phase::Finished => {
            not_ready.reason != PATCH_PENDING && not_ready.reason != format!("{:?}", record.phase)
        }
        Phase::Pending
        | Phase::Starting
        | Phase::Stopping
        | Phase::Patching
        | Phase::EngineUnreachable
        | Phase::CrashLoop
        | Phase::Unknown => false,
    };
    stuck.then(|| Condition {
        kind: ConditionType::Stalled,
        status: ConditionStatus::True,
        ..not_ready.clone()
    })
}
