//! Engine versions: read and written for the API.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
};

use crate::game::manifest::{EngineVersionManifest, ValidEngineVersion};
use crate::game::ownership::Managed;

use super::again::again;
use super::convert::{raw_version, resources_to_db, texts_to_db};
use super::desired::{Author, Conflict, Preconditions, WriteError, Written, managed};
use super::entity::{engine_versions, games};
use super::readable::VersionRow;
use super::version_records::{VersionUsage, usages};
use super::{Store, StoreError};

/// An engine version as the API shows it.
#[derive(Debug, Clone)]
pub struct StoredVersion {
    /// The declared state.
    pub manifest: EngineVersionManifest,
    /// Who owns which field, as of a game's.
    pub managed: Managed,
    /// How it does across games.
    pub usage: VersionUsage,
}

fn stored(row: &engine_versions::Model, usage: VersionUsage) -> StoredVersion {
    let mut manifest = raw_version(row);
    let managed = managed(&row.managed_fields, &manifest.kind, &manifest);
    manifest.metadata.managed_fields = managed.entries();
    StoredVersion { manifest, managed, usage }
}

impl Store {
    /// Which row version each engine version is at.
    pub async fn version_index(&self) -> Result<HashMap<String, i64>, StoreError> {
        let rows: Vec<(String, i64)> = engine_versions::Entity::find()
            .select_only()
            .columns([engine_versions::Column::Version, engine_versions::Column::RowVersion])
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// Every engine version.
    pub async fn versions(&self) -> Result<Vec<StoredVersion>, StoreError> {
        let rows = super::readable::versions(&self.db, Condition::all()).await?;
        let mut usages = usages(&self.db).await?;
        let mut of =
            |row: &VersionRow| stored(&row.version, usages.remove(&row.version.version).unwrap_or_default());
        Ok(rows.iter().map(&mut of).collect())
    }

    /// One engine version.
    pub async fn version(&self, version: &str) -> Result<Option<StoredVersion>, StoreError> {
        let Some(row) = by_key(&self.db, version).await? else { return Ok(None) };
        let usage = usages(&self.db).await?.remove(version).unwrap_or_default();
        Ok(Some(stored(&row.version, usage)))
    }

    /// Registers an engine version.
    pub async fn create_version(
        &self,
        manifest: &EngineVersionManifest,
        valid: &ValidEngineVersion,
        managed: &Managed,
        author: &Author,
    ) -> Result<StoredVersion, WriteError> {
        let mut row = engine_versions::ActiveModel {
            version: Set(valid.entry.version.to_string()),
            image_ref: Set(valid.entry.image.to_string()),
            ..Default::default()
        };
        apply(&mut row, None, None, manifest, valid);
        row.managed_fields = Set(managed.to_column());
        sign(&mut row, author);
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            row.clone().insert(&transaction).await?;
            Ok::<_, WriteError>(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        self.version_written(valid).await
    }

    /// Makes an engine version what the manifest says; its image never changes.
    pub async fn replace_version(
        &self,
        manifest: &EngineVersionManifest,
        valid: &ValidEngineVersion,
        preconditions: &Preconditions,
        managed: &Managed,
        author: &Author,
    ) -> Result<Written<StoredVersion>, WriteError> {
        let version = valid.entry.version.to_string();
        let changed = again(|| async {
            let transaction = self.db.begin_writing().await?;
            let VersionRow { version: row, unreadable } =
                to_write(&transaction, &version).await?.ok_or(WriteError::NotFound)?;
            check(&row, preconditions)?;
            if row.image_ref != valid.entry.image.as_str() {
                return Err(WriteError::Refused(format!(
                    "spec.image: the image of version {version} is {} and never changes; register a new version for a new image",
                    row.image_ref
                )));
            }
            let mut change = row.clone().into_active_model();
            // What cannot be read is not what the manifest says, whatever stands in its place here.
            apply(&mut change, Some(&row), Some(&row).filter(|_| unreadable.is_empty()), manifest, valid);
            let others = Managed::from_column(&row.managed_fields).revision != managed.revision;
            if !change.is_changed() && !others {
                transaction.rollback().await?;
                return Ok(false);
            }
            change.managed_fields = Set(managed.to_column());
            sign(&mut change, author);
            change.update(&transaction).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await?;
        let stored = self.version_written(valid).await?;
        if !changed {
            return Ok(Written::Unchanged(stored));
        }
        self.desired_written.notify_one();
        Ok(Written::Changed(stored))
    }

    /// Removes an engine version that no game asks for.
    pub async fn delete_version(
        &self,
        version: &str,
        preconditions: &Preconditions,
    ) -> Result<(), WriteError> {
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            let row = to_write(&transaction, version).await?.ok_or(WriteError::NotFound)?.version;
            check(&row, preconditions)?;
            let users = games::Entity::find()
                .filter(games::Column::TargetEngineVersion.eq(version))
                .count(&transaction)
                .await?;
            if users > 0 {
                return Err(WriteError::Refused(format!(
                    "{users} games ask for version {version}; disable it instead (spec.enabled: false), or move them first"
                )));
            }
            engine_versions::Entity::delete_by_id(version).exec(&transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        Ok(())
    }

    async fn version_written(&self, valid: &ValidEngineVersion) -> Result<StoredVersion, WriteError> {
        let version = valid.entry.version.to_string();
        again(|| self.version(&version)).await?.ok_or(WriteError::NotFound)
    }
}

async fn by_key(db: &impl ConnectionTrait, version: &str) -> Result<Option<VersionRow>, DbErr> {
    let which = Condition::all().add(engine_versions::Column::Version.eq(version));
    Ok(super::readable::versions(db, which).await?.pop())
}

/// As [`by_key`], for a transaction that goes on to write it.
async fn to_write(db: &impl ConnectionTrait, version: &str) -> Result<Option<VersionRow>, DbErr> {
    let which = Condition::all().add(engine_versions::Column::Version.eq(version));
    Ok(super::readable::versions_to_write(db, which).await?.pop())
}

fn check(row: &engine_versions::Model, preconditions: &Preconditions) -> Result<(), Conflict> {
    let stale = preconditions
        .resource_version
        .as_ref()
        .is_some_and(|version| *version != row.row_version.to_string());
    if stale { Err(Conflict::Modified) } else { Ok(()) }
}

fn sign(row: &mut engine_versions::ActiveModel, author: &Author) {
    row.requested_by = Set(author.requested_by.clone());
    row.request_id = Set(author.request_id.clone());
}

fn apply(
    row: &mut engine_versions::ActiveModel,
    there: Option<&engine_versions::Model>,
    old: Option<&engine_versions::Model>,
    manifest: &EngineVersionManifest,
    valid: &ValidEngineVersion,
) {
    macro_rules! set {
        ($column:ident, $value:expr) => {
            let value = $value;
            if old.is_none_or(|old| old.$column != value) {
                row.$column = Set(value);
            }
        };
    }
    set!(enabled, valid.entry.enabled);
    set!(port, i64::from(valid.entry.port));
    set!(contract, valid.entry.contract.as_row().to_owned());
    set!(run_as, valid.entry.run_as.to_string());
    set!(relaxations, serde_json::json!(valid.entry.relaxations));
    set!(resources, resources_to_db(manifest.spec.resources.as_ref()));
    // Absent means unmanaged.
    if let Some(resumed) = valid.resume {
        set!(resume_generation, resumed);
    }
    set!(labels, texts_to_db(&valid.meta.labels, there.map(|there| &there.labels)));
    set!(annotations, texts_to_db(&valid.meta.annotations, there.map(|there| &there.annotations)));
}
