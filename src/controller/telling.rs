//! What the lobby is told of a round: a pure function of what was on record and what is going to be.

use crate::game::operation::{Ending, OperationKind};
use crate::game::patch::{PutBack, PutBackCause, PutBackStage};
use crate::game::player::{Health, Report};
use crate::game::record::Record;
use crate::game::spec::Desired;
use crate::game::turn::{CalledOff, DecidedSlot, LedgerEntry, TurnEnd};
use crate::game::{Condition, ConditionStatus, ConditionType, DeletionPolicy, OperationId, Phase};
use crate::lobby::LobbyEvent;
use crate::lobby::event::{
    Deleted, EngineHealth, OperationFinished, Player, PlayerStats, PlayersChanged, RollbackCause, RolledBack,
    SlotSkipped, Snapshot, SpecInvalid, StartFailed, StatusChanged,
};
use crate::reconcile::plan::{ENGINE_ENDED, TURN_WENT_BACK};
use crate::store::Recording;

mod attempts;
#[cfg(test)]
mod tests;

/// What there is to tell, in the order in which it is told: what happened first, what came of it last.
pub(super) fn told(desired: &Desired, was: &Record, recording: &Recording) -> Vec<LobbyEvent> {
    let now = &recording.record;
    let mut told = Vec::new();
    told.extend(rolled_back(was, now));
    told.extend(players_changed(was, now));
    told.extend(recording.ledger.iter().filter_map(|entry| slot_called_off(entry, now)));
    told.extend(recording.slots.iter().filter_map(|slot| slot_skipped(slot, now)));
    told.extend(recording.report.as_ref().and_then(|report| snapshot(report, was, now)));
    told.extend(operations_finished(was, recording));
    told.extend(start_failed(was, recording));
    told.extend(spec_invalid(was, now));
    told.extend(status_changed(was, now));
    let ends = was.deleted_at.is_none() && now.deleted_at.is_some();
    told.extend(ends.then(|| deleted(desired, was, now)));
    told
}

/// A copy came back, or the engine with an earlier turn: an older version or state is true again.
fn rolled_back(was: &Record, now: &Record) -> Option<LobbyEvent> {
    let version = |record: &Record| record.applied.as_ref().map(|applied| applied.engine_version.to_string());
    // One that was refused, called off or given up has put nothing back.
    let came_back = |back: &&PutBack| {
        let runs_again =
            version(now).is_some_and(|runs| runs == back.build.inputs.engine_version.to_string());
        let is_true_again = now.timeline > was.timeline || (back.cause == PutBackCause::Patch && runs_again);
        now.put_back.is_none() && back.stage == PutBackStage::Placing && is_true_again
    };
    let back = was.put_back.as_ref().filter(came_back);
    let (cause, reason, message) = match back {
        Some(back) => {
            let cause = match back.cause {
                PutBackCause::Patch => RollbackCause::Patch,
                PutBackCause::Restore => RollbackCause::Restore,
            };
            (cause, back.reason.clone(), back.message.clone())
        }
        None if now.timeline > was.timeline => {
            let message = "The engine came back at an earlier turn, and a person accepted that.";
            (RollbackCause::TurnWentBack, TURN_WENT_BACK.to_owned(), message.to_owned())
        }
        None => return None,
    };
    Some(LobbyEvent::RolledBack(RolledBack {
        cause,
        reason,
        message,
        turn: now.current_turn,
        previous_timeline: (now.timeline > was.timeline).then_some(was.timeline),
        from_version: version(was),
        to_version: version(now),
    }))
}

fn players_changed(was: &Record, now: &Record) -> Option<LobbyEvent> {
    (was.players != now.players).then(|| {
        let players = now.players.iter().map(|player| Player {
            user_id: player.user_id,
            race_name: player.race_name.to_string(),
            engine_player_id: Some(player.engine_id.to_string()),
            active: player.active,
        });
        LobbyEvent::PlayersChanged(PlayersChanged {
            observed_membership_revision: now.observed_membership_revision,
            players: players.collect(),
        })
    })
}

fn slot_skipped(slot: &DecidedSlot, now: &Record) -> Option<LobbyEvent> {
    (slot.decision == "skipped").then(|| {
        LobbyEvent::SlotSkipped(SlotSkipped {
            slot: slot.slot,
            reason: slot.reason.clone(),
            message: slot.message.clone(),
            next_turn_at: now.next_turn_at,
        })
    })
}

/// The slot of a turn that was called off has no turn after all.
fn slot_called_off(entry: &LedgerEntry, now: &Record) -> Option<LobbyEvent> {
    let Some(TurnEnd::Abandoned(CalledOff { message, .. })) = &entry.end else { return None };
    Some(LobbyEvent::SlotSkipped(SlotSkipped {
        slot: entry.turn.slot?,
        reason: CalledOff::SLOT_REASON.to_owned(),
        message: message.clone(),
        next_turn_at: now.next_turn_at,
    }))
}

fn snapshot(report: &Report, was: &Record, now: &Record) -> Option<LobbyEvent> {
    let turn = now.current_turn.filter(|_| report.news && !attempts::only_came_up(was, now))?;
    let players = now.standings.iter().map(|standing| PlayerStats {
        user_id: standing.user_id,
        planets: standing.planets,
        population: standing.population,
        highest_planets: standing.most_planets,
        highest_population: standing.most_population,
    });
    Some(LobbyEvent::Snapshot(Snapshot {
        turn,
        finished: now.finished_at.is_some(),
        engine_health: match report.health {
            Health::Healthy => EngineHealth::Healthy,
            Health::Unhealthy => EngineHealth::Unhealthy,
        },
        observed_at: report.at,
        players: players.collect(),
    }))
}

