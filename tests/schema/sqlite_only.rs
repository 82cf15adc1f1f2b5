//! What only SQLite's clients can do to the tables: REPLACE in all its forms, odd pragmas, text as identifiers.

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{ConnectOptions as _, Connection as _, Row as _, raw_sql};

use crate::db::{Db, Pragmas};
use crate::promises::{ALICE, BOB, COUNTS, GAME, OTHER, a_game, a_player};

fn replace_game(columns: &str, values: &str) -> String {
    format!("INSERT OR REPLACE INTO games (game_id, desired_status, target_engine_version, turn_schedule{columns})
             VALUES ('{GAME}', 'running', '1.4.2', '0 18 * * *'{values})")
}

fn replace_player(user: &str, race: &str) -> String {
    format!("REPLACE INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{user}', '{race}')")
}

async fn feed(db: &mut Db) -> i64 {
    db.rows("SELECT seq FROM desired_feed").await[0].parse().unwrap()
}

#[tokio::test]
async fn a_replaced_game_keeps_what_may_not_be_reset() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        a_game(db).await;
        a_player(db, ALICE, "Terrans").await;
        a_player(db, BOB, "Zerg").await;
        db.run("UPDATE games SET restart_generation = 2, restore_generation = 1, restore_backup_id = 'b-1', backup_generation = 4")
            .await;
        let all = "SELECT g.game_id, namespace, name, generation, row_version, membership_revision, restart_generation, restore_generation,
                          restore_backup_id, backup_generation, g.created_at, g.updated_at, m.user_id, race_name, m.created_at, m.updated_at,
                          (SELECT count(*) FROM game_changes), (SELECT count(*) FROM game_tombstones), (SELECT seq FROM desired_feed)
                     FROM games AS g JOIN memberships AS m USING (game_id) ORDER BY m.user_id";
        let before = db.rows(all).await;
        assert!(before.len() == 2 && before[0].contains("andromeda|4|4|2|2|1|b-1|4"), "{before:?}");
        // The same again, with all that may be left out left out.
        db.run(&replace_game("", "")).await;
        assert_eq!(db.rows(all).await, before, "{pragmas:?}");
        db.run(&replace_game(", name, generation, created_at", ", 'andromeda', 1, '2001-01-01T00:00:00Z'"))
            .await;
        assert_eq!(db.rows(all).await, before, "{pragmas:?}");
        // A real change counts once; what was left out is back at its default.
        db.run(&replace_game(", paused, restart_generation", ", 1, 3")).await;
        db.expect("SELECT generation, row_version, paused, restart_generation FROM games", "5|5|1|3").await;
        db.run(&replace_game("", "")).await;
        db.expect("SELECT generation, row_version, paused, restart_generation FROM games", "6|6|0|3").await;
        db.expect("SELECT count(*) FROM memberships", "2").await;
        db.expect("SELECT count(*) FROM game_changes WHERE change = 'deleted'", "0").await;
        db.run("DELETE FROM games").await;
        db.expect("SELECT generation FROM game_tombstones", "6").await;
        db.expect("SELECT count(*) FROM memberships", "0").await;
    }
}

/// What hangs on a game's row, table by table, beside its own columns.
const HANGS_ON_A_GAME: [(&str, &str); 7] = [
    (
        "memberships",
        "SELECT game_id, user_id, race_name, status, created_at, updated_at FROM memberships ORDER BY user_id",
    ),
    ("game_managers", "SELECT game_id, revision, managed_fields FROM game_managers"),
    ("game_changes", "SELECT change_id, change, generation FROM game_changes ORDER BY change_id"),
    ("game_tombstones", "SELECT game_id, generation, handled_at IS NULL FROM game_tombstones"),
    ("runtime_records", "SELECT game_id, status, observed_generation FROM runtime_records"),
    (
        "game_shadow",
        "SELECT game_id, present, generation, row_version, membership_revision, counted_members, spec, meta FROM game_shadow",
    ),
    ("desired_feed", "SELECT seq FROM desired_feed"),
];

