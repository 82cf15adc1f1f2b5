//! The memberships of a game, written by the API: a few statements, however many members there are.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Statement,
};
use uuid::Uuid;

use crate::game::spec::Member;

use super::db_uuid::DbUuid;
use super::entity::memberships;
use super::readable::IDS_AT_ONCE;

/// Whether the active members are others than these.
pub(super) fn differs(have: &[memberships::Model], want: &[Member]) -> bool {
    let mut have: Vec<(Uuid, &str)> = active(have).collect();
    let mut want: Vec<(Uuid, &str)> = want.iter().map(|m| (m.user_id.0, m.race_name.as_str())).collect();
    have.sort_unstable();
    want.sort_unstable();
    have != want
}

fn active(members: &[memberships::Model]) -> impl Iterator<Item = (Uuid, &str)> {
    members.iter().filter(|m| m.status == "active").map(|m| (m.user_id.0, m.race_name.as_str()))
}

/// Makes these the active members of a game. Who is not among them stays on record as removed.
pub(super) async fn write(
    db: &impl ConnectionTrait,
    game: DbUuid,
    have: &[memberships::Model],
    want: &[Member],
) -> Result<(), DbErr> {
    let wanted: HashMap<Uuid, &str> = want.iter().map(|m| (m.user_id.0, m.race_name.as_str())).collect();
    let there: HashSet<(Uuid, &str)> = active(have).collect();
    // First out, then in: two players may have changed races.
    let out: Vec<DbUuid> = active(have)
        .filter(|(user, race)| wanted.get(user) != Some(race))
        .map(|(user, _)| DbUuid(user))
        .collect();
    for some in out.chunks(IDS_AT_ONCE) {
        memberships::Entity::update_many()
            .col_expr(memberships::Column::Status, Expr::value("removed"))
            .filter(memberships::Column::GameId.eq(game))
            .filter(memberships::Column::UserId.is_in(some.iter().copied()))
            .exec(db)
            .await?;
    }
    let new = want.iter().filter(|m| !there.contains(&(m.user_id.0, m.race_name.as_str())));
    let rows: Vec<memberships::ActiveModel> = new
        .map(|member| memberships::ActiveModel {
            game_id: Set(game),
            user_id: Set(DbUuid(member.user_id.0)),
            race_name: Set(member.race_name.to_string()),
            status: Set("active".to_owned()),
        })
        .collect();
    for some in rows.chunks(IDS_AT_ONCE) {
        let in_place = OnConflict::columns([memberships::Column::GameId, memberships::Column::UserId])
            .update_columns([memberships::Column::RaceName, memberships::Column::Status])
            .to_owned();
        memberships::Entity::insert_many(some.to_vec())
            .on_conflict(in_place)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// From here until [`end_batch`], in the same transaction, everything that is written of a game counts
/// as one change. PostgreSQL counts transactions by itself; SQLite's triggers have to be told.
pub(super) async fn begin_batch(db: &impl ConnectionTrait, game: DbUuid) -> Result<(), DbErr> {
    batch(db, "INSERT INTO write_batches (game_id) VALUES (?)", game).await
}

/// Counts what was written since [`begin_batch`].
pub(super) async fn end_batch(db: &impl ConnectionTrait, game: DbUuid) -> Result<(), DbErr> {
    batch(db, "DELETE FROM write_batches WHERE game_id = ?", game).await
}

async fn batch(db: &impl ConnectionTrait, sql: &str, game: DbUuid) -> Result<(), DbErr> {
    if db.get_database_backend() == DbBackend::Sqlite {
        db.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [game.into()])).await?;
    }
    Ok(())
}
