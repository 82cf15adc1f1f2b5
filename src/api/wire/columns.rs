//! Which columns a kind has in a [`super::table()`], and what stands in them.

use jiff::Timestamp;
use serde_json::Value;

use super::table::short_span;

mod views;

/// What stands where there is nothing.
const NONE: &str = "<none>";

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// `string` or `integer`.
    pub(super) kind: &'static str,
    pub(super) description: &'static str,
    /// Only with `-o wide`.
    pub(super) wide: bool,
    cell: Cell,
}

/// What stands in a column.
#[derive(Clone, Copy)]
enum Cell {
    /// What the object has there.
    At(&'static str),
    /// What is made of it.
    Made(fn(&Value, Timestamp) -> Value),
}

impl Column {
    /// What stands in the row of this object.
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match self.cell {
            Cell::At(pointer) => at(object, pointer),
            Cell::Made(make) => make(object, now),
        }
    }

    /// Where the object has it, if it is not made of it.
    pub(super) fn pointer(&self) -> Option<&'static str> {
        match self.cell {
            Cell::At(pointer) => Some(pointer),
            Cell::Made(_) => None,
        }
    }
}

const fn column(name: &'static str, kind: &'static str, description: &'static str, cell: Cell) -> Column {
    Column { name, kind, description, wide: false, cell }
}

const fn text(name: &'static str, description: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    column(name, "string", description, Cell::Made(cell))
}

const fn whole(
    name: &'static str,
    description: &'static str,
    cell: fn(&Value, Timestamp) -> Value,
) -> Column {
    column(name, "integer", description, Cell::Made(cell))
}

const fn said(name: &'static str, description: &'static str, pointer: &'static str) -> Column {
    column(name, "string", description, Cell::At(pointer))
}

const fn number(name: &'static str, description: &'static str, pointer: &'static str) -> Column {
    column(name, "integer", description, Cell::At(pointer))
}

const fn wide(column: Column) -> Column {
    Column { wide: true, ..column }
}

/// The columns of a kind; of one that has none of its own, name and age.
pub(super) fn of_kind(kind: &str) -> &'static [Column] {
    match kind {
        "Game" => GAME,
        "EngineVersion" => ENGINE_VERSION,
        "Controller" => CONTROLLER,
        "AccessToken" => ACCESS_TOKEN,
        "Operation" => OPERATION,
        "Turn" => TURN,
        "TurnSlot" => TURN_SLOT,
        "PlayerMapping" => PLAYER_MAPPING,
        "OutboxEvent" => OUTBOX_EVENT,
        "Backup" => BACKUP,
        "Event" => EVENT,
        "Pod" => views::POD,
        "Deployment" => views::DEPLOYMENT,
        "Namespace" => views::NAMESPACE,
        "CustomResourceDefinition" => views::DEFINITION,
        _ => OTHER,
    }
}

const NAME: Column = said("Name", "What it is called.", "/metadata/name");
const AGE: Column = text("Age", "How long ago it was made.", |object, now| {
    match time(object, "/metadata/creationTimestamp") {
        Some(made) => short_span(now.duration_since(made)).into(),
        None => "<unknown>".into(),
    }
});

const GAME: &[Column] = &[
    NAME,
    said("Desired", "Whether its engine should run.", "/spec/desiredStatus"),
    text("Phase", "How it is.", |game, _| {
        if game["metadata"]["deletionTimestamp"].is_null() {
            at(game, "/status/phase")
        } else {
            "Deleting".into()
        }
    }),
    text("Ready", "Whether it is as it should be.", |game, _| ready(game)),
    text("Version", "The engine version that serves it, or should.", |game, _| {
        or(game, "/status/engineVersion", "/spec/engineVersion")
    }),
    said("Turn", "The turn that it is at.", "/status/currentTurn"),
    text("Next-Turn", "How long until the next turn by the schedule.", |game, now| {
        match time(game, "/status/nextTurnAt") {
            Some(due) => short_span(due.duration_since(now)).into(),
            None => NONE.into(),
        }
    }),
    whole("Restarts", "How often its engine was healed by a restart.", |game, _| {
        game.pointer("/status/restartCount").cloned().unwrap_or_else(|| 0.into())
    }),
    AGE,
    wide(said("Image", "The image that its engine was built from.", "/status/image")),
    wide(said("Endpoint", "Where its engine is reached.", "/status/endpoint")),
    wide(text("Container", "Its engine's container.", |game, _| short_id(game))),
    wide(said("Reason", "Why it is so, in a word.", "/status/reason")),
];

