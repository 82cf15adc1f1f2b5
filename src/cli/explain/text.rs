//! An explanation for people who never saw the code.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::client::Object;
use crate::cli::ops;
use crate::cli::output::clean;
use crate::cli::table::{of_rows, short_span};
use crate::game::zone::zone_or_utc;

/// Everything that a game is explained from.
pub(super) struct Known {
    /// `game/andromeda`.
    pub(super) name: String,
    /// The controller's answer.
    pub(super) explanation: Object,
    /// The last operations, newest first.
    pub(super) operations: Vec<Object>,
    /// What the engine wrote last.
    pub(super) log: Option<Log>,
}

/// The last words of an engine.
pub(super) struct Log {
    /// Its last lines.
    pub(super) lines: Vec<String>,
    /// It still runs.
    pub(super) lives: bool,
}

/// The whole explanation.
pub(super) fn whole(Known { name, explanation, operations, log }: &Known, now: Timestamp) -> String {
    let mut text = format!("{name}: {}\n\n", said(explanation, "/summary"));
    headline(&mut text, explanation);
    section(&mut text, "Should be, and is", &facts(explanation));
    for (field, heading) in
        [("guard", "Left alone, because"), ("patch", "Not of the version that is asked for, because")]
    {
        if let Some(guard) = part(explanation, field) {
            let body = format!(
                "{}: {}\n  -> {}",
                said(&guard, "/reason"),
                said(&guard, "/message"),
                said(&guard, "/wayOut")
            );
            section(&mut text, heading, &body);
        }
    }
    section(&mut text, happening(explanation), &now_or_nothing(explanation));
    let follows = if guarded(explanation) {
        "What follows, once it is no longer left alone"
    } else {
        "What follows, if all goes well"
    };
    section(&mut text, follows, &steps(explanation.list("/afterwards")));
    section(&mut text, "What is left", &bullets(explanation.list("/leftToDo")));
    section(&mut text, "In the background", &said(explanation, "/workingOn"));
    section(&mut text, "Waiting on", &bullets(explanation.list("/waitingOn")));
    section(&mut text, "Next", &times(explanation, now));
    section(&mut text, "Turns", &turns(explanation, now));
    let plays = if guarded(explanation) {
        "For whoever plays, once it is no longer left alone"
    } else {
        "For whoever plays"
    };
    section(&mut text, plays, disruption(explanation));
    if !operations.is_empty() {
        section(&mut text, "Last operations, newest first", &ops::table(operations, false, now));
    }
    if let Some(Log { lines, lives }) = log {
        let heading =
            if *lives { "The engine's last log lines" } else { "Last log lines of the engine's last life" };
        section(
            &mut text,
            heading,
            &lines.iter().map(|line| format!("{}\n", clean(line))).collect::<String>(),
        );
    }
    text
}

/// A plan for one game, indented.
pub(crate) fn forecast(explanation: &Object) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "  {}", said(explanation, "/summary"));
    if let Some(guard) = part(explanation, "guard") {
        let _ = writeln!(text, "  left alone ({}): {}", said(&guard, "/reason"), said(&guard, "/message"));
        let _ = writeln!(text, "    -> {}", said(&guard, "/wayOut"));
    }
    if let Some(patch) = part(explanation, "patch") {
        let _ = writeln!(text, "  {}: {}", said(&patch, "/reason"), said(&patch, "/message"));
        let _ = writeln!(text, "    -> {}", said(&patch, "/wayOut"));
    }
    let _ = writeln!(text, "  for whoever plays: {}", disruption(explanation));
    let all: Vec<_> =
        explanation.list("/steps").iter().chain(explanation.list("/afterwards")).cloned().collect();
    let listed = if all.is_empty() { "no step would be taken\n".to_owned() } else { steps(&all) };
    for line in listed.lines() {
        let _ = writeln!(text, "  {line}");
    }
    for on in explanation.list("/waitingOn").iter().filter_map(|on| on.as_str()) {
        let _ = writeln!(text, "  would wait on {}", clean(on));
    }
    text
}

fn headline(text: &mut String, explanation: &Object) {
    let generation = explanation.number("/generation").unwrap_or_default();
    let observed = explanation.number("/observedGeneration").unwrap_or_default();
    let settled = explanation.flag("/settled").unwrap_or_default();
    let seen = match (observed == generation, settled, guarded(explanation)) {
        (true, true, false) => "looked at, and nothing is left to do for it".to_owned(),
        (true, true, true) => "looked at and settled; nothing is done for it now".to_owned(),
        (true, false, _) => "looked at, and not done yet".to_owned(),
        (false, ..) => format!("not looked at yet; the last one was {observed}"),
    };
    let (phase, reason) = (said(explanation, "/phase"), said(explanation, "/reason"));
    let because = if reason.is_empty() || reason == phase { String::new() } else { format!(" ({reason})") };
    let _ = writeln!(text, "{:<12} {phase}{because}", "Phase:");
    let message = said(explanation, "/message");
    if !message.is_empty() {
        let _ = writeln!(text, "{:<12} {message}", "");
    }
    let _ = writeln!(text, "{:<12} {generation}, {seen}", "Generation:");
}

