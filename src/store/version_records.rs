//! `version_records`: how often changes to each engine version failed.

use std::collections::HashMap;

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel};

use crate::game::EngineVersion;

use super::convert::to_db;
use super::entity::{engine_versions, version_records};
use super::{Store, StoreError};

/// How often changes to one version failed since a person last said that they go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatchFailures {
    /// How often.
    pub failures: u32,
    /// How often a person had said so by then.
    pub since_resumed: i64,
}

impl PatchFailures {
    /// After one more. `resumed` counts the times a person said that they go on.
    #[must_use]
    pub fn one_more(self, resumed: i64) -> Self {
        let before = if self.since_resumed >= resumed { self.failures } else { 0 };
        Self { failures: before.saturating_add(1), since_resumed: resumed.max(self.since_resumed) }
    }
}

impl Store {
    /// How often changes to each version failed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn patch_failures(&self) -> Result<HashMap<EngineVersion, PatchFailures>, StoreError> {
        let rows = version_records::Entity::find().all(&self.db).await?;
        Ok(rows.iter().filter_map(|row| Some((row.version.parse().ok()?, read(row)))).collect())
    }
}

fn read(row: &version_records::Model) -> PatchFailures {
    PatchFailures {
        failures: u32::try_from(row.patch_failures).unwrap_or(u32::MAX),
        since_resumed: row.observed_resume_generation.unwrap_or_default(),
    }
}

/// A change to this version failed on one more game.
pub(super) async fn count(
    db: &impl ConnectionTrait,
    version: &EngineVersion,
    reason: &str,
    message: &str,
) -> Result<(), DbErr> {
    let key = version.to_string();
    let declared = engine_versions::Entity::find_by_id(&key).one(db).await?;
    let resumed = declared.map_or(0, |row| row.resume_generation);
    let known = version_records::Entity::find_by_id(&key).one(db).await?;
    let now = known.as_ref().map(read).unwrap_or_default().one_more(resumed);
    let is_new = known.is_none();
    let mut row = known.map_or_else(
        || version_records::ActiveModel { version: Set(key), ..Default::default() },
        IntoActiveModel::into_active_model,
    );
    row.patch_failures = Set(i64::from(now.failures));
    row.observed_resume_generation = Set(Some(now.since_resumed));
    row.reason = Set(super::records::cut(reason, 128));
    row.message = Set(super::records::cut(message, 4_096));
    row.updated_at = Set(to_db(jiff::Timestamp::now()));
    if is_new {
        row.insert(db).await?
    } else {
        row.update(db).await?
    };
    Ok(())
}
