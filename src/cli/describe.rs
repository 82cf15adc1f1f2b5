//! `gamekeeper describe`: everything that is known about a game, for people.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::client::{Client, Kind, Object, Whereabouts};
use super::events;
use super::failure::{Failure, Tally};
use super::get::{self, Asked, asked};
use super::ops;
use super::output::{clean, say};
use super::table::{of_rows, or_none, short_span};
use super::target::{NamespaceOption, Target};
use crate::game::manifest::to_yaml;

/// So many operations are shown; `gamekeeper ops` shows more.
const OPERATIONS: usize = 10;

/// Shows everything that is known about games or engine versions
///
/// What should be, what is, the conditions with their reasons, the last exit with the engine's last
/// log lines, the last operations and what happened.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper describe andromeda
  gamekeeper describe game/andromeda ev/1.4.2")]
pub(crate) struct DescribeArgs {
    /// The objects: KIND/NAME, NAME of a game, or KIND NAME…
    #[arg(value_name = "KIND/NAME", required = true)]
    what: Vec<String>,
    #[command(flatten)]
    namespace: NamespaceOption,
}

/// Runs the command.
pub(crate) async fn run(args: DescribeArgs, place: &Whereabouts) -> Result<(), Failure> {
    let asked = asked(&args.what).map_err(Failure::usage)?;
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let targets = match asked {
        Asked::Targets(targets) => targets,
        Asked::Kinds(kinds) => {
            let mut targets = Vec::new();
            for kind in kinds {
                let objects = client.list(kind, Some(&namespace), None).await?;
                targets.extend(objects.iter().map(|object| Target { kind, name: object.name().to_owned() }));
            }
            targets
        }
    };
    let mut tally = Tally::default();
    for (index, target) in targets.iter().enumerate() {
        let told = one(&client, target, &namespace).await.and_then(|text| {
            let between = if index == 0 { "" } else { "\n\n" };
            say(&format!("{between}{text}"))
        });
        tally.note(told)?;
    }
    tally.end()
}

async fn one(client: &Client, target: &Target, namespace: &str) -> Result<String, Failure> {
    let object = get::one(client, target, namespace).await?;
    let address = target.address(namespace);
    let operations = match target.kind {
        Kind::Game => client.operations(address, None, None, OPERATIONS).await?,
        Kind::EngineVersion => Vec::new(),
    };
    let happened = client.events(address).await?;
    Ok(text(target.kind, &object, &operations, &happened, Timestamp::now()))
}

fn text(kind: Kind, object: &Object, operations: &[Object], happened: &[Object], now: Timestamp) -> String {
    let mut text = String::new();
    metadata(&mut text, object, now);
    section(&mut text, "Spec", &yaml(&object.0["spec"]));
    if kind == Kind::Game {
        section(&mut text, "Status", &status(object, now));
        section(&mut text, "Change of version", &patch(object, now));
        section(&mut text, "Conditions", &conditions(object, now));
        section(&mut text, "Last exit", &last_exit(object, now));
        section(&mut text, "Last log lines", &last_lines(object));
        section(&mut text, "Operations", &table_or_nothing(operations, |some| ops::table(some, false, now)));
    }
    if kind == Kind::EngineVersion {
        section(&mut text, "Status", &usage(object));
    }
    section(&mut text, "Events", &table_or_nothing(happened, |some| events::table(some, now, false)));
    text
}

fn metadata(text: &mut String, object: &Object, now: Timestamp) {
    line(text, "Name", Some(object.name()));
    line(text, "Namespace", object.namespace());
    line(text, "Kind", object.text("/kind"));
    line(text, "Id", object.text("/metadata/uid"));
    line(text, "Labels", map(object, "/metadata/labels").as_deref());
    line(text, "Annotations", map(object, "/metadata/annotations").as_deref());
    line(
        text,
        "Generation",
        Some(&object.generation().to_string()).filter(|generation| *generation != "0").map(String::as_str),
    );
    line(text, "Created", ago(object.time("/metadata/creationTimestamp"), now).as_deref());
    line(text, "Deleting since", ago(object.time("/metadata/deletionTimestamp"), now).as_deref());
}

