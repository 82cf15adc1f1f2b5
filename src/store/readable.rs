//! Reads of rows that anybody may have written.
//!
//! SQLite takes JSON and text that no strict reader accepts (a lone surrogate, a number without
//! end, bytes that are no UTF-8). Such a column is nobody's but its own game's problem: it is told,
//! its default stands in its place, and everything else of the row is read as it is.

use std::collections::HashMap;

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait, RuntimeErr, Select, TryGetable,
};

use super::convert::no_texts;
use super::db_uuid::DbUuid;
use super::entity::{engine_versions, games, memberships};
use crate::game::manifest::SpecProblem;
use crate::game::{Name, Namespace};

/// SQLite allows 32,766 bind parameters; a list of ids stays well below.
pub(super) const IDS_AT_ONCE: usize = 5_000;

/// A game's row with its members.
#[derive(Debug, Clone)]
pub(super) struct GameRow {
    pub(super) game: games::Model,
    /// In the order of their races.
    pub(super) members: Vec<memberships::Model>,
    /// The columns that could not be read, and have a default in their place.
    pub(super) unreadable: Vec<SpecProblem>,
    /// Labels and annotations that are no text.
    pub(super) odd: Vec<SpecProblem>,
}

/// An engine version's row.
#[derive(Debug, Clone)]
pub(super) struct VersionRow {
    pub(super) version: engine_versions::Model,
    /// As of a game's.
    pub(super) unreadable: Vec<SpecProblem>,
}

/// The games that match, in the order of their names.
pub(super) async fn games(db: &impl ConnectionTrait, which: Condition) -> Result<Vec<GameRow>, DbErr> {
    read_games(db, games::Entity::find().filter(which)).await
}

/// The same in a transaction that goes on to write them: whoever else wants to write them waits for
/// its end. (On SQLite a transaction that writes is alone anyway.)
pub(super) async fn games_to_write(
    db: &impl ConnectionTrait,
    which: Condition,
) -> Result<Vec<GameRow>, DbErr> {
    read_games(db, games::Entity::find().filter(which).lock_exclusive()).await
}

async fn read_games(db: &impl ConnectionTrait, query: Select<games::Entity>) -> Result<Vec<GameRow>, DbErr> {
    let query = query.order_by_asc(games::Column::Namespace).order_by_asc(games::Column::Name);
    let mut rows = Vec::new();
    for row in db.query_all(&query.into_query()).await? {
        let mut unreadable = Vec::new();
        let Some(mut game) = read(&row, || salvaged_game(&row, &mut unreadable))? else { continue };
        check_identity(&mut game, &mut unreadable);
        let mut odd = no_texts("metadata.labels", &game.labels);
        odd.extend(no_texts("metadata.annotations", &game.annotations));
        rows.push(GameRow { game, members: Vec::new(), unreadable, odd });
    }
    let at: HashMap<DbUuid, usize> =
        rows.iter().enumerate().map(|(at, row)| (row.game.game_id, at)).collect();
    let ids: Vec<DbUuid> = rows.iter().map(|row| row.game.game_id).collect();
    for some in ids.chunks(IDS_AT_ONCE) {
        let query = memberships::Entity::find()
            .filter(memberships::Column::GameId.is_in(some.iter().copied()))
            .order_by_asc(memberships::Column::RaceName);
        for row in db.query_all(&query.into_query()).await? {
            let mut unreadable = Vec::new();
            let Some(member) = read(&row, || salvaged_member(&row, &mut unreadable))? else { continue };
            if let Some(game) = at.get(&member.game_id).and_then(|at| rows.get_mut(*at)) {
                // Who is removed plays no part.
                if member.status == "active" {
                    game.unreadable.append(&mut unreadable);
                }
                game.members.push(member);
            }
        }
    }
    Ok(rows)
}

/// Which row version each game is at.
pub(super) async fn index(db: &impl ConnectionTrait) -> Result<Vec<(DbUuid, i64)>, DbErr> {
    let query =
        games::Entity::find().select_only().columns([games::Column::GameId, games::Column::RowVersion]);
    let rows = db.query_all(&query.into_query()).await?;
    let entry = |row: &QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    rows.iter().filter_map(|row| or_left_out(entry(row), "games").transpose()).collect()
}

/// The engine versions that match, in order.
pub(super) async fn versions(db: &impl ConnectionTrait, which: Condition) -> Result<Vec<VersionRow>, DbErr> {
    read_versions(db, engine_versions::Entity::find().filter(which)).await
}

/// As of games.
pub(super) async fn versions_to_write(
    db: &impl ConnectionTrait,
    which: Condition,
) -> Result<Vec<VersionRow>, DbErr> {
    read_versions(db, engine_versions::Entity::find().filter(which).lock_exclusive()).await
}

async fn read_versions(
    db: &impl ConnectionTrait,
    query: Select<engine_versions::Entity>,
) -> Result<Vec<VersionRow>, DbErr> {
    let query = query.order_by_asc(engine_versions::Column::Version);
    let mut rows = Vec::new();
    for row in db.query_all(&query.into_query()).await? {
        let mut unreadable = Vec::new();
        let version = read(&row, || salvaged_version(&row, &mut unreadable))?;
        rows.extend(version.map(|version| VersionRow { version, unreadable }));
    }
    Ok(rows)
}

/// The whole row, or what can be salvaged of it; none if not even whose it is can be read.
fn read<M: FromQueryResult>(
    row: &QueryResult,
    salvage: impl FnOnce() -> Result<M, DbErr>,
) -> Result<Option<M>, DbErr> {
    match M::from_query_result(row, "") {
        Err(error) if is_unreadable(&error) => {
            or_left_out(salvage(), "games, memberships or engine_versions")
        }
        whole => whole.map(Some),
    }
}

