//! Tables as kubectl prints them: columns, no lines.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;

use super::client::{Kind, Object};
use super::output::clean;
pub(crate) use crate::api::wire::short_span;

/// What stands where nothing is known.
const NONE: &str = "-";

/// A table of objects of one kind.
pub(crate) fn of_objects(
    kind: Kind,
    objects: &[Object],
    wide: bool,
    with_namespace: bool,
    now: Timestamp,
) -> String {
    let columns = match kind {
        Kind::Game => GAME,
        Kind::EngineVersion => ENGINE_VERSION,
    };
    let shown: Vec<_> = columns.iter().filter(|column| wide || !column.wide).collect();
    let namespace = |object: &Object| or_none(object.namespace());
    let with_namespace = with_namespace && kind == Kind::Game;
    let header =
        with_namespace.then_some("NAMESPACE").into_iter().chain(shown.iter().map(|column| column.name));
    let rows = objects.iter().map(|object| {
        let cells = shown.iter().map(|column| (column.cell)(object, now));
        with_namespace.then(|| namespace(object)).into_iter().chain(cells).collect()
    });
    of_rows(header.collect(), rows)
}

/// A table of texts.
pub(crate) fn of_rows(header: Vec<&str>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // Lines are as long as they are: a table that is wrapped is of no use to a script.
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

struct Column {
    name: &'static str,
    wide: bool,
    cell: fn(&Object, Timestamp) -> String,
}

const fn column(name: &'static str, cell: fn(&Object, Timestamp) -> String) -> Column {
    Column { name, wide: false, cell }
}

const fn wide(name: &'static str, cell: fn(&Object, Timestamp) -> String) -> Column {
    Column { name, wide: true, cell }
}

const GAME: &[Column] = &[
    column("NAME", |game, _| game.name().to_owned()),
    column("DESIRED", |game, _| or_none(game.text("/spec/desiredStatus"))),
    column(
        "PHASE",
        |game, _| if game.is_going() { "Deleting".into() } else { or_none(game.text("/status/phase")) },
    ),
    column("READY", |game, _| ready(game)),
    column("VERSION", |game, _| {
        or_none(game.text("/status/engineVersion").or(game.text("/spec/engineVersion")))
    }),
    column("TURN", |game, _| number(game.number("/status/currentTurn"))),
    column("RESTARTS", |game, _| game.number("/status/restartCount").unwrap_or_default().to_string()),
    column("AGE", age),
    wide("ASKED", |game, _| or_none(game.text("/spec/engineVersion"))),
    wide("IMAGE", |game, _| or_none(game.text("/status/image"))),
    wide("ENDPOINT", |game, _| or_none(game.text("/status/endpoint"))),
    wide("CONTAINER", |game, _| or_none(game.text("/status/containerId").map(short))),
    wide("REASON", |game, _| or_none(game.text("/status/reason"))),
];

const ENGINE_VERSION: &[Column] = &[
    column("NAME", |version, _| version.name().to_owned()),
    column("IMAGE", |version, _| or_none(version.text("/spec/image"))),
    column("ENABLED", |version, _| {
        version.flag("/spec/enabled").map_or(NONE.into(), |enabled| enabled.to_string())
    }),
    column("GAMES", |version, _| number(version.number("/status/games"))),
    column("RUNNING", |version, _| number(version.number("/status/running"))),
    column("FAILURES", |version, _| number(version.number("/status/patchFailures"))),
    column("HALTED", |version, _| {
        version.flag("/status/halted").map_or(NONE.into(), |halted| halted.to_string())
    }),
    column("AGE", age),
    wide("CONTRACT", |version, _| or_none(version.text("/spec/contract"))),
    wide("PORT", |version, _| number(version.number("/spec/port"))),
    wide("RUN-AS", |version, _| or_none(version.text("/spec/runAs"))),
    column("WHY", |version, _| or_none(version.text("/status/message"))),
];

fn ready(game: &Object) -> String {
    game.condition("Ready").map_or_else(|| "Unknown".into(), |ready| or_none(ready.text("/status")))
}

fn age(object: &Object, now: Timestamp) -> String {
    object
        .time("/metadata/creationTimestamp")
        .map_or(NONE.into(), |since| short_span(now.duration_since(since)))
}

/// The text, or what stands where there is none.
pub(crate) fn or_none(text: Option<&str>) -> String {
    text.unwrap_or(NONE).to_owned()
}

/// The number, or what stands where there is none.
pub(crate) fn number(number: Option<i64>) -> String {
    number.map_or(NONE.into(), |number| number.to_string())
}

/// As much of a container's id as Docker shows.
pub(crate) fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn game() -> Object {
        Object(json!({
            "kind": "Game",
            "metadata": { "name": "andromeda", "namespace": "default", "creationTimestamp": "2026-11-01T10:00:00Z" },
            "spec": { "desiredStatus": "Running", "engineVersion": "1.4.2" },
            "status": {
                "phase": "Running", "reason": "Healthy", "currentTurn": 7, "restartCount": 2,
                "image": "engine:1.4.2", "endpoint": "http://172.18.0.2:8080",
                "containerId": "0123456789abcdef",
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        }))
    }

    #[test]
    fn a_table_has_columns_and_no_lines() {
        let now = "2026-11-01T10:03:20Z".parse().unwrap();
        let new = Object(json!({ "metadata": { "name": "x" }, "spec": { "desiredStatus": "Stopped" } }));
        assert_eq!(
            of_objects(Kind::Game, &[game(), new], false, false, now),
            "NAME        DESIRED   PHASE     READY     VERSION   TURN   RESTARTS   AGE\n\
             andromeda   Running   Running   True      1.4.2     7      2          3m20s\n\
             x           Stopped   -         Unknown   -         -      0          -\n"
        );
        assert_eq!(
            of_objects(Kind::Game, &[game()], true, true, now),
            "NAMESPACE   NAME        DESIRED   PHASE     READY   VERSION   TURN   RESTARTS   AGE     ASKED   IMAGE          ENDPOINT                 CONTAINER      REASON\n\
             default     andromeda   Running   Running   True    1.4.2     7      2          3m20s   1.4.2   engine:1.4.2   http://172.18.0.2:8080   0123456789ab   Healthy\n"
        );
    }
}
