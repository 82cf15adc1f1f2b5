//! Rows of `turn_slots`: what was decided about each slot.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "turn_slots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub game_id: DbUuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub timeline: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: DateTimeUtc,
    pub decision: String,
    pub reason: String,
    pub message: String,
    pub turn_number: Option<i64>,
    pub decided_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
