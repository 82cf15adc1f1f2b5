//! What was decided at a time, and why, for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::text::{clock, part, said, section};
use crate::cli::client::Object;
use crate::cli::output::clean;
use crate::cli::table::{number, of_rows, or_none, short_span};
use crate::game::zone::zone_or_utc;

/// The whole moment of `game/andromeda`.
pub(super) fn whole(name: &str, moment: &Object) -> String {
    let zone = zone_or_utc(moment.text("/timeZone").unwrap_or_default());
    let at = moment.time("/at").unwrap_or_default();
    let mut text = format!("{name} at {}: {}\n", clock(at, &zone), said(moment, "/summary"));
    section(&mut text, "Should have been", &should(moment, &zone));
    section(&mut text, "Slots of the schedule", &slots(moment, &zone));
    section(&mut text, "Turns", &turns(moment, &zone));
    section(&mut text, "Operations", &operations(moment, at, &zone));
    section(&mut text, "Changes of the spec", &changes(moment, &zone));
    section(&mut text, "Events", &events(moment, &zone));
    section(&mut text, "The engine had said last", &engine(moment, &zone));
    text
}

fn objects(moment: &Object, pointer: &str) -> Vec<Object> {
    moment.list(pointer).iter().cloned().map(Object).collect()
}

/// The time at this place as a clock shows it.
fn shown(object: &Object, pointer: &str, zone: &TimeZone) -> String {
    or_none(object.time(pointer).map(|at| clock(at, zone)).as_deref())
}

fn should(moment: &Object, zone: &TimeZone) -> String {
    let Some(spec) = part(moment, "spec") else { return String::new() };
    let paused = if spec.flag("/paused").unwrap_or_default() { ", paused" } else { "" };
    let mut text = format!("status     {}{paused}\n", said(&spec, "/desiredStatus"));
    let _ = match spec.text("/schedule") {
        Some(schedule) => {
            writeln!(text, "schedule   {} ({})", clean(schedule), said(&spec, "/timeZone"))
        }
        None => writeln!(text, "schedule   none: turns by hand"),
    };
    if let Some(until) = spec.time("/notBefore") {
        let _ = writeln!(text, "put off    until {}", clock(until, zone));
    }
    let _ = writeln!(text, "version    {}", said(&spec, "/engineVersion"));
    for (name, pointer) in [("slot", "/dueSlot"), ("next slot", "/nextSlot")] {
        if let Some(slot) = moment.time(pointer) {
            let _ = writeln!(text, "{name:<10} {}", clock(slot, zone));
        }
    }
    text
}

fn table(header: Vec<&str>, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() { String::new() } else { of_rows(header, rows) }
}

fn slots(moment: &Object, zone: &TimeZone) -> String {
    let row = |slot: Object| {
        let text = |pointer| or_none(slot.text(pointer));
        vec![
            shown(&slot, "/spec/slot", zone),
            text("/status/decision"),
            text("/status/reason"),
            number(slot.number("/status/turn")),
            text("/status/message"),
        ]
    };
    let rows = objects(moment, "/slots").into_iter().map(row).collect();
    table(vec!["SLOT", "DECISION", "REASON", "TURN", "MESSAGE"], rows)
}

fn turns(moment: &Object, zone: &TimeZone) -> String {
    let row = |turn: Object| {
        vec![
            number(turn.number("/spec/number")),
            or_none(turn.text("/spec/cause")),
            or_none(turn.text("/status/phase")),
            shown(&turn, "/status/openedAt", zone),
            shown(&turn, "/status/finishedAt", zone),
            or_none(turn.text("/status/errorMessage")),
        ]
    };
    let rows = objects(moment, "/turns").into_iter().map(row).collect();
    table(vec!["TURN", "CAUSE", "STATE", "OPENED", "FINISHED", "ERROR"], rows)
}

