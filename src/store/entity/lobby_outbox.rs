//! Rows of `lobby_outbox`: what the lobby is told, and how far the telling is.

use crate::store::db_uuid::DbUuid;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lobby_outbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: DbUuid,
    pub game_id: DbUuid,
    pub seq: i64,
    pub timeline: i64,
    pub r#type: String,
    pub occurred_at: DateTimeUtc,
    pub payload: Json,
    pub attempts: i64,
    pub refusals: i64,
    pub next_attempt_at: Option<DateTimeUtc>,
    pub last_error: Option<String>,
    pub delivered_at: Option<DateTimeUtc>,
    pub acked_at: Option<DateTimeUtc>,
    pub set_aside_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
