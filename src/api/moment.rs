//! What was decided about a game at a time, and why: the past's side of `explain`.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use super::request::{Names, Parameters};
use super::wire::{Event, ExplanationMeta, GAMES, MomentObject, Operation, TurnObject, TurnSlotObject};
use crate::game::manifest::API_VERSION;
use crate::game::record::Record;
use crate::game::spec::{ForceMode, MissedTurns, TurnSpec};
use crate::game::wall_time::{self, Day};
use crate::game::zone::zone_or_utc;
use crate::reconcile::schedule::Slots;
use crate::store::{GameOperation, SpecThen, StoredMoment, StoredSlot};

/// The zone of a game whose row is gone.
const NO_ZONE: &str = "UTC";

/// Which time is meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct At {
    at: Option<String>,
}

/// `GET …/games/{name}/moment?at=TIME`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    Parameters(At { at }): Parameters<At>,
) -> Result<Json<MomentObject>, ApiError> {
    let store = &shared.api.store;
    let found = store.latest_game(&namespace, &name).await?;
    let id = found.ok_or_else(|| ApiError::NotFound { resource: GAMES, name: name.clone() })?;
    let game = store.game(&namespace, &name).await?;
    let named = game.as_ref().and_then(|game| game.manifest.spec.turns.as_ref()?.time_zone.clone());
    let zone = named.as_deref().map_or(TimeZone::UTC, zone_or_utc);
    let now = Timestamp::now();
    let at = at.ok_or_else(|| {
        ApiError::BadRequest(format!("say which time is meant by at=TIME: {}", wall_time::ACCEPTED))
    })?;
    let at = wall_time::resolve(&at, &zone, now, Day::Last)
        .map_err(|problem| ApiError::BadRequest(format!("at: {problem}")))?;
    if at > now {
        return Err(ApiError::BadRequest(format!(
            "{at} is yet to come; the game's explanation says what happens next"
        )));
    }
    let moment = store.moment(id, at).await?;
    let slots = moment.spec.as_ref().and_then(slots_of);
    let around = Around {
        at,
        due: slots.as_ref().and_then(|slots| slots.last_until(at)),
        zone: &zone,
        record: game.as_ref().and_then(|game| game.record.as_ref()),
    };
    let summary = summary(&around, &moment);
    let due_slot = around.due;
    let next_slot = slots.as_ref().and_then(|slots| slots.next_after(at));
    let operation = |operation| {
        Operation::from(GameOperation { namespace: namespace.clone(), name: name.clone(), operation })
    };
    Ok(Json(MomentObject {
        api_version: API_VERSION.into(),
        kind: "Moment".into(),
        at,
        time_zone: zone.iana_name().unwrap_or(NO_ZONE).to_owned(),
        summary,
        spec: moment.spec.map(Into::into),
        due_slot,
        next_slot,
        slots: moment.slots.into_iter().map(TurnSlotObject::from).collect(),
        turns: moment.turns.into_iter().map(TurnObject::from).collect(),
        operations: moment.operations.into_iter().map(operation).collect(),
        changes: moment.changes.into_iter().map(Into::into).collect(),
        events: moment.events.into_iter().map(Event::from).collect(),
        engine: moment.snapshot.map(Into::into),
        metadata: ExplanationMeta { name, namespace, uid: Some(id.to_string()) },
    }))
}

/// The slots of the schedule that there was, if it had any.
fn slots_of(spec: &SpecThen) -> Option<Slots> {
    let spec = TurnSpec {
        schedule: Some(spec.schedule.trim().to_owned()).filter(|schedule| !schedule.is_empty()),
        time_zone: spec.time_zone.clone(),
        missed: MissedTurns::default(),
        not_before: None,
        force_mode: ForceMode::default(),
    };
    Slots::of(&spec).ok().flatten()
}

/// What a moment is looked at with.
struct Around<'a> {
    at: Timestamp,
    /// The last slot of the schedule, at the time or before it.
    due: Option<Timestamp>,
    zone: &'a TimeZone,
    record: Option<&'a Record>,
}

impl Around<'_> {
    fn clock(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%F %T %Z").to_string()
    }

    fn is_past(&self, milestone: Option<Timestamp>) -> bool {
        milestone.is_some_and(|milestone| milestone <= self.at)
    }
}

/// The moment in a few sentences.
fn summary(around: &Around<'_>, moment: &StoredMoment) -> String {
    let mut sentences = vec![of_slot(around, moment)];
    let spans =
        |from: Timestamp, to: Option<Timestamp>| from <= around.at && to.is_none_or(|to| to >= around.at);
    if let Some(turn) = moment.turns.iter().find(|turn| spans(turn.opened_at, turn.finished_at)) {
        sentences.push(format!("Turn {} was open.", turn.number));
    }
    let under_way = |op: &&crate::store::StoredOperation| {
        spans(op.created_at, op.finished_at) && !["turn", "force_next_turn"].contains(&op.op.as_str())
    };
    if let Some(operation) = moment.operations.iter().find(under_way) {
        sentences.push(format!("An operation was under way: {}, because {}.", operation.op, operation.cause));
    }
    sentences.join(" ")
}

/// What became of the slot that was due.
fn of_slot(around: &Around<'_>, moment: &StoredMoment) -> String {
    let before = moment.slots.iter().rev().find(|row| row.slot <= around.at);
    let Some(due) = around.due else {
        return match (before, &moment.spec) {
            (Some(row), _) => format!("The last slot before: {}", told(around, row)),
            (None, Some(_)) => "There was no schedule: turns came only when they were asked for.".into(),
            (None, None) => "Nothing is on record about a slot before that time.".into(),
        };
    };
    if let Some(row) = moment.slots.iter().find(|row| row.slot == due) {
        return told(around, row);
    }
    match before {
        // Of many slots that passed together the first was told, for all of them.
        Some(row) if row.decided_at >= due => format!(
            "The slot of {} was decided together with an earlier one. {}",
            around.clock(due),
            told(around, row)
        ),
        Some(_) | None => {
            format!(
                "Nothing was decided about the slot of {}: {}",
                around.clock(due),
                undecided(around, moment)
            )
        }
    }
}

fn told(around: &Around<'_>, row: &StoredSlot) -> String {
    let became = match row.decision.as_str() {
        "fired" => "fired",
        "coalesced" => "was joined with others",
        "skipped" => "was skipped",
        "deferred" => "was put off",
        "consumed" => "was taken by a forced turn",
        other => other,
    };
    let turn = row.turn.map(|number| format!(" (turn {number})")).unwrap_or_default();
    format!("The slot of {} {became}{turn}: {}", around.clock(row.slot), row.message)
}

/// Why there is no word about a slot that was due.
fn undecided(around: &Around<'_>, moment: &StoredMoment) -> String {
    let Some(spec) = &moment.spec else { return "the game was not there.".into() };
    let finished = around.record.and_then(|record| record.finished_at);
    let initialised = around.record.and_then(|record| record.initialized_at);
    let not_before = spec.not_before.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    if spec.desired_status == "stopped" {
        "the game was to be stopped, and a stopped game has no turns.".into()
    } else if around.is_past(finished) {
        "the game was over.".into()
    } else if !around.is_past(initialised) {
        "the engine did not have the game yet.".into()
    } else if spec.paused {
        "the game was paused.".into()
    } else if let Some(until) = not_before.filter(|until| *until > around.at) {
        format!("turns were held back until {}.", around.clock(until))
    } else {
        "the engine may have been away (operations and events say more), or it is too long ago.".into()
    }
}

#[cfg(test)]
mod tests;