fn status(object: &Object, now: Timestamp) -> String {
    let mut text = String::new();
    let number = |at: &str| object.number(at).map(|number| number.to_string());
    let operation = object.text("/status/operation/kind").map(|kind| {
        let generation = object.number("/status/operation/generation").unwrap_or_default();
        format!("{kind} for generation {generation}")
    });
    let words = |at: &str| -> Vec<&str> { object.list(at).iter().filter_map(Value::as_str).collect() };
    let (left, waiting) = (words("/status/leftToDo"), words("/status/waitingOn"));
    let entries: [(&str, Option<String>); 24] = [
        ("Phase", object.text("/status/phase").map(str::to_owned)),
        ("Reason", object.text("/status/reason").map(str::to_owned)),
        ("Message", object.text("/status/message").map(str::to_owned)),
        ("Seen generation", number("/status/observedGeneration")),
        ("Doing", operation),
        ("Engine version", engine_version(object)),
        ("Image", object.text("/status/image").map(str::to_owned)),
        ("Image id", object.text("/status/imageId").map(str::to_owned)),
        ("Container", object.text("/status/containerId").map(str::to_owned)),
        ("Network", object.text("/status/network").map(str::to_owned)),
        ("Endpoint", object.text("/status/endpoint").map(str::to_owned)),
        ("Engine health", object.text("/status/engineHealth").map(str::to_owned)),
        ("Turn", number("/status/currentTurn")),
        ("Next turn", object.text("/status/nextTurnAt").map(str::to_owned)),
        ("Paused", ago(object.time("/status/pausedAt"), now)),
        ("Finished", ago(object.time("/status/finishedAt"), now)),
        ("State", object.text("/status/statePath").map(str::to_owned)),
        ("Initialized", ago(object.time("/status/initializedAt"), now)),
        ("Started", ago(object.time("/status/startedAt"), now)),
        ("Stopped", ago(object.time("/status/stoppedAt"), now)),
        ("Restarts", number("/status/restartCount")),
        ("Left to do", (!left.is_empty()).then(|| left.join(", "))),
        ("Waiting on", (!waiting.is_empty()).then(|| waiting.join(", "))),
        ("Next attempt", object.text("/status/nextAttemptAt").map(str::to_owned)),
    ];
    for (name, value) in &entries {
        line(&mut text, name, value.as_deref());
    }
    text
}

/// The change of version under way, the one that failed, and a copy on its way back.
fn patch(object: &Object, now: Timestamp) -> String {
    let mut text = String::new();
    let said = |pointer: &str| object.text(pointer).unwrap_or_default().to_owned();
    if let Some(stage) = object.text("/status/patch/stage") {
        let (from, to) = (said("/status/patch/from"), said("/status/patch/to"));
        line(&mut text, "Under way", Some(&format!("{from} to {to}: {stage}")));
        line(&mut text, "Copy before it", object.text("/status/patch/backup"));
        line(&mut text, "Committed", ago(object.time("/status/patch/committedAt"), now).as_deref());
    }
    if let Some(version) = object.text("/status/patchDelay/version") {
        let (reason, why) = (said("/status/patchDelay/reason"), said("/status/patchDelay/message"));
        line(&mut text, "Delayed", Some(&format!("to {version} ({reason}): {why}")));
        line(&mut text, "Next attempt", object.text("/status/patchDelay/nextAttemptAt"));
    }
    if let Some(backup) = object.text("/status/putBack/backup") {
        let version = said("/status/putBack/engineVersion");
        line(&mut text, "Putting back", Some(&format!("{backup}, with {version}")));
        line(&mut text, "Because", object.text("/status/putBack/message"));
    }
    if let Some(version) = object.text("/status/failedPatch/version") {
        let (reason, why) = (said("/status/failedPatch/reason"), said("/status/failedPatch/message"));
        line(&mut text, "Failed", Some(&format!("to {version} ({reason}): {why}")));
        for last in object.text("/status/failedPatch/log").unwrap_or_default().lines() {
            let _ = writeln!(text, "  | {}", clean(last));
        }
    }
    text
}

/// How an engine version does across games.
fn usage(object: &Object) -> String {
    let mut text = String::new();
    let number = |at: &str| object.number(at).map(|number| number.to_string());
    line(&mut text, "Asked for by", number("/status/games").as_deref());
    line(&mut text, "Running", number("/status/running").as_deref());
    line(&mut text, "Failures", number("/status/patchFailures").as_deref());
    if object.flag("/status/halted").unwrap_or_default() {
        let way_out = format!("yes; `gamekeeper versions resume {}` lets changes to it go on", object.name());
        line(&mut text, "Halted", Some(&way_out));
    }
    line(&mut text, "Failed last", object.text("/status/message"));
    text
}

/// The version that runs, and what it was resolved from where a requirement is asked for.
fn engine_version(object: &Object) -> Option<String> {
    let runs = object.text("/status/engineVersion")?;
    let asked = object.text("/spec/engineVersion").filter(|asked| *asked != runs);
    Some(asked.map_or_else(|| runs.to_owned(), |asked| format!("{runs} (asked for: {asked})")))
}

fn conditions(object: &Object, now: Timestamp) -> String {
    let all: Vec<_> = object.list("/status/conditions").iter().cloned().map(Object).collect();
    table_or_nothing(&all, |all| {
        let row = |condition: &Object| {
            let since =
                condition.time("/lastTransitionTime").map(|since| short_span(now.duration_since(since)));
            vec![
                or_none(condition.text("/type")),
                or_none(condition.text("/status")),
                or_none(since.as_deref()),
                or_none(condition.text("/reason")),
                or_none(condition.text("/message")),
            ]
        };
        of_rows(vec!["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"], all.iter().map(row))
    })
}