#[tokio::test]
async fn nothing_that_hangs_on_a_game_is_lost_when_its_row_is_replaced() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        // Deleted and made again before: what was then is not taken for what is.
        a_game(db).await;
        db.run("DELETE FROM games").await;
        a_game(db).await;
        a_player(db, ALICE, "Terrans").await;
        a_player(db, BOB, "Zerg").await;
        db.run(&format!("INSERT INTO game_managers (game_id, revision, managed_fields) VALUES ('{GAME}', 3, '{{\"revision\": 3}}')")).await;
        db.run(&format!("INSERT INTO runtime_records (game_id, name, status, observed_generation) VALUES ('{GAME}', 'andromeda', 'running', 4)")).await;
        for times in 1..=2 {
            for (table, rows) in HANGS_ON_A_GAME {
                let before = db.rows(rows).await;
                assert!(!before.is_empty(), "{table}");
                db.run(&replace_game("", "")).await;
                assert_eq!(db.rows(rows).await, before, "{table}, replaced {times} times, {pragmas:?}");
            }
        }
        // With a change it counts once, and what hangs on it stays.
        let kept = &HANGS_ON_A_GAME[..2];
        let mut before = Vec::new();
        for (_, rows) in kept {
            before.push(db.rows(rows).await);
        }
        db.expect("SELECT managed_revision FROM games", "3").await;
        let generation = "SELECT generation FROM games";
        let counted: i64 = db.rows(generation).await[0].parse().unwrap();
        db.run(&replace_game(", paused", ", 1")).await;
        db.expect(generation, &(counted + 1).to_string()).await;
        db.expect("SELECT managed_revision FROM games", "3").await;
        for ((table, rows), before) in kept.iter().zip(before) {
            assert_eq!(db.rows(rows).await, before, "{table}, {pragmas:?}");
        }
        // An insert that was ignored leaves a note behind; a deletion is one all the same.
        db.run(&replace_game("", "").replace("OR REPLACE", "OR IGNORE")).await;
        db.run("DELETE FROM games").await;
        db.expect("SELECT count(*) FROM game_managers", "0").await;
        a_game(db).await;
        db.expect("SELECT (SELECT count(*) FROM game_managers), (SELECT count(*) FROM memberships)", "0|0")
            .await;
        db.expect("SELECT managed_revision FROM games", "0").await;
    }
}

#[tokio::test]
async fn what_operators_want_of_the_controller_is_not_replaced() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        db.run("UPDATE controller_spec SET frozen = 1, rebind_generation = 2").await;
        db.refused("REPLACE INTO controller_spec (id) VALUES (1)", "the one row stays").await;
        db.run("INSERT INTO controller_spec (id, frozen) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET frozen_because = 'x'").await;
        db.expect("SELECT frozen, rebind_generation, frozen_because FROM controller_spec", "1|2|x").await;
    }
}

#[tokio::test]
async fn a_replace_changes_no_name_and_takes_none() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        a_game(db).await;
        db.run(&format!(
            "INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', 'ursa', 'running')"
        ))
        .await;
        db.refused(&replace_game(", name", ", 'other'"), "name is immutable").await;
        db.refused(&replace_game(", namespace", ", 'other'"), "namespace is immutable").await;
        db.refused(&replace_game(", name", ", 'ursa'"), "another game has this").await;
        db.refused(
            &format!(
                "REPLACE INTO games (game_id, name, desired_status) VALUES ('{BOB}', 'ursa', 'running')"
            ),
            "another game has this",
        )
        .await;
        db.refused("UPDATE OR REPLACE games SET name = 'ursa' WHERE name = 'andromeda'", "name is immutable")
            .await;
        db.run(&format!(
            "INSERT OR IGNORE INTO games (game_id, name, desired_status) VALUES ('{BOB}', 'ursa', 'running')"
        ))
        .await;
        db.run(&format!("INSERT OR IGNORE INTO games (game_id, name, desired_status) VALUES ('{GAME}', 'other', 'stopped')")).await;
        db.expect("SELECT count(*), min(generation), max(row_version) FROM games", "2|1|1").await;
        // What was ignored is not taken for the beginning of a replacement.
        db.run("DELETE FROM games").await;
        db.expect("SELECT count(*) FROM game_tombstones", "2").await;
        a_game(db).await;
        db.expect(COUNTS, "2|2").await;
    }
}