fn operations(moment: &Object, at: Timestamp, zone: &TimeZone) -> String {
    let row = |operation: Object| {
        let began = operation.time("/metadata/creationTimestamp");
        let ended = operation.time("/status/finishedAt");
        let spans = began.is_some_and(|began| began <= at) && ended.is_none_or(|ended| ended >= at);
        let took = began.zip(ended).map(|(began, ended)| short_span(ended.duration_since(began)));
        let error = operation.text("/status/errorMessage");
        vec![
            shown(&operation, "/metadata/creationTimestamp", zone),
            or_none(operation.text("/spec/op")),
            format!("{}{}", said(&operation, "/status/phase"), if spans { ", under way then" } else { "" }),
            or_none(took.as_deref()),
            or_none(operation.text("/spec/requestedBy")),
            or_none(operation.text("/spec/cause")),
            or_none(error),
        ]
    };
    let rows = objects(moment, "/operations").into_iter().map(row).collect();
    table(vec!["BEGAN", "OPERATION", "STATUS", "TOOK", "BY", "CAUSE", "ERROR"], rows)
}

fn changes(moment: &Object, zone: &TimeZone) -> String {
    let row = |change: Object| {
        vec![
            shown(&change, "/changedAt", zone),
            number(change.number("/generation")),
            or_none(change.text("/source")),
            or_none(change.text("/requestedBy")),
            what(&change),
        ]
    };
    let rows = objects(moment, "/changes").into_iter().map(row).collect();
    table(vec!["CHANGED", "GENERATION", "SOURCE", "BY", "WHAT"], rows)
}

/// So many members of one change are shown; it may have changed thousands.
const FIRST_MEMBERS: usize = 3;

/// `paused: false -> true`, column by column; of a row that is new or gone, just that.
fn what(change: &Object) -> String {
    if change.text("/change") != Some("Changed") {
        return said(change, "/change").to_lowercase();
    }
    let value = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let columns = change.0.pointer("/changes").and_then(Value::as_object).into_iter().flatten();
    let mut told = Vec::new();
    for (column, moved) in columns {
        match (column.as_str(), moved.get("from").is_some() || moved.get("to").is_some()) {
            // It moves with what stands beside it.
            ("membership_revision", _) => {}
            ("members", _) => told.push(members(moved, change.number("/changes/more_members"))),
            ("more_members", _) => {}
            (_, true) => {
                told.push(format!("{column}: {} -> {}", value(moved.get("from")), value(moved.get("to"))))
            }
            (_, false) => told.push(format!("{column}: {moved}")),
        }
    }
    told.join("; ")
}

/// `members: 5000`, and what became of the first.
fn members(listed: &Value, more: Option<i64>) -> String {
    let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    let count = i64::try_from(listed.len()).unwrap_or(i64::MAX).saturating_add(more.unwrap_or_default());
    let first: Vec<String> = listed.iter().take(FIRST_MEMBERS).map(ToString::to_string).collect();
    format!("{count} members: {}{}", first.join(", "), if listed.len() > FIRST_MEMBERS { ", …" } else { "" })
}

fn events(moment: &Object, zone: &TimeZone) -> String {
    let row = |event: Object| {
        vec![
            shown(&event, "/lastTimestamp", zone),
            or_none(event.text("/type")),
            or_none(event.text("/reason")),
            number(event.number("/count")),
            or_none(event.text("/message")),
        ]
    };
    let rows = objects(moment, "/events").into_iter().map(row).collect();
    table(vec!["LAST", "TYPE", "REASON", "COUNT", "MESSAGE"], rows)
}

fn engine(moment: &Object, zone: &TimeZone) -> String {
    let Some(engine) = part(moment, "engine") else { return String::new() };
    let turn = engine.number("/turn").map(|turn| format!(", at turn {turn}")).unwrap_or_default();
    let flag = |pointer: &str, words: &'static str| {
        if engine.flag(pointer).unwrap_or_default() { words } else { "" }
    };
    format!(
        "{}{turn}{}{} ({})",
        said(&engine, "/health"),
        flag("/generating", ", generating the next"),
        flag("/finished", ", finished"),
        shown(&engine, "/observedAt", zone)
    )
}

#[cfg(test)]
mod tests;
