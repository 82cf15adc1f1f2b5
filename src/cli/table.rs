//! Tables as kubectl prints them: columns, no lines.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;
use serde_json::Value;

use super::client::{Kind, Object};
use super::output::clean;
pub(crate) use crate::api::wire::short_span;
use crate::api::wire::{self, IncludeObject};

/// What stands where nothing is known.
const NONE: &str = "-";
/// What stands between two columns.
const GAP: &str = "   ";

/// How objects of a kind stand in a table: the same columns that kubectl is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) kind: Kind,
    /// Those with more detail too.
    pub(crate) wide: bool,
    /// The namespace first, where the kind has one.
    pub(crate) with_namespace: bool,
}

impl Columns {
    /// The head, and a row for each object.
    fn rows(self, objects: &[Object], now: Timestamp) -> (Vec<String>, Vec<Vec<String>>) {
        let values: Vec<Value> = objects.iter().map(|Object(value)| value.clone()).collect();
        let table = wire::table(self.kind.manifest(), &values, Value::Null, IncludeObject::None, now);
        let with_namespace = self.with_namespace && self.kind == Kind::Game;
        let shown: Vec<bool> =
            table.column_definitions.iter().map(|column| self.wide || column.priority == 0).collect();
        let of = |cells: Vec<String>| cells.into_iter().zip(&shown).filter(|(_, shown)| **shown);
        let head = of(table.column_definitions.iter().map(|column| column.name.to_uppercase()).collect());
        let head =
            with_namespace.then(|| "NAMESPACE".to_owned()).into_iter().chain(head.map(|(name, _)| name));
        let rows = table.rows.into_iter().zip(objects).map(|(row, object)| {
            let cells = of(row.cells.iter().map(text_of).collect());
            let namespace = with_namespace.then(|| or_none(object.namespace()));
            namespace.into_iter().chain(cells.map(|(cell, _)| cell)).collect()
        });
        (head.collect(), rows.collect())
    }

    /// A table of objects.
    pub(crate) fn table(self, objects: &[Object], now: Timestamp) -> String {
        let (head, rows) = self.rows(objects, now);
        of_rows(head.iter().map(String::as_str).collect(), rows)
    }
}

/// A table that goes on: rows that come later stand below those that were there.
#[derive(Debug)]
pub(crate) struct Growing {
    columns: Columns,
    widths: Option<Vec<usize>>,
}

impl Growing {
    pub(crate) fn new(columns: Columns) -> Self {
        Self { columns, widths: None }
    }

    /// The lines of these objects, below the head if they are the first.
    pub(crate) fn lines(&mut self, objects: &[Object], now: Timestamp) -> Vec<String> {
        let (head, mut rows) = self.columns.rows(objects, now);
        for cell in rows.iter_mut().flatten() {
            *cell = clean(cell);
        }
        if self.widths.is_none() {
            rows.insert(0, head);
        }
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let columns = rows.first().map_or(0, Vec::len);
        let widths =
            self.widths.get_or_insert_with(|| (0..columns).map(|at| width(at).unwrap_or_default()).collect());
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&*widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }
}

fn text_of(cell: &Value) -> String {
    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
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
        column.set_padding((0, GAP.len() as u16));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
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
        let columns = Columns { kind: Kind::Game, wide: false, with_namespace: false };
        let expected = "NAME        DESIRED   PHASE     READY     VERSION   TURN     NEXT-TURN   RESTARTS   AGE\n\
             andromeda   Running   Running   True      1.4.2     7        <none>      2          3m20s\n\
             x           Stopped   <none>    Unknown   <none>    <none>   <none>      0          <unknown>\n";
        assert_eq!(columns.table(&[game(), new.clone()], now), expected);
        let wide = Columns { wide: true, with_namespace: true, ..columns }.table(&[game()], now);
        let words: Vec<Vec<&str>> = wide.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0][..2], ["NAMESPACE", "NAME"]);
        assert_eq!(words[0][10..], ["IMAGE", "ENDPOINT", "CONTAINER", "REASON"]);
        assert_eq!(words[1][..2], ["default", "andromeda"]);
        assert_eq!(words[1][10..], ["engine:1.4.2", "http://172.18.0.2:8080", "0123456789ab", "Healthy"]);
        let mut growing = Growing::new(columns);
        let first = growing.lines(&[game()], now);
        assert_eq!(first.iter().map(|line| line.split_whitespace().count()).collect::<Vec<_>>(), [9, 9]);
        let then = growing.lines(&[new], now);
        assert_eq!(
            then,
            ["x           Stopped   <none>    Unknown   <none>    <none>   <none>      0          <unknown>"]
        );
    }
}