#[tokio::test]
async fn a_replaced_membership_counts_only_if_it_changed() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        a_game(db).await;
        a_player(db, ALICE, "Terrans").await;
        a_player(db, BOB, "Zerg").await;
        let all =
            "SELECT membership_revision, generation, row_version, g.updated_at, m.created_at, m.updated_at,
                          (SELECT count(*) FROM game_changes), (SELECT seq FROM desired_feed)
                     FROM games AS g JOIN memberships AS m USING (game_id) ORDER BY m.user_id";
        let before = db.rows(all).await;
        db.run(&replace_player(ALICE, "Terrans")).await;
        db.run("REPLACE INTO memberships (game_id, user_id, race_name) SELECT game_id, user_id, race_name FROM memberships").await;
        assert_eq!(db.rows(all).await, before, "{pragmas:?}");
        db.run(&replace_player(ALICE, "Protoss")).await;
        db.expect("SELECT membership_revision, generation, row_version FROM games", "3|4|4").await;
        db.expect("SELECT count(*) FROM game_changes", "4").await;
        db.refused(&replace_player(ALICE, "Zerg"), "race name").await;
        db.refused(&replace_player(OTHER, "Zerg"), "race name").await;
        db.refused(
            &format!("UPDATE OR REPLACE memberships SET race_name = 'Zerg' WHERE user_id = '{ALICE}'"),
            "race name",
        )
        .await;
        db.run(&format!("INSERT OR IGNORE INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{BOB}', 'x'), ('{GAME}', '{OTHER}', 'Zerg')")).await;
        db.expect("SELECT membership_revision, generation, row_version, (SELECT count(*) FROM memberships) FROM games", "3|4|4|2").await;
        db.run(&format!("DELETE FROM memberships WHERE user_id = '{BOB}'")).await;
        db.run(&replace_player(BOB, "Zerg")).await;
        db.expect("SELECT membership_revision, generation, row_version FROM games", "5|6|6").await;
    }
}

#[tokio::test]
async fn a_replaced_engine_version_keeps_its_image_and_counters() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        let replace = |image: &str, enabled: i32| {
            format!(
                "REPLACE INTO engine_versions (version, image_ref, enabled) VALUES ('1.4.2', '{image}', {enabled})"
            )
        };
        db.run(&replace("engine:1", 1)).await;
        db.run("UPDATE engine_versions SET resume_generation = 2").await;
        let before = feed(db).await;
        db.run(&replace("engine:1", 1)).await;
        assert_eq!(feed(db).await, before);
        db.expect("SELECT generation, row_version, resume_generation FROM engine_versions", "2|2|2").await;
        db.run(&replace("engine:1", 0)).await;
        db.expect("SELECT generation, row_version, resume_generation FROM engine_versions", "3|3|2").await;
        db.refused(&replace("engine:2", 1), "image_ref is immutable").await;
        db.run("INSERT OR IGNORE INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:2')")
            .await;
        db.run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:2') ON CONFLICT DO UPDATE SET enabled = 1").await;
        db.expect("SELECT image_ref, generation, (SELECT count(*) FROM engine_version_tombstones) FROM engine_versions", "engine:1|4|0").await;
    }
}

#[tokio::test]
async fn a_replaced_game_stays_asked_to_go() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        a_game(db).await;
        db.run("UPDATE games SET deletion_requested_at = '2026-11-24T18:00:00+00:00'").await;
        db.run(&replace_game("", "")).await;
        db.expect(
            "SELECT deletion_requested_at, generation, row_version FROM games",
            "2026-11-24T18:00:00+00:00|1|2",
        )
        .await;
        db.run(&replace_game(", display_name", ", 'x'")).await;
        db.expect(
            "SELECT deletion_requested_at, generation, row_version FROM games",
            "2026-11-24T18:00:00+00:00|1|3",
        )
        .await;
    }
}

