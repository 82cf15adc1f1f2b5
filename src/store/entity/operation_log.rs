//! Rows of `operation_log`: why each convergence began, who asked, how it ended.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "operation_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub operation_id: DbUuid,
    pub game_id: DbUuid,
    pub op: String,
    pub source: String,
    pub requested_by: String,
    pub request_id: String,
    pub generation: i64,
    pub cause: String,
    pub from_version: Option<String>,
    pub to_version: Option<String>,
    pub status: String,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub image_ref: Option<String>,
    pub container_id: Option<String>,
    pub epoch: i64,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
