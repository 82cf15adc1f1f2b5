//! Rows of `access_tokens`: who may ask the API.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "access_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_id: DbUuid,
    pub name: String,
    pub role: String,
    pub namespaces: Json,
    pub sha256: String,
    pub created_by: String,
    pub request_id: String,
    pub created_at: DateTimeUtc,
    pub expires_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