fn or_left_out<T>(read: Result<T, DbErr>, table: &str) -> Result<Option<T>, DbErr> {
    match read {
        Err(error) if is_unreadable(&error) => {
            tracing::warn!(table, error = %error, "a row without a readable key is left out");
            Ok(None)
        }
        read => read.map(Some),
    }
}

fn salvaged_game(row: &QueryResult, unreadable: &mut Vec<SpecProblem>) -> Result<games::Model, DbErr> {
    let mut of = Salvage { row, table: "games", unreadable };
    let now = chrono::Utc::now();
    Ok(games::Model {
        game_id: row.try_get("", "game_id")?,
        row_version: row.try_get("", "row_version")?,
        namespace: of.column("namespace", String::new()),
        name: of.column("name", None),
        display_name: of.column("display_name", String::new()),
        labels: of.column("labels", serde_json::json!({})),
        annotations: of.column("annotations", serde_json::json!({})),
        managed_revision: of.column("managed_revision", 0),
        desired_status: of.column("desired_status", String::new()),
        stop_now: of.column("stop_now", false),
        // No turn begins for what cannot be read.
        paused: of.column("paused", true),
        backup_before_turn: of.column("backup_before_turn", true),
        target_engine_version: of.column("target_engine_version", String::new()),
        allow_incompatible_version: of.column("allow_incompatible_version", None),
        turn_schedule: of.column("turn_schedule", String::new()),
        time_zone: of.column("time_zone", "UTC".to_owned()),
        missed_turns: of.column("missed_turns", "once".to_owned()),
        turn_not_before: of.column("turn_not_before", None),
        force_mode: of.column("force_mode", "advance".to_owned()),
        restart_generation: of.column("restart_generation", 0),
        force_turn_generation: of.column("force_turn_generation", 0),
        patch_generation: of.column("patch_generation", 0),
        unblock_generation: of.column("unblock_generation", 0),
        restore_generation: of.column("restore_generation", 0),
        restore_backup_id: of.column("restore_backup_id", None),
        backup_generation: of.column("backup_generation", 0),
        membership_revision: of.column("membership_revision", 0),
        resources: of.column("resources", serde_json::json!({})),
        // Nothing is deleted for what cannot be read.
        deletion_policy: of.column("deletion_policy", "retain".to_owned()),
        deletion_requested_at: of.column("deletion_requested_at", None),
        requested_by: of.column("requested_by", String::new()),
        request_id: of.column("request_id", String::new()),
        source: of.column("source", "lobby".to_owned()),
        generation: of.column("generation", 1),
        created_at: of.column("created_at", now),
        updated_at: of.column("updated_at", now),
    })
}

fn salvaged_member(
    row: &QueryResult,
    unreadable: &mut Vec<SpecProblem>,
) -> Result<memberships::Model, DbErr> {
    let mut of = Salvage { row, table: "memberships", unreadable };
    Ok(memberships::Model {
        game_id: row.try_get("", "game_id")?,
        user_id: of.column("user_id", DbUuid(uuid::Uuid::nil())),
        race_name: of.column("race_name", "?".to_owned()),
        status: of.column("status", "active".to_owned()),
    })
}

fn salvaged_version(
    row: &QueryResult,
    unreadable: &mut Vec<SpecProblem>,
) -> Result<engine_versions::Model, DbErr> {
    let mut of = Salvage { row, table: "engine_versions", unreadable };
    let now = chrono::Utc::now();
    Ok(engine_versions::Model {
        version: row.try_get("", "version")?,
        row_version: row.try_get("", "row_version")?,
        image_ref: of.column("image_ref", String::new()),
        enabled: of.column("enabled", false),
        port: of.column("port", 0),
        contract: of.column("contract", String::new()),
        run_as: of.column("run_as", "auto".to_owned()),
        relaxations: of.column("relaxations", serde_json::json!([])),
        resources: of.column("resources", serde_json::json!({})),
        labels: of.column("labels", serde_json::json!({})),
        annotations: of.column("annotations", serde_json::json!({})),
        managed_fields: row.try_get("", "managed_fields").unwrap_or_else(|_| serde_json::json!({})),
        requested_by: of.column("requested_by", String::new()),
        request_id: of.column("request_id", String::new()),
        resume_generation: of.column("resume_generation", 0),
        generation: of.column("generation", 1),
        created_at: of.column("created_at", now),
        updated_at: of.column("updated_at", now),
    })
}

struct Salvage<'a> {
    row: &'a QueryResult,
    table: &'static str,
    unreadable: &'a mut Vec<SpecProblem>,
}

impl Salvage<'_> {
    fn column<T: TryGetable>(&mut self, column: &str, default: T) -> T {
        self.row.try_get("", column).unwrap_or_else(|error| {
            self.unreadable.push(SpecProblem::unreadable(format!("{}.{column}", self.table), error));
            default
        })
    }
}

/// A handle that is none (the CHECKs were switched off): the game goes by its id.
fn check_identity(game: &mut games::Model, unreadable: &mut Vec<SpecProblem>) {
    if let Err(error) = game.namespace.parse::<Namespace>() {
        unreadable.push(SpecProblem::unreadable("games.namespace", error));
        game.namespace = crate::game::manifest::DEFAULT_NAMESPACE.to_owned();
    }
    let name = game.name.as_deref().filter(|name| !name.is_empty());
    if let Some(Err(error)) = name.map(str::parse::<Name>) {
        unreadable.push(SpecProblem::unreadable("games.name", error));
        game.name = None;
    }
}

/// The row is at fault, not the database.
fn is_unreadable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) => {
            matches!(&**error, SqlxError::ColumnDecode { .. } | SqlxError::Decode(_))
        }
        _ => false,
    }
}
