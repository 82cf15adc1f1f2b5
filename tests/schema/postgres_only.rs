//! What only PostgreSQL has: notifications, roles, search paths, TRUNCATE, concurrent writers.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, raw_sql};

use crate::cluster::Cluster;
use crate::db::{Db, options};
use crate::promises::{ALICE, BOB, COUNTS, GAME, OTHER, a_game, a_player};

pub(crate) async fn every_promise_on(cluster: &Cluster) {
    only_a_real_change_is_announced_and_once(cluster).await;
    a_truncate_is_refused(&mut Db::postgres(cluster, "truncate").await).await;
    an_identifier_in_another_form_is_the_same_game(&mut Db::postgres(cluster, "forms").await).await;
    an_endless_time_is_refused(&mut Db::postgres(cluster, "endless").await).await;
    a_lobby_needs_rights_on_three_tables_and_no_search_path(cluster).await;
    a_membership_never_outlives_a_game_deleted_meanwhile(cluster).await;
    what_is_made_again_while_it_is_deleted_goes_on_counting(cluster).await;
    a_zero_of_an_orm_is_what_is_not_set(&mut Db::postgres(cluster, "zeros").await).await;
    a_transaction_is_one_change_of_a_game(&mut Db::postgres(cluster, "one_change").await).await;
}

/// Whatever it writes, in which order; and what is taken back by a savepoint was never part of it.
async fn a_transaction_is_one_change_of_a_game(db: &mut Db) {
    let counts =
        "SELECT generation, row_version, membership_revision, (SELECT count(*) FROM game_changes) FROM games";
    let member = |user: &str, race: &str| {
        format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{user}', '{race}')")
    };
    let last = "SELECT change, coalesce(jsonb_array_length(changes -> 'members'), 0), changes - 'members' - 'member' - 'membership_revision'
                  FROM game_changes ORDER BY change_id DESC LIMIT 1";
    db.run("BEGIN").await;
    a_game(db).await;
    db.run(&member(ALICE, "Terrans")).await;
    db.run(&member(BOB, "Zerg")).await;
    db.run("UPDATE games SET paused = true").await;
    db.run("COMMIT").await;
    db.expect(counts, "1|1|1|1").await;
    db.expect("SELECT change, jsonb_array_length(changes -> 'members'), changes -> 'paused' ->> 'to', changes -> 'paused' ->> 'from' FROM game_changes", "created|2|true|-").await;

    db.run("BEGIN").await;
    db.run("UPDATE games SET display_name = 'x'").await;
    db.run("UPDATE memberships SET status = 'removed'").await;
    db.run("UPDATE games SET paused = false, requested_by = 'ann'").await;
    db.run("UPDATE games SET display_name = 'y'").await;
    db.run("COMMIT").await;
    db.expect(counts, "2|2|2|2").await;
    db.expect(
        last,
        r#"changed|2|{"paused": {"to": false, "from": true}, "display_name": {"to": "y", "from": ""}}"#,
    )
    .await;
    db.expect("SELECT requested_by FROM game_changes ORDER BY change_id DESC LIMIT 1", "ann").await;

    db.run("BEGIN").await;
    db.run("SAVEPOINT a").await;
    db.run("UPDATE games SET paused = true").await;
    db.run("UPDATE memberships SET status = 'active'").await;
    db.run("ROLLBACK TO a").await;
    db.run("UPDATE games SET stop_now = true").await;
    db.run("SET CONSTRAINTS ALL IMMEDIATE").await;
    db.run(&format!("UPDATE memberships SET status = 'active' WHERE user_id = '{ALICE}'")).await;
    db.run(&format!("UPDATE memberships SET status = 'active' WHERE user_id = '{BOB}'")).await;
    db.run("COMMIT").await;
    db.expect(counts, "3|3|3|3").await;
    db.expect(last, r#"changed|2|{"stop_now": {"to": true, "from": false}}"#).await;

    // What is no spec moves no generation, and what follows it does.
    db.run("BEGIN").await;
    db.run("UPDATE games SET labels = '{\"a\": \"b\"}'").await;
    db.run("COMMIT").await;
    db.expect(counts, "3|4|3|4").await;
    // What a session says by itself counts nothing.
    db.run("SET gamekeeper.members = 'changed'").await;
    db.run("UPDATE games SET requested_by = 'x'").await;
    db.expect(counts, "3|4|3|4").await;
    db.run("RESET gamekeeper.members").await;

    // Deleted and made again at once: the end of one and the beginning of another.
    db.run("BEGIN").await;
    db.run("DELETE FROM games").await;
    a_game(db).await;
    db.run(&member(ALICE, "Terrans")).await;
    db.run("COMMIT").await;
    db.expect(counts, "4|5|4|6").await;
    db.expect("SELECT count(*) FROM membership_writes", "0").await;
}

async fn only_a_real_change_is_announced_and_once(cluster: &Cluster) {
    let mut db = Db::postgres(cluster, "announce").await;
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options(cluster)).await.unwrap();
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("announce_desired").await.unwrap();
    listener.listen("fence").await.unwrap();
    for (write, announced) in [
        ("INSERT INTO games (game_id, desired_status) SELECT gen_random_uuid(), 'running' FROM generate_series(1, 500)".to_owned(), 1),
        ("UPDATE games SET paused = true".to_owned(), 1),
        ("UPDATE games SET paused = true, requested_by = 'x', generation = 7".to_owned(), 0),
        ("UPDATE games SET paused = false WHERE false".to_owned(), 0),
        ("INSERT INTO memberships (game_id, user_id, race_name) SELECT game_id, game_id, 'r' FROM games".to_owned(), 1),
        ("UPDATE memberships SET race_name = race_name".to_owned(), 0),
        ("INSERT INTO games (game_id, desired_status) SELECT game_id, 'running' FROM games ON CONFLICT DO NOTHING".to_owned(), 0),
        ("DELETE FROM memberships".to_owned(), 1),
        ("DELETE FROM games".to_owned(), 1),
        ("INSERT INTO engine_versions (version, image_ref) VALUES ('1.0.0', 'a')".to_owned(), 1),
        ("UPDATE engine_versions SET enabled = false".to_owned(), 1),
        ("UPDATE engine_versions SET enabled = false".to_owned(), 0),
        ("DELETE FROM engine_versions".to_owned(), 1),
    ] {
        db.run(&write).await;
        db.run("NOTIFY fence").await;
        let mut seen = 0;
        loop {
            let note = tokio::time::timeout(Duration::from_secs(30), listener.recv()).await.expect("a notification").unwrap();
            if note.channel() == "fence" {
                break;
            }
            assert_eq!(note.payload(), "");
            seen += 1;
        }
        assert_eq!(seen, announced, "{write}");
    }
}

