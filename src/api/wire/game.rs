//! A game with its status.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::game::manifest::{GameManifest, GameSpecManifest, ObjectMeta};
use crate::game::operation::OpenOperation;
use crate::game::record::{Endpoints, Exit, Record};
use crate::game::spec::Requests;
use crate::game::{Condition, Phase};
use crate::store::StoredGame;

use super::patch::{CopyingStatus, FailedPatchStatus, PatchDelayStatus, PatchStatus, PutBackStatus};
use super::verdict;

/// A game as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Game")]
pub struct GameObject {
    /// `gamekeeper.dev/v1`.
    pub api_version: String,
    /// `Game`.
    pub kind: String,
    /// Name, labels and versions.
    pub metadata: ObjectMeta,
    /// What should be true of the game.
    pub spec: GameSpecManifest,
    /// What is true of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<GameStatus>,
}

impl From<StoredGame> for GameObject {
    fn from(game: StoredGame) -> Self {
        let status = Some(GameStatus::of(game.record));
        let GameManifest { api_version, kind, metadata, spec, status: _ } = game.manifest;
        Self { api_version, kind, metadata, spec, status }
    }
}

/// What is true of a game.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameStatus {
    /// The generation that this status was computed from.
    pub observed_generation: i64,
    /// The headline.
    pub phase: Phase,
    /// One CamelCase word for the headline.
    pub reason: String,
    /// A sentence for the headline.
    pub message: String,
    /// The truths in detail.
    pub conditions: Vec<Condition>,
    /// The engine's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// The beginning of its present life, in Docker's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_started_at: Option<String>,
    /// The image reference that the engine was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image that the reference stood for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The engine version that was built: of a requirement, what it was resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Where the controller reaches the engine, while it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Every way to reach the engine, while it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointsStatus>,
    /// The state directory on the engine's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_path: Option<String>,
    /// The network of the engine's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// `healthy` or `unhealthy`; absent when nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_health: Option<String>,
    /// The turn that the engine is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_turn: Option<i64>,
    /// Which history of the game this is.
    pub timeline: i64,
    /// When initialisation was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub init_intent_at: Option<Timestamp>,
    /// When the engine was seen to have the game.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub initialized_at: Option<Timestamp>,
    /// When the pause was acknowledged: no turn begins after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub paused_at: Option<Timestamp>,
    /// When the present run reached health.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
    /// When it was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub stopped_at: Option<Timestamp>,
    /// When the engine said that the game is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
    /// Healing restarts ever.
    pub restart_count: u32,
    /// Failed attempts in a row; decides the backoff.
    pub failures: u32,
    /// No attempt before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// How the engine's last life ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
    /// The last lines of that life's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_log_lines: Option<String>,
    /// When the next turn is due by the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_turn_at: Option<Timestamp>,
    /// What keeps the game from going on now, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_on: Vec<String>,
    /// What is left until the game is as this generation of its spec says, in words. Empty: it is settled.
    pub left_to_do: Vec<String>,
    /// The change of engine version under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchStatus>,
    /// Why a change of engine version that is wanted has not begun, after a failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_delay: Option<PatchDelayStatus>,
    /// The change of engine version that failed last; it is not tried again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_patch: Option<FailedPatchStatus>,
    /// The kept copy of the state that is on its way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_back: Option<PutBackStatus>,
    /// The copy of the state that is to be taken, on demand or before a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copying: Option<CopyingStatus>,
    /// The restart request that was taken up last.
    pub observed_restart_generation: i64,
    /// The forced turn that was taken up last: begun, or refused.
    pub observed_force_turn_generation: i64,
    /// The request for a newer version, or for another attempt at one, that was taken up last.
    pub observed_patch_generation: i64,
    /// The restore that was taken up last: begun, or refused.
    pub observed_restore_generation: i64,
    /// The copy on demand that was taken last, or could not be.
    pub observed_backup_generation: i64,
    /// The operation under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationReference>,
}

