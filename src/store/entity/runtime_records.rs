//! Rows of `runtime_records`: what is known of each game. Columns that nothing fills yet are left to their defaults.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "runtime_records")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub game_id: DbUuid,
    pub namespace: String,
    pub name: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub conditions: Json,
    pub observed_generation: i64,
    pub current_container_id: Option<String>,
    pub current_container_started_at: Option<String>,
    pub current_image_ref: Option<String>,
    pub current_image_id: Option<String>,
    pub current_engine_version: Option<String>,
    pub applied_spec: Option<Json>,
    pub engine_endpoint: Option<String>,
    pub endpoints: Option<Json>,
    pub state_path: Option<String>,
    pub docker_network: Option<String>,
    pub engine_health: String,
    pub current_turn: Option<i64>,
    pub timeline: i64,
    pub next_turn_at: Option<DateTimeUtc>,
    pub reported_at: Option<DateTimeUtc>,
    pub slot_cursor: Option<DateTimeUtc>,
    pub scheduled_by: Option<String>,
    pub turn_wait_until: Option<DateTimeUtc>,
    pub init_intent_at: Option<DateTimeUtc>,
    pub init_baseline: Option<String>,
    pub initialized_at: Option<DateTimeUtc>,
    pub paused_at: Option<DateTimeUtc>,
    pub started_at: Option<DateTimeUtc>,
    pub stopped_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub last_observed_at: Option<DateTimeUtc>,
    pub operation_id: Option<DbUuid>,
    pub blocked_by: Option<String>,
    pub waiting_on: Json,
    pub deletion_seen_at: Option<DateTimeUtc>,
    pub start_began_at: Option<DateTimeUtc>,
    pub healthy_since: Option<DateTimeUtc>,
    pub failures: i64,
    pub restart_count: i64,
    pub next_attempt_at: Option<DateTimeUtc>,
    pub restart_from_container_id: Option<String>,
    pub last_exit_code: Option<i64>,
    pub last_exit_oom: Option<bool>,
    pub last_exit_at: Option<DateTimeUtc>,
    pub last_exit_reason: Option<String>,
    pub last_exit_container_id: Option<String>,
    pub last_exit_started_at: Option<String>,
    pub last_log_lines: Option<String>,
    pub observed_restart_generation: Option<i64>,
    pub observed_force_turn_generation: Option<i64>,
    pub observed_patch_generation: Option<i64>,
    pub observed_unblock_generation: Option<i64>,
    pub observed_restore_generation: Option<i64>,
    pub observed_membership_revision: Option<i64>,
    pub epoch: i64,
    pub deleted_at: Option<DateTimeUtc>,
    pub record_version: i64,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
