//! Nearly all games deleted at once, as by mistake: they are held, whatever else happens, until somebody
//! decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::fleet::Fleet;
use super::lobby::{CALM, game};
use super::report::Record;
use super::watch::asked;
use crate::world::World;

/// In the middle of everything a decision about deletions may take so long.
const DECIDED: Duration = Duration::from_secs(40);

/// Deletes them, strikes twice, and then confirms the deletions or takes them back.
pub(super) async fn all_at_once(world: &Arc<World>, fleet: &mut Fleet, record: &Record, random: &mut StdRng) {
    let all = format!("SET lock_timeout = '5s'; DELETE FROM games WHERE name NOT LIKE '{CALM}%'");
    if world.database.try_sql(&all).await.is_err() {
        return record.counted("mass deletions that the lobby's own locks prevented");
    }
    record.counted("mass deletions");
    let held = "SELECT game_id::text, name FROM runtime_records WHERE deletion_guard = 'held'";
    let mut games = Vec::new();
    let began = Instant::now();
    while games.is_empty() && began.elapsed() < DECIDED {
        fleet.revive();
        tokio::time::sleep(Duration::from_millis(250)).await;
        games = asked(world, held).await.unwrap_or_default();
    }
    // Games that were made just now are not.
    record.add("games whose deletion was held", games.len());
    if games.is_empty() {
        return;
    }
    fleet.strike(random).await;
    fleet.strike(random).await;
    if random.random_range(0..2) == 0 {
        for row in &games {
            // Somebody may have made it again already.
            let _ = world.database.try_sql(&format!("BEGIN; {}; COMMIT", game(&row[0], &row[1]))).await;
        }
        return record.counted("mass deletions taken back");
    }
    confirm(fleet, record).await;
}

/// As an operator does, of whichever controller answers.
pub(super) async fn confirm(fleet: &mut Fleet, record: &Record) {
    let began = Instant::now();
    while began.elapsed() < DECIDED {
        fleet.revive();
        for member in &fleet.members {
            if member.gk(&["confirm-deletions", "--yes"]).status.success() {
                return record.counted("mass deletions confirmed");
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    record.counted("mass deletions that could not be confirmed yet");
}
