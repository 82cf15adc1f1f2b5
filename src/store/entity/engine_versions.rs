//! Rows of `engine_versions`: which image a version is.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "engine_versions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: String,
    pub image_ref: String,
    pub enabled: bool,
    pub port: i64,
    pub contract: String,
    pub run_as: String,
    pub relaxations: Json,
    pub resources: Json,
    pub labels: Json,
    pub annotations: Json,
    pub managed_fields: Json,
    pub requested_by: String,
    pub request_id: String,
    pub resume_generation: i64,
    pub generation: i64,
    pub row_version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