const ENGINE_VERSION: &[Column] = &[
    NAME,
    said("Image", "The image that it stands for.", "/spec/image"),
    said("Enabled", "Whether new games start with it.", "/spec/enabled"),
    said("Games", "How many games ask for it.", "/status/games"),
    said("Running", "How many games have a container of it.", "/status/running"),
    said("Failures", "On how many games a change to it failed.", "/status/patchFailures"),
    said("Halted", "Whether changes to it are halted.", "/status/halted"),
    AGE,
    wide(said("Contract", "What its engine speaks.", "/spec/contract")),
    wide(said("Port", "Where its engine listens.", "/spec/port")),
    wide(said("Run-As", "The user of its process.", "/spec/runAs")),
    wide(said("Why", "What was wrong last.", "/status/message")),
];

const CONTROLLER: &[Column] = &[
    NAME,
    said("Phase", "Whether it acts.", "/status/phase"),
    text("Ready", "Whether it is as it should be.", |controller, _| ready(controller)),
    said("Leader", "The process that leads.", "/status/leader"),
    said("Epoch", "The number of its leadership.", "/status/epoch"),
    wide(said("Instance", "Whose database this is.", "/status/instanceId")),
];

const ACCESS_TOKEN: &[Column] = &[
    NAME,
    text("Role", "What it is good for.", |token, _| at(token, "/spec/role")),
    text("Namespaces", "Where it is good for that.", |token, _| {
        let names = token.pointer("/spec/namespaces").and_then(Value::as_array);
        let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() { "<all>".into() } else { names.join(",").into() }
    }),
    text("Created-By", "Who made it.", |token, _| at(token, "/status/createdBy")),
    text("Expires", "How long it is still good.", |token, now| match time(token, "/spec/expiresAt") {
        Some(end) if end <= now => "<expired>".into(),
        Some(end) => short_span(end.duration_since(now)).into(),
        None => "<never>".into(),
    }),
    AGE,
];

const OPERATION: &[Column] = &[
    NAME,
    said("Game", "Whose it is.", "/spec/game"),
    said("Op", "What it does.", "/spec/op"),
    said("Phase", "How far it is.", "/status/phase"),
    said("Generation", "The generation that it serves.", "/spec/generation"),
    said("Source", "What kind of writer is behind it.", "/spec/source"),
    said("Requested-By", "Who is behind it.", "/spec/requestedBy"),
    text("Took", "How long it took, or has taken.", |operation, now| {
        took(operation, "/metadata/creationTimestamp", "/status/finishedAt", now)
    }),
    AGE,
    wide(said("From", "The engine version before.", "/spec/fromVersion")),
    wide(said("To", "The engine version that it leads to.", "/spec/toVersion")),
    wide(said("Error", "What went wrong.", "/status/errorCode")),
    wide(said("Cause", "Why it began.", "/spec/cause")),
];

const TURN: &[Column] = &[
    NAME,
    said("Game", "Whose it is.", "/spec/game"),
    said("Number", "The turn that it leads to.", "/spec/number"),
    said("Cause", "Scheduled or forced.", "/spec/cause"),
    said("Phase", "How far it is.", "/status/phase"),
    said("Attempts", "How often the engine was asked.", "/status/attempts"),
    text("Took", "How long it took, or has taken.", |turn, now| {
        took(turn, "/status/dispatchedAt", "/status/finishedAt", now)
    }),
    AGE,
    wide(said("Timeline", "The history that it belongs to.", "/spec/timeline")),
    wide(said("Slot", "When it was due.", "/spec/slot")),
    wide(said("Requested-By", "Who is behind it.", "/spec/requestedBy")),
    wide(said("Error", "What went wrong.", "/status/errorCode")),
];

const TURN_SLOT: &[Column] = &[
    NAME,
    said("Game", "Whose it is.", "/spec/game"),
    said("Slot", "When it was due.", "/spec/slot"),
    said("Decision", "What became of it.", "/status/decision"),
    said("Reason", "Why, in a word.", "/status/reason"),
    said("Turn", "The turn that stands for it.", "/status/turn"),
    AGE,
    wide(said("Timeline", "The history that it belongs to.", "/spec/timeline")),
    wide(said("Message", "Why, in a sentence.", "/status/message")),
];