#[tokio::test]
async fn many_rows_replaced_at_once_count_each_on_its_own() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        let values: Vec<String> =
            (0..30).map(|i| format!("('6f1c0a52-58a7-4d7e-9a0b-{i:012}', 'running', '')")).collect();
        db.run(&format!(
            "REPLACE INTO games (game_id, desired_status, turn_schedule) VALUES {}",
            values.join(", ")
        ))
        .await;
        db.run(
            "INSERT INTO memberships (game_id, user_id, race_name) SELECT game_id, game_id, 'r' FROM games",
        )
        .await;
        db.run("REPLACE INTO games (game_id, desired_status, paused) SELECT game_id, 'running', game_id LIKE '%3' FROM games").await;
        db.expect(
            "SELECT count(*), sum(generation), max(generation), sum(membership_revision) FROM games",
            "30|63|3|30",
        )
        .await;
        db.expect("SELECT count(*) FROM memberships", "30").await;
        db.expect("SELECT count(*) FROM game_changes", "63").await;
        db.expect("SELECT count(*) FROM game_tombstones", "0").await;
    }
}

#[tokio::test]
async fn an_identifier_in_another_form_is_refused() {
    let db = &mut Db::sqlite(Pragmas::ALL[0]).await;
    a_game(db).await;
    for id in [
        GAME.to_uppercase(),
        format!("{{{GAME}}}"),
        GAME.replace('-', ""),
        format!("urn:uuid:{GAME}"),
        format!(" {GAME}"),
    ] {
        db.refused(
            &format!("INSERT INTO games (game_id, desired_status) VALUES ('{id}', 'running')"),
            "CHECK",
        )
        .await;
        db.refused(
            &format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{id}', 'r')"),
            "CHECK",
        )
        .await;
    }
    db.refused(
        "INSERT INTO games (game_id, desired_status) VALUES (x'00112233445566778899aabbccddeeff', 'running')",
        "",
    )
    .await;
    db.refused("UPDATE games SET paused = 2", "CHECK").await;
    db.refused("UPDATE games SET paused = 'yes'", "").await;
    for time in [
        "12:00",
        "2461368.5",
        "now",
        "2026-11-24T18:00:00 +01:00",
        "2026-11-24T24:00:00",
        "2026-02-29T00:00:00",
    ] {
        db.refused(&format!("UPDATE games SET turn_not_before = '{time}'"), "").await;
    }
    for time in [
        "2026-11-24 18:00",
        "2026-11-24T18:00:00Z",
        "2026-11-24T18:00:00.123456+02:00",
        "2028-02-29 23:59:59",
    ] {
        db.run(&format!("UPDATE games SET turn_not_before = '{time}'")).await;
    }
}

#[tokio::test]
async fn only_a_real_change_is_announced() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        for change in [
            &format!("INSERT INTO games (game_id, desired_status) VALUES ('{GAME}', 'running')"),
            &format!(
                "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'r')"
            ),
            "UPDATE games SET paused = 1",
            "UPDATE games SET display_name = 'x'",
            "UPDATE memberships SET race_name = 's'",
            "DELETE FROM memberships",
            "DELETE FROM games",
            "INSERT INTO engine_versions (version, image_ref) VALUES ('1.0.0', 'a')",
            "UPDATE engine_versions SET enabled = 0",
            "DELETE FROM engine_versions",
        ] {
            let before = feed(db).await;
            db.run(change).await;
            assert_eq!(feed(db).await, before + 1, "{change}");
        }
        a_game(db).await;
        let before = feed(db).await;
        db.run("UPDATE games SET paused = 0, requested_by = 'x', generation = 5").await;
        db.run("UPDATE engine_versions SET enabled = 0").await;
        db.run("UPDATE memberships SET race_name = race_name").await;
        assert_eq!(feed(db).await, before);
    }
}

#[tokio::test]
async fn another_connection_notices_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(dir.path().join("g.db")).create_if_missing(true);
    let mut writer = options.connect().await.unwrap();
    let migrations = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let migrator = sea_orm::sqlx::migrate::Migrator::new(migrations).await.unwrap();
    migrator.run(&mut writer).await.unwrap();
    // Again: nothing to do.
    migrator.run(&mut writer).await.unwrap();
    let mut watcher = options.connect().await.unwrap();
    let mut seen = Vec::new();
    for write in [
        "",
        "INSERT INTO games (game_id, desired_status) VALUES ('6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10', 'running')",
    ] {
        raw_sql(write).execute(&mut writer).await.unwrap();
        let version = raw_sql("PRAGMA data_version").fetch_one(&mut watcher).await.unwrap().get::<i64, _>(0);
        let seq =
            raw_sql("SELECT seq FROM desired_feed").fetch_one(&mut watcher).await.unwrap().get::<i64, _>(0);
        seen.push((version, seq));
    }
    assert!(seen[0].0 < seen[1].0 && seen[0].1 < seen[1].1, "{seen:?}");
    watcher.close().await.unwrap();
    writer.close().await.unwrap();
}

