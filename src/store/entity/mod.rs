//! The tables as sea-orm sees them. The columns are documented where they are made: in `migrations/`.
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "derived code; the columns are documented in the migrations"
)]

pub mod access_tokens;
pub mod controller_spec;
pub mod desired_feed;
pub mod engine_versions;
pub mod events;
pub mod game_changes;
pub mod game_managers;
pub mod game_tombstones;
pub mod games;
pub mod instance;
pub mod leases;
pub mod lobby_outbox;
pub mod memberships;
pub mod operation_log;
pub mod outbox_positions;
pub mod player_mappings;
pub mod player_stats;
pub mod runtime_health_snapshots;
pub mod runtime_records;
pub mod schema_info;
pub mod turn_slots;
pub mod turns;
pub mod version_records;
