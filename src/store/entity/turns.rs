//! Rows of `turns`: the ledger.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "turns")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub game_id: DbUuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub timeline: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub cause: String,
    pub slot: Option<DateTimeUtc>,
    pub state: String,
    pub attempts: i64,
    pub container_id: Option<String>,
    pub container_started_at: Option<String>,
    pub operation_id: Option<DbUuid>,
    pub requested_by: String,
    pub request_id: String,
    pub opened_at: DateTimeUtc,
    pub dispatched_at: Option<DateTimeUtc>,
    pub deadline_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
