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

    async fn may_not(&mut self, sql: &str) {
        let done = raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await;
        let code = done.as_ref().err().and_then(|error| error.as_database_error()?.code().map(String::from));
        // insufficient_privilege, and nothing else that could fail.
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {done:?}");
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
        "UPDATE games SET generation = 99",
        "UPDATE games SET row_version = 99",
        "UPDATE games SET membership_revision = 99",
        "UPDATE games SET name = 'other'",
        "INSERT INTO games (game_id, desired_status, generation) VALUES (gen_random_uuid(), 'running', 7)",
        "DELETE FROM games",
        "DELETE FROM memberships",
        "TRUNCATE games",
        "UPDATE engine_versions SET image_ref = 'evil'",
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
