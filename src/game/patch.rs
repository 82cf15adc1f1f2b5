//! A change of engine version under way, and a kept copy on its way back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{BackupId, ImageId, ImageRef, RestoreId};

use super::record::AppliedSpec;
use super::version::EngineVersion;

/// What a container is made of: its declared inputs, and the image that they meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The declared inputs.
    pub inputs: AppliedSpec,
    /// The image, for ever.
    pub image: ImageId,
}

/// A change of version, from the moment the old engine is stopped for it until the new one has
/// generated a turn. Meanwhile the record's inputs and image are the new ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// What ran before, and runs again if it fails.
    pub from: Build,
    /// The copy of the state as the old engine left it.
    pub backup: BackupId,
    /// The turn that the old engine was at; none if it never said.
    pub turn: Option<i64>,
    /// The history that the copy is of.
    #[serde(default)]
    pub timeline: Option<i64>,
    /// When the new engine had shown that it is healthy and at the same turn.
    pub committed_at: Option<Timestamp>,
    /// How far it is.
    pub stage: PatchStage,
    /// How often in a row the new engine died on probation.
    #[serde(default)]
    pub deaths: u32,
}

/// How far a change of version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchStage {
    /// The old container goes, the new one is made, the state is copied. No new engine has run.
    Leaving,
    /// The new engine has been started; it has to show that it is healthy and at the same turn.
    Trying,
    /// It has; its first turn has still to succeed.
    Probation,
}

/// Why a change of version that is wanted does not begin yet, after an attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchDelay {
    /// To which version.
    #[serde(with = "super::record::as_text")]
    pub version: EngineVersion,
    /// Attempts in a row.
    pub failures: u32,
    /// No attempt before.
    pub next_attempt_at: Timestamp,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The wish that called for it, as written: what another wish called for is no news of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<String>,
}

/// The change of version that failed last; it is not tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedPatch {
    /// To which version.
    #[serde(with = "super::record::as_text")]
    pub version: EngineVersion,
    /// Its image, as registered.
    pub image: ImageRef,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The last lines of the new engine's log.
    pub log: Option<String>,
    /// The wish that called for it, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<String>,
}

/// A kept copy on its way back into the game's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutBack {
    /// The copy.
    pub backup: BackupId,
    /// The name of this putting back: the same wish has the same name, however often it is tried, and
    /// no other ever had it.
    pub restore: RestoreId,
    /// How far it is.
    pub stage: PutBackStage,
    /// What runs on it.
    pub build: Build,
    /// The turn that the copy is at; none if nobody knows.
    pub turn: Option<i64>,
    /// The history that this is a turn of; none if nobody knows.
    #[serde(default)]
    pub timeline: Option<i64>,
    /// What the present engine has done since is another history.
    pub new_timeline: bool,
    /// Why.
    pub cause: PutBackCause,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// What takes the place of this way back, which does not come to its end: a restore that was asked for
    /// since. Until its copy is fetched and verified, this one stays the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Box<PutBack>>,
}

/// How far a kept copy is on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutBackStage {
    /// It is copied beside the game's state and compared with what was copied once. The engine goes on,
    /// and whatever speaks against the copy is found out here.
    Fetching,
    /// The engine goes, and what was fetched takes the place of the state.
    Placing,
}

/// Why a copy is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutBackCause {
    /// A change of version failed, or was called off.
    Patch,
    /// Somebody asked for it.
    Restore,
}
