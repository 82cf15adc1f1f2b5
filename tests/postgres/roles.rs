//! `manifests/postgres/roles.sql`: what a lobby and a viewer may do, tried as they would.

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use crate::cluster::Cluster;
use crate::database::Database;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/postgres/roles.sql");
const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";

struct Role(PgConnection);

impl Role {
    async fn logged_in(cluster: &Cluster, role: &str, schema: &str) -> Self {
        let options: PgConnectOptions = cluster.url_of(role).parse().unwrap();
        let options = options.options([("search_path", schema)]).disable_statement_logging();
        Self(options.connect().await.unwrap())
    }

    async fn may(&mut self, sql: &str) {
        let done = raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await;
        assert!(done.is_ok(), "{sql}: {done:?}");
    }

    /// It lacks the privilege, and nothing else could fail.
    async fn may_not(&mut self, sql: &str) {
        self.fails(sql, "42501").await;
    }

    async fn fails(&mut self, sql: &str, state: &str) {
        let done = raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await;
        let code = done.as_ref().err().and_then(|error| error.as_database_error()?.code().map(String::from));
        assert_eq!(code.as_deref(), Some(state), "{sql}: {done:?}");
    }

    /// How many rows a statement was about.
    async fn rows(&mut self, sql: &str) -> u64 {
        let done = raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }
}

async fn with_roles(cluster: &Cluster) -> (Database, String) {
    let database = Database::on(&cluster.url());
    database.open().await;
    let Database::Postgres { schema, .. } = &database else { unreachable!() };
    let schema = schema.clone();
    // Twice: after an upgrade it is run again.
    for _ in 0..2 {
        let output = cluster.psql(&["-v", &format!("schema={schema}"), "-f", SCRIPT]);
        assert!(output.status.success(), "{output:?}");
    }
    (database, schema)
}

#[tokio::test]
async fn a_lobby_writes_desired_state_and_nothing_else() {
    let cluster = Cluster::start();
    let (database, schema) = with_roles(&cluster).await;
    database
        .sql(&format!(
            "INSERT INTO lobby_outbox (event_id, game_id, seq, type, occurred_at) VALUES (gen_random_uuid(), '{GAME}', 1, 'x', now());
             INSERT INTO operation_log (operation_id, game_id, op, source) VALUES (gen_random_uuid(), '{GAME}', 'start', 'lobby');
             INSERT INTO runtime_records (game_id, name) VALUES ('{GAME}', 'a')"
        ))
        .await;
    let mut lobby = Role::logged_in(&cluster, "gamekeeper_lobby", &schema).await;
    for sql in [
        "INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')",
        &format!(
            "BEGIN; INSERT INTO games (game_id, name, desired_status, target_engine_version, requested_by)
             VALUES ('{GAME}', 'andromeda', 'running', '1.4.2', 'ann') ON CONFLICT (game_id) DO UPDATE SET paused = false;
             INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{GAME}', 'Terrans')
             ON CONFLICT (game_id, user_id) DO UPDATE SET status = 'active'; COMMIT"
        ),
        "UPDATE games SET paused = true, force_turn_generation = force_turn_generation + 1",
        "UPDATE memberships SET status = 'removed'",
        "SELECT * FROM game_status",
        "SELECT * FROM player_stats",
        "SELECT * FROM operation_log",
        "UPDATE lobby_outbox SET acked_at = now() WHERE seq = 1",
        "UPDATE games SET deletion_requested_at = now()",
    ] {
        lobby.may(sql).await;
    }
    assert_eq!(database.count("SELECT generation FROM games").await, 3, "the triggers count as ever");
    assert_eq!(database.count("SELECT count(*) FROM game_changes").await, 4);
    for sql in [
        "DELETE FROM games",
        "TRUNCATE games",
        "SELECT * FROM game_managers",
        "UPDATE game_managers SET revision = 9",
        "SELECT * FROM membership_writes",
        "DELETE FROM membership_writes",
        "UPDATE runtime_records SET status = 'running'",
        "UPDATE runtime_records SET epoch = 99",
        "DELETE FROM runtime_records",
        "INSERT INTO turns (game_id, timeline, number, cause) VALUES (gen_random_uuid(), 1, 1, 'forced')",
        "UPDATE operation_log SET status = 'succeeded'",
        "DELETE FROM operation_log",
        "DELETE FROM game_tombstones",
        "UPDATE game_changes SET requested_by = 'nobody'",
        "UPDATE lobby_outbox SET payload = '{}'",
        "DELETE FROM lobby_outbox",
        "UPDATE leases SET epoch = 99",
        "SELECT * FROM leases",
        "SELECT * FROM instance",
        "UPDATE controller_spec SET frozen = true",
        "SELECT name FROM access_tokens",
        "DELETE FROM access_tokens",
        "UPDATE schema_info SET min_binary = '9.9.9'",
        "SELECT game_spec(games) FROM games",
        "CREATE TABLE mine (x int)",
        "DROP TABLE games",
        "ALTER TABLE games DISABLE TRIGGER ALL",
    ] {
        lobby.may_not(sql).await;
    }
}