fn last_exit(object: &Object, now: Timestamp) -> String {
    let mut text = String::new();
    let code = object.number("/status/lastExit/code").map(|code| code.to_string());
    line(&mut text, "Code", code.as_deref());
    line(
        &mut text,
        "Out of memory",
        object.flag("/status/lastExit/outOfMemory").filter(|oom| *oom).map(|_| "yes"),
    );
    line(&mut text, "Reason", object.text("/status/lastExit/reason"));
    line(&mut text, "When", ago(object.time("/status/lastExit/at"), now).as_deref());
    text
}

/// As a text, or as a list of lines.
fn last_lines(object: &Object) -> String {
    let listed = object.list("/status/lastLogLines").iter().filter_map(Value::as_str);
    let lines = object.text("/status/lastLogLines").unwrap_or_default().lines().chain(listed);
    lines.map(|line| format!("{}\n", clean(line))).collect()
}

fn table_or_nothing(rows: &[Object], table: impl FnOnce(&[Object]) -> String) -> String {
    if rows.is_empty() { String::new() } else { table(rows) }
}

/// A heading and what stands below it, unless that is nothing.
fn section(text: &mut String, heading: &str, body: &str) {
    if body.trim().is_empty() {
        return;
    }
    let _ = writeln!(text, "{heading}:");
    for line in body.lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
}

fn line(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = writeln!(text, "{:<16} {}", format!("{name}:"), clean(value));
    }
}

fn map(object: &Object, pointer: &str) -> Option<String> {
    let fields = object.0.pointer(pointer)?.as_object()?;
    // What `apply` remembers repeats the spec.
    let shown = fields.iter().filter(|(key, _)| !key.ends_with("/last-applied-configuration"));
    let shown: Vec<_> =
        shown.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn ago(time: Option<Timestamp>, now: Timestamp) -> Option<String> {
    time.map(|time| format!("{time} ({} ago)", short_span(now.duration_since(time))))
}

fn yaml(value: &Value) -> String {
    to_yaml(value).unwrap_or_default().lines().map(|line| format!("{}\n", clean(line))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_version_is_described_with_what_went_wrong() {
        let game = Object(json!({
            "spec": { "engineVersion": "~1.4" },
            "status": {
                "engineVersion": "1.4.2",
                "patch": { "from": "1.4.1", "to": "1.4.2", "stage": "Probation", "backup": "b-1",
                           "committedAt": "2026-11-01T10:00:00Z" },
                "failedPatch": { "version": "1.4.3", "reason": "Exited", "message": "It exited.", "log": "one\n\u{1b}two" },
            },
        }));
        let now = "2026-11-01T10:01:00Z".parse().unwrap();
        assert_eq!(
            patch(&game, now),
            "Under way:       1.4.1 to 1.4.2: Probation\n\
             Copy before it:  b-1\n\
             Committed:       2026-11-01T10:00:00Z (60s ago)\n\
             Failed:          to 1.4.3 (Exited): It exited.\n\
             \x20 | one\n\
             \x20 | \\u{1b}two\n"
        );
        assert_eq!(engine_version(&game).as_deref(), Some("1.4.2 (asked for: ~1.4)"));
    }

    #[test]
    fn a_game_is_described_with_what_is_known_and_no_more() {
        let game = Object(json!({
            "kind": "Game",
            "metadata": {
                "name": "andromeda", "namespace": "default", "generation": 3,
                "annotations": { "gamekeeper.dev/last-applied-configuration": "{}" },
            },
            "spec": { "desiredStatus": "Running" },
            "status": {
                "phase": "CrashLoop", "reason": "Exited", "restartCount": 2,
                "lastExit": { "code": 137, "outOfMemory": true },
                "lastLogLines": "one\n\u{1b}[2Jtwo",
                "conditions": [{ "type": "Ready", "status": "False", "reason": "Exited", "message": "it exited",
                                 "lastTransitionTime": "2026-11-01T10:00:00Z" }],
            },
        }));
        let event = Object(json!({
            "type": "Warning", "reason": "Exited", "message": "it exited", "count": 3,
            "lastTimestamp": "2026-11-01T10:00:30Z",
        }));
        let now = "2026-11-01T10:01:00Z".parse().unwrap();
        assert_eq!(
            text(Kind::Game, &game, &[], &[event], now),
            "Name:            andromeda\n\
             Namespace:       default\n\
             Kind:            Game\n\
             Generation:      3\n\
             Spec:\n\
             \x20 desiredStatus: Running\n\
             Status:\n\
             \x20 Phase:           CrashLoop\n\
             \x20 Reason:          Exited\n\
             \x20 Restarts:        2\n\
             Conditions:\n\
             \x20 TYPE    STATUS   SINCE   REASON   MESSAGE\n\
             \x20 Ready   False    60s     Exited   it exited\n\
             Last exit:\n\
             \x20 Code:            137\n\
             \x20 Out of memory:   yes\n\
             Last log lines:\n\
             \x20 one\n\
             \x20 \\u{1b}[2Jtwo\n\
             Events:\n\
             \x20 TYPE      REASON   AGE        MESSAGE\n\
             \x20 Warning   Exited   30s (x3)   it exited\n"
        );
    }
}
