//! Who wrote which field of a game by the API: kept beside the game's row, which is written far more
//! often and does not grow with the number of members.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JsonValue, QueryFilter};

use crate::game::ownership::Managed;

use super::db_uuid::DbUuid;
use super::entity::game_managers;
use super::readable::{GameRow, IDS_AT_ONCE};

/// What is kept about the managers of these games; a game that nobody wrote by the API is not in it,
/// nor one whose column cannot be read.
pub(super) async fn of_games(
    db: &impl ConnectionTrait,
    rows: &[GameRow],
) -> Result<HashMap<DbUuid, JsonValue>, DbErr> {
    let mut found = HashMap::new();
    // The revision tells who has any, so that the others cost no question.
    let ids: Vec<DbUuid> =
        rows.iter().filter(|row| row.game.managed_revision != 0).map(|row| row.game.game_id).collect();
    for some in ids.chunks(IDS_AT_ONCE) {
        let which = game_managers::Column::GameId.is_in(some.iter().copied());
        let query = sea_orm::QueryTrait::into_query(game_managers::Entity::find().filter(which));
        for row in db.query_all(&query).await? {
            if let Ok(managed) = row.try_get("", "managed_fields") {
                found.insert(row.try_get("", "game_id")?, managed);
            }
        }
    }
    Ok(found)
}

/// The managers of one game.
pub(super) async fn of_game(db: &impl ConnectionTrait, row: &GameRow) -> Result<Managed, DbErr> {
    let found = of_games(db, std::slice::from_ref(row)).await?;
    Ok(found.get(&row.game.game_id).map(Managed::from_column).unwrap_or_default())
}

/// Keeps them. A trigger makes a change of the game of it, which therefore is there already.
pub(super) async fn keep(db: &impl ConnectionTrait, game: DbUuid, managed: &Managed) -> Result<(), DbErr> {
    let row = game_managers::ActiveModel {
        game_id: Set(game),
        revision: Set(managed.revision),
        managed_fields: Set(managed.to_column()),
    };
    let in_place = OnConflict::column(game_managers::Column::GameId)
        .update_columns([game_managers::Column::Revision, game_managers::Column::ManagedFields])
        .to_owned();
    game_managers::Entity::insert(row).on_conflict(in_place).exec_without_returning(db).await?;
    Ok(())
}
