//! The one row of `instance`: whose database this is.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "instance")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub instance_id: DbUuid,
    pub docker_engine_id: Option<String>,
    pub high_water: i64,
    pub state_root_bound_at: Option<DateTimeUtc>,
    pub observed_rebind_generation: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