/// An operation that ends by this record.
struct Ended<'a> {
    id: OperationId,
    kind: OperationKind,
    generation: i64,
    asked: (&'a String, &'a String),
    ending: &'a Ending,
}

fn ended<'a>(was: &'a Record, recording: &'a Recording) -> Vec<Ended<'a>> {
    let closed = recording.close.iter().filter_map(|(id, ending)| {
        let open = was.operation.as_ref().filter(|open| open.id == *id)?;
        let asked = (&open.requested_by, &open.request_id);
        Some(Ended { id: *id, kind: open.kind, generation: open.generation, asked, ending })
    });
    let at_once = recording.at_once.iter().map(|(id, new, ending)| {
        let asked = (&new.requested_by, &new.request_id);
        Ended { id: *id, kind: new.kind, generation: new.generation, asked, ending }
    });
    closed.chain(at_once).collect()
}

/// What ended, but for what is told otherwise: a failed start is one event, and so is a heal, which
/// nobody asked for and the status tells of.
fn operations_finished(was: &Record, recording: &Recording) -> Vec<LobbyEvent> {
    let quiet = attempts::is_quiet(was, &recording.record);
    let ended = ended(was, recording).into_iter().filter(|ended| {
        let failed = matches!(ended.ending, Ending::Failed { .. });
        ended.kind != OperationKind::Heal && !is_failed_start(ended, &recording.record) && !(quiet && failed)
    });
    ended
        .map(|Ended { id, kind, generation, asked, ending }| {
            LobbyEvent::OperationFinished(OperationFinished::of(id, kind, generation, asked, ending))
        })
        .collect()
}

/// An attempt at a healthy engine that came to nothing. (One that the spec forbids is told as that.)
fn is_failed_start(ended: &Ended<'_>, now: &Record) -> bool {
    use OperationKind::{Adopt, Heal, Restart, Start};
    let starts = matches!(ended.kind, Start | Heal | Restart | Adopt);
    let failed = matches!(ended.ending, Ending::Failed { code, .. } if code != ENGINE_ENDED);
    starts && failed && now.phase != Phase::Invalid
}

/// What one attempt came to: one event, whatever became of it. One that is needed no more is no failure.
fn start_failed(was: &Record, recording: &Recording) -> Option<LobbyEvent> {
    let now = &recording.record;
    if attempts::is_quiet(was, now) {
        return None;
    }
    let failed = ended(was, recording).into_iter().find(|ended| is_failed_start(ended, now))?;
    let Ending::Failed { code, message } = failed.ending else { return None };
    Some(LobbyEvent::StartFailed(StartFailed {
        reason: code.clone(),
        message: message.clone(),
        observed_generation: now.observed_generation,
        status: now.phase,
        failures: now.failures,
        next_attempt_at: now.next_attempt_at,
        operation_id: failed.id,
        operation: failed.kind.as_row().to_owned(),
        requested_by: failed.asked.0.clone(),
        request_id: failed.asked.1.clone(),
    }))
}

/// What is wrong with the spec, once for each generation.
fn spec_invalid(was: &Record, now: &Record) -> Option<LobbyEvent> {
    let wrong = wrong(now)?;
    let known = wrong_before(was, wrong);
    (!known).then(|| {
        LobbyEvent::SpecInvalid(SpecInvalid {
            reason: wrong.reason.clone(),
            message: wrong.message.clone(),
            observed_generation: now.observed_generation,
        })
    })
}

fn wrong(record: &Record) -> Option<&Condition> {
    record
        .conditions
        .iter()
        .find(|known| known.kind == ConditionType::SpecValid && known.status == ConditionStatus::False)
}

fn wrong_before(was: &Record, wrong_now: &Condition) -> bool {
    wrong(was).is_some_and(|before| {
        before.observed_generation == wrong_now.observed_generation && before.reason == wrong_now.reason
    })
}

/// The status is another one: another phase, another engine, or another reason for what lasts. That a
/// further attempt of a row of failed ones begins is no news.
fn status_changed(was: &Record, now: &Record) -> Option<LobbyEvent> {
    let passes = |phase: Phase| matches!(phase, Phase::Starting | Phase::Stopping | Phase::Patching);
    let serves = matches!(now.phase, Phase::Running | Phase::Finished);
    let seen_before = was.observed_generation > 0 || was.phase != Phase::Pending;
    let changed = was.phase != now.phase
        || (serves && (was.endpoint != now.endpoint || version(was) != version(now)))
        || (was.reason != now.reason && !passes(now.phase));
    let recovered = attempts::has_recovered(was, now);
    if attempts::is_told_already(was, now) || !(changed || recovered || !seen_before) {
        return None;
    }
    let previous = if recovered { Phase::CrashLoop } else { was.phase };
    Some(LobbyEvent::StatusChanged(StatusChanged {
        status: now.phase,
        previous_status: seen_before.then_some(previous),
        reason: now.reason.clone(),
        message: now.message.clone(),
        observed_generation: now.observed_generation,
        engine_version: version(now),
        engine_endpoint: now.endpoint.clone(),
    }))
}

/// The version that the engine is; none without an engine.
fn version(record: &Record) -> Option<String> {
    let applied = record.applied.as_ref().filter(|_| record.container.is_some())?;
    Some(applied.engine_version.to_string())
}

fn deleted(desired: &Desired, was: &Record, now: &Record) -> LobbyEvent {
    // Of a removal that began, it does not matter what the row says by now.
    let erased = was.erasing_since.map(|_| DeletionPolicy::Delete);
    LobbyEvent::Deleted(Deleted {
        deletion_policy: erased.unwrap_or(desired.deletion_policy),
        state_path: now.state_path.clone(),
    })
}
