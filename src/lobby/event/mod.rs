//! What the lobby is told: one type for each kind of event, as its JSON has it.
//!
//! Pure data. A field is only ever added; what changes its meaning gets a new type with the next
//! version behind its name. Each payload also carries `timeline` and `seq`, which are known when the
//! event is written ([`Numbered`]).

mod payload;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value};

pub use payload::{
    Deleted, EngineHealth, OperationFinished, OperationResult, Player, PlayerStats, PlayersChanged,
    RollbackCause, RolledBack, SlotSkipped, Snapshot, SpecInvalid, StartFailed, StatusChanged,
};

/// Something that the lobby is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LobbyEvent {
    /// The game's status changed.
    StatusChanged(StatusChanged),
    /// What the engine said of its game.
    Snapshot(Snapshot),
    /// A start failed; it is tried again.
    StartFailed(StartFailed),
    /// The spec cannot be met; told once for each generation.
    SpecInvalid(SpecInvalid),
    /// There is no turn for a slot of the schedule.
    SlotSkipped(SlotSkipped),
    /// Who plays, or as which player of the engine, changed.
    PlayersChanged(PlayersChanged),
    /// An operation ended.
    OperationFinished(OperationFinished),
    /// The game is at an older state or version again.
    RolledBack(RolledBack),
    /// The game is deleted; the last event of it, unless it is made again.
    Deleted(Deleted),
}

/// A payload as it is written.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of use; what it describes is put together in the outbox")]
struct Numbered<T> {
    /// The history that this belongs to: restoring an older state begins the next one.
    timeline: i64,
    /// 1, 2, 3 … for each game, without gaps.
    seq: i64,
    #[serde(flatten)]
    payload: T,
}

impl LobbyEvent {
    /// The words of all types, with the schemas of their payloads.
    pub fn schemas() -> Vec<(&'static str, Schema)> {
        vec![
            ("status-changed", schema::<StatusChanged>("The game's status changed.")),
            ("snapshot", schema::<Snapshot>("What the engine said of its game.")),
            ("start-failed", schema::<StartFailed>("A start failed; it is tried again.")),
            ("spec-invalid", schema::<SpecInvalid>("The spec cannot be met; told once for each generation.")),
            ("slot-skipped", schema::<SlotSkipped>("There is no turn for a slot of the schedule.")),
            ("players-changed", schema::<PlayersChanged>("Who plays, or as which player, changed.")),
            ("operation-finished", schema::<OperationFinished>("An operation ended.")),
            ("rolled-back", schema::<RolledBack>("The game is at an older state or version again.")),
            ("deleted", schema::<Deleted>("The game is deleted; its last event, unless it is made again.")),
        ]
    }

    /// The word in its type's name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::StatusChanged(_) => "status-changed",
            Self::Snapshot(_) => "snapshot",
            Self::StartFailed(_) => "start-failed",
            Self::SpecInvalid(_) => "spec-invalid",
            Self::SlotSkipped(_) => "slot-skipped",
            Self::PlayersChanged(_) => "players-changed",
            Self::OperationFinished(_) => "operation-finished",
            Self::RolledBack(_) => "rolled-back",
            Self::Deleted(_) => "deleted",
        }
    }

    /// Its type: `dev.gamekeeper.game.snapshot.v1`.
    pub fn kind(&self) -> String {
        format!("dev.gamekeeper.game.{}.v1", self.word())
    }

    /// What it tells, without its number.
    pub fn payload(&self) -> Map<String, Value> {
        // Plain structs always serialise, and to objects.
        match serde_json::to_value(self) {
            Ok(Value::Object(payload)) => payload,
            Ok(_) | Err(_) => Map::new(),
        }
    }
}

/// The schema of a payload as it is written.
fn schema<T: JsonSchema>(told: &str) -> Schema {
    let mut schema = schemars::schema_for!(Numbered<T>);
    schema.insert("description".into(), told.into());
    schema
}