/// Every way to reach an engine.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Endpoints")]
pub struct EndpointsStatus {
    /// The container's host name on its network, with the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Its address on its network, with the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The address and port published on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

/// How a life of an engine ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    /// The process's exit code, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// It was killed for memory, or looks so.
    pub out_of_memory: bool,
    /// One CamelCase word.
    pub reason: String,
    /// When the controller saw it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

/// An operation under way.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationReference {
    /// Its identity.
    pub id: String,
    /// What it does: `start`, `heal` …
    pub kind: String,
    /// The generation that it serves.
    pub generation: i64,
}

impl GameStatus {
    /// Of a game that the controller has looked at, or not yet.
    pub fn of(record: Option<Record>) -> Self {
        record.unwrap_or_else(verdict::unseen).into()
    }
}

impl From<Record> for GameStatus {
    fn from(mut record: Record) -> Self {
        record.conditions.extend(verdict::stalled(&record));
        // Every field is named, so that a new one breaks the build where it must be thought of.
        let Record {
            phase,
            reason,
            message,
            observed_generation,
            observed_requests: Requests { restart, force_turn, patch: patches, restore, backup, unblock: _ },
            observed_membership_revision: _,
            container,
            container_started_at,
            image_id,
            applied,
            endpoint,
            endpoints,
            state_path,
            network,
            engine_health,
            current_turn,
            timeline,
            patch,
            patch_delay,
            failed_patch,
            put_back,
            copying,
            players: _,
            standings: _,
            reported_at: _,
            turn: _,
            taken: _,
            deferred: _,
            slot_cursor: _,
            next_turn_at,
            scheduled_by: _,
            turn_wait_until: _,
            init_intent_at,
            init_baseline: _,
            initialized_at,
            paused_at,
            started_at,
            stopped_at,
            finished_at,
            start_began_at: _,
            healthy_since: _,
            failures,
            restart_count,
            next_attempt_at,
            last_exit,
            last_log_lines,
            restart_from: _,
            may_be_alive: _,
            blocked_by: _,
            waiting_on,
            left_to_do,
            conditions,
            operation,
            deletion_seen_at: _,
            deletion_guard: _,
            deletion_confirmed_before: _,
            erasing_since: _,
            deleted_at: _,
            unreadable: _,
        } = record;
        let patch = patch.map(|patch| PatchStatus::of(patch, applied.as_ref()));
        Self {
            observed_generation,
            phase,
            reason,
            message,
            conditions,
            container_id: container.map(|id| id.to_string()),
            container_started_at,
            image: applied.as_ref().map(|applied| applied.image.to_string()),
            image_id: image_id.map(|id| id.to_string()),
            engine_version: applied.map(|applied| applied.engine_version.to_string()),
            endpoint,
            endpoints: endpoints.map(EndpointsStatus::from),
            state_path,
            network,
            engine_health,
            current_turn,
            timeline,
            init_intent_at,
            initialized_at,
            paused_at,
            started_at,
            stopped_at,
            finished_at,
            restart_count,
            failures,
            next_attempt_at,
            last_exit: last_exit.map(LastExit::from),
            last_log_lines,
            next_turn_at,
            waiting_on,
            left_to_do,
            patch,
            patch_delay: patch_delay.map(PatchDelayStatus::from),
            failed_patch: failed_patch.map(FailedPatchStatus::from),
            put_back: put_back.map(PutBackStatus::from),
            copying: copying.map(CopyingStatus::from),
            observed_restart_generation: restart,
            observed_force_turn_generation: force_turn,
            observed_patch_generation: patches,
            observed_restore_generation: restore,
            observed_backup_generation: backup,
            operation: operation.map(OperationReference::from),
        }
    }
}

impl From<Endpoints> for EndpointsStatus {
    fn from(Endpoints { host_name, address, published }: Endpoints) -> Self {
        Self { host_name, address, published }
    }
}

impl From<Exit> for LastExit {
    fn from(Exit { life: _, code, out_of_memory, reason, at }: Exit) -> Self {
        Self { code, out_of_memory, reason, at }
    }
}

impl From<OpenOperation> for OperationReference {
    fn from(OpenOperation { id, kind, generation, requested_by: _, request_id: _ }: OpenOperation) -> Self {
        Self { id: id.to_string(), kind: kind.as_row().to_owned(), generation }
    }
}
