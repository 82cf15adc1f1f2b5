//! `version_records`: how often changes to each engine version failed.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect, QueryTrait,
};

use crate::game::EngineVersion;

use super::convert::to_db;
use super::entity::{engine_versions, games, runtime_records, version_records};
use super::registry::Registry;
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

/// How a version does across games.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionUsage {
    /// Games that ask for it, by its number or by a requirement that means it now.
    pub games: u64,
    /// Games that have a container of it.
    pub running: u64,
    /// Changes to it that failed since a person last let them go on.
    pub failures: u32,
    /// One CamelCase word for the one that failed last.
    pub reason: String,
    /// A sentence for it.
    pub message: String,
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

/// How each version does, in a fixed number of queries, however many games there are.
pub(super) async fn usages(db: &impl ConnectionTrait) -> Result<HashMap<String, VersionUsage>, DbErr> {
    let mut usages: HashMap<String, VersionUsage> = HashMap::new();
    let registry = Registry::read(db).await?;
    let wanted = games::Entity::find()
        .select_only()
        .column(games::Column::TargetEngineVersion)
        .column_as(games::Column::GameId.count(), "games")
        .group_by(games::Column::TargetEngineVersion);
    for (wish, count) in counted(db, wanted).await? {
        if let Some(meant) = registry.resolve(&wish) {
            usages.entry(meant.entry.version.to_string()).or_default().games += count;
        }
    }
    let running = runtime_records::Entity::find()
        .select_only()
        .column(runtime_records::Column::CurrentEngineVersion)
        .column_as(runtime_records::Column::GameId.count(), "games")
        .filter(runtime_records::Column::CurrentContainerId.is_not_null())
        .filter(runtime_records::Column::DeletedAt.is_null())
        .group_by(runtime_records::Column::CurrentEngineVersion);
    for (version, count) in counted(db, running).await? {
        usages.entry(version).or_default().running += count;
    }
    for row in version_records::Entity::find().all(db).await? {
        let PatchFailures { failures, since_resumed } = read(&row);
        let resumed = row.version.parse().ok().and_then(|version| registry.resumed(&version));
        if since_resumed >= resumed.unwrap_or_default() {
            let usage = usages.entry(row.version).or_default();
            (usage.failures, usage.reason, usage.message) = (failures, row.reason, row.message);
        }
    }
    Ok(usages)
}

/// Texts with their counts. What somebody wrote that is no text at all is nobody's version.
async fn counted<E: EntityTrait>(
    db: &impl ConnectionTrait,
    query: sea_orm::Select<E>,
) -> Result<Vec<(String, u64)>, DbErr> {
    let rows = db.query_all(&query.into_query()).await?;
    let count = |row: &sea_orm::QueryResult| {
        let count: i64 = row.try_get_by_index(1).ok()?;
        Some((row.try_get_by_index(0).ok()?, u64::try_from(count).ok()?))
    };
    Ok(rows.iter().filter_map(count).collect())
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