async fn a_truncate_is_refused(db: &mut Db) {
    a_game(db).await;
    for table in ["games", "memberships", "engine_versions", "access_tokens"] {
        db.refused(&format!("TRUNCATE {table}"), "use DELETE").await;
    }
}

async fn an_identifier_in_another_form_is_the_same_game(db: &mut Db) {
    a_game(db).await;
    for id in [GAME.to_uppercase(), format!("{{{GAME}}}"), GAME.replace('-', "")] {
        db.run(&format!(
            "INSERT INTO games (game_id, desired_status) VALUES ('{id}', 'running') ON CONFLICT DO NOTHING"
        ))
        .await;
    }
    db.expect("SELECT count(*) FROM games", "1").await;
}

/// Whoever makes a game or a version again waits for the end of the deletion, and counts on from there; one
/// that reads as of its beginning is refused.
async fn what_is_made_again_while_it_is_deleted_goes_on_counting(cluster: &Cluster) {
    let mut db = Db::postgres(cluster, "again").await;
    a_game(&mut db).await;
    db.run("UPDATE games SET paused = true").await;
    db.run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.0.0', 'a')").await;
    let counts = "SELECT (SELECT generation || ',' || row_version FROM games), (SELECT row_version FROM engine_versions)";
    db.expect(counts, "2,2|1").await;
    let again = [
        format!("INSERT INTO games (game_id, desired_status) VALUES ('{GAME}', 'running') ON CONFLICT (game_id) DO NOTHING"),
        "INSERT INTO engine_versions (version, image_ref) VALUES ('1.0.0', 'b') ON CONFLICT (version) DO NOTHING".to_owned(),
    ];
    for (table, write) in ["games", "engine_versions"].into_iter().zip(&again) {
        db.run("BEGIN").await;
        db.run(&format!("DELETE FROM {table}")).await;
        let mut other = options(cluster).options([("search_path", "again")]).connect().await.unwrap();
        let process: i32 = raw_sql("SELECT pg_backend_pid()").fetch_one(&mut other).await.unwrap().get(0);
        let write = write.clone();
        let waits =
            tokio::spawn(async move { raw_sql(AssertSqlSafe(write)).execute(&mut other).await.map(|_| ()) });
        until_it_waits(cluster, process).await;
        db.run("COMMIT").await;
        waits.await.unwrap().unwrap();
    }
    db.expect("SELECT generation, row_version FROM games", "3|3").await;
    db.expect("SELECT row_version, image_ref FROM engine_versions", "2|b").await;
    db.run("DELETE FROM games").await;

    // Its game is deleted after it has looked.
    a_game(&mut db).await;
    let mut other = options(cluster).options([("search_path", "again")]).connect().await.unwrap();
    raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM games").execute(&mut other).await.unwrap();
    db.run("DELETE FROM games").await;
    let refused = raw_sql(AssertSqlSafe(again[0].clone())).execute(&mut other).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("40001"));
}

