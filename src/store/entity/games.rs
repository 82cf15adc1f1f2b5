//! Rows of `games`: desired state, written by lobby and operators.

use crate::store::db_uuid::DbUuid;
use crate::store::written_time::WrittenTime;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "games")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub game_id: DbUuid,
    pub namespace: String,
    pub name: Option<String>,
    pub display_name: String,
    pub labels: Json,
    pub annotations: Json,
    pub managed_revision: i64,
    pub desired_status: String,
    pub stop_now: bool,
    pub paused: bool,
    pub target_engine_version: String,
    pub allow_incompatible_version: Option<String>,
    pub turn_schedule: String,
    pub time_zone: String,
    pub missed_turns: String,
    pub turn_not_before: Option<WrittenTime>,
    pub force_mode: String,
    pub restart_generation: i64,
    pub force_turn_generation: i64,
    pub patch_generation: i64,
    pub unblock_generation: i64,
    pub restore_generation: i64,
    pub restore_backup_id: Option<String>,
    pub backup_generation: i64,
    pub backup_before_turn: bool,
    pub membership_revision: i64,
    pub resources: Json,
    pub deletion_policy: String,
    pub requested_by: String,
    pub request_id: String,
    pub source: String,
    pub generation: i64,
    pub row_version: i64,
    pub deletion_requested_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