/// Programs that write rows name all of their columns: what is not theirs is put right or refused, whoever writes.
#[tokio::test]
async fn a_lobby_may_name_any_column_and_changes_only_its_own() {
    let cluster = Cluster::start();
    let (database, schema) = with_roles(&cluster).await;
    let mut lobby = Role::logged_in(&cluster, "gamekeeper_lobby", &schema).await;
    let all = "game_id, name, desired_status, generation, row_version, membership_revision, managed_revision, created_at, updated_at";
    for sql in [
        format!("INSERT INTO games ({all}) VALUES ('{GAME}', 'andromeda', 'running', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT)"),
        format!("INSERT INTO games ({all}) VALUES (gen_random_uuid(), '', 'stopped', 77, 78, 79, 80, now(), '2001-01-01')"),
        format!("INSERT INTO memberships (game_id, user_id, race_name, status, created_at, updated_at) VALUES ('{GAME}', '{GAME}', 'Terrans', DEFAULT, DEFAULT, now())"),
        "INSERT INTO engine_versions (version, image_ref, managed_fields, generation, row_version, created_at, updated_at) VALUES ('1.4.2', 'engine:1.4.2', DEFAULT, 7, 8, now(), DEFAULT)".to_owned(),
        "UPDATE games SET generation = 99, row_version = 99, membership_revision = 99, managed_revision = 99, updated_at = '2001-01-01', created_at = '2001-01-01'".to_owned(),
        "UPDATE games SET generation = DEFAULT, created_at = DEFAULT, game_id = game_id, name = name, namespace = namespace".to_owned(),
        format!("INSERT INTO games (game_id, desired_status) VALUES ('{GAME}', 'stopped')
                 ON CONFLICT (game_id) DO UPDATE SET game_id = excluded.game_id, generation = excluded.generation, created_at = excluded.created_at"),
        "UPDATE memberships SET game_id = game_id, user_id = user_id, created_at = now(), updated_at = DEFAULT".to_owned(),
        "DELETE FROM memberships".to_owned(),
    ] {
        lobby.may(&sql).await;
    }
    let game = database
        .rows("SELECT generation, row_version, membership_revision, managed_revision, created_at > '2002-01-01' FROM games ORDER BY name = 'andromeda' DESC")
        .await;
    let row = |at: usize| -> Vec<String> { (0..5).map(|column| game[at].get(column)).collect() };
    assert_eq!(row(0), ["3", "3", "2", "0", "t"]);
    assert_eq!(row(1), ["1", "1", "0", "0", "t"]);
    lobby.may("UPDATE engine_versions SET generation = 9, row_version = 9").await;
    assert_eq!(database.count("SELECT generation + row_version FROM engine_versions").await, 2);
    for sql in [
        "UPDATE games SET name = 'other'",
        "UPDATE games SET namespace = 'other'",
        "UPDATE games SET game_id = gen_random_uuid()",
        "UPDATE engine_versions SET image_ref = 'evil'",
    ] {
        lobby.fails(sql, "23514").await;
    }
}

/// The statements of the page, as they stand: those of the walk and those that ORMs send.
#[tokio::test]
async fn the_lobby_s_page_runs_as_it_stands_with_the_lobby_s_role() {
    let cluster = Cluster::start();
    let (database, schema) = with_roles(&cluster).await;
    database.sql("CREATE SCHEMA lobby AUTHORIZATION gamekeeper_lobby").await;
    let mut lobby = Role::logged_in(&cluster, "gamekeeper_lobby", &format!("lobby, {schema}")).await;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lobby.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut orms = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, statements) = block.split_once('\n').unwrap();
        for statement in statements.split(";\n").map(|one| one.trim_end_matches(';').trim()) {
            match language {
                "sql" if !statement.is_empty() => lobby.may(statement).await,
                // Each of these is about a row: what says `row_version` is about the one that was read.
                "postgresql" if !statement.is_empty() => {
                    orms += 1;
                    assert!(lobby.rows(statement).await > 0, "{statement}");
                }
                _ => {}
            }
        }
    }
    assert!(orms > 25, "{orms} statements of ORMs");
    assert_eq!(database.count("SELECT count(*) FROM games").await, 6);
}

