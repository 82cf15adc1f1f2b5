//! Desired state of games: read for the controller and the API, written for the API.
//!
//! A write that changes nothing writes nothing, so `generation` and `row_version` stay.

use std::collections::{HashMap, HashSet};

use super::again::again;
use super::db_uuid::DbUuid;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel,
};
use uuid::Uuid;

use crate::game::manifest::{GameManifest, GameSpecManifest, TurnsManifest, ValidGame};
use crate::game::ownership::{Managed, ownable};
use crate::game::record::Record;
use crate::game::spec::{Desired, DesiredStatus, Source};
use crate::game::{GameId, Name, Namespace};

use super::convert::{desired, game_meta, raw_spec, resources_to_db, texts_to_db, to_db};
use super::entity::{games, runtime_records};
use super::readable::{self, GameRow};
use super::refusal::{Refusal, RefusedValue, refusal};
use super::registry::Registry;
use super::written_time::WrittenTime;
use super::{Store, StoreError, managers, members, records};

/// What keeps a deleted game's row until its engine is gone.
pub const FINALIZER: &str = "gamekeeper.dev/engine";

/// Who writes, for the audit.
#[derive(Debug, Clone)]
pub struct Author {
    /// What kind of writer.
    pub source: Source,
    /// The user behind it.
    pub requested_by: String,
    /// The request behind it.
    pub request_id: String,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    /// The object's identity.
    pub uid: Option<String>,
    /// The object's version.
    pub resource_version: Option<String>,
}

/// What desired state was read from, and at which of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowVersion {
    /// The game's row.
    Row(i64),
    /// The tombstone of a row that is gone.
    Tombstone(i64),
}

/// A game as the API shows it.
#[derive(Debug, Clone)]
pub struct StoredGame {
    /// Identity.
    pub id: GameId,
    /// The desired state; its `status` is empty.
    pub manifest: GameManifest,
    /// Who owns which field; what SQL changed is SQL's already, where anybody wrote by the API before.
    pub managed: Managed,
    /// What is known of it, if it was ever looked at.
    pub record: Option<Record>,
}

/// What came of a write.
#[derive(Debug, Clone)]
pub enum Written<T> {
    /// There was nothing to write.
    Unchanged(T),
    /// It was written.
    Changed(T),
}

impl<T> Written<T> {
    /// The object as it is now.
    pub fn into_inner(self) -> T {
        match self {
            Self::Unchanged(object) | Self::Changed(object) => object,
        }
    }
}

/// Why a precondition did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The object has moved on.
    #[error("the object has been modified; read the latest version and try again")]
    Modified,
    /// Another object has the name now.
    #[error("the object's uid is another one: it was deleted and made again")]
    Replaced,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no such object.
    #[error("not found")]
    NotFound,
    /// There is one already.
    #[error("already exists")]
    AlreadyExists,
    /// A precondition does not hold.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// It is refused, and why; a field may stand before it, as in `spec.image: …`.
    #[error("{0}")]
    Refused(String),
    /// The database's own rules refuse a value.
    #[error("the database does not take it ({0})")]
    Value(RefusedValue),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for WriteError {
    fn from(error: DbErr) -> Self {
        match refusal(&error) {
            Some(Refusal::Taken) => Self::AlreadyExists,
            Some(Refusal::Value(value)) => Self::Value(value),
            None => Self::Store(error.into()),
        }
    }
}

impl Store {
    /// What each game's row, or its tombstone that is not dealt with, is at: what tells which games
    /// to read again.
    pub async fn desired_index(&self) -> Result<HashMap<GameId, RowVersion>, StoreError> {
        // The tombstones first: a row that goes in between is seen once more, never missed.
        let mut index = self.tombstone_index().await?;
        let rows = readable::index(&self.db).await?;
        index.extend(rows.into_iter().map(|(id, version)| (GameId(id.0), RowVersion::Row(version))));
        Ok(index)
    }

