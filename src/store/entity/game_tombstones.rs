//! Rows of `game_tombstones`: what is left of a deleted row.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "game_tombstones")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub game_id: DbUuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i64,
    pub row_version: i64,
    pub membership_revision: i64,
    pub namespace: String,
    pub name: String,
    pub deletion_policy: String,
    pub requested_by: String,
    pub request_id: String,
    pub deletion_requested_at: Option<DateTimeUtc>,
    pub deleted_at: DateTimeUtc,
    pub handled_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
