//! `Table`: lists and objects as columns, so that kubectl prints what is worth seeing of a kind
//! without knowing it.
//!
//! One function ([`table`]) serves lists, single objects and the one-row tables of a watch. It reads
//! objects as JSON, as they go over the wire, and so needs no type of any kind.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::columns::{Column, of_kind};

/// The group and version of tables and of objects without spec and status.
pub const META: &str = "meta.k8s.io/v1";

/// How much of an object stands beside its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

/// Kubernetes' `Table`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    kind: &'static str,
    api_version: &'static str,
    /// That of the list, or the resource version of the one object.
    pub metadata: Value,
    /// Empty where the client has them already.
    pub column_definitions: Vec<ColumnDefinition>,
    /// One for each object.
    pub rows: Vec<Row>,
}

/// What a column of a [`Table`] holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnDefinition {
    /// What stands above it.
    pub name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    format: &'static str,
    description: &'static str,
    /// Above 0: only with `-o wide`.
    pub priority: i32,
}

/// A row of a [`Table`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<Value>,
    /// As much of the object as was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
}

/// A table of objects of one kind. `metadata` is that of the list; of one object, pass what
/// [`metadata_of_one`] gives.
pub fn table(
    kind: &str,
    objects: &[Value],
    metadata: Value,
    include: IncludeObject,
    now: Timestamp,
) -> Table {
    Table {
        kind: "Table",
        api_version: META,
        metadata,
        column_definitions: of_kind(kind).iter().map(definition).collect(),
        rows: objects.iter().map(|object| row(kind, object, include, now)).collect(),
    }
}

/// The row of one object of this kind.
pub fn row(kind: &str, object: &Value, include: IncludeObject, now: Timestamp) -> Row {
    Row {
        cells: of_kind(kind).iter().map(|column| column.cell(object, now)).collect(),
        object: match include {
            IncludeObject::None => None,
            IncludeObject::Metadata => Some(partial(object)),
            IncludeObject::Object => Some(object.clone()),
        },
    }
}

/// What the table of a single object has for its own metadata.
pub fn metadata_of_one(object: &Value) -> Value {
    match &object["metadata"]["resourceVersion"] {
        Value::Null => json!({}),
        version => json!({ "resourceVersion": version }),
    }
}

/// An object without spec and status.
pub fn partial(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": META, "metadata": object["metadata"] })
}

fn definition(column: &Column) -> ColumnDefinition {
    ColumnDefinition {
        name: column.name,
        kind: column.kind,
        format: if column.name == "Name" { "name" } else { "" },
        description: column.description,
        priority: i32::from(column.wide),
    }
}

/// A length of time in at most two units, as kubectl shows ages.
pub fn short_span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: i64, unit: char, small: i64, name: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{name}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn game() -> Value {
        json!({
            "kind": "Game",
            "metadata": { "name": "andromeda", "namespace": "default", "resourceVersion": "7",
                          "creationTimestamp": "2026-11-01T10:00:00Z" },
            "spec": { "desiredStatus": "Running", "engineVersion": "~1.4" },
            "status": {
                "phase": "Running", "reason": "Healthy", "currentTurn": 7, "restartCount": 2,
                "engineVersion": "1.4.2", "nextTurnAt": "2026-11-01T10:08:23Z",
                "image": "engine:1.4.2", "endpoint": "http://172.18.0.2:8080",
                "containerId": "sha256:0123456789abcdef",
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        })
    }

    #[test]
    fn a_game_is_a_row_of_what_is_worth_seeing() {
        let now = "2026-11-01T10:03:20Z".parse().unwrap();
        let table = table("Game", &[game()], metadata_of_one(&game()), IncludeObject::Metadata, now);
        let names: Vec<_> = table.column_definitions.iter().map(|c| (c.name, c.priority)).collect();
        assert_eq!(
            names,
            [
                ("Name", 0),
                ("Desired", 0),
                ("Phase", 0),
                ("Ready", 0),
                ("Version", 0),
                ("Turn", 0),
                ("Next-Turn", 0),
                ("Restarts", 0),
                ("Age", 0),
                ("Image", 1),
                ("Endpoint", 1),
                ("Container", 1),
                ("Reason", 1),
            ]
        );
        let cells = json!([
            "andromeda",
            "Running",
            "Running",
            "True",
            "1.4.2",
            7,
            "5m3s",
            2,
            "3m20s",
            "engine:1.4.2",
            "http://172.18.0.2:8080",
            "0123456789ab",
            "Healthy",
        ]);
        assert_eq!(Value::Array(table.rows[0].cells.clone()), cells);
        assert_eq!(table.metadata, json!({ "resourceVersion": "7" }));
        let object = table.rows[0].object.as_ref().unwrap();
        assert_eq!((&object["kind"], &object["spec"]), (&json!("PartialObjectMetadata"), &Value::Null));
        assert_eq!(object["metadata"], game()["metadata"]);
    }

    #[test]
    fn a_game_that_nobody_looked_at_has_cells_all_the_same() {
        let new = json!({ "metadata": { "name": "x" }, "spec": { "desiredStatus": "Stopped" } });
        let table = table("Game", &[new], json!({}), IncludeObject::None, Timestamp::UNIX_EPOCH);
        let none = "<none>";
        assert_eq!(
            table.rows[0].cells[..9],
            [
                json!("x"),
                json!("Stopped"),
                json!(none),
                json!("Unknown"),
                json!(none),
                json!(none),
                json!(none),
                json!(0),
                json!("<unknown>")
            ]
        );
        assert_eq!(table.rows[0].object, None);
    }

    #[test]
    fn every_kind_has_a_name_first_and_as_many_cells_as_columns() {
        for kind in [
            "Game",
            "EngineVersion",
            "Controller",
            "Operation",
            "Turn",
            "TurnSlot",
            "PlayerMapping",
            "OutboxEvent",
            "Backup",
            "Event",
            "Whatever",
        ] {
            let object = json!({ "metadata": { "name": "a" } });
            let table = table(
                kind,
                std::slice::from_ref(&object),
                json!({}),
                IncludeObject::Object,
                Timestamp::UNIX_EPOCH,
            );
            assert_eq!(table.rows[0].cells.len(), table.column_definitions.len(), "{kind}");
            let name = if kind == "Event" { "Last Seen" } else { "Name" };
            assert_eq!(table.column_definitions[0].name, name, "{kind}");
            assert_eq!(table.rows[0].object.as_ref(), Some(&object));
        }
    }

    #[test]
    fn ages_are_as_kubectl_writes_them() {
        for (seconds, shown) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (303, "5m3s"),
            (3_600, "60m"),
            (11_100, "3h5m"),
            (86_400, "24h"),
            (187_200, "2d4h"),
            (259_200, "3d"),
            (262_800, "3d1h"),
            (864_000, "10d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (300_000_000, "9y"),
        ] {
            assert_eq!(short_span(SignedDuration::from_secs(seconds)), shown);
        }
    }
}
