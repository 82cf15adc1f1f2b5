//! Rows of `game_changes`: what changed in desired state, and who asked. Written by triggers.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "game_changes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub change_id: i64,
    pub game_id: DbUuid,
    pub change: String,
    pub generation: i64,
    pub row_version: i64,
    pub changed_at: DateTimeUtc,
    pub requested_by: String,
    pub request_id: String,
    pub source: String,
    pub changes: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
