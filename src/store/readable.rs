//! Bulk reads of rows that anybody may have written.
//!
//! SQLite takes JSON and text that no strict reader accepts (a lone surrogate, a number without
//! end, bytes that are no UTF-8). One such row fails a whole query; then the rows are read one by
//! one, and that one alone is left out, loudly.

use std::collections::HashMap;

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    RuntimeErr,
};
use uuid::Uuid;

use super::db_uuid::DbUuid;
use super::entity::{engine_versions, games, memberships};

/// The games that match, in the order of their names, less those that cannot be read.
pub(super) async fn games(db: &DatabaseConnection, which: Condition) -> Result<Vec<games::Model>, DbErr> {
    let query = || {
        games::Entity::find()
            .filter(which.clone())
            .order_by_asc(games::Column::Namespace)
            .order_by_asc(games::Column::Name)
    };
    match query().all(db).await {
        Err(error) if is_unreadable(&error) => {}
        result => return result,
    }
    let ids: Vec<DbUuid> = query().select_only().column(games::Column::GameId).into_tuple().all(db).await?;
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        match games::Entity::find_by_id(id).one(db).await {
            Ok(row) => rows.extend(row),
            Err(error) if is_unreadable(&error) => {
                tracing::warn!(game_id = %id, error = %error, "a row of games cannot be read; it is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

/// The members of these games, by game and in the order of their races. A game whose members cannot
/// be read is not in it at all.
pub(super) async fn members(
    db: &DatabaseConnection,
    of: &[Uuid],
) -> Result<HashMap<Uuid, Vec<memberships::Model>>, DbErr> {
    let query = |ids: &[Uuid]| {
        memberships::Entity::find()
            .filter(memberships::Column::GameId.is_in(ids.iter().map(|id| DbUuid(*id))))
            .order_by_asc(memberships::Column::RaceName)
    };
    let mut found: HashMap<Uuid, Vec<memberships::Model>> = of.iter().map(|id| (*id, Vec::new())).collect();
    match query(of).all(db).await {
        Ok(rows) => {
            for row in rows {
                found.entry(row.game_id.0).or_default().push(row);
            }
            return Ok(found);
        }
        Err(error) if is_unreadable(&error) => {}
        Err(error) => return Err(error),
    }
    for id in of {
        match query(&[*id]).all(db).await {
            Ok(rows) => {
                found.insert(*id, rows);
            }
            Err(error) if is_unreadable(&error) => {
                tracing::warn!(game_id = %id, error = %error, "a row of memberships cannot be read; its game is left out");
                found.remove(id);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Every engine version, less those that cannot be read.
pub(super) async fn versions(db: &DatabaseConnection) -> Result<Vec<engine_versions::Model>, DbErr> {
    let query = || engine_versions::Entity::find().order_by_asc(engine_versions::Column::Version);
    match query().all(db).await {
        Err(error) if is_unreadable(&error) => {}
        result => return result,
    }
    let keys: Vec<String> =
        query().select_only().column(engine_versions::Column::Version).into_tuple().all(db).await?;
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        match engine_versions::Entity::find_by_id(&key).one(db).await {
            Ok(row) => rows.extend(row),
            Err(error) if is_unreadable(&error) => {
                tracing::warn!(version = key, error = %error, "a row of engine_versions cannot be read; it is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
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
