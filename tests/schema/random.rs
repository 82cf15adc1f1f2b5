//! Long random series of writes: SQLite under all settings of its pragmas and PostgreSQL must end in the same state.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::cluster::Cluster;
use crate::db::{Db, Pragmas};

const STATE: [&str; 5] = [
    "SELECT game_id, namespace, name, generation, row_version, membership_revision, paused, turn_schedule, display_name, restart_generation,
            requested_by FROM games ORDER BY game_id",
    "SELECT game_id, user_id, race_name, status FROM memberships ORDER BY game_id, user_id",
    "SELECT game_id, generation, row_version, membership_revision, CASE WHEN handled_at IS NULL THEN 1 ELSE 0 END FROM game_tombstones
      ORDER BY game_id, generation",
    "SELECT game_id, change, generation, row_version, requested_by FROM game_changes ORDER BY game_id, row_version, change",
    "SELECT version, enabled, generation, row_version FROM engine_versions ORDER BY version",
];

/// One write, made up; it may well be refused. `replace`: with what only SQLite has.
fn write(random: &mut StdRng, replace: bool) -> String {
    let game = format!("6f1c0a52-58a7-4d7e-9a0b-{:012}", random.random_range(0..3));
    let user = format!("00000000-0000-4000-8000-{:012}", random.random_range(0..3));
    let race = ["Terrans", "Zerg", "Protoss", "Orcs"][random.random_range(0..4)];
    let status = ["active", "active", "removed"][random.random_range(0..3)];
    let paused = random.random::<bool>();
    let who = ["ann", "ben"][random.random_range(0..2)];
    let small = random.random_range(0..4);
    let name = ["", "", "andromeda", "ursa"][random.random_range(0..4)];
    let insert = if replace {
        ["INSERT", "INSERT OR REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"][random.random_range(0..4)]
    } else {
        "INSERT"
    };
    match random.random_range(0..15) {
        0 | 1 => format!("{insert} INTO games (game_id, name, desired_status, paused, restart_generation, requested_by)
                          VALUES ('{game}', '{name}', 'running', {paused}, {small}, '{who}')"),
        2 => format!("INSERT INTO games (game_id, desired_status, display_name) VALUES ('{game}', 'running', '{small}')
                      ON CONFLICT (game_id) DO UPDATE SET display_name = excluded.display_name"),
        3 => format!("UPDATE games SET paused = {paused}, requested_by = '{who}' WHERE game_id = '{game}'"),
        4 => format!("UPDATE games SET turn_schedule = '{small}', generation = {small}"),
        5 => format!("UPDATE games SET display_name = '{small}', row_version = 1 WHERE game_id = '{game}'"),
        6 => format!("UPDATE games SET restart_generation = {small} WHERE game_id = '{game}'"),
        7 if small == 0 => format!("DELETE FROM games WHERE game_id = '{game}'"),
        8 | 9 => format!("{insert} INTO memberships (game_id, user_id, race_name, status) VALUES ('{game}', '{user}', '{race}', '{status}')"),
        10 => format!("UPDATE memberships SET race_name = '{race}' WHERE game_id = '{game}' AND user_id = '{user}'"),
        11 => format!("UPDATE memberships SET status = '{status}' WHERE user_id = '{user}'"),
        // One row: of several, PostgreSQL makes one change and SQLite one of each.
        12 if small == 0 => format!("DELETE FROM memberships WHERE game_id = '{game}' AND user_id = '{user}'"),
        13 => format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{user}', '{race}')
                       ON CONFLICT (game_id, user_id) DO UPDATE SET race_name = excluded.race_name"),
        14 if small == 0 => "DELETE FROM engine_versions".to_owned(),
        _ => format!("INSERT INTO engine_versions (version, image_ref, enabled) VALUES ('1.0.{small}', 'a', {paused})
                      ON CONFLICT (version) DO UPDATE SET enabled = excluded.enabled"),
    }
}

/// Writes the same to all and compares them after each write; gives how many writes were accepted.
async fn compare(databases: &mut [Db], seed: u64, writes: u32, replace: bool) -> u32 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut accepted = 0;
    let mut generations = std::collections::BTreeMap::new();
    for number in 0..writes {
        let sql = write(&mut random, replace);
        let mut results = Vec::new();
        for db in databases.iter_mut() {
            results.push(db.attempt(&sql).await);
        }
        assert!(
            results.iter().all(|result| *result == results[0]),
            "seed {seed}, write {number}: {results:?}: {sql}"
        );
        accepted += u32::from(results[0]);
        for state in STATE {
            let first = databases[0].rows(state).await;
            for db in &mut databases[1..] {
                assert_eq!(first, db.rows(state).await, "seed {seed}, write {number}: {sql}");
            }
        }
        for row in databases[0].rows("SELECT game_id, generation FROM games").await {
            let (game, generation) = row.split_once('|').unwrap();
            let generation: u64 = generation.parse().unwrap();
            let last = generations.insert(game.to_owned(), generation).unwrap_or(0);
            assert!(last <= generation, "seed {seed}, write {number}: {last} then {generation}: {sql}");
        }
    }
    accepted
}

#[tokio::test]
async fn the_pragmas_make_no_difference_to_a_long_series_of_writes() {
    for seed in 0..4 {
        let mut databases = Vec::new();
        for pragmas in Pragmas::ALL {
            databases.push(Db::sqlite(pragmas).await);
        }
        let accepted = compare(&mut databases, seed, 250, true).await;
        assert!(accepted > 60, "{accepted}");
    }
}

pub(crate) async fn the_dialects_agree_on_a_long_series_of_writes(cluster: &Cluster) {
    for seed in 10..13 {
        let mut databases =
            vec![Db::sqlite(Pragmas::ALL[0]).await, Db::postgres(cluster, &format!("series_{seed}")).await];
        let accepted = compare(&mut databases, seed, 250, false).await;
        assert!(accepted > 60, "{accepted}");
    }
}
