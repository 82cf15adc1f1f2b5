//! A game between two engine versions, and a kept copy of its state on its way back.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::game::backup::Copying;
use crate::game::patch::{
    Build, FailedPatch, Patch, PatchDelay, PatchStage, PutBack, PutBackCause, PutBackStage,
};
use crate::game::record::AppliedSpec;

/// A change of engine version, from the end of the old engine until the new one generated a turn.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Patch")]
pub struct PatchStatus {
    /// The version that ran before, and runs again if it fails.
    pub from: String,
    /// The version that takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `Leaving` (the old container goes, the state is copied), `Trying` (the new engine has to show
    /// that it is healthy and at the same turn) or `Probation` (its first turn has still to succeed).
    pub stage: String,
    /// The copy of the state as the old engine left it.
    pub backup: String,
    /// The turn that the old engine was at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// When the new engine had shown that it is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub committed_at: Option<Timestamp>,
}

/// Why a change of engine version that is wanted has not begun, after a failed attempt.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PatchDelay")]
pub struct PatchDelayStatus {
    /// To which version.
    pub version: String,
    /// Failed attempts in a row.
    pub failures: u32,
    /// No attempt before.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub next_attempt_at: Timestamp,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// A change of engine version that failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FailedPatch")]
pub struct FailedPatchStatus {
    /// To which version.
    pub version: String,
    /// Its image, as registered.
    pub image: String,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The last lines of the new engine's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// A kept copy on its way back into the game's directory.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PutBack")]
pub struct PutBackStatus {
    /// The copy.
    pub backup: String,
    /// `Patch` (a change of version failed, or was called off) or `Restore` (somebody asked for it).
    pub cause: String,
    /// `Fetching`: it is copied beside the state and verified, and the engine goes on. `Placing`: the
    /// engine goes, and the copy takes the place of the state.
    pub stage: String,
    /// The engine version that runs on it.
    pub engine_version: String,
    /// The turn that the copy is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// A copy of the state that is to be taken.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Copying")]
pub struct CopyingStatus {
    /// Its name.
    pub backup: String,
    /// `Demand` (somebody asked for it) or `Turn` (a turn waits for it).
    pub reason: String,
    /// Attempts that failed, in a row.
    pub failures: u32,
    /// No attempt before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed, in one CamelCase word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Why the last attempt failed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl PatchStatus {
    /// Of a change of version to what the engine is built from now.
    pub(super) fn of(patch: Patch, applied: Option<&AppliedSpec>) -> Self {
        let Patch {
            from: Build { inputs, image: _ },
            backup,
            turn,
            timeline: _,
            committed_at,
            stage,
            deaths: _,
        } = patch;
        let stage = match stage {
            PatchStage::Leaving => "Leaving",
            PatchStage::Trying => "Trying",
            PatchStage::Probation => "Probation",
        };
        Self {
            from: inputs.engine_version.to_string(),
            to: applied.map(|applied| applied.engine_version.to_string()),
            stage: stage.to_owned(),
            backup: backup.to_string(),
            turn,
            committed_at,
        }
    }
}

impl From<PatchDelay> for PatchDelayStatus {
    fn from(PatchDelay { version, failures, next_attempt_at, reason, message, wish: _ }: PatchDelay) -> Self {
        Self { version: version.to_string(), failures, next_attempt_at, reason, message }
    }
}

impl From<FailedPatch> for FailedPatchStatus {
    fn from(FailedPatch { version, image, reason, message, log, wish: _ }: FailedPatch) -> Self {
        Self { version: version.to_string(), image: image.to_string(), reason, message, log }
    }
}

impl From<Copying> for CopyingStatus {
    fn from(copying: Copying) -> Self {
        let Copying { backup, reason, request: _, before: _, failures, next_attempt_at, problem } = copying;
        let (problem, message) = problem.map(|problem| (problem.reason, problem.message)).unzip();
        let reason = super::backup::reason(reason).to_owned();
        Self { backup: backup.to_string(), reason, failures, next_attempt_at, problem, message }
    }
}

impl From<PutBack> for PutBackStatus {
    fn from(put_back: PutBack) -> Self {
        let PutBack {
            backup,
            restore: _,
            stage,
            build,
            turn,
            timeline: _,
            new_timeline: _,
            cause,
            reason,
            message,
            instead: _,
        } = put_back;
        let stage = match stage {
            PutBackStage::Fetching => "Fetching",
            PutBackStage::Placing => "Placing",
        };
        let cause = match cause {
            PutBackCause::Patch => "Patch",
            PutBackCause::Restore => "Restore",
        };
        Self {
            backup: backup.to_string(),
            cause: cause.to_owned(),
            stage: stage.to_owned(),
            engine_version: build.inputs.engine_version.to_string(),
            turn,
            reason,
            message,
        }
    }
}
