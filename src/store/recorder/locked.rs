//! Which games' rows somebody else has locked.
//!
//! All rows are locked here that the recordings are about and that others than the controller could lock:
//! those that are free at once, and the others not at all. What follows in the transaction waits for
//! nobody.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::game::GameId;

use super::super::blockers;
use super::super::connection::Transaction;
use super::Recording;

/// A table of rows of games, and how they are locked.
struct Rows {
    table: &'static str,
    only: &'static str,
    strength: &'static str,
}

const RECORD: Rows = Rows { table: "runtime_records", only: "true", strength: "NO KEY UPDATE" };

/// What the deletion of a game deletes or changes.
const DELETED: [Rows; 3] = [
    Rows { table: "games", only: "true", strength: "UPDATE" },
    Rows { table: "memberships", only: "true", strength: "UPDATE" },
    Rows { table: "game_tombstones", only: "handled_at IS NULL", strength: "NO KEY UPDATE" },
];

/// The games with a row that is locked, and by whom.
pub(super) async fn find(
    db: &Transaction,
    recordings: &[&Recording],
) -> Result<HashMap<GameId, String>, DbErr> {
    let mut found = HashMap::new();
    if db.is_sqlite() {
        // A transaction that writes has everything.
        return Ok(found);
    }
    look(db, &RECORD, recordings.iter().map(|recording| recording.game), &mut found).await?;
    let deleted: Vec<GameId> = recordings
        .iter()
        .filter(|recording| recording.deleted.is_some())
        .map(|recording| recording.game)
        .collect();
    if !deleted.is_empty() {
        // What is not found here: rows of the lobby that its own foreign keys and triggers lead to.
        for rows in &DELETED {
            look(db, rows, deleted.iter().copied(), &mut found).await?;
        }
    }
    Ok(found)
}

async fn look(
    db: &Transaction,
    Rows { table, only, strength }: &Rows,
    games: impl Iterator<Item = GameId>,
    found: &mut HashMap<GameId, String>,
) -> Result<(), DbErr> {
    let ids: Vec<String> = games.map(|game| game.to_string()).collect();
    // `taken` reads all of `free`, so every free row is locked. The row's xmax is who has it, or a number for
    // several of them.
    let sql = format!(
        "WITH free AS MATERIALIZED (
             SELECT game_id FROM {table} WHERE game_id = ANY ($1::uuid[]) AND {only} FOR {strength} SKIP LOCKED),
         taken AS MATERIALIZED (SELECT game_id, count(*) AS rows FROM free GROUP BY game_id),
         missed AS (
             SELECT r.game_id, array_agg(r.xmax) AS holders
               FROM {table} AS r LEFT JOIN taken ON taken.game_id = r.game_id
              WHERE r.game_id = ANY ($1::uuid[]) AND {only}
              GROUP BY r.game_id, taken.rows HAVING count(*) > coalesce(taken.rows, 0))
         SELECT game_id::text, {} FROM missed",
        blockers::of_transactions("missed.holders")
    );
    let ids = format!("{{{}}}", ids.join(","));
    let asked = Statement::from_sql_and_values(db.get_database_backend(), sql, [ids.into()]);
    for row in db.query_all_raw(asked).await? {
        let (game, who): (String, Option<String>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if let Ok(game) = game.parse() {
            found.entry(game).or_insert_with(|| who.unwrap_or_else(blockers::nobody_known));
        }
    }
    Ok(())
}
