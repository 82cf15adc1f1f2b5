//! A lobby with the habits of lobbies: transactions that stay open, locks on rows of every kind, whole rows
//! written back, upserts, several games at once, and now and then a connection that just goes away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row, raw_sql};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::report::Record;
use crate::database::Database;
use crate::world::World;

/// Games that no lobby touches; what is wished of them is told apart from everything else.
pub(super) const CALM: &str = "calm-";

/// So many games there are, about.
const GAMES: i64 = 9;

/// One of the lobby's workers.
pub(super) struct Worker {
    pub(super) world: Arc<World>,
    pub(super) record: Arc<Record>,
    /// The longest that a transaction stays open, in seconds.
    pub(super) reach: u64,
}

impl Worker {
    /// Goes on until it is told to end; its transaction ends then.
    pub(super) async fn works(self, seed: u64, over: CancellationToken) {
        let mut random = StdRng::seed_from_u64(seed);
        while !over.is_cancelled() {
            if let Err(error) = self.transaction(&mut random, &over).await {
                // Refused, beaten by somebody else, or without a server: a lobby tries something else.
                self.record.counted(&format!("lobby: refused, {}", code(&error)));
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let pause = Duration::from_millis(random.random_range(100..2_000));
            let _ = tokio::time::timeout(pause, over.cancelled()).await;
        }
    }

    async fn transaction(&self, random: &mut StdRng, over: &CancellationToken) -> Result<(), Error> {
        let mut client = connected(&self.world.database).await?;
        let isolation = if random.random_range(0..4) == 0 { " ISOLATION LEVEL REPEATABLE READ" } else { "" };
        run(&mut client, &format!("BEGIN{isolation}; SET LOCAL lock_timeout = '20s'")).await?;
        for _ in 0..random.random_range(1..=3) {
            self.habit(&mut client, random).await?;
        }
        let long = match random.random_range(0..10) {
            0..=5 => random.random_range(0..1_000),
            6..=8 => random.random_range(1_000..=self.reach * 1_000 / 6 + 1_000),
            _ => random.random_range(1_000..=self.reach * 1_000 + 1_000),
        };
        let open = Instant::now();
        let _ = tokio::time::timeout(Duration::from_millis(long), over.cancelled()).await;
        let end = match random.random_range(0..10) {
            0..=6 => "COMMIT",
            7 | 8 => "ROLLBACK",
            _ => {
                self.record.counted("lobby: connections dropped");
                return Ok(());
            }
        };
        run(&mut client, end).await?;
        self.record.counted(&format!("lobby: {}", end.to_lowercase()));
        if open.elapsed() > Duration::from_secs(5) {
            self.record.counted("lobby: transactions open for more than 5 s");
        }
        client.close().await
    }

    async fn habit(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        match random.random_range(0..14) {
            0..=5 => self.wishes(client, random).await,
            6 => self.writes_a_whole_row(client, random).await,
            7 => self.upserts(client, random).await,
            8 => self.changes_members(client, random).await,
            9 => {
                let what = ["games", "memberships", "engine_versions", "lobby_outbox"];
                let what = what[random.random_range(0..what.len())];
                let how = ["FOR UPDATE", "FOR SHARE", "FOR UPDATE SKIP LOCKED"][random.random_range(0..3)];
                run(client, &format!("SELECT * FROM {what} {} LIMIT 4 {how}", but_calm(what))).await
            }
            10 | 11 => self.acknowledges(client, random).await,
            12 => {
                run(client, "SELECT count(*) FROM game_status; SELECT count(*) FROM lobby_outbox").await?;
                run(client, "UPDATE engine_versions SET labels = '{\"seen\": \"yes\"}'").await
            }
            _ => self.makes_and_ends_games(client, random).await,
        }
    }

    /// Some change of what is desired, of one game or of a few.
    async fn wishes(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        let change = match random.random_range(0..16) {
            0 => "desired_status = CASE desired_status WHEN 'running' THEN 'stopped' ELSE 'running' END".to_owned(),
            1 => "desired_status = 'running'".to_owned(),
            2 => "restart_generation = restart_generation + 1".to_owned(),
            3..=5 => "force_turn_generation = force_turn_generation + 1".to_owned(),
            6 | 7 => "paused = NOT paused".to_owned(),
            8 | 9 => {
                "target_engine_version = CASE target_engine_version WHEN '1.4.1' THEN '1.4.2' ELSE '1.4.1' END"
                    .to_owned()
            }
            10 | 11 => {
                let schedule = ["", "*/5 * * * * *", "*/3 * * * * *"][random.random_range(0..3)];
                let mode = ["advance", "extra"][random.random_range(0..2)];
                let missed = ["once", "skip"][random.random_range(0..2)];
                format!("turn_schedule = '{schedule}', force_mode = '{mode}', missed_turns = '{missed}'")
            }
            12 => "backup_generation = backup_generation + 1".to_owned(),
            13 | 14 => return self.restores(client, random).await,
            _ => "backup_before_turn = NOT backup_before_turn, stop_now = NOT stop_now".to_owned(),
        };
        for game in some_games(client, random).await? {
            run(client, &format!("UPDATE games SET {change} WHERE game_id = '{game}'")).await?;
            self.record.counted("wishes");
        }
        Ok(())
    }

    /// One of the copies that there are.
    async fn restores(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        let Some(game) = some_games(client, random).await?.pop() else { return Ok(()) };
        let kept = self.world.state_root().join(".gamekeeper/backups").join(&game);
        let names = std::fs::read_dir(kept).into_iter().flatten().flatten();
        let names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let names: Vec<&String> = names.iter().filter(|name| !name.starts_with('.')).collect();
        if names.is_empty() {
            return Ok(());
        }
        let copy = names[random.random_range(0..names.len())];
        self.record.counted("wishes: restores");
        let change = "restore_generation = restore_generation + 1";
        run(
            client,
            &format!("UPDATE games SET {change}, restore_backup_id = '{copy}' WHERE game_id = '{game}'"),
        )
        .await
    }

    /// As an ORM saves an object that it read a while ago.
    async fn writes_a_whole_row(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        for game in some_games(client, random).await? {
            let query = format!("SELECT row_version FROM games WHERE game_id = '{game}'");
            let rows = raw_sql(AssertSqlSafe(query)).fetch_all(&mut *client).await?;
            let Some(row) = rows.first() else { continue };
            let version: String = row.get_unchecked(0);
            tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
            let save = format!(
                "UPDATE games SET game_id = game_id, namespace = namespace, name = name, display_name = 'saved {}',
                        labels = '{{\"season\": \"7\"}}', annotations = annotations, desired_status = desired_status,
                        paused = paused, target_engine_version = target_engine_version, time_zone = 'Europe/Berlin',
                        turn_schedule = turn_schedule, restart_generation = restart_generation,
                        force_turn_generation = force_turn_generation, generation = generation,
                        row_version = row_version, created_at = created_at, updated_at = updated_at,
                        resources = resources, deletion_policy = deletion_policy
                  WHERE game_id = '{game}' AND row_version = {version}",
                random.random_range(0..100)
            );
            run(client, &save).await?;
        }
        Ok(())
    }

    async fn upserts(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        for game in some_games(client, random).await? {
            let race = format!("Race {}", random.random_range(0..1_000_000));
            run(
                client,
                &format!(
                    "INSERT INTO games (game_id, name, desired_status) SELECT game_id, name, 'running' FROM games WHERE game_id = '{game}'
                       ON CONFLICT (game_id) DO UPDATE SET display_name = 'upserted', requested_by = 'upsert';
                     INSERT INTO memberships (game_id, user_id, race_name)
                       SELECT game_id, user_id, '{race}' FROM memberships WHERE game_id = '{game}' LIMIT 1
                       ON CONFLICT (game_id, user_id) DO UPDATE SET race_name = excluded.race_name, status = 'active'"
                ),
            )
            .await?;
        }
        Ok(())
    }

    async fn changes_members(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        for game in some_games(client, random).await? {
            let (user, race) = (Uuid::new_v4(), random.random_range(0..1_000_000));
            // Whoever came first stays.
            run(
                client,
                &format!(
                    "DELETE FROM memberships WHERE game_id = '{game}' AND race_name LIKE 'Guest %' AND status = 'removed';
                     UPDATE memberships SET status = 'removed' WHERE game_id = '{game}' AND race_name LIKE 'Guest %';
                     INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{user}', 'Guest {race}')"
                ),
            )
            .await?;
        }
        Ok(())
    }

    async fn acknowledges(&self, client: &mut PgConnection, random: &mut StdRng) -> Result<(), Error> {
        let take = random.random_range(1..2_000);
        let query = format!(
            "WITH taken AS (SELECT event_id FROM lobby_outbox WHERE acked_at IS NULL ORDER BY game_id, seq LIMIT {take} FOR UPDATE SKIP LOCKED)
             UPDATE lobby_outbox AS o SET acked_at = now() FROM taken WHERE o.event_id = taken.event_id"
        );
        run(client, &query).await
    }

    async fn makes_and_ends_games(
        &self,
        client: &mut PgConnection,
        random: &mut StdRng,
    ) -> Result<(), Error> {
        let there = format!("SELECT count(*) FROM games WHERE name NOT LIKE '{CALM}%'");
        let there = number(client, &there).await?;
        if there >= GAMES {
            let Some(game) = some_games(client, random).await?.pop() else { return Ok(()) };
            let policy = ["retain", "delete"][random.random_range(0..2)];
            self.record.counted("wishes: deletions");
            let end = if random.random_range(0..2) == 0 {
                format!("DELETE FROM games WHERE game_id = '{game}'")
            } else {
                format!("UPDATE games SET deletion_requested_at = now() WHERE game_id = '{game}'")
            };
            let policy = format!("UPDATE games SET deletion_policy = '{policy}' WHERE game_id = '{game}'");
            return run(client, &format!("{policy}; {end}")).await;
        }
        // A new game, or one that was there.
        let former = "SELECT DISTINCT game_id::text FROM game_tombstones WHERE NOT EXISTS (SELECT 1 FROM games AS g WHERE g.game_id = game_tombstones.game_id) LIMIT 1";
        let former = raw_sql(former).fetch_all(&mut *client).await?;
        let former = former.first().filter(|_| random.random_range(0..2) == 0);
        let id = former.map_or_else(|| Uuid::new_v4().to_string(), |row| row.get_unchecked(0));
        self.record.counted("wishes: games");
        run(client, &game(&id, &format!("g{}", random.random_range(0..1_000_000_000)))).await
    }
}

/// A game with one player, who stays.
pub(super) fn game(id: &str, name: &str) -> String {
    format!(
        "INSERT INTO games (game_id, name, desired_status, target_engine_version) VALUES ('{id}', '{name}', 'running', '1.4.2');
         INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{id}', '{}', 'Terrans')",
        Uuid::new_v4()
    )
}

/// Which rows of a table the lobby keeps its hands from.
fn but_calm(table: &str) -> String {
    if table == "engine_versions" {
        return String::new();
    }
    format!("WHERE game_id NOT IN (SELECT game_id FROM games WHERE name LIKE '{CALM}%') ORDER BY random()")
}

/// One game mostly, and sometimes a few; in the order of their ids, or in none.
async fn some_games(client: &mut PgConnection, random: &mut StdRng) -> Result<Vec<String>, Error> {
    let many = [1, 1, 1, 2, 4][random.random_range(0..5)];
    let query = format!(
        "SELECT game_id::text FROM games WHERE name NOT LIKE '{CALM}%' ORDER BY random() LIMIT {many}"
    );
    let rows = raw_sql(AssertSqlSafe(query)).fetch_all(client).await?;
    Ok(rows.iter().map(|row| row.get_unchecked(0)).collect())
}

async fn number(client: &mut PgConnection, query: &str) -> Result<i64, Error> {
    let row = raw_sql(AssertSqlSafe(query.to_owned())).fetch_one(client).await?;
    let text: String = row.get_unchecked(0);
    Ok(text.parse().unwrap())
}

async fn run(client: &mut PgConnection, statement: &str) -> Result<(), Error> {
    raw_sql(AssertSqlSafe(statement.to_owned())).execute(client).await.map(drop)
}

async fn connected(database: &Database) -> Result<PgConnection, Error> {
    let Database::Postgres { url, schema } = database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("search_path", schema.as_str())]).application_name("lobby");
    options.disable_statement_logging().connect().await
}

/// PostgreSQL's word for it.
fn code(error: &Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    code.unwrap_or_else(|| "no answer".to_owned())
}
