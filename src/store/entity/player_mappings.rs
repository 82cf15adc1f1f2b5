//! Rows of `player_mappings`: which player of the engine a user is.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "player_mappings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub game_id: DbUuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: DbUuid,
    pub race_name: String,
    pub engine_player_uuid: DbUuid,
    pub active: bool,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
