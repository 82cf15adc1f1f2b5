//! What is said of a slot that was due, from what is on record.

use jiff::SignedDuration;

use super::*;
use crate::game::GameId;
use crate::game::spec::Requests;
use crate::store::StoredTurn;

const DUE: &str = "2026-11-23T17:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn nothing() -> StoredMoment {
    StoredMoment {
        spec: Some(SpecThen {
            desired_status: "running".into(),
            paused: false,
            schedule: "0 18 * * *".into(),
            time_zone: "Europe/Berlin".into(),
            not_before: None,
            engine_version: "1.4.2".into(),
        }),
        slots: Vec::new(),
        turns: Vec::new(),
        operations: Vec::new(),
        changes: Vec::new(),
        events: Vec::new(),
        snapshot: None,
    }
}

fn slot(at: &str, decision: &str, message: &str, turn: Option<i64>) -> StoredSlot {
    StoredSlot {
        game: GameId(uuid::Uuid::nil()),
        namespace: "default".into(),
        name: "andromeda".into(),
        timeline: 1,
        slot: time(at),
        decision: decision.into(),
        reason: "Because".into(),
        message: message.into(),
        turn,
        decided_at: time(at),
    }
}

/// What is said of five past six in Berlin, of a game that plays since days.
fn said(moment: &StoredMoment, change: impl FnOnce(&mut Record)) -> String {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let at = time(DUE) + SignedDuration::from_mins(5);
    let mut record = Record::first_seen(Requests::default());
    record.initialized_at = Some(time("2026-11-01T10:00:00Z"));
    change(&mut record);
    let due = moment.spec.as_ref().and_then(slots_of).and_then(|slots| slots.last_until(at));
    summary(&Around { at, due, zone: &zone, record: Some(&record) }, moment)
}

#[test]
fn what_was_decided_is_told() {
    let mut moment = nothing();
    moment.slots = vec![slot(DUE, "fired", "Its turn began.", Some(7))];
    assert_eq!(said(&moment, |_| {}), "The slot of 2026-11-23 18:00:00 CET fired (turn 7): Its turn began.");
    moment.slots = vec![slot(DUE, "skipped", "The game was paused.", None)];
    assert_eq!(
        said(&moment, |_| {}),
        "The slot of 2026-11-23 18:00:00 CET was skipped: The game was paused."
    );
}

#[test]
fn a_slot_that_was_told_with_an_earlier_one_is_found_there() {
    let mut moment = nothing();
    let mut row = slot("2026-11-20T17:00:00Z", "skipped", "So it is with all slots.", None);
    row.decided_at = time(DUE) + SignedDuration::from_mins(1);
    moment.slots = vec![row.clone()];
    assert!(said(&moment, |_| {}).contains("decided together with an earlier one. The slot of 2026-11-20"));
    row.decided_at = time("2026-11-20T17:00:01Z");
    moment.slots = vec![row];
    assert!(
        said(&moment, |_| {}).starts_with("Nothing was decided about the slot of 2026-11-23 18:00:00 CET")
    );
}

#[test]
fn of_what_was_not_decided_the_likeliest_reason_is_told() {
    let with = |change: fn(&mut SpecThen)| {
        let mut moment = nothing();
        change(moment.spec.as_mut().unwrap());
        said(&moment, |_| {})
    };
    assert!(with(|spec| spec.desired_status = "stopped".into()).contains("a stopped game has no turns"));
    assert!(with(|spec| spec.paused = true).contains("the game was paused"));
    assert!(
        with(|spec| spec.not_before = Some("2026-11-24T00:00:00.000+00:00".into()))
            .contains("held back until 2026-11-24 01:00:00 CET")
    );
    assert!(with(|_| {}).contains("the engine may have been away"));
    assert!(with(|spec| spec.schedule = String::new()).starts_with("There was no schedule"));
    assert!(said(&nothing(), |record| record.finished_at = Some(time(DUE))).contains("the game was over"));
    assert!(said(&nothing(), |record| record.initialized_at = None).contains("did not have the game yet"));
    let gone = StoredMoment { spec: None, ..nothing() };
    assert_eq!(said(&gone, |_| {}), "Nothing is on record about a slot before that time.");
}

#[test]
fn a_turn_that_was_open_is_told() {
    let mut moment = nothing();
    moment.turns = vec![StoredTurn {
        game: GameId(uuid::Uuid::nil()),
        namespace: "default".into(),
        name: "andromeda".into(),
        timeline: 1,
        number: 7,
        cause: "forced".into(),
        slot: None,
        state: "dispatched".into(),
        attempts: 1,
        operation: None,
        requested_by: String::new(),
        request_id: String::new(),
        opened_at: time(DUE),
        dispatched_at: None,
        finished_at: None,
        error_code: None,
        error_message: None,
    }];
    assert!(said(&moment, |_| {}).ends_with("Turn 7 was open."));
    moment.turns[0].finished_at = Some(time(DUE));
    assert!(!said(&moment, |_| {}).contains("Turn 7"));
}