    /// The desired state of these games, in a fixed number of queries, with the row version that it
    /// was read at. What cannot be read of a row is its spec's problem, and nobody else's.
    pub async fn desired(&self, ids: &[GameId]) -> Result<Vec<(Desired, RowVersion)>, StoreError> {
        let registry = Registry::read(&self.db).await?;
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(readable::IDS_AT_ONCE) {
            let wanted = some.iter().map(|id| DbUuid(id.0));
            let which = Condition::all().add(games::Column::GameId.is_in(wanted));
            for row in readable::games(&self.db, which).await? {
                let meant = registry.resolve(&row.game.target_engine_version);
                let id = row.game.game_id;
                let status = match DesiredStatus::from_row(&row.game.desired_status) {
                    Some(status) => status,
                    None => self.last_wish(id).await?,
                };
                for problem in &row.unreadable {
                    tracing::warn!(game_id = %id, column = problem.field, "a column cannot be read");
                }
                let version = RowVersion::Row(row.game.row_version);
                found.extend(desired(&row, meant, status).map(|desired| (desired, version)));
            }
        }
        let with_row: HashSet<GameId> = found.iter().map(|(desired, _)| desired.id).collect();
        let without: Vec<GameId> = ids.iter().filter(|id| !with_row.contains(id)).copied().collect();
        found.extend(self.buried(&without).await?);
        Ok(found)
    }

    /// What was wished of a game whose row has no word for it: what it was last seen to obey.
    async fn last_wish(&self, game: DbUuid) -> Result<DesiredStatus, StoreError> {
        let row = runtime_records::Entity::find_by_id(game).one(&self.db).await?;
        let stopped = row.is_some_and(|row| matches!(row.status.as_str(), "stopping" | "stopped"));
        Ok(if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running })
    }

    /// All games, or those of a namespace, in the order of their names.
    pub async fn games(&self, namespace: Option<&str>) -> Result<Vec<StoredGame>, StoreError> {
        let which =
            Condition::all().add_option(namespace.map(|namespace| games::Column::Namespace.eq(namespace)));
        let rows = readable::games(&self.db, which).await?;
        let ids: Vec<GameId> = rows.iter().map(|row| GameId(row.game.game_id.0)).collect();
        let mut records = self.records(&ids).await?;
        let managers = managers::of_games(&self.db, &rows).await?;
        let stored = |row: &GameRow| {
            let record = records.remove(&GameId(row.game.game_id.0));
            stored(row, managers.get(&row.game.game_id), record)
        };
        Ok(rows.iter().map(stored).collect())
    }

    /// One game.
    pub async fn game(&self, namespace: &str, name: &str) -> Result<Option<StoredGame>, StoreError> {
        let Some(row) = by_name(&self.db, namespace, name).await? else { return Ok(None) };
        let record = runtime_records::Entity::find_by_id(row.game.game_id).one(&self.db).await?;
        let record = match record {
            Some(record) => {
                let operation = self.open_operation(record.operation_id).await?;
                Some(records::from_row(&record, operation))
            }
            None => None,
        };
        let managers = managers::of_games(&self.db, std::slice::from_ref(&row)).await?;
        Ok(Some(stored(&row, managers.values().next(), record)))
    }

    /// Makes a game, whose fields belong to these managers.
    pub async fn create_game(
        &self,
        manifest: &GameManifest,
        valid: &ValidGame,
        managed: &Managed,
        author: &Author,
    ) -> Result<StoredGame, WriteError> {
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            insert(&transaction, manifest, valid, managed, author).await?;
            Ok::<_, WriteError>(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        self.read_back(&valid.namespace, &valid.name).await
    }

    /// Makes a game's desired state what the manifest says, and its managers these. Request counters
    /// and players that it does not name stay as they are.
    pub async fn replace_game(
        &self,
        manifest: &GameManifest,
        valid: &ValidGame,
        preconditions: &Preconditions,
        managed: &Managed,
        author: &Author,
    ) -> Result<Written<StoredGame>, WriteError> {
        let changed = again(|| async {
            let transaction = self.db.begin_writing().await?;
            let changed = update(&transaction, manifest, valid, preconditions, managed, author).await?;
            transaction.commit().await?;
            Ok::<_, WriteError>(changed)
        })
        .await?;
        if !changed {
            return Ok(Written::Unchanged(self.read_back(&valid.namespace, &valid.name).await?));
        }
        self.desired_written.notify_one();
        Ok(Written::Changed(self.read_back(&valid.namespace, &valid.name).await?))
    }

    /// Asks for a game's deletion; the row goes once its engine is gone. Asking twice is asking once.
    pub async fn request_deletion(
        &self,
        namespace: &str,
        name: &str,
        preconditions: &Preconditions,
        author: &Author,
    ) -> Result<StoredGame, WriteError> {
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            let row = to_write(&transaction, namespace, name).await?.ok_or(WriteError::NotFound)?.game;
            check(&row, preconditions)?;
            if row.deletion_requested_at.is_none() {
                let mut change = row.clone().into_active_model();
                change.deletion_requested_at = Set(Some(to_db(jiff::Timestamp::now())));
                sign(&mut change, author);
                change.update(&transaction).await?;
            }
            Ok::<_, WriteError>(transaction.commit().await?)
        })
        .await?;
        self.desired_written.notify_one();
        again(|| self.game(namespace, name)).await?.ok_or(WriteError::NotFound)
    }

    async fn read_back(&self, namespace: &Namespace, name: &Name) -> Result<StoredGame, WriteError> {
        // The triggers have had their say; what was written is not what is there.
        let read = again(|| self.game(namespace.as_str(), name.as_str())).await?;
        read.ok_or(WriteError::NotFound)
    }
}

