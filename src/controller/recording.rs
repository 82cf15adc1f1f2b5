//! What a plan says, put on record before its first step is taken.

use jiff::Timestamp;
use uuid::Uuid;

use crate::game::OperationId;
use crate::game::controller::FreezeReason;
use crate::game::record::Record;
use crate::game::spec::{Deletion, Desired};
use crate::game::turn::LedgerEntry;
use crate::reconcile::plan::Plan;
use crate::store::Recording;
use crate::store::recorder::{RecordError, RecordedEvent};

use super::round::{Context, Output};
use super::telling;

/// Puts the plan on record, if it says anything new, or the record holds what is not written yet.
/// Returns the record as it is then.
pub(super) async fn write_down(
    context: &Context,
    desired: &Desired,
    before: &Output,
    plan: &Plan,
    deleted: Option<Deletion>,
    freeze: Option<FreezeReason>,
) -> Result<Record, RecordError> {
    let (was, now) = (&before.record, before.clock.now());
    let mut record = plan.record.clone();
    if record.applied.is_some() && record.state_path.is_none() {
        record.state_path = Some(context.runtime.state_path(desired.id));
        record.network = Some(context.runtime.network_name().to_owned());
    }
    // What changes the world passes the recorder, which knows whether this leader still leads.
    let acts = plan.steps.iter().any(|planned| planned.step.mutates());
    let operation = &plan.operation;
    let new_id = || OperationId(Uuid::now_v7());
    let close = operation.close.clone().and_then(|ending| Some((was.operation.as_ref()?.id, ending)));
    let open = operation.open.clone().map(|new| (new_id(), new));
    let at_once = operation.at_once.iter().cloned().map(|(new, ending)| (new_id(), new, ending)).collect();
    if let Some((id, new)) = &open {
        record.operation = Some(new.opened(*id));
    }
    let mut ledger = plan.ledger.clone();
    // Times that were moved are moved on record as well, or they would be others after a restart.
    let turn = record
        .turn
        .as_ref()
        .filter(|turn| before.unwritten && ledger.iter().all(|entry| entry.turn != **turn));
    ledger.extend(turn.map(|turn| LedgerEntry { turn: turn.clone(), end: None }));
    if record == *was
        && !before.unwritten
        && operation.is_empty()
        && ledger.is_empty()
        && plan.slots.is_empty()
        && plan.report.is_none()
        && plan.event.is_none()
        && deleted.is_none()
        && !acts
    {
        return Ok(record);
    }
    if let Some(event) = &plan.event {
        tracing::info!(
            phase = record.phase.as_row(),
            reason = event.reason,
            message = event.message,
            "status changed"
        );
    }
    let changed = |standing: &&_| !was.standings.contains(standing);
    let mut recording = Recording {
        close,
        open,
        at_once,
        requested_by: desired.requested_by.clone(),
        request_id: desired.request_id.clone(),
        players: (record.players != was.players).then(|| record.players.clone()),
        standings: record.standings.iter().filter(changed).cloned().collect(),
        report: plan.report.clone(),
        failed_version: plan.failed_version.clone(),
        rolled_back: plan.rolled_back.and_then(|back| Some((back.timeline, back.after?))),
        event: plan.event.as_ref().map(|told| RecordedEvent {
            warning: told.warning,
            reason: told.reason.clone(),
            message: told.message.clone(),
        }),
        ledger,
        slots: plan.slots.clone(),
        deleted,
        counts: freeze.is_none(),
        ..Recording::of(desired.id, desired.namespace.clone(), desired.name.clone(), record.clone())
    };
    tell(desired, was, &mut recording, freeze, now);
    context.recorder.record(recording).await?;
    Ok(record)
}

/// Has the lobby told of it, too.
pub(super) fn tell(
    desired: &Desired,
    was: &Record,
    recording: &mut Recording,
    freeze: Option<FreezeReason>,
    now: Timestamp,
) {
    // An older copy of the database would tell the lobby of the past, under numbers that it knows.
    if freeze != Some(FreezeReason::DatabaseOlder) {
        recording.lobby = telling::told(desired, was, recording).iter().map(|event| event.at(now)).collect();
    }
}