/// What should be beside what is, thing by thing.
fn facts(explanation: &Object) -> String {
    let read = |at: &str| -> Vec<(String, String)> {
        let facts = explanation.list(at).iter().cloned().map(Object);
        facts.map(|fact| (said(&fact, "/what"), said(&fact, "/is"))).collect()
    };
    let (desired, mut observed) = (read("/desired"), read("/observed"));
    let mut rows = Vec::new();
    for (what, should) in desired {
        let found = observed.iter().position(|(thing, _)| *thing == what);
        let is = found.map_or("-".into(), |at| observed.remove(at).1);
        rows.push(vec![what, should, is]);
    }
    // What nobody wishes for in words is not wished away either.
    rows.extend(observed.into_iter().map(|(what, is)| vec![what, String::new(), is]));
    if rows.is_empty() { String::new() } else { of_rows(vec!["", "SHOULD BE", "IS"], rows) }
}

fn happening(explanation: &Object) -> &'static str {
    if guarded(explanation) && !explanation.list("/steps").is_empty() {
        "What would happen now, if it were not left alone"
    } else {
        "What happens now"
    }
}

fn now_or_nothing(explanation: &Object) -> String {
    let listed = steps(explanation.list("/steps"));
    if listed.is_empty() { "nothing".into() } else { listed }
}

/// Steps with their causes, numbered.
fn steps(steps: &[serde_json::Value]) -> String {
    let mut text = String::new();
    for (number, step) in (1..).zip(steps.iter().cloned().map(Object)) {
        let looks = if step.flag("/changes").unwrap_or(true) { "" } else { " (changes nothing)" };
        let _ = writeln!(text, "{number}. {}{looks}", said(&step, "/step"));
        let cause = said(&step, "/cause");
        if !cause.is_empty() {
            let _ = writeln!(text, "   because {cause}");
        }
    }
    text
}

fn bullets(list: &[serde_json::Value]) -> String {
    list.iter().filter_map(|entry| entry.as_str()).map(|entry| format!("- {}\n", clean(entry))).collect()
}

fn times(explanation: &Object, now: Timestamp) -> String {
    let mut text = String::new();
    let failures = match explanation.number("/failures") {
        Some(1) => ", after one failed attempt".to_owned(),
        Some(many) if many > 1 => format!(", after {many} failed attempts in a row"),
        _ => String::new(),
    };
    if let Some(at) = explanation.time("/nextAttemptAt") {
        let _ = writeln!(text, "next attempt {}{failures}", when(at, now));
    }
    if let Some(at) = explanation.time("/nextLookAt") {
        let _ = writeln!(text, "next look    {}, or as soon as something happens", when(at, now));
    }
    text
}

/// The next turn, and the things in its way.
fn turns(explanation: &Object, now: Timestamp) -> String {
    let Some(turns) = part(explanation, "turns") else { return String::new() };
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    match turns.text("/schedule") {
        Some(schedule) => line("schedule", format!("{} ({})", clean(schedule), said(&turns, "/timeZone"))),
        None => line("schedule", "none: a turn comes when `gamekeeper force-turn` asks for it".into()),
    }
    if let Some(slot) = turns.time("/nextSlot") {
        let zone = zone_or_utc(turns.text("/timeZone").unwrap_or_default());
        let number = turns.number("/nextTurn").map(|number| format!(", turn {number}")).unwrap_or_default();
        let wait = short_span(slot.duration_since(now));
        line("next slot", format!("in {wait} ({}){number}", clock(slot, &zone)));
    }
    if turns.flag("/requested").unwrap_or_default() {
        line("asked for", "a turn now; it has not begun".into());
    }
    let obstacles: Vec<_> = turns.list("/obstacles").iter().cloned().map(Object).collect();
    if !obstacles.is_empty() {
        let _ = writeln!(text, "in its way:");
    }
    for obstacle in &obstacles {
        let _ = writeln!(text, "- {}: {}", said(obstacle, "/reason"), said(obstacle, "/message"));
        let _ = writeln!(text, "  -> {}", said(obstacle, "/wayOut"));
    }
    text
}

/// A time as the clocks in a zone show it.
pub(super) fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%F %T %Z").to_string()
}

/// A time as people count, and as clocks do.
fn when(at: Timestamp, now: Timestamp) -> String {
    let shown = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if at <= now {
        format!("at once ({shown})")
    } else {
        format!("in {} ({shown})", short_span(at.duration_since(now)))
    }
}

fn disruption(explanation: &Object) -> &'static str {
    match explanation.text("/disruption") {
        Some("None") => "nothing that runs is touched",
        Some("Start") => "an engine comes up where none runs; nobody is interrupted",
        Some("Restart") => "the engine is away for a moment, and comes back with the same state",
        Some("Stop") => "the engine is stopped; nobody plays until it is started again",
        Some("Removal") => "the game goes; its state directory stays",
        Some("Destruction") => "the game goes, and its state with it, for ever",
        _ => "unknown",
    }
}

/// A heading and what stands below it, unless that is nothing.
pub(super) fn section(text: &mut String, heading: &str, body: &str) {
    if body.trim().is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{heading}:");
    for line in body.lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
}

/// True while something keeps the controller from acting for it.
fn guarded(explanation: &Object) -> bool {
    part(explanation, "guard").is_some()
}

pub(super) fn part(explanation: &Object, name: &str) -> Option<Object> {
    explanation.0.get(name).filter(|part| part.is_object()).cloned().map(Object)
}

/// The text at this place, safe to show.
pub(super) fn said(object: &Object, at: &str) -> String {
    clean(object.text(at).unwrap_or_default())
}

#[cfg(test)]
mod tests;