#[tokio::test]
async fn a_lobby_s_transactions_are_one_change_at_any_isolation_and_never_in_two_phases() {
    let cluster = Cluster::start();
    let (database, schema) = with_roles(&cluster).await;
    let mut one = Role::logged_in(&cluster, "gamekeeper_lobby", &schema).await;
    let mut other = Role::logged_in(&cluster, "gamekeeper_lobby", &schema).await;
    let counts = "SELECT generation * 100 + (SELECT count(*) FROM game_changes) FROM games";
    one.may(&format!(
        "INSERT INTO games (game_id, name, desired_status) VALUES ('{GAME}', 'andromeda', 'running')"
    ))
    .await;
    let member = |user: u128| {
        format!(
            "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{}', 'r{user}')",
            uuid::Uuid::from_u128(user)
        )
    };
    for (level, wanted) in [("REPEATABLE READ", 202), ("SERIALIZABLE", 303)] {
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        one.may(&begin).await;
        one.may("SELECT * FROM games").await;
        one.may(&member(wanted)).await;
        one.may(&member(wanted + 1)).await;
        other.may(&begin).await;
        other.may("SELECT * FROM games").await;
        one.may("UPDATE games SET paused = NOT paused").await;
        one.may("COMMIT").await;
        other.fails("UPDATE games SET stop_now = NOT stop_now", "40001").await;
        other.may("ROLLBACK").await;
        assert_eq!(database.count(counts).await, i64::try_from(wanted).unwrap(), "{level}");
    }
    database.sql("ALTER SYSTEM SET max_prepared_transactions = 2").await;
    cluster.restart();
    let mut one = Role::logged_in(&cluster, "gamekeeper_lobby", &schema).await;
    one.may("BEGIN").await;
    one.may(&member(1)).await;
    one.may("UPDATE games SET display_name = 'x'").await;
    // PostgreSQL prepares nothing that notifies: refused at once, and nothing is left half done.
    one.fails("PREPARE TRANSACTION 'one'", "0A000").await;
    assert_eq!(database.count(counts).await, 303);
    one.may("UPDATE games SET display_name = 'x'").await;
    assert_eq!(database.count("SELECT count(*) FROM pg_prepared_xacts").await, 0);
    assert_eq!(database.count("SELECT count(*) FROM membership_writes").await, 0);
}

#[tokio::test]
async fn a_viewer_reads_everything_and_writes_nothing() {
    let cluster = Cluster::start();
    let (database, schema) = with_roles(&cluster).await;
    let mut viewer = Role::logged_in(&cluster, "gamekeeper_viewer", &schema).await;
    let tables = database
        .rows("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
        .await;
    assert!(tables.len() > 20);
    for table in tables {
        let table: String = table.get(0);
        if table == "access_tokens" {
            viewer.may_not("SELECT name FROM access_tokens").await;
            continue;
        }
        viewer.may(&format!("SELECT * FROM {table}")).await;
        if table != "game_status" && table != "desired_feed" {
            viewer.may_not(&format!("DELETE FROM {table}")).await;
        }
    }
    viewer.may_not("INSERT INTO games (game_id, desired_status) VALUES (gen_random_uuid(), 'running')").await;
    viewer.may_not("UPDATE lobby_outbox SET acked_at = now()").await;
    viewer.may_not("CREATE TABLE mine (x int)").await;
}
