//! Rows of `runtime_health_snapshots`: what each engine reported, when.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "runtime_health_snapshots")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub snapshot_id: i64,
    pub game_id: DbUuid,
    pub observed_at: DateTimeUtc,
    pub container_id: Option<String>,
    pub engine_health: String,
    pub timeline: i64,
    pub turn: Option<i64>,
    pub generating: Option<bool>,
    pub finished: Option<bool>,
    pub payload: Json,
    pub error_message: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
