//! The one row of `controller_spec`: what operators want of the whole controller.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "controller_spec")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub frozen: bool,
    pub frozen_because: String,
    pub deletions_confirmed_at: Option<DateTimeUtc>,
    pub rebind_generation: i64,
    pub rebind_docker_engine_id: Option<String>,
    pub rebind_state_root: Option<String>,
    pub rebind_high_water: Option<i64>,
    pub requested_by: String,
    pub request_id: String,
    pub row_version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