async fn a_zero_of_an_orm_is_what_is_not_set(db: &mut Db) {
    db.run(&format!(
        "INSERT INTO games (game_id, desired_status, deletion_requested_at, restore_backup_id)
         VALUES ('{GAME}', 'running', '0001-01-01 00:00:00+00', '')"
    ))
    .await;
    let unset = "SELECT deletion_requested_at IS NULL, restore_backup_id IS NULL FROM games";
    db.expect(unset, "1|1").await;
    db.run("UPDATE games SET deletion_requested_at = '0001-01-01 00:00:00+00', restore_backup_id = ''").await;
    db.expect(unset, "1|1").await;
    db.run(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name, created_at, updated_at)
         VALUES ('{GAME}', '{ALICE}', 'Terrans', 'infinity', '1970-01-01')"
    ))
    .await;
    db.expect("SELECT isfinite(created_at), updated_at > '2000-01-01' FROM memberships", "1|1").await;
    db.run("UPDATE games SET deletion_requested_at = now()").await;
    db.expect("SELECT deletion_requested_at IS NULL FROM games", "0").await;
    db.refused("UPDATE games SET deletion_requested_at = '0001-01-01 00:00:00+00'", "cannot be taken back")
        .await;
}

async fn an_endless_time_is_refused(db: &mut Db) {
    a_game(db).await;
    for time in ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"] {
        db.refused(&format!("UPDATE games SET turn_not_before = '{time}'"), "check").await;
        db.refused(&format!("UPDATE games SET deletion_requested_at = '{time}'"), "check").await;
    }
}

async fn a_lobby_needs_rights_on_three_tables_and_no_search_path(cluster: &Cluster) {
    let mut owner = Db::postgres(cluster, "gamekeeper").await;
    owner
        .run(
            "CREATE ROLE lobby LOGIN; GRANT USAGE ON SCHEMA gamekeeper TO lobby; GRANT CREATE, TEMPORARY ON DATABASE postgres TO lobby;
             GRANT SELECT, INSERT, UPDATE, DELETE ON gamekeeper.games, gamekeeper.memberships, gamekeeper.engine_versions TO lobby",
        )
        .await;
    let mut lobby = options(cluster).username("lobby").connect().await.unwrap();
    // Neither a schema nor a temporary table of its own can take the place of what the triggers write.
    for sql in [
        "CREATE SCHEMA lobby CREATE TABLE game_changes (x int); SET search_path TO lobby",
        "CREATE TEMPORARY TABLE game_tombstones (x int)",
        &format!(
            "INSERT INTO gamekeeper.games (game_id, name, desired_status) VALUES ('{GAME}', 'andromeda', 'running')"
        ),
        &format!(
            "INSERT INTO gamekeeper.memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'Terrans')"
        ),
        "UPDATE gamekeeper.games SET paused = true",
        "UPDATE gamekeeper.memberships SET status = 'removed'",
        "DELETE FROM gamekeeper.games",
    ] {
        raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut lobby)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    owner.expect("SELECT count(*), max(generation) FROM game_changes", "5|4").await;
    owner.expect("SELECT generation FROM game_tombstones", "4").await;
    assert!(raw_sql("SELECT * FROM gamekeeper.game_changes").execute(&mut lobby).await.is_err());
}

/// The server's process waits for what others have locked.
async fn until_it_waits(cluster: &Cluster, process: i32) {
    let waits =
        format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {process} AND wait_event_type = 'Lock'");
    let mut watcher = options(cluster).connect().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), async {
        while raw_sql(AssertSqlSafe(waits.clone())).fetch_one(&mut watcher).await.unwrap().get::<i64, _>(0)
            != 1
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the other writer waits");
}

async fn a_membership_never_outlives_a_game_deleted_meanwhile(cluster: &Cluster) {
    let mut db = Db::postgres(cluster, "meanwhile").await;
    a_game(&mut db).await;
    a_player(&mut db, ALICE, "Terrans").await;
    let mut rival = options(cluster).options([("search_path", "meanwhile")]).connect().await.unwrap();
    let pid: i32 = raw_sql("SELECT pg_backend_pid()").fetch_one(&mut rival).await.unwrap().get(0);
    db.run("BEGIN").await;
    db.run("DELETE FROM games").await;
    let insert =
        format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{BOB}', 'Zerg')");
    let rival =
        tokio::spawn(async move { raw_sql(AssertSqlSafe(insert)).execute(&mut rival).await.map(|_| ()) });
    until_it_waits(cluster, pid).await;
    db.run("COMMIT").await;
    let refusal = rival.await.unwrap().unwrap_err().to_string();
    assert!(refusal.contains("no such game"), "{refusal}");
    db.expect("SELECT (SELECT count(*) FROM games), (SELECT count(*) FROM memberships)", "0|0").await;
    // Two writers of one game's memberships at once: both count.
    db.run(&format!(
        "INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', 'andromeda', 'running')"
    ))
    .await;
    db.expect(COUNTS, "1|1").await;
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect_with(options(cluster).options([("search_path", "meanwhile")]))
        .await
        .unwrap();
    let writers = (0..20).map(|i| {
        let pool = pool.clone();
        let sql = format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{OTHER}', '00000000-0000-4000-8000-{i:012}', 'r{i}')");
        tokio::spawn(async move { raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap() })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    db.expect("SELECT generation, membership_revision, (SELECT count(*) FROM game_changes WHERE game_id = '6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f11') FROM games", "21|20|21")
        .await;
}
