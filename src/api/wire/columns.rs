//! Which columns a kind has in a [`super::table()`], and what stands in them.

use jiff::Timestamp;
use serde_json::Value;

use super::table::short_span;

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
    pub(super) cell: fn(&Value, Timestamp) -> Value,
}

const fn text(name: &'static str, description: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    Column { name, kind: "string", description, wide: false, cell }
}

const fn whole(
    name: &'static str,
    description: &'static str,
    cell: fn(&Value, Timestamp) -> Value,
) -> Column {
    Column { name, kind: "integer", description, wide: false, cell }
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
        _ => OTHER,
    }
}

const NAME: Column = text("Name", "What it is called.", |object, _| at(object, "/metadata/name"));
const AGE: Column = text("Age", "How long ago it was made.", |object, now| {
    match time(object, "/metadata/creationTimestamp") {
        Some(made) => short_span(now.duration_since(made)).into(),
        None => "<unknown>".into(),
    }
});

const GAME: &[Column] = &[
    NAME,
    text("Desired", "Whether its engine should run.", |game, _| at(game, "/spec/desiredStatus")),
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
    text("Turn", "The turn that it is at.", |game, _| at(game, "/status/currentTurn")),
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
    wide(text("Image", "The image that its engine was built from.", |game, _| at(game, "/status/image"))),
    wide(text("Endpoint", "Where its engine is reached.", |game, _| at(game, "/status/endpoint"))),
    wide(text("Container", "Its engine's container.", |game, _| short_id(game))),
    wide(text("Reason", "Why it is so, in a word.", |game, _| at(game, "/status/reason"))),
];

const ENGINE_VERSION: &[Column] = &[
    NAME,
    text("Image", "The image that it stands for.", |version, _| at(version, "/spec/image")),
    text("Enabled", "Whether new games start with it.", |version, _| at(version, "/spec/enabled")),
    text("Games", "How many games ask for it.", |version, _| at(version, "/status/games")),
    text("Running", "How many games have a container of it.", |version, _| at(version, "/status/running")),
    text("Failures", "On how many games a change to it failed.", |version, _| {
        at(version, "/status/patchFailures")
    }),
    text("Halted", "Whether changes to it are halted.", |version, _| at(version, "/status/halted")),
    AGE,
    wide(text("Contract", "What its engine speaks.", |version, _| at(version, "/spec/contract"))),
    wide(text("Port", "Where its engine listens.", |version, _| at(version, "/spec/port"))),
    wide(text("Run-As", "The user of its process.", |version, _| at(version, "/spec/runAs"))),
    wide(text("Why", "What was wrong last.", |version, _| at(version, "/status/message"))),
];

const CONTROLLER: &[Column] = &[
    NAME,
    text("Phase", "Whether it acts.", |controller, _| at(controller, "/status/phase")),
    text("Ready", "Whether it is as it should be.", |controller, _| ready(controller)),
    text("Leader", "The process that leads.", |controller, _| at(controller, "/status/leader")),
    text("Epoch", "The number of its leadership.", |controller, _| at(controller, "/status/epoch")),
    wide(text("Instance", "Whose database this is.", |controller, _| at(controller, "/status/instanceId"))),
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
    text("Game", "Whose it is.", |operation, _| at(operation, "/spec/game")),
    text("Op", "What it does.", |operation, _| at(operation, "/spec/op")),
    text("Phase", "How far it is.", |operation, _| at(operation, "/status/phase")),
    text("Generation", "The generation that it serves.", |operation, _| at(operation, "/spec/generation")),
    text("Source", "What kind of writer is behind it.", |operation, _| at(operation, "/spec/source")),
    text("Requested-By", "Who is behind it.", |operation, _| at(operation, "/spec/requestedBy")),
    text("Took", "How long it took, or has taken.", |operation, now| {
        took(operation, "/metadata/creationTimestamp", "/status/finishedAt", now)
    }),
    AGE,
    wide(text("From", "The engine version before.", |operation, _| at(operation, "/spec/fromVersion"))),
    wide(text("To", "The engine version that it leads to.", |operation, _| at(operation, "/spec/toVersion"))),
    wide(text("Error", "What went wrong.", |operation, _| at(operation, "/status/errorCode"))),
    wide(text("Cause", "Why it began.", |operation, _| at(operation, "/spec/cause"))),
];

