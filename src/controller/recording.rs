//! What a plan says, put on record before its first step is taken.

use uuid::Uuid;

use crate::game::OperationId;
use crate::game::record::Record;
use crate::game::spec::{Deletion, Desired};
use crate::reconcile::plan::{Mappings, Plan};
use crate::store::Recording;
use crate::store::recorder::{MappingChange, RecordError, RecordedEvent};

use super::round::Context;

/// Puts the plan on record, if it says anything new. Returns the record as it is then.
pub(super) async fn write_down(
    context: &Context,
    desired: &Desired,
    was: &Record,
    plan: &Plan,
    deleted: Option<Deletion>,
    counts: bool,
) -> Result<Record, RecordError> {
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
        let open =
            crate::game::operation::OpenOperation { id: *id, kind: new.kind, generation: new.generation };
        record.operation = Some(open);
    }
    if record == *was
        && operation.is_empty()
        && plan.mappings == Mappings::Keep
        && plan.ledger.is_empty()
        && plan.slots.is_empty()
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
    let recording = Recording {
        game: desired.id,
        namespace: desired.namespace.clone(),
        name: desired.name.clone(),
        record: record.clone(),
        close,
        open,
        at_once,
        requested_by: desired.requested_by.clone(),
        request_id: desired.request_id.clone(),
        mappings: mappings(desired, &plan.mappings),
        event: plan.event.as_ref().map(|told| RecordedEvent {
            warning: told.warning,
            reason: told.reason.clone(),
            message: told.message.clone(),
        }),
        lobby: Vec::new(),
        ledger: plan.ledger.clone(),
        slots: plan.slots.clone(),
        deleted,
        counts,
    };
    context.recorder.record(recording).await?;
    Ok(record)
}

fn mappings(desired: &Desired, change: &Mappings) -> MappingChange {
    match change {
        Mappings::Keep => MappingChange::Keep,
        Mappings::Drop => MappingChange::Drop,
        Mappings::Mint => MappingChange::Mint(
            desired
                .members
                .iter()
                .map(|member| {
                    // Derived from game and user, so that minting twice gives the same id.
                    let id = Uuid::new_v5(&desired.id.0, member.user_id.0.as_bytes());
                    (member.user_id, member.race_name.clone(), id)
                })
                .collect(),
        ),
        Mappings::Adopt(players) => MappingChange::Adopt(
            players
                .iter()
                .filter_map(|player| Some((player.race_name.clone(), Uuid::try_parse(&player.id).ok()?)))
                .collect(),
        ),
    }
}