#[tokio::test]
async fn what_one_batch_writes_of_a_game_is_one_change() {
    for pragmas in Pragmas::ALL {
        let db = &mut Db::sqlite(pragmas).await;
        let counts = "SELECT generation, row_version, membership_revision, (SELECT count(*) FROM game_changes), (SELECT seq FROM desired_feed) FROM games";
        let batch = async |db: &mut Db, statements: &[&str]| {
            db.run("BEGIN").await;
            db.run(&format!("INSERT INTO write_batches (game_id) VALUES ('{GAME}')")).await;
            for statement in statements {
                db.run(statement).await;
            }
            db.run("DELETE FROM write_batches").await;
            db.run("COMMIT").await;
        };
        let member = |user: &str, race: &str| {
            format!(
                "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{user}', '{race}')"
            )
        };
        let game = format!(
            "INSERT INTO games (game_id, name, desired_status, generation) VALUES ('{GAME}', 'andromeda', 'running', 9)"
        );
        batch(db, &[&game, &member(ALICE, "Terrans"), &member(BOB, "Zerg")]).await;
        db.expect(counts, "1|1|1|1|1").await;
        db.expect("SELECT change, json_array_length(changes, '$.members'), json_extract(changes, '$.membership_revision.to') FROM game_changes", "created|2|1").await;
        let swap =
            "UPDATE memberships SET race_name = CASE race_name WHEN 'Zerg' THEN 'Terrans' ELSE 'Zerg' END";
        batch(
            db,
            &[
                "UPDATE memberships SET status = 'removed'",
                swap,
                "UPDATE memberships SET status = 'active'",
                "UPDATE games SET paused = 1, row_version = 77",
            ],
        )
        .await;
        db.expect(counts, "2|2|2|2|2").await;
        // A single member, replaced and then back: told as it went.
        batch(
            db,
            &[&format!(
                "REPLACE INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'Orcs')"
            )],
        )
        .await;
        db.expect(counts, "3|3|3|3|3").await;
        db.expect("SELECT json_extract(changes, '$.member.race_name.from'), json_extract(changes, '$.member.race_name.to') FROM game_changes ORDER BY change_id DESC LIMIT 1", "Zerg|Orcs").await;
        // Nothing, and what changes nothing.
        batch(
            db,
            &["UPDATE games SET paused = 1, requested_by = 'x'", "UPDATE memberships SET status = 'active'"],
        )
        .await;
        db.expect(counts, "3|3|3|3|3").await;
        // Afterwards everything counts alone, as ever.
        db.run("UPDATE memberships SET status = 'removed'").await;
        db.expect(counts, "5|5|5|5|5").await;
        db.expect("SELECT count(*) FROM membership_writes", "0").await;
    }
}

/// A column that the trigger does not name would be changed without being counted.
#[tokio::test]
async fn every_column_of_a_game_is_watched_by_a_trigger() {
    let db = &mut Db::sqlite(Pragmas::ALL[0]).await;
    let triggers = db
        .rows(
            "SELECT sql FROM sqlite_schema WHERE name IN ('games_after_update', 'games_counters_put_right')",
        )
        .await;
    let watched: Vec<&str> = triggers
        .iter()
        .flat_map(|sql| {
            let list = sql.split_once("UPDATE OF").unwrap().1.split_once(" ON games").unwrap().0;
            list.split(',').map(str::trim).collect::<Vec<_>>()
        })
        .collect();
    for column in db.rows("SELECT name FROM pragma_table_info('games') WHERE name <> 'game_id'").await {
        assert!(watched.contains(&column.as_str()), "{column} is in no trigger");
    }
}