const TURN: &[Column] = &[
    NAME,
    text("Game", "Whose it is.", |turn, _| at(turn, "/spec/game")),
    text("Number", "The turn that it leads to.", |turn, _| at(turn, "/spec/number")),
    text("Cause", "Scheduled or forced.", |turn, _| at(turn, "/spec/cause")),
    text("Phase", "How far it is.", |turn, _| at(turn, "/status/phase")),
    text("Attempts", "How often the engine was asked.", |turn, _| at(turn, "/status/attempts")),
    text("Took", "How long it took, or has taken.", |turn, now| {
        took(turn, "/status/dispatchedAt", "/status/finishedAt", now)
    }),
    AGE,
    wide(text("Timeline", "The history that it belongs to.", |turn, _| at(turn, "/spec/timeline"))),
    wide(text("Slot", "When it was due.", |turn, _| at(turn, "/spec/slot"))),
    wide(text("Requested-By", "Who is behind it.", |turn, _| at(turn, "/spec/requestedBy"))),
    wide(text("Error", "What went wrong.", |turn, _| at(turn, "/status/errorCode"))),
];

const TURN_SLOT: &[Column] = &[
    NAME,
    text("Game", "Whose it is.", |slot, _| at(slot, "/spec/game")),
    text("Slot", "When it was due.", |slot, _| at(slot, "/spec/slot")),
    text("Decision", "What became of it.", |slot, _| at(slot, "/status/decision")),
    text("Reason", "Why, in a word.", |slot, _| at(slot, "/status/reason")),
    text("Turn", "The turn that stands for it.", |slot, _| at(slot, "/status/turn")),
    AGE,
    wide(text("Timeline", "The history that it belongs to.", |slot, _| at(slot, "/spec/timeline"))),
    wide(text("Message", "Why, in a sentence.", |slot, _| at(slot, "/status/message"))),
];

const PLAYER_MAPPING: &[Column] = &[
    NAME,
    text("Game", "The game.", |player, _| at(player, "/spec/game")),
    text("User", "The lobby's id of the user.", |player, _| at(player, "/spec/userId")),
    text("Race", "The user's race.", |player, _| at(player, "/spec/raceName")),
    text("Active", "Whether the user is in the game now.", |player, _| at(player, "/status/active")),
    text("Engine-Player", "The engine's player.", |player, _| at(player, "/status/enginePlayerId")),
    wide(text("Planets", "How many planets.", |player, _| at(player, "/status/stats/planets"))),
    wide(text("Population", "How much population.", |player, _| at(player, "/status/stats/population"))),
];

const OUTBOX_EVENT: &[Column] = &[
    NAME,
    text("Game", "Whose it is.", |event, _| at(event, "/spec/game")),
    text("Seq", "Its number in the game.", |event, _| at(event, "/spec/seq")),
    text("Type", "What it tells.", |event, _| at(event, "/spec/type")),
    text("Phase", "How far the telling is.", |event, _| at(event, "/status/phase")),
    text("Attempts", "How often it was tried.", |event, _| at(event, "/status/attempts")),
    AGE,
];

const BACKUP: &[Column] = &[
    NAME,
    text("Game", "Whose it is.", |backup, _| at(backup, "/spec/game")),
    text("Reason", "Before what it was taken.", |backup, _| at(backup, "/spec/reason")),
    text("Turn", "The turn that the state was at.", |backup, _| at(backup, "/spec/turn")),
    text("Version", "The engine version that had run.", |backup, _| at(backup, "/spec/engineVersion")),
    text("Bytes", "How large it is.", |backup, _| at(backup, "/status/bytes")),
    AGE,
];

const EVENT: &[Column] = &[
    text("Last Seen", "How long ago it happened last.", |event, now| match time(event, "/lastTimestamp") {
        Some(last) => short_span(now.duration_since(last)).into(),
        None => "<unknown>".into(),
    }),
    text("Type", "Normal or Warning.", |event, _| at(event, "/type")),
    text("Reason", "What happened, in a word.", |event, _| at(event, "/reason")),
    text("Object", "What it happened to.", |event, _| {
        let part = |field: &str| event["involvedObject"][field].as_str().unwrap_or_default();
        format!("{}/{}", part("kind").to_ascii_lowercase(), part("name")).into()
    }),
    wide(text("Source", "Who tells it.", |event, _| at(event, "/source/component"))),
    text("Message", "What happened, in a sentence.", |event, _| at(event, "/message")),
    wide(text("First Seen", "How long ago it happened first.", |event, now| {
        match time(event, "/firstTimestamp") {
            Some(first) => short_span(now.duration_since(first)).into(),
            None => "<unknown>".into(),
        }
    })),
    wide(text("Count", "How often it happened.", |event, _| at(event, "/count"))),
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