pub(super) fn stored(
    GameRow { game, members, .. }: &GameRow,
    managers: Option<&serde_json::Value>,
    record: Option<Record>,
) -> StoredGame {
    let mut manifest = GameManifest::new(game_meta(game), raw_spec(game, members));
    let managed = managed(managers.unwrap_or(&serde_json::Value::Null), &manifest.kind, &manifest);
    manifest.metadata.managed_fields = managed.entries();
    StoredGame { id: GameId(game.game_id.0), manifest, managed, record }
}

/// Who owns what of an object that is so now.
pub(super) fn managed(column: &serde_json::Value, kind: &str, now_there: &impl serde::Serialize) -> Managed {
    let managed = Managed::from_column(column);
    // Of what nobody ever wrote by the API, nobody is told to own anything.
    if managed.object.is_none() { managed } else { managed.of(kind, &ownable(&serde_json::json!(now_there))) }
}

/// Makes a game's row.
pub(super) async fn insert(
    db: &impl ConnectionTrait,
    manifest: &GameManifest,
    valid: &ValidGame,
    managed: &Managed,
    author: &Author,
) -> Result<(), DbErr> {
    let id = DbUuid(Uuid::new_v4());
    let mut row = games::ActiveModel { game_id: Set(id), ..Default::default() };
    row.namespace = Set(valid.namespace.to_string());
    row.name = Set(Some(valid.name.to_string()));
    apply(&mut row, None, None, manifest, valid);
    sign(&mut row, author);
    members::begin_batch(db, id).await?;
    row.insert(db).await?;
    managers::keep(db, id, managed).await?;
    if let Some(members) = &valid.spec.members {
        members::write(db, id, &[], members).await?;
    }
    members::end_batch(db, id).await
}

/// Makes a game's row what the manifest says. False if it is that already; then nothing is written.
pub(super) async fn update(
    db: &impl ConnectionTrait,
    manifest: &GameManifest,
    valid: &ValidGame,
    preconditions: &Preconditions,
    managed: &Managed,
    author: &Author,
) -> Result<bool, WriteError> {
    let found = to_write(db, valid.namespace.as_str(), valid.name.as_str()).await?;
    let GameRow { game: row, members, unreadable, .. } = found.ok_or(WriteError::NotFound)?;
    check(&row, preconditions)?;
    let id = row.game_id;
    let mut change = row.clone().into_active_model();
    // What cannot be read is not what the manifest says, whatever stands in its place here.
    apply(&mut change, Some(&row), Some(&row).filter(|_| unreadable.is_empty()), manifest, valid);
    let wanted = valid.spec.members.as_ref().filter(|wanted| members::differs(&members, wanted));
    if !change.is_changed() && wanted.is_none() && row.managed_revision == managed.revision {
        return Ok(false);
    }
    sign(&mut change, author);
    members::begin_batch(db, id).await?;
    change.update(db).await?;
    managers::keep(db, id, managed).await?;
    if let Some(wanted) = wanted {
        members::write(db, id, &members, wanted).await?;
    }
    members::end_batch(db, id).await?;
    Ok(true)
}