const PLAYER_MAPPING: &[Column] = &[
    NAME,
    said("Game", "The game.", "/spec/game"),
    said("User", "The lobby's id of the user.", "/spec/userId"),
    said("Race", "The user's race.", "/spec/raceName"),
    said("Active", "Whether the user is in the game now.", "/status/active"),
    said("Engine-Player", "The engine's player.", "/status/enginePlayerId"),
    wide(said("Planets", "How many planets.", "/status/stats/planets")),
    wide(said("Population", "How much population.", "/status/stats/population")),
];

const OUTBOX_EVENT: &[Column] = &[
    NAME,
    said("Game", "Whose it is.", "/spec/game"),
    said("Seq", "Its number in the game.", "/spec/seq"),
    said("Type", "What it tells.", "/spec/type"),
    said("Phase", "How far the telling is.", "/status/phase"),
    said("Attempts", "How often it was tried.", "/status/attempts"),
    AGE,
];

const BACKUP: &[Column] = &[
    NAME,
    said("Game", "Whose it is.", "/spec/game"),
    said("Reason", "Before what it was taken.", "/spec/reason"),
    said("Turn", "The turn that the state was at.", "/spec/turn"),
    said("Version", "The engine version that had run.", "/spec/engineVersion"),
    said("Bytes", "How large it is.", "/status/bytes"),
    AGE,
];

const EVENT: &[Column] = &[
    text("Last Seen", "How long ago it happened last.", |event, now| {
        match either(event, "lastTimestamp", "deprecatedLastTimestamp") {
            Some(last) => short_span(now.duration_since(last)).into(),
            None => "<unknown>".into(),
        }
    }),
    said("Type", "Normal or Warning.", "/type"),
    said("Reason", "What happened, in a word.", "/reason"),
    text("Object", "What it happened to.", |event, _| {
        // One group calls it so, the other so.
        let object = event.get("involvedObject").or(event.get("regarding"));
        let part = |field: &str| object.and_then(|object| object[field].as_str()).unwrap_or_default();
        format!("{}/{}", part("kind").to_ascii_lowercase(), part("name")).into()
    }),
    wide(text("Source", "Who tells it.", |event, _| or(event, "/source/component", "/reportingController"))),
    text("Message", "What happened, in a sentence.", |event, _| or(event, "/message", "/note")),
    wide(text("First Seen", "How long ago it happened first.", |event, now| {
        match either(event, "firstTimestamp", "deprecatedFirstTimestamp") {
            Some(first) => short_span(now.duration_since(first)).into(),
            None => "<unknown>".into(),
        }
    })),
    wide(text("Count", "How often it happened.", |event, _| or(event, "/count", "/deprecatedCount"))),
    wide(Column { name: "Name", ..NAME }),
];

const OTHER: &[Column] = &[NAME, AGE];

/// What stands in a field, as a cell has it; truths are words.
fn at(object: &Value, pointer: &str) -> Value {
    match object.pointer(pointer) {
        None | Some(Value::Null) => NONE.into(),
        Some(Value::String(text)) if text.is_empty() => NONE.into(),
        Some(Value::Bool(truth)) => truth.to_string().into(),
        Some(value) => value.clone(),
    }
}

fn or(object: &Value, first: &str, second: &str) -> Value {
    let first = at(object, first);
    if first == NONE { at(object, second) } else { first }
}

fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    object.pointer(pointer)?.as_str()?.parse().ok()
}

fn either(object: &Value, field: &str, other: &str) -> Option<Timestamp> {
    object.get(field).or(object.get(other))?.as_str()?.parse().ok()
}

fn took(object: &Value, from: &str, to: &str, now: Timestamp) -> Value {
    match time(object, from) {
        Some(from) => short_span(time(object, to).unwrap_or(now).duration_since(from)).into(),
        None => NONE.into(),
    }
}

fn ready(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.map_or_else(|| "Unknown".into(), |ready| at(ready, "/status"))
}

/// As much of a container's id as Docker shows.
fn short_id(game: &Value) -> Value {
    let cell = at(game, "/status/containerId");
    let Some(id) = cell.as_str() else { return cell };
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id).into()
}