pub(super) async fn by_name(
    db: &impl ConnectionTrait,
    namespace: &str,
    name: &str,
) -> Result<Option<GameRow>, DbErr> {
    Ok(readable::games(db, named(namespace, name)).await?.pop())
}

/// As [`by_name`], for a transaction that goes on to write it.
async fn to_write(db: &impl ConnectionTrait, namespace: &str, name: &str) -> Result<Option<GameRow>, DbErr> {
    Ok(readable::games_to_write(db, named(namespace, name)).await?.pop())
}

fn named(namespace: &str, name: &str) -> Condition {
    Condition::all().add(games::Column::Namespace.eq(namespace)).add(games::Column::Name.eq(name))
}

fn check(row: &games::Model, preconditions: &Preconditions) -> Result<(), Conflict> {
    if preconditions.uid.as_ref().is_some_and(|uid| *uid != row.game_id.to_string()) {
        return Err(Conflict::Replaced);
    }
    if preconditions.resource_version.as_ref().is_some_and(|version| *version != row.row_version.to_string())
    {
        return Err(Conflict::Modified);
    }
    Ok(())
}

fn sign(row: &mut games::ActiveModel, author: &Author) {
    row.requested_by = Set(author.requested_by.clone());
    row.request_id = Set(author.request_id.clone());
    row.source = Set(author.source.as_row().to_owned());
}

/// Sets the columns that differ from what is there, and no other; all of them where that could not be
/// read, and there is no `old` one.
fn apply(
    row: &mut games::ActiveModel,
    there: Option<&games::Model>,
    old: Option<&games::Model>,
    manifest: &GameManifest,
    valid: &ValidGame,
) {
    let GameSpecManifest {
        desired_status,
        paused,
        backup_before_turn,
        display_name,
        engine_version,
        allow_incompatible_version,
        turns,
        players: _,
        resources,
        deletion_policy,
        stop_now,
        restart_generation,
        force_turn_generation,
        patch_generation,
        unblock_generation,
        restore_generation,
        restore_backup_id,
        backup_generation,
    } = &manifest.spec;
    let turns = turns.clone().unwrap_or_default();
    let TurnsManifest { schedule, time_zone, missed, not_before: _, force_mode } = turns;

    macro_rules! set {
        ($column:ident, $value:expr) => {
            let value = $value;
            if old.is_none_or(|old| old.$column != value) {
                row.$column = Set(value);
            }
        };
    }
    macro_rules! set_if_managed {
        ($column:ident, $value:expr) => {
            if let Some(value) = $value {
                set!($column, value);
            }
        };
    }
    set!(labels, texts_to_db(&valid.meta.labels, there.map(|there| &there.labels)));
    set!(annotations, texts_to_db(&valid.meta.annotations, there.map(|there| &there.annotations)));
    set!(display_name, display_name.clone().unwrap_or_default());
    set!(desired_status, desired_status.as_row().to_owned());
    set!(paused, *paused);
    set!(backup_before_turn, *backup_before_turn);
    set!(target_engine_version, engine_version.clone().unwrap_or_default());
    set!(allow_incompatible_version, allow_incompatible_version.clone());
    set!(turn_schedule, schedule.unwrap_or_default());
    set!(time_zone, time_zone.filter(|zone| !zone.trim().is_empty()).unwrap_or_else(|| "UTC".to_owned()));
    set!(missed_turns, missed.as_row().to_owned());
    // As it was understood: what is a time to us may be written as the database would not take it.
    set!(turn_not_before, valid.spec.game.turns.not_before.map(|time| WrittenTime(time.to_string())));
    set!(force_mode, force_mode.as_row().to_owned());
    set!(resources, resources_to_db(resources.as_ref()));
    set!(deletion_policy, deletion_policy.as_row().to_owned());
    set_if_managed!(stop_now, *stop_now);
    set_if_managed!(restart_generation, *restart_generation);
    set_if_managed!(force_turn_generation, *force_turn_generation);
    set_if_managed!(patch_generation, *patch_generation);
    set_if_managed!(unblock_generation, *unblock_generation);
    set_if_managed!(restore_generation, *restore_generation);
    set_if_managed!(backup_generation, *backup_generation);
    if restore_backup_id.is_some() {
        set!(restore_backup_id, restore_backup_id.clone());
    }
}
